"""Versions as files."""

import tarfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import (
    CorruptionError,
    EncoderMismatchError,
    InputError,
    MissingError,
    SettingsError,
)
from tests.support.scenes.registry import (
    ANNA,
    BEN,
    adapter,
    addition,
    learn,
    learn_sharing,
    record_of,
    registry,
    shared_of,
    state,
)
from workers.registry import (
    AddRecord,
    Commit,
    Imported,
    Inline,
    SetShared,
    drop,
    export_version,
    import_version,
    purge,
    read_versions,
    verify,
)
from workers.store import MemoryStore


def _exported(path: Path) -> Path:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    main.commit(Commit(updates=(SetShared(state=Inline(shared_of("shared"))),)), by=ANNA)
    export_version(main, "head", path / "v3.tar")
    return path / "v3.tar"


def test_an_exported_version_is_imported_elsewhere_unchanged(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    store = MemoryStore()
    other = adapter(store, seed=1)
    imported = import_version(other, file, by=BEN)
    manifest = imported.manifest
    assert (imported.is_new, imported.aliases) == (True, ("head",))
    assert (manifest.number, manifest.parent) == (1, None)
    assert state(other) == {"head": ("a", "b")}
    assert other.shared_bytes(manifest) == shared_of("shared")
    assert verify(store, "main").clean


def test_a_second_export_gives_the_same_bytes(tmp_path: Path) -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    export_version(main, 1, tmp_path / "one.tar")
    export_version(main, 1, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_version(main, 1, tmp_path / "one.tar")


def test_what_was_measured_travels_along(tmp_path: Path) -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    export_version(main, 1, tmp_path / "v1.tar")
    other = adapter(MemoryStore(), seed=1)
    import_version(other, tmp_path / "v1.tar", by=ANNA)
    assert other.accuracies(1) == main.accuracies(1)


def test_an_import_does_not_push_aside_what_is_there(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    main = adapter(MemoryStore())
    learn(main, "c")
    with pytest.raises(InputError, match="import under another alias"):
        import_version(main, file, by=ANNA)
    import_version(main, file, by=ANNA, aliases=("imported",))
    main.rollback("imported", by=ANNA)
    assert state(main)["head"] == ("a", "b")
    assert main.manifest("head").number == 2


def test_what_is_imported_twice_is_there_once(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    main = adapter(MemoryStore())
    learn(main, "c")
    first = import_version(main, file, by=ANNA, aliases=("berlin",))
    main.alias("berlin", 1, by=BEN)
    before = main.refs()
    again = import_version(main, file, by=ANNA, aliases=("berlin",))
    assert (again.manifest, again.is_new, again.aliases) == (first.manifest, False, ())
    assert main.refs() == before


def test_an_alias_that_does_not_exist_names_what_is_there_already(tmp_path: Path) -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    export_version(main, 1, tmp_path / "v1.tar")
    found = import_version(main, tmp_path / "v1.tar", by=ANNA, aliases=("head", "berlin"))
    assert (found.manifest.number, found.is_new, found.aliases) == (1, False, ("berlin",))
    assert {name: ref.number for name, ref in main.refs().aliases.items()} == {
        "head": 2,
        "production": 2,
        "berlin": 1,
    }


def test_what_was_purged_is_not_brought_back_by_an_import(tmp_path: Path) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn_sharing(main, "a", "b")
    learn_sharing(main, "c", replaces="b")  # without a record of b, on from its state
    for number in (1, 2, 3):
        export_version(main, number, tmp_path / f"{number}.tar")
    main.rollback(1, by=ANNA)
    purge(main, "b", by=BEN)
    others, before = registry(store, seed=2), len(list(store.list("")))
    for number in (2, 3):
        with pytest.raises(InputError, match=r"'b', or what .* 'ben' purged .*`--purged`"):
            import_version(
                others.adapter("berlin"),
                tmp_path / f"{number}.tar",
                by=ANNA,
                create=lambda: others.create("berlin"),
            )
    assert len(list(store.list(""))) == before
    berlin = others.create("berlin")
    assert import_version(berlin, tmp_path / "1.tar", by=ANNA).is_new
    found = import_version(berlin, tmp_path / "3.tar", by=ANNA, aliases=("old",), purged=True)
    assert [task.task for task in found.manifest.tasks] == ["a", "c"]


def test_the_images_of_a_purged_submission_are_not_brought_back_by_another_record(
    tmp_path: Path,
) -> None:
    other = adapter(MemoryStore(), seed=3)
    commit = addition("a", parent=None)
    (added,) = commit.updates
    assert isinstance(added, AddRecord)
    record = replace(added, record=Inline(record_of("aa")))
    other.commit(replace(commit, updates=(record,)), by=ANNA)
    export_version(other, 1, tmp_path / "1.tar")
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    drop(main, "a", by=ANNA, promoted=True)
    purge(main, "a", by=BEN)
    with pytest.raises(InputError, match="'ben' purged"):
        import_version(main, tmp_path / "1.tar", by=ANNA, aliases=("old",))


def test_what_was_purged_and_learnt_again_is_imported_like_any_other(tmp_path: Path) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    drop(main, "b", by=ANNA, promoted=True)
    purge(main, "b", by=BEN)
    commit = addition("b", parent=3)
    (added,) = commit.updates
    assert isinstance(added, AddRecord)
    again = replace(added, submission="b-0123456789ab-2")
    main.commit(replace(commit, updates=(again,), requirements=()), by=ANNA)
    export_version(main, 4, tmp_path / "4.tar")
    assert import_version(registry(store, seed=2).create("berlin"), tmp_path / "4.tar", by=ANNA)


def test_what_was_purged_since_is_not_there_any_more(tmp_path: Path) -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    export_version(main, 1, tmp_path / "v1.tar")
    drop(main, "a", by=ANNA, promoted=True)
    purge(main, "a", by=ANNA)
    imported = import_version(main, tmp_path / "v1.tar", by=ANNA, aliases=("berlin",), purged=True)
    assert (imported.manifest.number, imported.is_new) == (4, True)
    assert state(main)["berlin"] == ("a",)
    drop(main, "b", by=ANNA)
    main.remove_alias("berlin", by=ANNA)
    purge(main, "a", by=BEN)
    assert [version.purged for version in read_versions(main)] == [
        *[(), ("a",), ()],
        *[("a",), ("a",)],
    ]


def test_a_version_of_another_method_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    main = adapter(MemoryStore())
    added = addition("c", parent=None)
    main.commit(replace(added, method="nearest_mean"), by=ANNA)
    before = main.refs()
    with pytest.raises(SettingsError, match=r"with 'lada', .* with 'nearest_mean': no task"):
        import_version(main, file, by=ANNA, aliases=("berlin",))
    assert main.refs() == before
    drop(main, "c", by=ANNA)  # nothing is left that another method has learnt
    assert import_version(main, file, by=ANNA, aliases=("berlin",)).is_new


def test_an_empty_adapter_begins_with_nothing_that_its_tasks_cannot_be_learnt_on(
    tmp_path: Path,
) -> None:
    file = _exported(tmp_path)
    main = adapter(MemoryStore())
    with pytest.raises(SettingsError, match=r"adapters: \{main: \{method: lada\}\}"):
        import_version(main, file, by=ANNA, method="gda")
    assert import_version(main, file, by=ANNA, method="gda", aliases=("berlin",)).is_new
    assert not import_version(main, file, by=ANNA, method="lada").is_new
    assert main.manifest("head").number == 1


@pytest.mark.parametrize(
    ("aliases", "method", "written"),
    [
        (("head",), "gda", True),  # no task of this adapter could be learnt on it
        (("no alias!",), None, True),
        (("head",), None, False),  # no archive at all
    ],
)
def test_a_refused_import_makes_no_adapter(
    tmp_path: Path, aliases: tuple[str, ...], method: str | None, written: bool
) -> None:
    file = _exported(tmp_path)
    if not written:
        file.write_bytes(b"no tar")
    others = registry(MemoryStore())

    def imported(**options: Any) -> Imported:
        create = partial(others.create, "berlin")
        return import_version(others.adapter("berlin"), file, by=ANNA, create=create, **options)

    with pytest.raises((InputError, CorruptionError)):
        imported(aliases=aliases, method=method)
    assert list(others.adapters()) == []
    if written:
        assert imported().is_new
        assert list(others.adapters()) == ["berlin"]


def test_a_file_for_another_encoder_is_refused(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    main = adapter(MemoryStore())
    main.commit(Commit(updates=(), encoder="huge", method="lada", settings={}), by=ANNA)
    with pytest.raises(EncoderMismatchError):
        import_version(main, file, by=ANNA, aliases=("imported",))


def test_every_flipped_byte_of_a_record_is_found_before_anything_is_written(
    tmp_path: Path,
) -> None:
    file = _exported(tmp_path)
    data = file.read_bytes()
    with tarfile.open(file) as archive:
        members = [member for member in archive if member.name.startswith("records/")]
    for member in members:
        flipped = bytearray(data)
        flipped[member.offset_data] ^= 1
        file.write_bytes(flipped)
        main = adapter(MemoryStore())
        with pytest.raises(CorruptionError, match=member.name):
            import_version(main, file, by=ANNA)
        assert state(main) == {}


@pytest.mark.parametrize("content", [b"", b"not a tar archive", b"\0" * 10240])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(content)
    with pytest.raises((InputError, CorruptionError), match=r"x\.tar"):
        import_version(adapter(MemoryStore()), file, by=ANNA)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    whole = file.read_bytes()
    for size in (700, 3000, len(whole) // 2):
        file.write_bytes(whole[:size])
        with pytest.raises(CorruptionError) as refused:
            import_version(adapter(MemoryStore()), file, by=ANNA)
        told = refused.value.message
        assert "is damaged: it ends too early" in told
        assert (told.count("; "), told.endswith("; export it again")) == (1, True)


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a")
    for listed in list(store.list("adapters/")):
        if "/records/" in listed.key:
            store.delete(listed.key)
    with pytest.raises(MissingError):
        export_version(main, 1, tmp_path / "v1.tar")
    assert not list(tmp_path.iterdir())
