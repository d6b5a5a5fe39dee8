"""Lineage of shared states: the records that each of them has learnt from.

A shared state moves on from version to version, so that it has learnt from every task since it was
begun: also from tasks that were dropped or replaced meanwhile, of which its version has no record.
"""

from collections.abc import Iterable, Mapping

from workers.registry.documents.manifest import Manifest

Lineages = Mapping[str, frozenset[str]]
"""The digests of the records that a shared state has learnt from, by the state's own digest."""


def lineages_of(versions: Iterable[Manifest]) -> Lineages:
    """Return what all shared states of an adapter have learnt from.

    The version that was published first with a state says what that is: its own tasks and, unless
    it has none of its parent's, what the parent's state had learnt from. Where another version came
    to the same bytes in another way, these hold only what both have learnt from: tasks of one class
    may leave a state as it began. Of what an imported version dropped elsewhere nothing is known
    here, so that it says nothing about a state that is known.

    Args:
        versions: All that were ever published, in any order.
    """
    by_number = {manifest.number: manifest for manifest in versions}
    found: dict[str, frozenset[str]] = {}
    for _, manifest in sorted(by_number.items()):
        shared, parent = manifest.shared, manifest.parent
        if shared is None:
            continue
        before = by_number.get(parent.number) if parent else None
        learnt = records_of(manifest) | _carried_on(before, manifest, found)
        known = found.get(shared.sha256)
        if known is None:
            found[shared.sha256] = learnt
        elif before is not None:
            found[shared.sha256] = known & learnt
    return found


def records_of(manifest: Manifest) -> frozenset[str]:
    """Return the digests of the records of a version."""
    return frozenset(task.record.sha256 for task in manifest.tasks)


def learnt_from(manifest: Manifest, lineages: Lineages) -> frozenset[str]:
    """Return the digests of the records that the shared state of a version has learnt from."""
    return lineages.get(manifest.shared.sha256, frozenset()) if manifest.shared else frozenset()


def _carried_on(before: Manifest | None, manifest: Manifest, found: Lineages) -> frozenset[str]:
    """Return what the parent's state had learnt from; nothing where it was begun anew."""
    if before is None:
        return frozenset()
    if before.shared != manifest.shared and records_of(before).isdisjoint(records_of(manifest)):
        return frozenset()
    return learnt_from(before, found)
