"""Verbs after other verbs: everything that people can do, in any order, and a model beside it.

Two stores with two adapters each, of another method and another gate. Every verb is a call of the
client, as the command line and HTTP make it; learning is done by a coordinator with all roles,
which is stopped in the middle now and then. Each answer, refusals included, is what the documents
promise.
"""

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from adapters.errors import InputError, NotFoundError, UnavailableError
from cluster.client.loading import load_adapter
from tests.support.conformance.verbs_asked import NAMED, SITES, VERSIONS, Asked
from tests.support.conformance.verbs_model import HEAD, Line
from tests.support.conformance.verbs_of_submissions import SubmissionRules
from tests.support.conformance.verbs_of_versions import VersionRules
from tests.support.conformance.verbs_world import ADAPTERS, World, answers
from workers.registry import Registry
from workers.serving.version_lookup import VersionLookup

MOST_EVALUATIONS = 1
"""In one run: each loads the encoder, which takes longer than all other verbs together."""


class LookingRules(Asked):
    """What people look at, and the maintenance of a store."""

    @rule(site=SITES, adapter=NAMED, version=VERSIONS)
    def show(self, site: int, adapter: str, version: int | str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        number = line.find(version)
        refused = None if number else NotFoundError
        shown = self.asked("show", lambda: world.client.show(version, adapter=adapter), refused)
        if shown is not None and number is not None:
            known = line.versions[number]
            assert shown.manifest == known.manifest
            assert sorted(shown.purged) == sorted(known.purged)

    @rule(site=SITES, adapter=NAMED)
    def versions(self, site: int, adapter: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        found = self.asked("versions", lambda: world.client.versions(adapter))
        assert found is not None
        assert [each.manifest.number for each in found] == sorted(line.versions, reverse=True)
        assert {alias: v.manifest.number for v in found for alias in v.aliases} == line.aliases
        for each in found:
            assert sorted(each.purged) == sorted(line.versions[each.manifest.number].purged)

    @rule(site=SITES, adapter=NAMED)
    def history(self, site: int, adapter: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        refused = None if world.exists(adapter) else NotFoundError
        found = self.asked("history", lambda: list(world.client.history(adapter)), refused)
        if found is not None:
            assert len(found) == line.moves

    @rule(site=SITES, adapter=NAMED, before=VERSIONS, after=VERSIONS)
    def diff(self, site: int, adapter: str, before: int | str, after: int | str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        numbers = [line.find(before), line.find(after)]
        refused = NotFoundError if None in numbers else None
        found = self.asked(
            "diff", lambda: world.client.diff(before, after, adapter=adapter), refused
        )
        if found is not None:
            old, new = (line.versions[number].tasks for number in numbers if number is not None)
            assert [task.task for task in found.added] == [t for t in new if t not in old]
            assert [task.task for task in found.removed] == [t for t in old if t not in new]

    @rule(site=SITES, adapter=NAMED, version=VERSIONS)
    def predict(self, site: int, adapter: str, version: int | str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        number = line.find(version)
        known = None if number is None else line.versions[number]
        refused = InputError if known is None or known.purged or not known.tasks else None
        loaded = self.asked(
            "predict",
            lambda: load_adapter(world.config.store, adapter=adapter, version=version),
            refused,
        )
        if known is not None and loaded is not None:
            assert answers(loaded) == known.answers
            pinned = VersionLookup(Registry(world.store)).find(adapter, version)
            assert pinned.number == number

    @precondition(lambda self: self.evaluations < MOST_EVALUATIONS)
    @rule(site=SITES, adapter=NAMED)
    def evaluate(self, site: int, adapter: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        if len(line.versions) < 2:
            return
        self.evaluations += 1
        here, columns = _columns(world, line)
        refused = None if columns else UnavailableError if here else InputError
        found = self.asked("evaluate", lambda: world.client.evaluate(adapter=adapter), refused)
        if found is not None:
            assert [version.number for version in found.versions] == line.servable
            assert [column.source for column in found.columns] == columns
            held = [version.submissions for version in found.versions]
            grown = [tuple(columns[: place + 1]) for place in range(len(columns))]
            assert (found.metrics is not None) is (held == grown[: len(held)])

    @rule(site=SITES, adapter=NAMED)
    def verify(self, site: int, adapter: str) -> None:
        world = self.worlds[site]
        refused = None if world.exists(adapter) else NotFoundError
        found = self.asked("verify", lambda: world.client.verify(adapter), refused)
        assert found is None or found.problems == ()

    @rule(site=SITES, adapter=NAMED, delete=st.booleans(), blobs=st.booleans())
    def gc(self, site: int, adapter: str, delete: bool, blobs: bool) -> None:
        world = self.worlds[site]
        refused = None if world.exists(adapter) else NotFoundError
        verb = "gc --delete" if delete else "gc"
        found = self.asked(
            verb,
            lambda: world.client.gc(adapter, grace_s=0.0, dry_run=not delete, blobs=blobs),
            refused,
        )
        if found is not None and delete:
            left = world.client.gc(adapter, grace_s=0.0, blobs=blobs)
            assert not [key for garbage in left.values() for key in garbage.keys]
            world.check_all_answers(adapter)

    @rule(site=SITES, adapter=NAMED, why=st.sampled_from(("", "a backup")))
    def settle(self, site: int, adapter: str, why: str) -> None:
        world = self.worlds[site]
        refused = None if world.exists(adapter) and why else InputError
        found = self.asked("settle", lambda: world.client.settle(adapter, why=why), refused)
        assert not found, "nothing was lost"


class VerbsMachine(VersionRules, SubmissionRules, LookingRules):
    """See the head of this module."""

    @rule(data=st.data())
    def forget_a_task(self, data: st.DataObject) -> None:
        """Purge what some version holds, and measure what is left."""
        held = [
            (site, adapter, task)
            for site, world in enumerate(self.worlds)
            for adapter, line in world.lines.items()
            for task in sorted({task for found in line.versions.values() for task in found.tasks})
        ]
        site, adapter, task = data.draw(st.sampled_from(held))
        self.purge_as_refusals_say(site, adapter, task)
        if self.evaluations < MOST_EVALUATIONS:
            self.evaluate(site=site, adapter=adapter)

    @invariant()
    def aliases_are_where_they_were_moved(self) -> None:
        for world in self.worlds:
            for adapter in ADAPTERS:
                if world.exists(adapter):
                    world.check_the_registry(adapter)

    def teardown(self) -> None:
        try:
            for world in getattr(self, "worlds", ()):
                _check_in_the_end(world)
        finally:
            super().teardown()


def _columns(world: World, line: Line) -> tuple[list[str], list[str]]:
    """Return the submissions of `head` that are here, and those that versions are measured on."""
    if not line.servable:
        return [], []
    number = line.aliases.get(HEAD, max(line.servable))
    held = [task.submission for task in line.versions[number].manifest.tasks]
    here = [name for name in held if name in world.submissions and name not in world.purged]
    return here, [name for name in here if world.is_embedded(name)]


def _check_in_the_end(world: World) -> None:
    world.check_nothing_purged_is_there()
    world.check_no_image_was_lost()
    for adapter in ADAPTERS:
        if world.exists(adapter):
            assert world.client.verify(adapter).problems == ()
            assert len(list(world.client.history(adapter))) == world.lines[adapter].moves
            world.check_all_answers(adapter)
