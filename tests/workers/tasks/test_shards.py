"""Shards: images come back as they were given, and their content alone decides where they lie."""

import io
import tarfile
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract.canonical import digest_of
from workers.images.decode import DEFAULT_LIMITS
from workers.tasks.shards import (
    MAX_BYTES,
    MAX_IMAGES,
    cut_into_shards,
    pack_shard,
    packed_size,
    unpack_shard,
)

CONTENTS = st.lists(st.binary(min_size=1, max_size=2_000), min_size=1, max_size=12)


@dataclass(frozen=True)
class Weighed:
    """An image known by its digest and its size."""

    digest: str
    size: int


def weighed(number: int, *, size: int = 1_000) -> Weighed:
    return Weighed(digest=digest_of(str(number).encode()), size=size)


def images(count: int, *, first: int = 0, size: int = 1_000) -> list[Weighed]:
    return [weighed(number, size=size) for number in range(first, first + count)]


@given(CONTENTS)
def test_images_come_back_in_order_and_to_the_byte(contents: list[bytes]) -> None:
    assert unpack_shard(pack_shard(contents)) == tuple(contents)


@given(CONTENTS)
def test_equal_images_give_equal_bytes_of_the_promised_number(contents: list[bytes]) -> None:
    packed = pack_shard(contents)
    assert packed == pack_shard(list(contents))
    assert len(packed) == packed_size(map(len, contents))


BEGINNINGS = [
    (b"\xff\xd8\xff\xe0", "000000.jpg"),
    (b"\x89PNG\r\n", "000000.png"),
    (b"GIF89a", "000000.gif"),
    (b"BM", "000000.bmp"),
    (b"II*\x00", "000000.tif"),
    (b"MM\x00*", "000000.tif"),
    (b"RIFF\x00\x00\x00\x00WEBP", "000000.webp"),
    (b"P6 1 1", "000000.ppm"),
    (b"?", "000000.img"),
]


@pytest.mark.parametrize(("content", "name"), BEGINNINGS)
def test_members_are_named_for_readers_of_webdataset_by_what_they_are(
    content: bytes, name: str
) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack_shard([content]))) as tar:
        assert tar.getnames() == [name]
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}


SIZES = st.lists(
    st.one_of(st.integers(1, 5_000), st.integers(1, DEFAULT_LIMITS.size_bytes)), max_size=400
)


@given(SIZES)
@settings(deadline=None)
def test_every_image_is_in_one_shard_in_order_and_no_shard_is_too_large(sizes: list[int]) -> None:
    given_images = [weighed(number, size=size) for number, size in enumerate(sizes)]
    groups = cut_into_shards(given_images)
    cut = [image for group in groups for image in group]
    assert cut == sorted(given_images, key=lambda image: image.digest)
    for group in groups:
        assert 0 < len(group) <= MAX_IMAGES
        assert packed_size(image.size for image in group) <= MAX_BYTES


def test_the_order_in_which_images_are_given_does_not_matter() -> None:
    assert cut_into_shards(images(1_000)[::-1]) == cut_into_shards(images(1_000))


def test_shards_are_about_half_full() -> None:
    count = 100_000
    groups = cut_into_shards(images(count))
    # A tree with buckets of at most b has about 2 n / (b + 2) of them; a tenth is ten deviations.
    assert count / len(groups) == pytest.approx((MAX_IMAGES + 2) / 2, rel=0.1)


def test_few_images_are_one_shard_and_none_are_none() -> None:
    assert [len(group) for group in cut_into_shards(images(MAX_IMAGES))] == [MAX_IMAGES]
    assert cut_into_shards(list[Weighed]()) == []


def fresh(before: list[Weighed], after: list[Weighed]) -> int:
    """Return how many shards of `after` are none of `before`, and must be embedded."""
    known = set(cut_into_shards(before))
    return sum(group not in known for group in cut_into_shards(after))


@given(
    first=st.integers(0, 10**9),
    count=st.integers(0, 3_000),
    size=st.sampled_from([1_000, 300_000, 5_000_000]),
    added=st.integers(1, DEFAULT_LIMITS.size_bytes),
)
@settings(deadline=None)
def test_one_image_more_or_less_changes_few_shards_however_many_there_are(
    first: int, count: int, size: int, added: int
) -> None:
    few = images(count, first=first, size=size)
    more = [*few, weighed(first - 1, size=added)]
    # Usually one, two where a boundary moves; each further one is half as likely as the one before.
    assert 1 <= fresh(few, more) <= 12
    assert fresh(more, few) <= 12


def test_on_the_average_hardly_more_than_one_shard_changes() -> None:
    few = images(5_000)
    changed = [fresh(few, [*few, weighed(10_000 + number)]) for number in range(50)]
    assert sum(changed) / len(changed) < 2
