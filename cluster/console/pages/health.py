"""Health: who leads, what is installed, and whether everything stored is what it should be."""

import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from adapters.errors import InputError, NacreError
from cluster.api.lasting.answers import Watch
from cluster.console.shown.look import Act, Lasting, Look, Page
from cluster.wire.outputs.facts import checked_document, garbage_document

PACKAGES = ("nacre", "ray", "torch", "open_clip_torch", "fastapi", "pydantic", "numpy", "pillow")


def health(look: Look) -> Page:
    """Show the standing of the system."""
    return _page(look)


def check(act: Act) -> Lasting:
    """Verify an adapter, or look for what nothing leads to; nothing is changed."""
    look, asked, name = act.look, act.field("do"), act.field("adapter")
    client, places = look.sources.client, look.sources.places
    look.requester.check("status", name)
    look.known.adapter(name)

    def verified(watch: Watch) -> Page:
        progress = partial(watch.step, f"checking every byte of {name}")
        progress(0, 0)
        checked = checked_document(client.verify(name, on_progress=progress))
        for problem in checked.problems:
            problem.message = places.said(problem.message)
        return _page(look, checked=checked, of=name)

    def looked_for(watch: Watch) -> Page:
        watch.step(f"looking for what nothing leads to in {name}", 0, 0)
        found = client.gc(name, dry_run=True, by=look.requester)
        return _page(look, garbage=garbage_document(found, deleted=False), of=name)

    work = {"verify": verified, "gc": looked_for}.get(asked)
    if work is None:
        raise InputError(f"expected to verify, or to look for garbage, found {asked[:40]!r}")
    look.requester.check(asked, name)
    return Lasting(begun=_page(look), look=look, region="found", work=work)


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
