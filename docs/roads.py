"""The table of verbs and roads: what a command line can do, which route does it, who may."""

from collections.abc import Iterator

from cluster.api.access.routes import NEEDS
from cluster.cli.main import MODULES
from workers.access.roles import NEEDED

ELSEWHERE = {
    "advise": "counts images on this machine and reads tables that come with nacre; no service is "
    "asked",
    "bench": "measures methods on image sets; no service is asked",
    "config": "shows what a command of this machine works with",
    "console": "shows and does the same on pages (docs/console.md)",
    "demo": "starts a service of its own",
    "doctor": "looks at the machine that it is called on; `GET /v1/status` says what a service "
    "sees of itself, its store and its coordinator",
    "down": "ends the service",
    "init": "writes a file on this machine; no service is asked",
    "ready": "asks `GET /v1/health/ready` of the service on this machine",
    "serve-config": "prints what `up` declares; no service is asked",
    "support-bundle": "gathers files, logs and variables of this machine, while no service works, "
    "too; what a service says of itself is at `GET /v1/status` and `/v1/metrics`",
    "up": "starts the service",
}
"""Verbs that are no service's, and why."""


def roads() -> Iterator[tuple[str, str, str]]:
    """Yield each verb with its routes, or with why it has none, and the role that it needs."""
    verbs = {verb for names in MODULES.values() for verb in names}
    for verb in sorted(verbs | {need.verb for need in NEEDS.values()}):
        routes = [
            f"`{method} {path}`" for (method, path), need in NEEDS.items() if need.verb == verb
        ]
        name = f"`nacre {verb}`" if verb in verbs else verb
        role = str(NEEDED[verb]) if verb in NEEDED else ""
        yield name, ", ".join(routes) or ELSEWHERE[verb], role
