"""Conformance suite of object stores: what every one must do.

A subclass gives the fixture `store`, empty at the start.
"""

import pickle
from collections.abc import Callable

import pytest

from adapters.errors import ConflictError, CorruptionError, InputError, NotFoundError
from workers.store import BlobRef, ObjectStore, get_blob, put_blob
from workers.store.base import MAX_CONDITIONAL_BYTES, MAX_SEGMENT_BYTES
from workers.store.conditional_writes import check_conditional_writes
from workers.store.race import race

RACERS = 32


class StoreSuite:
    """Inherited by the tests of every store."""

    durable = True

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    def test_what_was_put_is_read_again(self, store: ObjectStore) -> None:
        store.put("a/b", b"one")
        store.put("a/b", b"two")
        assert store.get("a/b").data == b"two"

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        store.put("empty", b"")
        assert store.get("empty").data == b""
        assert store.get_range("empty", 0, 5) == b""

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, 3, b"012"),
            (3, 2, b"34"),
            (8, 100, b"89"),  # ends with the object
            (10, 1, b""),  # begins where the object ends
            (99, 1, b""),  # begins behind it
            (2, 0, b""),  # asks for nothing
        ],
    )
    def test_a_range_is_cut_out(
        self, store: ObjectStore, start: int, length: int, expected: bytes
    ) -> None:
        store.put("digits", b"0123456789")
        assert store.get_range("digits", start, length) == expected

    def test_a_missing_object_is_named(self, store: ObjectStore) -> None:
        with pytest.raises(NotFoundError, match="'no/such'"):
            store.get("no/such")
        with pytest.raises(NotFoundError, match="'no/such'"):
            store.get_range("no/such", 0, 1)

    def test_deleting_twice_is_deleting_once(self, store: ObjectStore) -> None:
        store.put("a", b"1")
        store.delete("a")
        store.delete("a")
        assert list(store.list("")) == []

    def test_create_writes_only_where_nothing_is(self, store: ObjectStore) -> None:
        etag = store.create("a", b"first")
        with pytest.raises(ConflictError, match="'a'"):
            store.create("a", b"second")
        assert store.get("a").data == b"first"
        assert store.get("a").etag == etag

    def test_replace_writes_only_over_what_is_expected(self, store: ObjectStore) -> None:
        first = store.create("a", b"first")
        second = store.replace("a", b"second", first)
        with pytest.raises(ConflictError, match="'a'"):
            store.replace("a", b"third", first)
        assert store.get("a").data == b"second"
        assert store.get("a").etag == second

    def test_replace_of_a_missing_object_is_lost(self, store: ObjectStore) -> None:
        with pytest.raises(ConflictError):
            store.replace("a", b"first", "0" * 32)
        assert list(store.list("")) == []

    def test_a_plain_put_changes_the_etag(self, store: ObjectStore) -> None:
        etag = store.create("a", b"first")
        store.put("a", b"second")
        with pytest.raises(ConflictError):
            store.replace("a", b"third", etag)

    def test_32_creators_have_one_winner_whose_bytes_stay(self, store: ObjectStore) -> None:
        winners: list[int] = []

        def create(number: int) -> None:
            store.create("race", b"%d" % number)
            winners.append(number)

        assert race(create, RACERS) == 1
        assert store.get("race").data == b"%d" % winners[0]

    def test_32_replacers_have_one_winner_whose_bytes_stay(self, store: ObjectStore) -> None:
        etag = store.create("race", b"start")
        winners: list[int] = []

        def replace(number: int) -> None:
            store.replace("race", b"%d" % number, etag)
            winners.append(number)

        assert race(replace, RACERS) == 1
        assert store.get("race").data == b"%d" % winners[0]

    def test_a_listing_gives_keys_and_sizes_below_a_folder(self, store: ObjectStore) -> None:
        for key in ("a/1", "a/b/2", "ab/3", "c"):
            store.put(key, key.encode())
        listed = {each.key: each.size_bytes for each in store.list("a/")}
        assert listed == {"a/1": 3, "a/b/2": 5}
        assert {each.key for each in store.list("")} == {"a/1", "a/b/2", "ab/3", "c"}
        assert list(store.list("nowhere/")) == []

    def test_a_listing_tells_the_age(self, store: ObjectStore) -> None:
        store.put("a", b"1")
        store.put("b", b"1")
        ages = [each.modified for each in store.list("")]
        assert abs(ages[0] - ages[1]) < 60  # one clock for all, in seconds

    @pytest.mark.parametrize(
        "key",
        [
            "with space/plus+percent%2Fäöü/水",
            "s" * MAX_SEGMENT_BYTES,
            "/".join("segment" for _ in range(100)),
        ],
    )
    def test_unusual_keys_come_back_unchanged(self, store: ObjectStore, key: str) -> None:
        store.put(key, b"1")
        assert store.get(key).data == b"1"
        assert [each.key for each in store.list("")] == [key]

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/..",
            ".hidden",
            "line\nbreak",
            "half a pair \ud800",
            "below/caf\udce9",  # how Python keeps a byte that is no UTF-8
            "zero\0byte",
            "s" * (MAX_SEGMENT_BYTES + 1),
            "a/" * 600 + "a",
        ],
    )
    def test_impossible_keys_are_refused(self, store: ObjectStore, key: str) -> None:
        uses: list[Callable[[str], object]] = [
            store.get,
            store.delete,
            lambda key: store.get_range(key, 0, 1),
            lambda key: store.put(key, b"1"),
            lambda key: store.create(key, b"1"),
            lambda key: store.replace(key, b"1", "0" * 32),
        ]
        if key and not key.endswith("/"):
            uses.append(lambda key: list(store.list(f"{key}/")))
        for use in uses:
            with pytest.raises(InputError) as caught:
                use(key)
            caught.value.message.encode()

    def test_large_conditional_writes_are_refused(self, store: ObjectStore) -> None:
        data = bytes(MAX_CONDITIONAL_BYTES + 1)
        with pytest.raises(InputError, match="at most"):
            store.create("a", data)
        with pytest.raises(InputError, match="at most"):
            store.replace("a", data, "0" * 32)

    def test_a_blob_lies_under_its_digest_and_is_checked(self, store: ObjectStore) -> None:
        ref = put_blob(store, b"record", prefix="blobs/")
        (listed,) = store.list("blobs/")
        assert listed.key.endswith(ref.sha256)
        assert get_blob(store, ref, prefix="blobs/") == b"record"

    @pytest.mark.parametrize("damaged", [b"recorx", b"recor", b"record!", b""])
    def test_a_damaged_blob_is_found_and_named(self, store: ObjectStore, damaged: bytes) -> None:
        ref = put_blob(store, b"record", prefix="blobs/")
        (listed,) = store.list("blobs/")
        store.put(listed.key, damaged)
        with pytest.raises(CorruptionError, match=listed.key):
            get_blob(store, ref, prefix="blobs/")

    def test_a_missing_blob_is_not_a_damaged_one(self, store: ObjectStore) -> None:
        with pytest.raises(NotFoundError):
            get_blob(store, BlobRef(sha256="0" * 64, size=1), prefix="blobs/")

    def test_the_probe_is_passed_and_leaves_nothing(self, store: ObjectStore) -> None:
        check_conditional_writes(store, racers=4)
        assert list(store.list("")) == []

    def test_a_store_sent_to_another_process_sees_the_same_objects(
        self, store: ObjectStore
    ) -> None:
        if not self.durable:
            with pytest.raises(TypeError, match="cannot be sent"):
                pickle.dumps(store)
            return
        store.put("a", b"1")
        assert pickle.loads(pickle.dumps(store)).get("a").data == b"1"
