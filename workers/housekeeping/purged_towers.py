"""Towers that have learnt from a task that is purged: their fingerprints, by which features lie."""

from contextlib import suppress

from adapters.errors import CorruptionError, MissingError, NotFoundError
from adapters.methods import method_named
from workers.registry import Holding, RegisteredAdapter
from workers.registry.record_cache import Versions


def purged_towers(adapter: RegisteredAdapter, holding: Holding) -> frozenset[str]:
    """Return the fingerprints of the towers of versions whose shared state is in `holding`.

    Asked before the states are removed: without them nobody can tell. A version that was purged
    before has none any more, and is passed over, as is one whose bytes are damaged or gone.

    Raises:
        UnavailableError: the store cannot be asked now.
    """
    versions, found = Versions(adapter.objects.store), set()
    for number in holding.versions:
        with suppress(NotFoundError, MissingError, CorruptionError):
            if adapter.manifest(number).shared not in holding.states:
                continue
            state = versions.state(adapter.name, number)
            fingerprint = method_named(state.records[0].method).fingerprint(state)
            if fingerprint != state.records[0].encoder:
                found.add(fingerprint)
    return frozenset(found)
