"""Verbs of versions in any order: rollback, promote, aliases, drop, purge, export, import."""

from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from adapters.errors import ConflictError, InputError, NacreError, NotFoundError
from tests.support.conformance.verbs_asked import (
    NAMED,
    NAMES,
    OWN,
    SITES,
    VERSIONS,
    Asked,
)
from tests.support.conformance.verbs_model import HEAD, PRODUCTION, Line
from tests.support.conformance.verbs_world import BOTH, METHODS, Exported, World

ALIASES = st.sampled_from((HEAD, PRODUCTION, *OWN))


class VersionRules(Asked):
    """What people do with versions and aliases."""

    @rule(site=SITES, adapter=NAMED, version=VERSIONS, serving_only=st.booleans())
    def rollback(self, site: int, adapter: str, version: int | str, serving_only: bool) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        served = serving_only or PRODUCTION in line.aliases
        refused = _unservable(line, version, PRODUCTION if served else HEAD)
        if refused is None and not serving_only:
            refused = _cannot_build_on(line, version, adapter)
        moved = self.asked(
            "rollback",
            lambda: world.client.rollback(version, adapter=adapter, serving_only=serving_only),
            refused,
        )
        if moved is not None:
            assert moved == line.find(version)
            serving = [PRODUCTION] if serving_only or PRODUCTION in line.aliases else []
            line.move(dict.fromkeys(serving if serving_only else [*serving, HEAD], moved))

    @rule(site=SITES, adapter=NAMED, version=VERSIONS, alias=ALIASES)
    def promote(self, site: int, adapter: str, version: int | str, alias: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        refused = InputError if alias == HEAD else _unservable(line, version, alias)
        moved = self.asked(
            "promote",
            lambda: world.client.promote(version, adapter=adapter, alias=alias),
            refused,
        )
        if moved is not None:
            assert moved == line.find(version)
            line.move({alias: moved})

    @rule(site=SITES, adapter=NAMED, version=VERSIONS, alias=ALIASES)
    def alias(self, site: int, adapter: str, version: int | str, alias: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        refused = InputError if alias == HEAD else _unservable(line, version, alias)
        moved = self.asked(
            "alias", lambda: world.client.alias(alias, version, adapter=adapter), refused
        )
        if moved is not None:
            line.move({alias: moved})

    @rule(site=SITES, adapter=NAMED, alias=ALIASES)
    def remove_alias(self, site: int, adapter: str, alias: str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        refused = InputError if alias == HEAD or alias not in line.aliases else None
        number = self.asked(
            "alias --remove", lambda: world.client.remove_alias(alias, adapter=adapter), refused
        )
        if number is not None:
            assert number == line.aliases[alias]
            line.move({alias: None})

    @rule(
        site=SITES,
        adapter=NAMED,
        task=NAMES,
        promoted=st.booleans(),
        relearn=st.booleans(),
    )
    def drop(self, site: int, adapter: str, task: str, promoted: bool, relearn: bool) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        shared = line.without(task)
        again = [] if shared is None else shared[1]
        kept = [name for name in line.head_tasks if name != task]
        if shared is not None:
            kept = shared[0].tasks if shared[0] else []
        nothing_left = promoted and not kept and not (relearn and again)
        hindered = [each for each in again if not world.is_relearnable(adapter, each)]
        impossible = nothing_left or (again and (hindered or not relearn))
        if shared is None and task not in line.head_tasks and relearn:
            self._asked_again(world, adapter, task, promoted=promoted)
            return
        there = shared is not None or task in line.head_tasks
        dropped = self.asked(
            "drop --relearn" if relearn else "drop",
            lambda: world.client.drop(task, adapter=adapter, promoted=promoted, relearn=relearn),
            None if there and not impossible else InputError,
        )
        if dropped is None:
            return
        manifest = dropped.manifest
        assert [entry.task for entry in manifest.tasks] == kept
        assert manifest.number == line.next_number
        version = world.client.show(manifest.number, adapter=adapter)
        line.publish(world.published(version), BOTH if promoted and kept else (HEAD,))
        world.resubmitted(dropped.relearnt)
        names = [world.submissions[name].task for name in dropped.relearnt]
        assert names == [each.task for each in again]

    def _asked_again(self, world: World, adapter: str, task: str, *, promoted: bool) -> None:
        """Drop what is dropped: what went with it and is not here comes again."""
        line = world.lines[adapter]
        try:
            dropped = world.client.drop(task, adapter=adapter, promoted=promoted, relearn=True)
        except InputError:
            return
        assert dropped.manifest == line.versions[dropped.manifest.number].manifest
        world.resubmitted(dropped.relearnt)
        learnt = {world.submissions[name].task for name in dropped.relearnt}
        assert learnt.isdisjoint(line.head_tasks)

    @rule(site=SITES, adapter=NAMED, task=NAMES, relearn=st.booleans())
    def purge(self, site: int, adapter: str, task: str, relearn: bool) -> None:
        self._purge(self.worlds[site], adapter, task, relearn=relearn)

    def purge_as_refusals_say(self, site: int, adapter: str, task: str) -> None:
        """Purge a task, its aliases moved away, once nothing is under way that is not paused."""
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        world.work()
        world.observe()
        if line.head and line.head.manifest.number in line.holders(task):
            shared = line.without(task)
            left = shared[0] if shared else line.head_tasks != [task]
            self.drop(site=site, adapter=adapter, task=task, promoted=bool(left), relearn=True)
        for alias in [a for a, number in line.aliases.items() if number in line.holders(task)]:
            if alias != HEAD:
                self.remove_alias(site=site, adapter=adapter, alias=alias)
        self._purge(world, adapter, task)

    def _purge(self, world: World, adapter: str, task: str, *, relearn: bool = False) -> None:
        line = world.lines[adapter]
        holders = line.holders(task)
        forgotten = world.forgotten(adapter, task)
        refused = _unpurgeable(world, adapter, holders, forgotten)
        others = line.others_of(task) if holders else []
        hindered = [each for each in others if not world.is_relearnable(adapter, each)]
        if relearn and hindered and refused is None:
            refused = InputError
        purged = self.asked(
            "purge --relearn" if relearn else "purge",
            lambda: world.client.purge(task, adapter=adapter, relearn=relearn, why="a request"),
            refused,
        )
        if purged is not None:
            assert list(purged.versions) == holders
            assert forgotten <= set(purged.submissions)
            line.purge(task, purged.submissions)
            world.purged |= forgotten
            world.resubmitted(purged.relearnt)
            learnt = [world.submissions[name].task for name in purged.relearnt]
            wanted = [each.task for each in others if each.task not in line.head_tasks]
            assert learnt == (wanted if relearn else [])
            world.check_nothing_purged_is_there()

    @initialize()
    def start(self) -> None:
        super().start()
        for site, adapter in ((0, "main"), (0, "birds"), (0, "moving"), (1, "main")):
            self.export(site=site, adapter=adapter, version=HEAD)

    @rule(site=SITES, adapter=NAMED, version=VERSIONS)
    def export(self, site: int, adapter: str, version: int | str) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        path = Path(self.folder.name) / f"{next(self.files)}.tar"
        refused = _unservable(line, version)
        manifest = self.asked(
            "export", lambda: world.client.export(version, path, adapter=adapter), refused
        )
        assert path.exists() is (manifest is not None)
        if manifest is not None:
            self.exports.append(Exported(path=path, version=line.versions[manifest.number]))

    @precondition(lambda self: self.exports)
    @rule(site=SITES, adapter=NAMED, data=st.data(), alias=ALIASES, purged=st.booleans())
    def import_(
        self, site: int, adapter: str, data: st.DataObject, alias: str, purged: bool
    ) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        file = data.draw(st.sampled_from(self.exports))
        there = [
            number
            for number in line.servable
            if line.versions[number].content == file.version.content
        ]
        refused = _unimportable(line, file, adapter, alias)
        moved = not there or alias not in line.aliases
        if alias == PRODUCTION and not file.version.tasks and moved:
            refused = InputError
        if not there and alias == HEAD and line.head is not None:
            refused = InputError
        brought_back = any(each.brings_back(file.version) for each in world.lines.values())
        if not there and brought_back and not purged:
            refused = InputError
        imported = self.asked(
            "import",
            lambda: world.client.import_(
                file.path, adapter=adapter, aliases=(alias,), purged=purged
            ),
            refused,
        )
        if imported is None:
            return
        assert imported.is_new is not bool(there)
        number = imported.manifest.number
        if there:
            assert number in there
            assert (alias in imported.aliases) is (line.aliases.get(alias, number) == number)
            line.move({alias: line.aliases.get(alias, number)})
            return
        assert number == line.next_number
        found = world.published(world.client.show(number, adapter=adapter))
        assert found.content == file.version.content
        assert found.answers == file.version.answers
        line.publish(found, (alias,))


def _unservable(line: Line, version: int | str, alias: str = HEAD) -> type[NacreError] | None:
    """Return the error where `alias` cannot be moved to a version."""
    number = line.find(version)
    if number is None:
        return NotFoundError
    found = line.versions[number]
    return InputError if found.purged or (alias == PRODUCTION and not found.tasks) else None


def _cannot_build_on(line: Line, version: int | str, adapter: str) -> type[NacreError] | None:
    """Return the error where no task of an adapter could be learnt on a version."""
    number = line.find(version)
    found = None if number is None else line.versions[number]
    other = found and found.tasks and found.manifest.method != METHODS[adapter].method
    return InputError if other else None


def _unpurgeable(
    world: World, adapter: str, holders: list[int], forgotten: set[str]
) -> type[NacreError] | None:
    if not holders:
        return NotFoundError
    unfinished = any(world.is_open(name) for name in forgotten)
    if unfinished or world.is_learning(adapter):
        return ConflictError
    return InputError if set(holders) & set(world.lines[adapter].aliases.values()) else None


def _unimportable(line: Line, file: Exported, adapter: str, alias: str) -> type[NacreError] | None:
    method = file.version.manifest.method
    if not file.version.tasks:
        return None
    if line.head_tasks and line.head is not None and line.head.manifest.method != method:
        return InputError
    begins = alias == HEAD and line.head is None
    return InputError if begins and method != METHODS[adapter].method else None
