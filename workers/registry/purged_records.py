"""Purged records and states: a version that would bring them back is refused."""

from collections.abc import Collection, Iterator

from adapters.errors import InputError
from workers.registry.documents.layout import REFS
from workers.registry.documents.manifest import Manifest
from workers.registry.documents.purged import Tombstone, purged_versions
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.registry.reach import published_versions
from workers.registry.reader import AdapterReader
from workers.store.base import ObjectStore


def check_brings_nothing_back(store: ObjectStore, manifest: Manifest, *, what: str) -> None:
    """Raise InputError where a version holds what was purged of any adapter of a store.

    That is a record, a shared state or the learning of a submission that a tombstone names, unless
    it is in a version of the same adapter again that can be served.

    Args:
        store: The object store.
        manifest: The version.
        what: Where the version is, for people.
    """
    content = _content(manifest)
    for listed in store.list(REFS):
        name = listed.key.removeprefix(REFS).removesuffix(".json")
        reader = AdapterReader(AdapterObjects(store, name))
        refs = reader.refs()
        stones = reader.tombstones(refs)
        found = [stone for stone in stones if not content.isdisjoint(_named_by(stone))]
        there = _there(reader, refs, stones) if found else set()
        for stone in found:
            if not content.intersection(_named_by(stone)) <= there:
                raise _brought_back(stone, adapter=name, what=what)


def _named_by(stone: Tombstone) -> Iterator[str]:
    yield from (record.sha256 for record in stone.records)
    yield from stone.submissions


def _there(reader: AdapterReader, refs: Refs, stones: Collection[Tombstone]) -> set[str]:
    buried = purged_versions(stones)
    versions = (each for each in published_versions(reader, refs) if each.number not in buried)
    return {name for manifest in versions for name in _content(manifest)}


def _content(manifest: Manifest) -> set[str]:
    """Return the digests of what a version holds, and the submissions that it has learnt from."""
    shared = {manifest.shared.sha256} if manifest.shared else set[str]()
    return shared.union(*({task.record.sha256, task.submission} for task in manifest.tasks))


def _brought_back(stone: Tombstone, *, adapter: str, what: str) -> InputError:
    who, why = stone.author.who, f" ({stone.author.why})" if stone.author.why else ""
    return InputError(
        f"{what} holds task {stone.task!r}, or what has learnt from it, and {who!r} purged that of "
        f"adapter {adapter!r}{why}: nothing was imported; where it may come back all the same, "
        "import it with `--purged`",
        task=stone.task,
        adapter=adapter,
    )
