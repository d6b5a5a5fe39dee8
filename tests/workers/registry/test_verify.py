"""Damage is found and named."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.contract.records import pack, unpack
from adapters.errors import CorruptionError, NotFoundError
from tests.support.scenes.registry import ANNA, adapter, learn, shared_of
from workers.registry import Commit, Inline, SetShared, VersionRef, drop, purge, verify
from workers.registry.documents.layout import Kind, Stored
from workers.store import MemoryStore


def _full() -> MemoryStore:
    """Return a store with an adapter that has every kind of object, all of them reachable."""
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    main.commit(
        Commit(
            updates=(SetShared(state=Inline(shared_of("shared"))),), aliases=("head", "production")
        ),
        by=ANNA,
    )
    drop(main, "b", by=ANNA, promoted=True)
    purge(main, "b", by=ANNA)
    learn(main, "c")
    main.commit(Commit(updates=(SetShared(state=Inline(shared_of("another"))),)), by=ANNA)
    return store


def test_an_adapter_with_every_kind_of_object_is_clean() -> None:
    store, seen = _full(), list[tuple[int, int]]()
    report = verify(store, "main", progress=lambda done, total: seen.append((done, total)))
    assert report.problems == ()
    assert report.objects >= len(list(store.list("")))
    assert seen[-1][0] == seen[-1][1] >= report.objects - 1  # what was never kept is looked for
    assert {listed.key.split("/")[3] for listed in store.list("adapters/")} == {
        "records",
        "manifests",
        "history",
        "tombstones",
        "accuracies",
    }


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_flipped_bit_in_any_object_is_found_and_named(where: str) -> None:
    store = _full()
    for listed in list(store.list("")):
        data = store.get(listed.key).data
        position = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[where]
        store.put(listed.key, _flipped(data, position))
        report = verify(store, "main")
        assert listed.key in [problem.key for problem in report.problems]
        store.put(listed.key, data)
    assert verify(store, "main").clean


def test_every_flipped_bit_of_the_refs_is_found() -> None:
    store = _full()
    data = store.get("refs/main.json").data
    for position in range(len(data)):
        store.put("refs/main.json", _flipped(data, position))
        with pytest.raises(CorruptionError, match=r"refs/main\.json"):
            adapter(store).refs()


def test_every_missing_object_but_measurements_is_found_and_named() -> None:
    store = _full()
    for listed in list(store.list("adapters/")):
        data = store.get(listed.key).data
        store.delete(listed.key)
        broken = [problem.key for problem in verify(store, "main").problems]
        assert (listed.key in broken) is ("/accuracies/" not in listed.key)
        store.put(listed.key, data)


def test_what_needs_a_broken_record_is_said() -> None:
    store = MemoryStore()
    learn(adapter(store), "a", "b")
    key = next(each.key for each in store.list("adapters/") if "/records/" in each.key)
    store.put(key, b"other bytes")
    (problem,) = verify(store, "main").problems
    assert "version 2, task" in problem.used_by
    assert "is damaged" in problem.message


def test_a_reader_is_told_of_damage_in_what_it_reads() -> None:
    store = MemoryStore()
    manifest = learn(adapter(store), "a")
    for listed in list(store.list("adapters/")):
        store.put(listed.key, _flipped(store.get(listed.key).data, 3))
    main = adapter(store, seed=1)
    with pytest.raises(CorruptionError):
        main.manifest("head")
    with pytest.raises(CorruptionError):
        main.record_bytes(manifest.tasks[0])
    with pytest.raises(CorruptionError):
        next(main.history())


def test_an_adapter_that_does_not_exist_cannot_be_verified() -> None:
    with pytest.raises(NotFoundError, match="no adapter 'main'"):
        verify(MemoryStore(), "main")


def _flipped(data: bytes, position: int) -> bytes:
    flipped = bytearray(data)
    flipped[position] ^= 1
    return bytes(flipped)


def rewritten(store: MemoryStore, kind: str, change: Callable[[bytes], bytes]) -> None:
    """Change what production holds, and make every digest on the way to it anew."""
    target = adapter(store)
    held = target.objects.refs_to_change(frozenset())
    refs = held.content
    alias = refs.version("production")
    manifest = target.objects.manifest(alias.manifest)

    def placed(where: Kind, content: bytes) -> Stored:
        return target.objects.write(where, content, area=refs.area)

    if kind == "record":
        task = manifest.tasks[-1]
        record = placed(Kind.RECORD, change(target.record_bytes(task)))
        manifest = replace(manifest, tasks=(*manifest.tasks[:-1], replace(task, record=record)))
    if kind == "shared":
        shared = target.shared_bytes(manifest)
        assert shared
        manifest = replace(manifest, shared=placed(Kind.RECORD, change(shared)))
    content = manifest.to_bytes()
    version = VersionRef(
        number=alias.number,
        manifest=placed(Kind.MANIFEST, change(content) if kind == "manifest" else content),
    )
    assert refs.history
    entry = replace(target.objects.entry(refs.history), published=version)
    content = entry.to_bytes()
    latest = placed(Kind.HISTORY, change(content) if kind == "entry" else content)
    changed = replace(refs, aliases={"production": version}, history=latest, serial=refs.serial + 1)
    store.replace("refs/main.json", changed.to_bytes(), held.etag)


def record_with(**changes: object) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        tensors, described = unpack(bytearray(content))
        return pack(tensors, described | changes)

    return changed


def holding(number: float) -> Callable[[bytes], bytes]:
    """Return a change that puts a number into every tensor of fractions."""

    def changed(content: bytes) -> bytes:
        tensors, described = unpack(bytearray(content))
        for tensor in tensors.values():
            if tensor.is_floating_point():
                tensor.fill_(number)
        return pack(tensors, described)

    return changed


SENSELESS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    # what is changed, how, and what is said of it
    ("record", lambda _: b"no record", "expected a safetensors blob"),
    ("record", holding(math.nan), "is not finite"),
    ("record", holding(math.inf), "is not finite"),
    ("record", record_with(task="another"), "is the record of task 'another'"),
    ("record", record_with(schema=True), "expected schema 1 to 4, found True"),
    ("record", record_with(seed="7"), "its description is malformed"),
    ("record", record_with(classes="ab"), "its description is malformed"),
    ("record", record_with(settings=None), "its description is malformed"),
    ("shared", lambda _: b"no state", "expected a safetensors blob"),
    ("shared", holding(math.inf), "is not finite"),
    ("shared", record_with(method="gda"), "of a version of 'lada' on encoder 'tiny', and says"),
    ("shared", record_with(encoder="large"), "was learnt by 'lada' on 'large'"),
    ("manifest", lambda content: content.replace(b'"lada"', b"[1]"), "method: Input should be"),
    ("manifest", lambda content: content.replace(b',"tasks":', b',"task":'), "tasks: Field"),
    ("manifest", lambda content: content.replace(b'"number":4', b'"number":true'), "number: Inp"),
    ("manifest", lambda _: b"[" * 100_000, "more than 32 inside each other"),
    ("entry", lambda content: content.replace(b'"index":', b'"index":-'), "index: Input should be"),
    ("entry", lambda _: b'{"schema":1}', "Field required"),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), SENSELESS)
def test_what_makes_no_sense_is_found_whatever_its_digest(
    kind: str, change: Callable[[bytes], bytes], sentence: str
) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b", "c")
    shared = SetShared(state=Inline(shared_of("shared")))
    main.commit(Commit(updates=(shared,), aliases=("head", "production")), by=ANNA)
    rewritten(store, "nothing", lambda content: content)
    assert verify(store, "main").clean
    rewritten(store, kind, change)
    problems = verify(store, "main").problems
    assert any(sentence in problem.message for problem in problems), problems
