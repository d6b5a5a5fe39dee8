"""What we say of the operators' resources, beside what the operators themselves say."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from tests.deploy.test_chart import EVERYTHING
from tests.support.kubernetes.definitions import definitions
from tests.support.kubernetes.manifests import (
    ROOT,
    Manifest,
    closed,
    operators,
    places,
    rendered,
    values_in,
)

EXAMPLES = sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))
IDS = [path.stem for path in EXAMPLES]
FREE = ("limits", "requests", "matchLabels", "labels", "annotations", "rayStartParams")
"""Mappings whose keys are anybody's."""


def unknown(ours: Any, theirs: Any, place: str) -> Iterator[str]:
    """Yield what our schema allows or needs and theirs does not."""
    wanted = "object" if "$ref" in ours else ours.get("type", "string")
    if not theirs.get("x-kubernetes-int-or-string") and theirs["type"] != wanted:
        yield f"{place}: {wanted}, not {theirs['type']}"
    if "enum" in theirs and not set(ours.get("enum", ())) <= set(theirs["enum"]):
        yield f"{place}: {ours.get('enum')}, not {theirs['enum']}"
    if "items" in ours:
        yield from unknown(ours["items"], theirs["items"], f"{place}[]")
    for key, part in ours.get("properties", {}).items():
        if key not in theirs.get("properties", {}):
            yield f"{place}.{key}"
        else:
            yield from unknown(part, theirs["properties"][key], f"{place}.{key}")
    lacking = set(theirs.get("required", ())) - set(ours.get("required", ()))
    if lacking and "properties" in ours:
        yield f"{place}: {sorted(lacking)} must be there"


def strict(theirs: Any) -> Any:
    """Return an operator's schema as one that takes no key that it does not name."""
    if isinstance(theirs, list):
        return [strict(each) for each in theirs]
    if not isinstance(theirs, dict):
        return theirs
    made = {
        key: {name: strict(one) for name, one in part.items()}
        if key == "properties"
        else strict(part)
        for key, part in theirs.items()
        if key not in ("description", "default", "format")
    }
    if "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def wrong_by_them(manifest: Manifest) -> list[str] | None:
    """Return what an operator's own definition says of a manifest; None where it says nothing."""
    theirs = _validator(f"{manifest['kind']} {manifest['apiVersion']}")
    return theirs and [str(error) for error in theirs.iter_errors(manifest)]


@cache
def _validator(key: str) -> Any:
    if key not in definitions():
        return None
    schema = strict(definitions()[key])
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema_rs.validator_for(schema)


@pytest.mark.parametrize("key", list(operators()))
def test_we_say_nothing_that_the_operator_does_not_say(key: str) -> None:
    theirs = definitions()[key]
    assert list(unknown(closed(operators()[key]), theirs | {"required": []}, key)) == []


@pytest.mark.parametrize(
    "values", [EVERYTHING, *map(values_in, EXAMPLES)], ids=["everything", *IDS]
)
def test_the_chart_is_as_the_operators_themselves_want_it(values: dict[str, Any]) -> None:
    found = list(known_to_them(rendered(values)))
    assert found
    assert [wrong for _, wrongs in found for wrong in wrongs] == []


def test_a_planted_key_is_found_by_the_operators_own_definitions_too() -> None:
    planted = 0
    for manifest, _ in known_to_them(rendered(EVERYTHING)):
        for path in places(manifest["spec"], ("spec",)):
            if path[-1] in FREE:
                continue
            wrong = deepcopy(manifest)
            part = wrong
            for key in path:
                part = part[key]
            part["planted"] = {}
            assert wrong_by_them(wrong), f"{manifest['kind']}: {path}"
            planted += 1
    assert planted > 100


def known_to_them(manifests: list[Manifest]) -> Iterator[tuple[Manifest, list[str]]]:
    """Yield the manifests that an operator has a definition of, and what it says of each."""
    for manifest in manifests:
        wrong = wrong_by_them(manifest)
        if wrong is not None:
            yield manifest, wrong
