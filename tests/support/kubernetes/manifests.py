"""The chart as Helm renders it, and what is wrong with a manifest by its schema."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import helm_python
import jsonschema_rs
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "nacre"
OPERATORS = Path(__file__).with_name("operators.yaml")
KUBERNETES = "kubernetes-json-schema/v1.37.0-local-strict"
"""In the package kubernetes_validate: closed, so that a key that would be dropped is an error."""
DEFINITIONS = "https://kubernetes.io/api/_definitions.json"
METADATA = "kubernetes: io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

Manifest = dict[str, Any]


@cache
def chart() -> helm_python.Chart:
    """Return the chart."""
    return helm_python.Chart.load(CHART)


def rendered(values: Mapping[str, Any], *, name: str = "production") -> list[Manifest]:
    """Return what Kubernetes is given for a release of the chart, without the notes.

    Raises:
        HelmError: the values are not as the schema says, or a template refuses them.
    """
    return deepcopy(_rendered(json.dumps(values), name)[0])


def notes(values: Mapping[str, Any]) -> str:
    """Return what Helm prints when it has installed a release."""
    return _rendered(json.dumps(values), "production")[1]


@cache
def _rendered(values: str, name: str) -> tuple[list[Manifest], str]:
    texts = chart().render(json.loads(values), name=name, namespace="ml")
    (notes,) = (texts.pop(path) for path in [*texts] if path.endswith("NOTES.txt"))
    read = (yaml.load_all(text, yaml.CSafeLoader) for text in texts.values())
    return [manifest for manifests in read for manifest in manifests if manifest], notes


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of a kind."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def configuration_in(manifests: list[Manifest]) -> Any:
    """Return the configuration that the manifests give to the program."""
    maps = (manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap")
    (found,) = (data["nacre.yaml"] for data in maps if "nacre.yaml" in data)
    return yaml.safe_load(found)


def pod_templates(service: Manifest) -> dict[str, Manifest]:
    """Return the pods of a RayService by their group; the head is `head`."""
    cluster = service["spec"]["rayClusterConfig"]
    groups = {each["groupName"]: each["template"] for each in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"]["template"], **groups}


def wrong_in(manifest: Manifest) -> list[str]:
    """Return what is wrong with a manifest, with the place of each."""
    key = f"{manifest['kind']} {manifest['apiVersion']}"
    validator = _of_operator(key) if key in operators() else _of_kubernetes(key)
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator.iter_errors(manifest)
    ]


@cache
def operators() -> dict[str, Any]:
    """Return what the operators' resources may say, by kind and version, as it is written."""
    return dict(yaml.safe_load(OPERATORS.read_text()))


def closed(written: Any) -> dict[str, Any]:
    """Return a JSON schema of what is written in operators.yaml."""
    if isinstance(written, str):
        name = written.removeprefix("kubernetes: ")
        if name != written:
            return {"$ref": f"{DEFINITIONS}#/$defs/{name}"}
        return {"enum": written.split("|")} if "|" in written else {"type": written}
    if isinstance(written, list):
        return {"type": "array", "items": closed(written[0])}
    if "*" in written:
        return {"type": "object", "additionalProperties": closed(written["*"])}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key.removesuffix("!") for key in written if key.endswith("!")],
        "properties": {key.removesuffix("!"): closed(part) for key, part in written.items()},
    }


@cache
def _of_operator(key: str) -> Any:
    frame = {"apiVersion!": "string", "kind!": "string", "metadata!": METADATA}
    return _validator(closed(frame | operators()[key]))


@cache
def _of_kubernetes(key: str) -> Any:
    kind, _, version = key.partition(" ")
    group, _, number = version.rpartition("/")
    short = "-".join(part for part in (group.partition(".")[0], number) if part)
    return _validator(_packaged(f"{kind.lower()}-{short}.json"))


def _validator(schema: Any) -> Any:
    return jsonschema_rs.validator_for(schema, registry=_registry())


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(DEFINITIONS, _packaged("_definitions.json"))])


def _packaged(name: str) -> Any:
    return json.loads(files("kubernetes_validate").joinpath(KUBERNETES, name).read_text())


def values_in(path: Path) -> dict[str, Any]:
    """Return a file of values."""
    return dict(yaml.safe_load(path.read_text()))


def places(manifest: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every mapping in a manifest."""
    parts = manifest.items() if isinstance(manifest, dict) else enumerate(manifest)
    if isinstance(manifest, dict):
        yield path
    for key, part in parts:
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))
