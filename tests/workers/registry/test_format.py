"""The stored bytes are those of docs/format.md: a reader that knows nothing but that page."""

import hashlib
import json
from typing import Any

import pytest

from adapters.errors import CorruptionError
from tests.support.scenes.registry import ANNA, BEN, adapter, learn, record_of
from workers.formats.documents import seal, unseal
from workers.registry import Fence, drop, purge
from workers.store import MemoryStore, ObjectStore


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _sealed(data: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(data)
    sha256 = fields.pop("sha256")
    assert hashlib.sha256(_canonical(fields)).hexdigest() == sha256
    assert _canonical({**fields, "sha256": sha256}) == data
    return fields


def _object(store: ObjectStore, kind: str, reference: list[Any]) -> bytes:
    sha256, size, area = reference
    data = store.get(f"adapters/main/{area:06d}/{kind}/{sha256}").data
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, size)
    return data


def _document(store: ObjectStore, kind: str, reference: list[Any]) -> dict[str, Any]:
    data = _object(store, kind, reference)
    fields: dict[str, Any] = json.loads(data)
    assert fields["schema"] == 1
    assert _canonical(fields) == data
    return fields


def _full() -> ObjectStore:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b", "c")
    drop(main, "b", by=ANNA, promoted=True)
    purge(main, "b", by=BEN)
    learn(main, "d")
    main.rollback(4, by=BEN)
    return store


def test_a_reader_of_another_language_opens_production() -> None:
    store = _full()
    refs = _sealed(store.get("refs/main.json").data)
    number, reference = refs["aliases"]["production"]
    manifest = _document(store, "manifests", reference)
    assert (number, manifest["number"], refs["next_version"]) == (4, 4, 6)
    assert manifest["parent"][0] == 3
    for task, submission, classes, *record in manifest["tasks"]:
        assert _object(store, "records", record) == record_of(task)
        assert (submission, classes) == ("-0123456789ab", 10)
    assert refs["lease"] == ["", 0, 0.0]
    assert len(refs["write_id"]) == 32


def test_refs_that_name_a_lease_with_its_end_are_read_and_the_next_to_begin_passes_it() -> None:
    store = MemoryStore()
    adapter(store)
    fields = unseal(store.get("refs/main.json").data, "it")
    store.put("refs/main.json", seal({**fields, "lease": ["trainer-7", 3, 1790000000.0]}))
    main = adapter(store)
    assert main.refs().fence == Fence(owner="trainer-7", epoch=3)
    main.fence("anna")
    assert _sealed(store.get("refs/main.json").data)["lease"] == ["anna", 4, 0.0]


def test_the_history_and_the_tombstones_can_be_followed() -> None:
    store = _full()
    refs = _sealed(store.get("refs/main.json").data)
    entry = _document(store, "history", refs["history"])
    actions = [entry["action"]]
    while entry["previous"]:
        index, reference = entry["previous"]
        entry = _document(store, "history", reference)
        assert entry["index"] == index
        actions.append(entry["action"])
    assert actions == ["rollback", "commit", "purge", "drop", "commit", "commit", "commit"]
    assert entry["moves"] == {"head": [None, 1], "production": [None, 1]}
    (tombstone,) = _document(store, "tombstones", refs["tombstones"])["purged"]
    assert (tombstone["task"], tombstone["versions"]) == ("b", [2, 3])


def test_any_version_is_found_as_the_page_says() -> None:
    store = MemoryStore()
    learn(adapter(store), *(f"t{number}" for number in range(40)))
    latest = _sealed(store.get("refs/main.json").data)["history"]
    for wanted in range(1, 41):
        entry, reads = _document(store, "history", latest), 1
        while entry["published"][0] != wanted:
            jump = _document(store, "history", entry["jump"][1])
            far = jump["next_version"] > wanted
            entry = jump if far else _document(store, "history", entry["previous"][1])
            reads += 1
        assert reads <= 13


def test_accuracies_lie_beside_their_manifest() -> None:
    store = MemoryStore()
    learn(adapter(store), "a")
    _, (sha256, _, area) = _sealed(store.get("refs/main.json").data)["aliases"]["head"]
    measured = _sealed(store.get(f"adapters/main/{area:06d}/accuracies/{sha256}").data)
    assert measured["tasks"] == [["a", 0.9, 50]]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "expected a JSON object"),
        (b"[]", "expected a JSON object"),
        (b"\xff", "expected a JSON object"),
        (b'{"schema":"x"}', "has schema 'x'"),
        (b'{"schema":2}', "has schema 2, and this program reads up to 1: use a newer one"),
        (b'{"schema":1}', "do not give the digest"),
        (seal({"a": 1}).replace(b'"a":1', b'"a":2'), "do not give the digest"),
        (b'{"schema":1,"a":NaN}', "expected a number, found NaN"),
        (b'{"schema":1,"a":1e999,"sha256":null}', "one that is too large"),
        (b'{"schema":1,"a":"\\ud800"}', "half a character"),
        (b"[" * 100_000, "expected a JSON object"),
    ],
)
def test_a_document_that_is_none_or_of_the_future_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(CorruptionError, match=f"^the thing .*{sentence}"):
        unseal(data, "the thing")


def test_a_sealed_document_keeps_its_fields() -> None:
    assert unseal(seal({"a": "ü", "b": [1, None]}), "it") == {"a": "ü", "b": [1, None], "schema": 1}
