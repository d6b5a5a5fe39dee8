"""Routes and what each needs: a table, from which the middleware decides and OpenAPI is told.

A route that is missing here is served to nobody: `build_api` refuses to start with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path

from adapters.errors import printable
from cluster.client.requester import Requester
from workers.access.roles import NEEDED
from workers.queue.machine import EVERY_ADAPTER


class Of(Enum):
    """Whose role counts."""

    PATH = "of the adapter in the path"
    CONFIGURED = "of the adapter that the configuration names"
    EVERY = "of all adapters"
    ANY = "of any adapter"
    MEANT = "of the adapter that is meant"  # its handler finds out which, and looks, too
    SEEN = "of an adapter; others are left out"  # its handler leaves them out


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a route needs.

    Attributes:
        verb: Which is what `NEEDED` has a role for.
        of: Whose role counts.
    """

    verb: str
    of: Of

    def __str__(self) -> str:
        return f"{NEEDED[self.verb]} {self.of.value}"


def _of_path(verb: str) -> Need:
    return Need(verb=verb, of=Of.PATH)


_TASK, _ADAPTER, _WEBHOOK = "/v1/tasks/{name}", "/v1/adapters/{adapter}", "/v1/webhooks/{name}"
NEEDS: Mapping[tuple[str, str], Need] = {
    ("POST", "/v1/predict"): Need(verb="predict", of=Of.CONFIGURED),
    ("POST", f"{_ADAPTER}/predict"): _of_path("predict"),
    ("POST", "/v1/embed"): Need(verb="embed", of=Of.ANY),
    ("GET", "/v1/adapters"): Need(verb="aliases", of=Of.SEEN),
    ("GET", f"{_ADAPTER}/versions"): _of_path("versions"),
    ("GET", f"{_ADAPTER}/versions/{{version}}"): _of_path("show"),
    ("GET", f"{_ADAPTER}/versions/{{version}}/mistakes"): _of_path("mistakes"),
    ("GET", f"{_ADAPTER}/history"): _of_path("history"),
    ("GET", f"{_ADAPTER}/diff"): _of_path("diff"),
    ("GET", f"{_ADAPTER}/held/{{task}}"): _of_path("held"),
    ("GET", f"{_ADAPTER}/versions/{{version}}/export"): _of_path("export"),
    ("POST", f"{_ADAPTER}/import"): _of_path("import"),
    ("POST", f"{_ADAPTER}/evaluate"): _of_path("evaluate"),
    ("GET", f"{_ADAPTER}/verify"): _of_path("verify"),
    ("POST", f"{_ADAPTER}/settle"): _of_path("settle"),
    ("POST", f"{_ADAPTER}/purge"): _of_path("purge"),
    ("POST", f"{_ADAPTER}/gc"): _of_path("gc"),
    ("GET", "/v1/refusals"): Need(verb="refusals", of=Of.SEEN),
    ("GET", "/v1/behind"): Need(verb="status", of=Of.SEEN),
    ("GET", "/v1/methods"): Need(verb="methods", of=Of.ANY),
    ("GET", "/v1/encoders"): Need(verb="methods", of=Of.ANY),
    ("GET", f"{_ADAPTER}/aliases"): _of_path("aliases"),
    ("GET", f"{_ADAPTER}/accuracy"): _of_path("accuracy"),
    ("POST", f"{_ADAPTER}/promote"): _of_path("promote"),
    ("POST", f"{_ADAPTER}/rollback"): _of_path("rollback"),
    ("POST", f"{_ADAPTER}/relearn"): _of_path("relearn"),
    ("PUT", f"{_ADAPTER}/aliases/{{alias}}"): _of_path("alias"),
    ("DELETE", f"{_ADAPTER}/aliases/{{alias}}"): _of_path("alias"),
    ("POST", f"{_ADAPTER}/pause"): _of_path("pause"),
    ("POST", f"{_ADAPTER}/resume"): _of_path("resume"),
    ("POST", f"{_ADAPTER}/drop"): _of_path("drop"),
    ("POST", f"{_ADAPTER}/prepare"): _of_path("prepare"),
    ("POST", f"{_ADAPTER}/follow"): _of_path("follow"),
    ("POST", "/v1/tasks"): Need(verb="submit", of=Of.MEANT),
    ("POST", "/v1/tasks/inspect"): Need(verb="inspect", of=Of.MEANT),
    ("GET", "/v1/tasks"): Need(verb="status", of=Of.SEEN),
    ("GET", _TASK): Need(verb="status", of=Of.MEANT),
    ("GET", f"{_TASK}/watch"): Need(verb="watch", of=Of.MEANT),
    ("GET", f"{_TASK}/events"): Need(verb="logs", of=Of.MEANT),
    ("GET", f"{_TASK}/logs"): Need(verb="worker_logs", of=Of.MEANT),
    ("POST", f"{_TASK}/cancel"): Need(verb="cancel", of=Of.MEANT),
    ("POST", f"{_TASK}/retry"): Need(verb="retry", of=Of.MEANT),
    ("GET", "/v1/tokens"): Need(verb="token", of=Of.SEEN),
    ("POST", "/v1/tokens"): Need(verb="token", of=Of.MEANT),
    ("POST", "/v1/tokens/{name}/revoke"): Need(verb="token", of=Of.MEANT),
    ("GET", "/v1/sessions"): Need(verb="session", of=Of.EVERY),
    ("POST", "/v1/sessions/end"): Need(verb="session", of=Of.EVERY),
    ("GET", "/v1/audit"): Need(verb="audit", of=Of.SEEN),
    ("GET", "/v1/webhooks"): Need(verb="webhook", of=Of.EVERY),
    ("POST", "/v1/webhooks"): Need(verb="webhook", of=Of.EVERY),
    ("GET", _WEBHOOK): Need(verb="webhook", of=Of.EVERY),
    ("POST", f"{_WEBHOOK}/remove"): Need(verb="webhook", of=Of.EVERY),
    ("POST", f"{_WEBHOOK}/rotate"): Need(verb="webhook", of=Of.EVERY),
    ("POST", f"{_WEBHOOK}/test"): Need(verb="webhook", of=Of.EVERY),
    ("POST", f"{_WEBHOOK}/resume"): Need(verb="webhook", of=Of.EVERY),
    ("GET", "/v1/status"): Need(verb="status", of=Of.SEEN),
    ("GET", "/v1/metrics"): Need(verb="metrics", of=Of.EVERY),
}
"""What the routes need that not everybody may ask."""
OPEN = ("/v1/health/live", "/v1/health/ready")
"""For everybody: probes have no token."""
LOGIN, START, CALLBACK, LOGOUT = "/login", "/login/provider", "/login/callback", "/logout"
PAGES = ("/", "/docs", "/openapi.json", LOGIN, START, CALLBACK, LOGOUT)
"""For everybody, too, with what is below: a browser has no token before it has shown them."""

_PATTERNS = [(verb, compile_path(path)[0], need) for (verb, path), need in NEEDS.items()]
SCHEME = "token"
_VERBS = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A route that was asked for.

    Attributes:
        need: What it needs.
        adapter: The adapter that is known before the request is read; `*` where none is.
        target: The task or token in the path; empty where there is none.
    """

    need: Need
    adapter: str = EVERY_ADAPTER
    target: str = ""

    def check(self, requester: Requester) -> None:
        """Raise ForbiddenError unless a requester may ask for it, as far as is known by now."""
        if self.need.of in (Of.ANY, Of.MEANT, Of.SEEN):
            requester.check_somewhere(self.need.verb)
        else:
            requester.check(self.need.verb, self.adapter)


def is_open(path: str) -> bool:
    """Return whether everybody may ask for a path."""
    return path in OPEN or path in PAGES or path.startswith("/docs/")


def asked_for(verb: str, path: str, *, configured: str) -> Asked | None:
    """Return the route that answers a request; None where there is none.

    Args:
        verb: Of the request.
        path: Of the request.
        configured: The adapter that the configuration names.
    """
    for method, pattern, need in _PATTERNS:
        # As the router looks for it, to the letter: what it finds must be found here.
        found = pattern.match(path) if method == verb else None
        if found is not None:
            named = found.groupdict()
            adapter = configured if need.of is Of.CONFIGURED else named.get("adapter")
            # Written with a version, as in `main@3`.
            of = adapter.partition("@")[0] if adapter else EVERY_ADAPTER
            return Asked(need=need, adapter=of, target=printable(named.get("name", "")))
    return None


def check_routes(document: Mapping[str, Any]) -> None:
    """Raise LookupError where the table and the routes of an OpenAPI document differ."""
    there = {(verb, path) for verb, path, _ in _operations(document) if path not in OPEN}
    if there != NEEDS.keys():
        raise LookupError(
            f"routes without a need, or needs without a route: {sorted(there ^ NEEDS.keys())}"
        )


def describe_needs(api: FastAPI) -> None:
    """Have the OpenAPI document of `api` say what each route needs, and how a token is sent."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = made()
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes[SCHEME] = {
                "type": "http",
                "scheme": "bearer",
                "description": "A named token, as `nacre token create` makes it, or a signed one "
                "of the provider.",
            }
            for verb, path, operation in _operations(document):
                need = NEEDS.get((verb, path))
                if need is not None:
                    operation["security"] = [{SCHEME: []}]
                    operation["description"] += f"\n\nNeeds a token that is {need}."
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]  # as FastAPI says to extend it


def _operations(document: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (verb.upper(), path, operation)
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if verb in _VERBS
    ]
