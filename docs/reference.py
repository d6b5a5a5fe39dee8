"""The page of keys, variables, verbs, exit codes, routes and metrics: `make docs`.

    python -m docs.reference    writes docs/reference.md

The variables alone are written here; tests/test_reference_page.py compares them with the code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from adapters.errors import NacreError
from cluster.api.access.requesters import Access
from cluster.api.access.routes import NEEDS
from cluster.cli.main import MODULES, cli
from cluster.cli.terminal.interrupts import EXIT_INTERRUPTED
from cluster.config import Config
from cluster.serving.service import Service
from cluster.stores.versions import open_versions
from cluster.system.app import build_api
from cluster.wire.problems import STATUS
from docs.api import error_types
from docs.keys import configuration, table
from docs.roads import roads
from docs.variables import OF_IMAGE, OF_TESTS, VARIABLES
from workers.metrics.families import FAMILIES
from workers.registry.audience import Nobody

PAGE = Path(__file__).with_suffix(".md")
HEAD = """<!-- Made by `make docs` from the code: change that. -->

# Reference

Every key, variable, verb, exit code, route and metric, made from the code. The pages on
[tasks](tasks.md), [serving](serving.md), [the queue](queue.md) and [the registry](registry.md) say
what they are for, with examples. Keys of task files are in [tasks.md](tasks.md#keys), settings of
methods in [methods.md](methods.md#settings) and [lada.md](lada.md#settings)."""
CONFIGURATION = """## Configuration

The configuration is one YAML file: the one that `--config` names, before the verb (`nacre --config
other.yaml status`); or else the one that `NACRE_CONFIG` names; or else `nacre.yaml` in the working
folder. Without a file every key has its default. An unknown key is an
error that names the nearest one. Where a default is "none", `null` says the same. Variables of
the [environment](#environment-variables) go before the file. `nacre config` shows what is in
effect, and `nacre config --schema` prints the JSON schema of the file, for editors."""
ENVIRONMENT = """## Environment variables

Secrets come only from environment variables."""
IMAGE = "In containers, besides ([install.md](install.md)):"
TESTS = "For tests, benchmarks and proofs ([CONTRIBUTING.md](../CONTRIBUTING.md)):"
EXITS = """## Exit codes

Every error of nacre is one of these exceptions, on the command line, in Python and over HTTP, where
its name is the `title` of the problem. [api.md](api.md#errors) says what each means."""
OTHERS = {
    0: "done",
    1: "failed, in a way that nobody thought of, or what was printed could not be written",
    2: "change the request; also a verb or an option that does not exist",
    3: "somebody else was first: look again, then repeat it",
    4: "wait, then try again",
    5: "it may have happened: look before anything else",
    6: "stored bytes are damaged",
    7: "the gate has rejected a task: its version is kept, and not served",
    EXIT_INTERRUPTED: "interrupted",
}
VERBS = """## Verbs

`nacre [--config FILE] [--url URL] [--token-file FILE] [--insecure] [--debug] VERB …`; `nacre VERB
--help` has examples; [remote.md](remote.md) is about `--url` and the two behind it. `--debug` shows
a traceback with an error; `nacre --version` says the version and the commit."""
ROUTES = """## Routes

`/docs` shows these with their bodies, `/openapi.json` has them for machines, `/` leads to `/docs`.
[serving.md](serving.md#everything-over-http) says more, and [access.md](access.md) of roles."""
ROADS = """## Roads

Which routes do what a verb of the command line does. In Python the calls of
[`Client`](api.md#client) and [`RemoteClient`](api.md#remoteclient) have the same names. A verb
without a command is for programs alone."""
METRICS = """## Metrics

At `GET /v1/metrics`, of the whole system, and on every node at the port of Ray's agent, there with
`ray_` before each name. [metrics.md](metrics.md) says how Prometheus reads them."""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, CONFIGURATION, *configuration()]
    parts += [ENVIRONMENT, table(("variable", "what for"), VARIABLES)]
    parts += [IMAGE, table(("variable", "what for"), OF_IMAGE)]
    parts += [TESTS, table(("variable", "what for"), OF_TESTS)]
    parts += [EXITS, table(("code", "meaning", "exceptions", "over HTTP"), exit_codes())]
    parts += [VERBS, *verbs()]
    parts += [ROUTES, table(("route", "", "role", "errors"), routes())]
    parts += [ROADS, table(("verb", "over HTTP", "role"), roads())]
    parts += [METRICS, table(("metric", "labels", "what"), metrics())]
    return "\n\n".join(parts) + "\n"


def exit_codes() -> Iterator[tuple[str, str, str, str]]:
    """Yield each exit code with its exceptions and how they are answered over HTTP."""
    errors = [error for error in error_types() if error is not NacreError]
    for code, meaning in OTHERS.items():
        named = [error for error in errors if error.exit_code == code]
        statuses = dict.fromkeys(str(_status(error)) for error in named)
        names = ", ".join(f"`{error.__name__}`" for error in named)
        yield f"{code}", meaning, names, ", ".join(statuses)


def _status(error: type[NacreError]) -> int:
    return next((code for kind, code in STATUS if issubclass(error, kind)), 500)


def verbs() -> Iterator[str]:
    """Yield a table of the arguments and options of each verb."""
    context = click.Context(cli)
    for verb in sorted(verb for names in MODULES.values() for verb in names):
        command = cli.get_command(context, verb)
        assert command is not None
        inner = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for name, each in inner:
            yield from _verb(f"{verb} {name}".strip(), each)


def _verb(name: str, command: click.Command) -> Iterator[str]:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    usage = " ".join(each.make_metavar(click.Context(command)) for each in arguments)
    yield f"### `nacre {name}{' ' if usage else ''}{usage}`"
    yield " ".join((command.help or "").split("\n\n")[0].split())
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        yield table(("option", "what"), [_option(each, command) for each in options])


def _option(option: click.Option, command: click.Command) -> tuple[str, str]:
    record = option.get_help_record(click.Context(command))
    assert record is not None
    return f"`{record[0]}`".replace("|", "\\|"), " ".join(record[1].split()).replace("|", "\\|")


def routes() -> Iterator[tuple[str, str, str, str]]:
    """Yield each route with its first sentence, the role that it needs, and its errors."""
    for path, item in openapi()["paths"].items():
        for verb, operation in item.items():
            told = " ".join(operation["description"].split("\n\n")[0].split())
            codes = sorted(code for code in operation["responses"] if code >= "400")
            need = NEEDS.get((verb.upper(), path))
            role = str(need) if need else "none"
            yield f"`{verb.upper()} {path}`", told, role, ", ".join(codes)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the HTTP API."""
    config = Config(store="memory://reference")
    service = Service(config, open_versions(config))
    return build_api(service, config, audience=Nobody(), access=Access()).openapi()


def metrics() -> Iterator[tuple[str, str, str]]:
    """Yield each metric with its labels and what it counts."""
    for family in FAMILIES:
        named = ", ".join(f"`{label}`" for label in family.labels)
        yield f"`{family.name}`", named, f"{family.help} A {family.kind.value}."


if __name__ == "__main__":
    PAGE.write_text(page())
