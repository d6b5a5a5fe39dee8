"""The operators' own definitions of their resources, without descriptions, as tests keep them.

    python -m tests.support.kubernetes.definitions FOLDER

writes those of tests/fixtures/operators anew from a folder of CRDs as their operators install them
(`kubectl get crd rayservices.ray.io -o yaml`, and so on).
"""

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.kubernetes.manifests import ROOT, operators

KEPT = ROOT / "tests" / "fixtures" / "operators"


@cache
def definitions() -> dict[str, Any]:
    """Return the schemas of the operators, by kind and version."""
    return {
        written["key"]: written["schema"]
        for written in (json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json")))
    }


def _described(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield name, key and schema of each version of each resource in a folder of CRDs."""
    for path in sorted(folder.glob("*.yaml")):
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            key = f"{spec['names']['kind']} {spec['group']}/{version['name']}"
            yield spec["names"]["singular"], key, version["schema"]["openAPIV3Schema"]


def _without_descriptions(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_descriptions(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_descriptions(one) for name, one in part.items()}
        if key == "properties"
        else _without_descriptions(part)
        for key, part in schema.items()
        if key != "description"
    }


def main(folder: Path) -> None:
    """Write what is kept of the resources that the chart makes."""
    for name, key, schema in _described(folder):
        if key in operators():
            kept = {"key": key, "schema": _without_descriptions(schema)}
            written = json.dumps(kept, sort_keys=True, separators=(",", ":"))
            (KEPT / f"{name}.json").write_text(f"{written}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
