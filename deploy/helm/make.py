"""The chart's values, their schema and its README, made from the types: `make docs`.

    python -m deploy.helm.make    writes values.yaml, values.schema.json, README.md and files/

What of them is in the chart is compared with this in tests/deploy/test_chart.py, so that the chart
and the program cannot differ.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from cluster.client.methods import attributes
from cluster.config import Config
from cluster.runtime.names import EVERY_ROLE
from cluster.system.config_schema import config_schema
from cluster.system.declaration import NOT_READ, READS, document
from deploy.helm.values import OF_KUBERNETES, Values
from docs.keys import table

CHART = Path(__file__).with_name("nacre")
OBSERVE = Path(__file__).parents[1] / "observe"
WIDTH = 98
KUBERNETES = "kubernetes-json-schema/v1.37.0-local-strict/_definitions.json"
"""In the package kubernetes_validate: closed, so that a key that would be dropped is an error."""
OF = "io.k8s."
QUANTITY = f"{OF}apimachinery.pkg.api.resource.Quantity"
COMMENT = (
    "Made by `make docs` from deploy/helm/values.py. Definitions that begin with io.k8s are those "
    "of Kubernetes 1.37, under the Apache License 2.0, closed and without descriptions."
)
QUANTITIES = r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i|[eE][0-9]+)?$"
HEAD = """# Made by `make docs` from deploy/helm/values.py: change that.
# README.md beside this says the same as tables."""
README = """<!-- Made by `make docs` from deploy/helm/values.py: change that. -->

# The chart

nacre on Kubernetes, as a RayService of KubeRay 1.7. [The page on
Kubernetes](../../../docs/kubernetes.md) installs it, and says what it needs. A values file of three
lines is enough:

<!-- held by: tests/deploy/test_chart.py -->
```yaml
config: {store: "s3://nacre/production"}
store: {existingSecret: nacre-store}
auth: {existingSecret: nacre-tokens}
```

An unknown key is an error; so is one inside `config`, whose keys are those of
[nacre.yaml](../../../docs/reference.md#configuration)."""


def values_yaml() -> str:
    """Return the defaults as YAML, each key under what it means, said once for each type."""
    return "\n".join([HEAD, *_written(Values(), "", set())]) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of the values: closed, with what each key means."""
    found = TypeAdapter(Values).json_schema(by_alias=True)
    kinds = {kind.__name__: kind for kind in (Values, *(kind for _, kind in _parts()))}
    for name, part in (("Values", found), *found["$defs"].items()):
        for key, meaning in _meanings(kinds[name]).items():
            part["properties"][key]["description"] = meaning
        # `head:` with nothing below it takes away what values.yaml says of the whole part.
        part["required"] = [
            key_of(each)
            for each in fields(kinds[name])
            if each.default_factory is not MISSING and is_dataclass(each.default_factory())
        ]
    program = config_schema()
    dialect = program.pop("$schema")
    found["$defs"] |= program.pop("$defs") | {"Config": program}
    found["properties"]["config"] = {"$ref": "#/$defs/Config"}
    known = json.loads(files("kubernetes_validate").joinpath(KUBERNETES).read_text())["$defs"]
    known[QUANTITY] = {"type": ["string", "number"], "pattern": QUANTITIES}
    taken: dict[str, Any] = {}
    found = _without_defaults(_with_kubernetes(found, known, taken))
    found["$defs"] |= taken
    # A chart that has this one as a part asks for it by a condition, which Helm hands on.
    found["properties"]["enabled"] = {"type": "boolean"}
    return {"$schema": dialect, "$comment": COMMENT, **found}


def _with_kubernetes(part: Any, known: Mapping[str, Any], taken: dict[str, Any]) -> Any:
    """Return a schema with references to what `taken` has then of Kubernetes' own definitions.

    Args:
        part: A schema, or a part of one.
        known: Kubernetes' definitions, by the names that it gives them.
        taken: Those that are needed, without what they say to people.
    """
    if isinstance(part, list):
        return [_with_kubernetes(each, known, taken) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: _with_kubernetes(each, known, taken) for key, each in part.items()}
    meant = found.pop(OF_KUBERNETES, None)
    name = f"{OF}{meant}" if meant else str(found.get("$ref", "")).removeprefix("#/$defs/")
    if name.startswith(OF):
        found["$ref"] = f"#/$defs/{name}"
        if name not in taken:
            taken[name] = {}  # one may lead to itself
            taken[name] = _with_kubernetes(_silent(known[name]), known, taken)
    return found


def _silent(part: Any) -> Any:
    """Return a schema without what it says to people and to programs of Kubernetes."""
    if isinstance(part, list):
        return [_silent(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: {name: _silent(one) for name, one in each.items()}
        if key == "properties"
        else _silent(each)
        for key, each in part.items()
        if key != "description" and not key.startswith("x-")
    }


def serve() -> dict[str, Any]:
    """Return what Serve is to run, without arguments: `document` of all, and of which keys each.

    An application `reads` some keys of the configuration, or all `without` some.
    """
    whole = document(Config())
    applications = whole.pop("applications")
    for role, each in zip(EVERY_ROLE, applications, strict=True):
        del each["args"]
        each.update({"reads": READS[role]} if role in READS else {"without": NOT_READ[role]})
    del whole["http_options"]
    return {"document": whole, "applications": applications}


def readme() -> str:
    """Return the page about the chart."""
    parts = [README, "## Values", _table(Values)]
    for name, kind in _parts():
        parts += [f"### `{name}`", _table(kind)]
    return "\n\n".join(parts) + "\n"


def key_of(each: "Field[Any]") -> str:
    """Return what a field is called in the values."""
    return to_camel(each.name.rstrip("_"))


def made() -> dict[Path, str]:
    """Return every file that is made, with its content."""
    watched = [OBSERVE / "alerts.yaml", *sorted((OBSERVE / "dashboards").glob("*.json"))]
    return {
        CHART / "values.yaml": values_yaml(),
        CHART / "values.schema.json": json.dumps(schema(), indent=1, sort_keys=True) + "\n",
        CHART / "README.md": readme(),
        CHART / "files" / "serve.json": json.dumps(serve(), indent=1) + "\n",
        **{
            CHART / "files" / "observe" / path.relative_to(OBSERVE): path.read_text()
            for path in watched
        },
    }


def _meanings(kind: type) -> dict[str, str]:
    """Return what each key of a part means."""
    known = attributes(kind)
    return {key_of(each): known[each.name.rstrip("_")] for each in fields(kind)}


def _parts() -> Iterator[tuple[str, type]]:
    """Yield the parts of the values and their paths, each type where it comes first."""
    seen: set[type] = set()

    def inside(path: str, kind: type) -> Iterator[tuple[str, type]]:
        hints = get_type_hints(kind)
        for each in fields(kind):
            part = hints[each.name]
            if isinstance(part, type) and is_dataclass(part) and part not in seen:
                seen.add(part)
                yield f"{path}{key_of(each)}", part
                yield from inside(f"{path}{key_of(each)}.", part)

    yield from inside("", Values)


def _table(kind: type) -> str:
    meanings = _meanings(kind)
    rows = [(f"`{key_of(each)}`", _default(each), meanings[key_of(each)]) for each in fields(kind)]
    return table(("key", "default", "meaning"), rows)


def _default(each: "Field[Any]") -> str:
    value = each.default if each.default_factory is MISSING else each.default_factory()
    if value is MISSING:
        return "must be given"
    if is_dataclass(value):
        return "see below"
    if each.name == "config":
        return "see values.yaml"
    if value in (None, "") or value in ([], {}):
        return "none"
    return f"`{_inline(value)}`"


def _written(part: Any, indent: str, said: set[str]) -> Iterator[str]:
    meanings = _meanings(type(part))
    for each in fields(part):
        value, key = getattr(part, each.name), key_of(each)
        # Of a key that several parts have, as the groups do, it is said once.
        meaning = meanings[key]
        if f"{key} {meaning}" not in said:
            yield from textwrap.wrap(
                meaning, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
            )
            said.add(f"{key} {meaning}")
        if key == "config":
            yield textwrap.indent(yaml.safe_dump({key: value}, sort_keys=False), indent).rstrip()
        elif is_dataclass(value):
            yield f"{indent}{key}:"
            yield from _written(value, indent + "  ", said)
        else:
            yield f"{indent}{key}: {_inline(value)}"


def _inline(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return dumped.removesuffix("...\n").strip()


def _without_defaults(part: Any) -> Any:
    """Return a schema without what values.yaml says, and without titles."""
    if isinstance(part, list):
        return [_without_defaults(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: {name: _without_defaults(one) for name, one in each.items()}
        if key in ("properties", "$defs")
        else _without_defaults(each)
        for key, each in part.items()
        if key not in ("title", "default")
    }


if __name__ == "__main__":
    for path, content in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(path)
