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
from tests.support.conformance.verbs_world import METHODS, Exported, World

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

    @rule(site=SITES, adapter=NAMED, task=NAMES, promoted=st.booleans())
    def drop(self, site: int, adapter: str, task: str, promoted: bool) -> None:
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        nothing_left = promoted and line.head_tasks == [task]
        refused = None if task in line.head_tasks and not nothing_left else InputError
        dropped = self.asked(
            "drop",
            lambda: world.client.drop(task, adapter=adapter, promoted=promoted),
            refused,
        )
        if dropped is not None:
            manifest, kept = dropped.manifest, [name for name in line.head_tasks if name != task]
            assert [entry.task for entry in manifest.tasks] == kept
            assert manifest.number == line.next_number
            version = world.client.show(manifest.number, adapter=adapter)
            line.publish(world.published(version), (HEAD, PRODUCTION) if promoted else (HEAD,))

    @rule(site=SITES, adapter=NAMED, task=NAMES)
    def purge(self, site: int, adapter: str, task: str) -> None:
        self._purge(self.worlds[site], adapter, task)

    def purge_as_refusals_say(self, site: int, adapter: str, task: str) -> None:
        """Purge a task, its aliases moved away, once nothing is under way that is not paused."""
        world, line = self.worlds[site], self.worlds[site].lines[adapter]
        world.work()
        world.observe()
        if task in line.head_tasks:
            self.drop(site=site, adapter=adapter, task=task, promoted=line.head_tasks != [task])
        for alias in [a for a, number in line.aliases.items() if number in line.holders(task)]:
            self.remove_alias(site=site, adapter=adapter, alias=alias)
        self._purge(world, adapter, task)

    def _purge(self, world: World, adapter: str, task: str) -> None:
        line = world.lines[adapter]
        holders = line.holders(task)
        forgotten = world.forgotten(adapter, task)
        purged = self.asked(
            "purge",
            lambda: world.client.purge(task, adapter=adapter, why="a request"),
            _unpurgeable(world, adapter, holders, forgotten),
        )
        if purged is not None:
            assert list(purged.versions) == holders
            assert forgotten <= set(purged.submissions)
            line.purge(task)
            world.purged |= forgotten
            world.check_nothing_purged_is_there()

    @initialize()
    def start(self) -> None:
        super().start()
        for site, adapter in ((0, "main"), (0, "birds"), (1, "main")):
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
    @rule(site=SITES, adapter=NAMED, data=st.data(), alias=ALIASES)
    def import_(self, site: int, adapter: str, data: st.DataObject, alias: str) -> None:
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
        imported = self.asked(
            "import",
            lambda: world.client.import_(file.path, adapter=adapter, aliases=(alias,)),
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
