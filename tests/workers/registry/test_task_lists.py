"""Lists of tasks that manifests have in common: known ones are read as if they were new."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import CorruptionError
from workers.formats.documents import encode, seal, unsealed
from workers.registry import Manifest, TaskAccuracy
from workers.registry.documents import accuracy
from workers.registry.documents import manifest as documents
from workers.registry.documents.manifest import manifest_from_bytes
from workers.registry.documents.task_lists import MOST_ITEMS, KnownItems, KnownLists, parted

NAMES = st.sampled_from(["a", "b", "c", "d", "], [", '],["', "[", "ü", ',"tasks":['])


def line(name: str, record: int = 0) -> list[Any]:
    return [name, "-0", 3, f"{record:064x}", 10, 0]


def manifest(tasks: list[Any], **changes: Any) -> bytes:
    fields = {
        "adapter": "main",
        "number": 1,
        "parent": None,
        "shared": None,
        "encoder": "e",
        "method": "lada",
        "settings": {},
        "provenance": {"author": "", "code": "", "seed": None, "images": {}, "notes": {}},
        "created": 1.0,
        "tasks": tasks,
    }
    return encode({**fields, **changes})


def read_anew(data: bytes) -> Manifest:
    stored, tasks = documents._whole(data, "it")
    known = manifest_from_bytes(data, "it")
    assert known.tasks == tasks and known.settings == stored.settings
    return known


@given(st.lists(st.lists(st.tuples(NAMES, st.integers(0, 2)), max_size=6), max_size=6))
def test_a_list_is_read_alike_whatever_was_read_before(lists: list[list[tuple[str, int]]]) -> None:
    for tasks in lists:
        read_anew(manifest([line("first"), *(line(*task) for task in tasks)]))


def test_what_versions_have_in_common_is_there_once() -> None:
    tasks = [line(f"task {number}") for number in range(40)]
    grown, before = (manifest_from_bytes(manifest(tasks[:n]), "it") for n in (40, 39))
    assert all(one is other for one, other in zip(grown.tasks, before.tasks, strict=False))
    dropped = manifest_from_bytes(manifest([*tasks[:7], *tasks[8:]]), "it")
    assert dropped.tasks == (*grown.tasks[:7], *grown.tasks[8:])


def test_only_what_is_new_is_read() -> None:
    asked: list[bytes] = []

    def read(text: bytes) -> tuple[Any, ...]:
        asked.append(text)
        return tuple(json.loads(text))

    lists = KnownLists(read)
    tasks = [line(f"task {number}") for number in range(9)]
    for count in (8, 9, 4):
        parts = parted(manifest(tasks[:count]))
        assert parts is not None and list(lists.items(parts[1])) == tasks[:count]
    assert asked == [
        json.dumps(some, separators=(",", ":")).encode() for some in (tasks[:8], tasks[8:])
    ]


@pytest.mark.parametrize(
    "data",
    [
        manifest([line("a")])[:-2] + b",]}",
        manifest([line("a")])[:-2] + b",[1]]}",
        manifest([line("a"), 1]),
        manifest([line("a")])[:-2] + b']},"tasks":[]}',
        manifest([line("a")])[:-2] + b'],"tasks":[]}',
        manifest([], number="1"),
        manifest([line("a", 1)])[:-3] + b"]}",
    ],
)
def test_a_list_that_is_none_is_refused_though_its_beginning_is_known(data: bytes) -> None:
    read_anew(manifest([line("a")]))
    with pytest.raises(CorruptionError, match="the thing is damaged"):
        manifest_from_bytes(data, "the thing")


def test_settings_may_hold_a_list_of_that_name() -> None:
    settings = {"a": {"b": 1, "tasks": [["x"]]}}
    found = read_anew(manifest([line("a")], settings=settings))
    assert found.settings == settings


MEASURED = st.lists(st.tuples(NAMES, st.sampled_from([0.0, 0.25, 1 / 3, 1]), st.integers(0, 9)))


@given(st.lists(MEASURED, max_size=6))
def test_accuracies_are_read_alike_whatever_was_read_before(lists: list[list[Any]]) -> None:
    for tasks in lists:
        data = seal({"tasks": tasks})
        found = accuracy.accuracies_from_bytes(data, "it")
        whole = unsealed(accuracy._StoredAccuracies, data, "it").tasks
        assert [(each.task, each.accuracy, each.images) for each in found] == list(whole)


def measured(*tasks: Any) -> bytes:
    return seal({"tasks": list(tasks)})


def sealed_anew(text: bytes) -> bytes:
    """Return a sealed document of accuracies with this text as its list, whoever would write it."""
    around = b'{"schema":1,"tasks":[' + text + b"]}"
    seal_of = sha256(around).hexdigest().encode()
    return around.replace(b'"tasks"', b'"sha256":"' + seal_of + b'","tasks"')


FORGED_LINES = [
    b'["a",0.5,1],["a],["b",0.5,1]',
    b'["a",0.5,1], ["b",0.5,1],["c],["d",0.5,1]',
    b'["a",0.5,1],',
    b'["a",0.5,1]]',
    b'"a",0.5,1',
    b'["a",1.5,1]',
    b'["a",NaN,1]',
    b'["a",0.5,1e400]',
    b'["a",0.5,"1"]',
    b'["a",0.5,[1]]',
]


@pytest.mark.parametrize("text", FORGED_LINES)
def test_lines_that_nobody_wrote_are_read_as_if_nothing_was_known(text: bytes) -> None:
    accuracy.accuracies_from_bytes(measured(["a", 0.5, 1], ["b", 0.5, 1], ["c", 0.5, 1]), "it")
    data = sealed_anew(text)
    try:
        whole = unsealed(accuracy._StoredAccuracies, data, "it").tasks
    except CorruptionError:
        with pytest.raises(CorruptionError, match="it"):
            accuracy.accuracies_from_bytes(data, "it")
    else:
        found = accuracy.accuracies_from_bytes(data, "it")
        assert [(each.task, each.accuracy, each.images) for each in found] == list(whole)


def test_a_known_line_does_not_hide_that_a_document_is_damaged() -> None:
    data = measured(["a", 0.5, 1], ["b", 0.25, 2])
    accuracy.accuracies_from_bytes(data, "it")
    accuracy.accuracies_from_bytes(measured(["b", 0.5, 1], ["a", 0.25, 2]), "it")
    for damaged in (data.replace(b'"b"', b'"a"'), data.replace(b"0.25", b"0.5"), data[:-2]):
        with pytest.raises(CorruptionError, match="it is damaged"):
            accuracy.accuracies_from_bytes(damaged, "it")


def test_of_many_documents_each_line_is_read_once() -> None:
    read = list[bytes]()

    def lines(data: bytes) -> tuple[TaskAccuracy, ...]:
        read.append(data)
        return accuracy._read(data)

    known = KnownItems(lines)
    first = known.items(b'["a",0.5,1],["b",0.5,1],["c",0.5,1]')
    second = known.items(b'["c",0.5,1],["b",0.25,1],["a",0.5,1]')
    assert second[0] is first[2] and second[2] is first[0]
    assert known.items(b'["b",0.25,1]') == second[1:2]
    assert known.items(b"") == ()
    assert [data.count(b"[") - 1 for data in read] == [3, 1]


def test_what_is_remembered_of_lines_is_bounded() -> None:
    known = KnownItems(lambda data: tuple(map(tuple, json.loads(data))))
    for start in range(0, 2 * MOST_ITEMS, 1000):
        text = json.dumps([[number] for number in range(start, start + 1000)])
        assert known.items(text.replace(" ", "").encode()[1:-1])[-1] == (start + 999,)
        assert len(known._known) <= MOST_ITEMS


def test_brackets_in_a_name_leave_nothing_remembered() -> None:
    known = KnownItems(accuracy._read)
    with pytest.raises(ValueError, match="brackets"):
        known.items(b'["],[",0.5,1],["b",0.25,2]')
    assert not known._known
