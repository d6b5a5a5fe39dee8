"""Health: who leads, what is installed, and whether everything stored is what it should be."""

import time
from importlib.metadata import PackageNotFoundError, version

from adapters.errors import InputError, NacreError
from cluster.console.shown.look import Act, Look, Page
from cluster.wire.outputs.facts import checked_document, garbage_document

PACKAGES = ("nacre", "ray", "torch", "open_clip_torch", "fastapi", "pydantic", "numpy", "pillow")


def health(look: Look) -> Page:
    """Show the standing of the system."""
    return _page(look)


def check(act: Act) -> Page:
    """Verify an adapter, or look for what nothing leads to; nothing is changed."""
    look, asked, name = act.look, act.field("do"), act.field("adapter")
    client = look.sources.client
    look.requester.check("status", name)
    look.known.adapter(name)
    if asked == "verify":
        look.requester.check("verify", name)
        return _page(look, checked=checked_document(client.verify(name)))
    if asked == "gc":
        look.requester.check("gc", name)
        found = client.gc(name, dry_run=True, by=look.requester)
        return _page(look, garbage=garbage_document(found, deleted=False), of=name)
    raise InputError(f"expected to verify, or to look for garbage, found {asked[:40]!r}")


def _page(look: Look, **found: object) -> Page:
    begun = time.perf_counter()
    away = ""
    client = look.sources.client
    try:
        client.adapters()
    except NacreError as error:
        away = look.sources.places.said(error.message)
    took_ms = 1000 * (time.perf_counter() - begun)
    return Page(
        template="health.html.j2",
        title="Health",
        content={
            "queue": look.known.queue,
            "packages": [(name, _version(name)) for name in PACKAGES],
            "store": client.store.url if look.may("audit", "*") else "",
            "took_ms": took_ms,
            "away": away,
            "endpoint": client.config.endpoint,
            "names": [each.name for each in look.adapters],
            "checked": None,
            "garbage": None,
            "of": "",
            **found,
        },
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
