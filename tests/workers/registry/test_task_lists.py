"""Lists of tasks that manifests have in common: known ones are read as if they were new."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import CorruptionError
from workers.formats.documents import encode
from workers.registry import Manifest
from workers.registry.documents import manifest as documents
from workers.registry.documents.manifest import manifest_from_bytes
from workers.registry.documents.task_lists import KnownLists, parted

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
