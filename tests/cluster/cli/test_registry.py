"""The verbs of the registry, each on a small store in a folder."""

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.errors import NacreError
from cluster.cli import maintenance, registry
from cluster.cli.main import cli, main
from cluster.cli.terminal.tables import print_facts
from tests.support.drivers.screen import Screen
from tests.support.scenes.registry import ANNA, BOTH, addition, learn, record_of
from workers.access.audit import PREFIX as AUDIT
from workers.registry import RegisteredAdapter, Registry
from workers.store import FileStore

OLD_S = 3 * 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    """A store with three versions of the adapter `main`, and the command line on it."""

    store: FileStore
    adapter: RegisteredAdapter
    folder: Path

    def run(self, *arguments: str | Path, answer: str | None = None) -> Result:
        """Run a command that may fail."""
        return CliRunner().invoke(cli, [str(each) for each in arguments], input=answer)

    def done(self, *arguments: str | Path, answer: str | None = None) -> str:
        """Run a command that succeeds, and return what it printed."""
        result = self.run(*arguments, answer=answer)
        assert result.exit_code == 0, result.output + repr(result.exception)
        return result.stdout

    def parsed(self, *arguments: str | Path) -> Any:
        """Run a command that succeeds, and return the JSON it printed."""
        return json.loads(self.done(*arguments, "--output", "json"))

    def refused(self, *arguments: str | Path, answer: str | None = None) -> NacreError:
        """Run a command that fails on purpose, and return why."""
        result = self.run(*arguments, answer=answer)
        assert isinstance(result.exception, NacreError), result.output
        return result.exception

    def pointing(self) -> dict[str, int]:
        """Return the versions by alias."""
        return {name: ref.number for name, ref in self.adapter.refs().aliases.items()}

    def stored(self) -> set[str]:
        """Return all keys of the store, but those of the audit log, which tells of each call."""
        keys = {listed.key for listed in self.store.list("")}
        return {key for key in keys if not key.startswith(AUDIT)}

    def age(self) -> None:
        """Make everything in the store three days old."""
        then = time.time() - OLD_S
        for key in self.stored():
            os.utime(self.folder / "store" / key, (then, then))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("NACRE_STORE", f"file://{tmp_path / 'store'}")
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    store = FileStore(tmp_path / "store")
    adapter = Registry(store).create("main")
    learn(adapter, "digits", "fashion", "flowers")
    return Shop(store=store, adapter=adapter, folder=tmp_path)


@pytest.mark.parametrize("verb", [verb.name for verb in (*registry.VERBS, *maintenance.VERBS)])
def test_every_verb_explains_itself_with_examples(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0
    assert f"nacre {verb}" in result.stdout.split("Examples:")[1]


def test_the_history_names_who_moved_what_and_why(shop: Shop) -> None:
    shop.done("promote", "1", "--why", "flowers [/wilt]")
    entries = shop.parsed("history")
    assert [entry["action"] for entry in entries] == ["promote", "commit", "commit", "commit"]
    assert entries[0]["moves"] == {"production": {"from": 3, "to": 1}}
    assert entries[-1]["published"] == 1
    text = shop.done("history")
    assert "production 3 → 1" in text
    assert "flowers [/wilt]" in text


def test_the_history_can_be_cut(shop: Shop) -> None:
    assert [entry["published"] for entry in shop.parsed("history", "--limit", "2")] == [3, 2]
    assert len(shop.parsed("history", "--limit", "0")) == 3


def test_versions_are_listed_page_by_page(shop: Shop) -> None:
    def numbers(*words: str) -> list[int]:
        return [version["number"] for version in shop.parsed("versions", *words)]

    assert numbers() == numbers("--limit", "0") == [3, 2, 1]
    assert numbers("--limit", "2") == [3, 2]
    assert numbers("--limit", "2", "--before", "2") == [1]
    assert numbers("--before", "1") == []
    assert "no versions before 1" in shop.done("versions", "--before", "1")
    listed = shop.done("versions", "--limit", "2")
    assert "flowers" not in listed.splitlines()[-1]


def test_a_version_is_shown_with_its_tasks_and_origin(shop: Shop) -> None:
    shown = shop.parsed("show", "2")
    assert [task["task"] for task in shown["tasks"]] == ["digits", "fashion"]
    assert (shown["number"], shown["parent"], shown["aliases"]) == (2, 1, [])
    assert (shown["classes"], shown["provenance"]["seed"], shown["purged"]) == (20, 7, [])
    text = shop.done("show", "production")
    assert "main@3" in text
    assert "head, production" in text
    assert "flowers-0123456789ab" in text


def test_settings_are_shown_as_a_task_file_has_them(shop: Shop) -> None:
    settings = {"text": "residual", "replay_bank": None, "steps": 250, "calibrate": True}
    commit = replace(addition("birds", parent=3, aliases=BOTH), settings=settings)
    shop.adapter.commit(commit, by=ANNA)
    assert "calibrate: true, steps: 250, text: residual\n" in shop.done("show", "production")
    assert shop.parsed("show", "production")["settings"] == settings


def test_a_list_of_facts_goes_on_in_a_further_line_only_between_two_of_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [f"rate_{number}: 0.{number}" for number in range(9)]
    screen = Screen()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", screen)
    print_facts([("settings", parts), ("notes", []), ("none", None)])
    lines = screen.getvalue().splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert [part for line in lines for part in line[11:].rstrip(",").split(", ")] == parts


def test_two_versions_are_compared(shop: Shop) -> None:
    found = shop.parsed("diff", "1", "production")
    assert [task["task"] for task in found["added"]] == ["fashion", "flowers"]
    assert (found["before"], found["after"], found["classes"]) == (1, 3, 20)
    text = shop.done("diff", "3", "1")
    assert "main@3 → main@1: -20 classes" in text
    assert "removed" in text
    assert "the same tasks in both" in shop.done("diff", "2", "2")


def test_promoting_moves_production_alone(shop: Shop) -> None:
    assert "production now at version 2" in shop.done("promote", "2")
    assert shop.pointing() == {"head": 3, "production": 2}
    shop.done("promote", "head", "--alias", "canary")
    assert shop.pointing()["canary"] == 3


def test_an_alias_is_set_and_removed(shop: Shop) -> None:
    assert "2026-q3 now at version 2" in shop.done("alias", "2026-q3", "2")
    assert shop.pointing()["2026-q3"] == 2
    assert "it was at version 2" in shop.done("alias", "2026-q3", "--remove", "--why", "over")
    assert "2026-q3" not in shop.pointing()


@pytest.mark.parametrize("arguments", [("alias", "canary"), ("alias", "canary", "2", "--remove")])
def test_an_alias_is_either_set_or_removed(shop: Shop, arguments: tuple[str, ...]) -> None:
    result = shop.run(*arguments)
    assert result.exit_code == 2
    assert "--remove" in result.stderr


def test_a_dropped_task_stays_in_older_versions(shop: Shop) -> None:
    dropped = shop.run("drop", "digits", "--why", "no longer sold")
    assert dropped.stdout == "digits dropped: head now at version 4\n"
    assert "`nacre promote 4 --adapter main` serves the version without 'digits'" in dropped.stderr
    assert shop.pointing() == {"head": 4, "production": 3}
    assert "production and head now at version 5" in shop.done("drop", "fashion", "--promote")
    assert [task.task for task in shop.adapter.manifest("production").tasks] == ["flowers"]
    assert shop.done("verify")


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("show", "9"), 2),  # no such version
        (("diff", "1", "nightly"), 2),  # no such alias
        (("promote", "9"), 2),  # no such version
        (("promote", "1", "--alias", "head"), 2),  # head is moved by rollback only
        (("alias", "7", "1"), 2),  # a number cannot be an alias
        (("alias", "nightly", "--remove"), 2),  # no such alias
        (("drop", "birds"), 2),  # head has no such task
        (("purge", "birds", "--yes"), 2),  # nobody ever held it
        (("purge", "digits", "--yes"), 2),  # aliases still hold it
        (("export", "9", "out.tar"), 2),  # no such version
        (("import", "absent.tar", "--alias", "canary"), 2),  # no such file
        (("history", "--adapter", "other"), 2),  # no such adapter
        (("verify", "--adapter", "other"), 2),  # no such adapter
        (("gc", "--adapter", "../main"), 2),  # no adapter can be called so
    ],
)
def test_an_impossible_request_is_refused_and_changes_nothing(
    shop: Shop, arguments: tuple[str, ...], exit_code: int
) -> None:
    before = shop.stored()
    assert shop.refused(*arguments).exit_code == exit_code
    assert shop.stored() == before
    assert shop.pointing() == {"head": 3, "production": 3}


@pytest.mark.usefixtures("shop")
def test_the_process_ends_with_the_code_and_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nacre", "show", "9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "error: adapter 'main' has no version 9" in capsys.readouterr().err


def test_an_exported_version_is_imported_into_another_adapter(shop: Shop) -> None:
    assert "main@2 written to two.tar" in shop.done("export", "2", "two.tar")
    said = shop.done(
        "import", "two.tar", "--adapter", "copy", "--alias", "head", "--alias", "production"
    )
    assert "copy@1: head and production" in said
    shown = shop.parsed("show", "production", "--adapter", "copy")
    assert [task["task"] for task in shown["tasks"]] == ["digits", "fashion"]


def test_an_export_never_overwrites_a_file(shop: Shop) -> None:
    (shop.folder / "two.tar").write_text("mine")
    assert shop.refused("export", "2", "two.tar").exit_code == 2
    assert (shop.folder / "two.tar").read_text() == "mine"


def test_an_import_beside_versions_needs_another_alias(shop: Shop) -> None:
    learn(Registry(shop.store).create("berlin"), "birds")
    shop.done("export", "1", "birds.tar", "--adapter", "berlin")
    assert "import under another alias" in shop.refused("import", "birds.tar").message
    shop.done("import", "birds.tar", "--alias", "berlin")
    assert shop.pointing() == {"head": 3, "production": 3, "berlin": 4}


def test_importing_again_says_where_it_is_and_moves_nothing(shop: Shop) -> None:
    shop.done("export", "1", "one.tar")
    said = shop.done("import", "one.tar", "--alias", "berlin", "--alias", "head")
    assert "one.tar is there already as main@1: nothing was published" in said
    assert "berlin points to it" in said
    assert "head points elsewhere, and was left there" in said
    assert shop.pointing() == {"head": 3, "production": 3, "berlin": 1}
    assert len(shop.parsed("versions")) == 3


def test_a_rollback_says_what_it_has_moved_and_that_nothing_is_in_production(shop: Shop) -> None:
    shop.done("alias", "production", "--remove")
    ended = shop.run("rollback", "2")
    assert ended.stdout == "head now at version 2\n"
    assert "nothing is in production" in ended.stderr
    assert "`nacre promote 2 --adapter main` serves it" in ended.stderr.replace("\n", " ")
    assert shop.pointing() == {"head": 2}
    document = shop.parsed("rollback", "1")
    assert document["moved"] == ["head"]
    assert "nothing is in production" in document["notes"][0]
    assert shop.done("rollback", "1", "--serving-only") == "production now at version 1\n"


def test_a_rollback_to_what_nothing_can_be_learnt_on_says_what_to_do(shop: Shop) -> None:
    (shop.folder / "nacre.yaml").write_text("adapters: {main: {method: gda}}")
    for task in ("digits", "fashion", "flowers"):
        shop.done("drop", task)
    refused = shop.refused("rollback", "2")
    assert "was learnt with 'lada', and its tasks are learnt with 'gda'" in refused.message
    assert "`adapters: {main: {method: lada}}`" in refused.message
    assert shop.pointing()["head"] == 6
    shop.done("rollback", "2", "--serving-only")
    (shop.folder / "nacre.yaml").unlink()
    shop.done("rollback", "2")
    assert shop.pointing() == {"head": 2, "production": 2}


def test_a_damaged_file_is_not_imported(shop: Shop) -> None:
    shop.done("export", "1", "one.tar")
    file = shop.folder / "one.tar"
    file.write_bytes(file.read_bytes().replace(record_of("digits"), record_of("digits")[::-1]))
    assert shop.refused("import", "one.tar", "--alias", "berlin").exit_code == 6
    assert "berlin" not in shop.pointing()


def test_a_sound_store_verifies(shop: Shop) -> None:
    found = shop.parsed("verify")
    assert (found["clean"], found["problems"]) == (True, [])
    assert "all is well" in shop.done("verify")


def test_damage_is_named_and_ends_with_exit_code_6(shop: Shop) -> None:
    record = shop.adapter.manifest(1).tasks[0].record
    key = f"adapters/main/{record.area:06d}/records/{record.sha256}"
    shop.store.put(key, b"rust")
    result = shop.run("verify", "--output", "json")
    assert isinstance(result.exception, NacreError)
    assert result.exception.exit_code == 6
    assert [problem["key"] for problem in json.loads(result.stdout)["problems"]] == [key]
    assert key in shop.run("verify").stdout


def orphan(shop: Shop) -> str:
    """Leave a record behind that no version leads to, and return its key."""
    key = f"adapters/main/000000/records/{'ab' * 32}"
    shop.store.put(key, b"lost a race")
    return key


def test_gc_removes_nothing_unless_told_to(shop: Shop) -> None:
    key = orphan(shop)
    shop.age()
    before = shop.stored()
    found = shop.parsed("gc")
    assert found["found"]["adapters/main/"]["keys"] == [key]
    assert "dry run" in shop.done("gc")
    assert (found["deleted"], shop.stored()) == (False, before)


def test_gc_deletes_what_nothing_leads_to_and_only_that(shop: Shop) -> None:
    key = orphan(shop)
    shop.age()
    before = shop.stored()
    assert "1 object, 11 bytes removed" in shop.done("gc", "--delete")
    assert shop.stored() == before - {key}
    assert shop.parsed("verify")["clean"]


def test_gc_spares_what_is_younger_than_the_grace_period(shop: Shop) -> None:
    key = orphan(shop)
    shop.done("gc", "--delete")
    assert key in shop.stored()
    shop.done("gc", "--delete", "--grace", "0")
    assert key not in shop.stored()


def test_gc_looks_at_shards_and_features_only_when_asked(shop: Shop) -> None:
    key = f"shards/ab/{'ab' * 32}"
    shop.store.put(key, b"an interrupted intake")
    shop.age()
    shop.done("gc", "--delete")
    assert key in shop.stored()
    assert shop.parsed("gc", "--blobs")["found"]["shards/"]["keys"] == [key]
    shop.done("gc", "--blobs", "--delete")
    assert key not in shop.stored()


@pytest.fixture
def dropped(shop: Shop) -> Shop:
    """Return a shop in which no alias leads to the task `digits` any more."""
    shop.done("drop", "digits", "--promote")
    return shop


def test_purge_asks_and_takes_no_for_an_answer(dropped: Shop) -> None:
    before = dropped.stored()
    refusal = dropped.refused("purge", "digits", answer="n\n")
    assert (refusal.exit_code, dropped.stored()) == (1, before)
    asked = dropped.run("purge", "digits", answer="n\n").stderr
    assert "can never be served again: versions 1, 2, 3." in asked


def test_purge_that_nobody_answers_names_the_option(dropped: Shop) -> None:
    before = dropped.stored()
    assert "`--yes`" in dropped.refused("purge", "digits", answer="").message
    assert dropped.stored() == before


def test_purge_removes_the_record_from_all_versions(dropped: Shop) -> None:
    assert "1 object removed" in dropped.done("purge", "digits", "--why", "licence", answer="y\n")
    assert dropped.parsed("show", "2")["purged"] == ["digits"]
    assert "purged" in dropped.done("show", "2")
    assert "choose a version without it" in dropped.refused("promote", "2").message
    assert dropped.parsed("verify")["clean"]
    assert dropped.parsed("history")[0]["why"] == "licence"
    for line in dropped.done("history").splitlines()[1:3]:  # the purge, and the drop before it
        assert "digits" in line


def test_versions_says_of_which_a_task_was_purged(dropped: Shop) -> None:
    assert "purged" not in dropped.done("versions")
    dropped.done("purge", "digits", "--yes")
    purged = {each["number"]: each["purged"] for each in dropped.parsed("versions")}
    assert purged == {1: ["digits"], 2: ["digits"], 3: ["digits"], 4: []}
    heading, newest, *others = dropped.done("versions").splitlines()
    assert heading.split()[-1] == "purged"
    assert not newest.rstrip().endswith("digits")
    assert all(line.rstrip().endswith("digits") for line in others if line.strip())


def test_a_purge_may_be_repeated(dropped: Shop) -> None:
    first = dropped.parsed("purge", "digits", "--yes")
    assert (first["versions"], len(first["keys"])) == ([1, 2, 3], 1)
    assert dropped.parsed("purge", "digits", "--yes")["versions"] == [1, 2, 3]
