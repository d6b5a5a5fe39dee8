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
    it has none of its parent's, what the parent's state had learnt from. Of what an imported
    version dropped elsewhere nothing is known here.

    Args:
        versions: All that were ever published, in any order.
    """
    by_number = {manifest.number: manifest for manifest in versions}
    found: dict[str, frozenset[str]] = {}
    for _, manifest in sorted(by_number.items()):
        shared, parent = manifest.shared, manifest.parent
        if shared is not None and shared.sha256 not in found:
            before = by_number.get(parent.number) if parent else None
            found[shared.sha256] = records_of(manifest) | _carried_on(before, manifest, found)
    return found


def records_of(manifest: Manifest) -> frozenset[str]:
    """Return the digests of the records of a version."""
    return frozenset(task.record.sha256 for task in manifest.tasks)


def learnt_from(manifest: Manifest, lineages: Lineages) -> frozenset[str]:
    """Return the digests of the records that the shared state of a version has learnt from."""
    return lineages.get(manifest.shared.sha256, frozenset()) if manifest.shared else frozenset()


def _carried_on(before: Manifest | None, manifest: Manifest, found: Lineages) -> frozenset[str]:
    """Return what the parent's state had learnt from; nothing where it was begun anew."""
    if before is None or records_of(before).isdisjoint(records_of(manifest)):
        return frozenset()
    return learnt_from(before, found)
