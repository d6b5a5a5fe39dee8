"""Shards: the images come back as they were given, and equal images give equal bytes."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from workers.images import EXTENSIONS
from workers.shards import (
    MAX_BYTES,
    MAX_IMAGES,
    Sample,
    pack_shard,
    split_into_shards,
    unpack_shard,
)

SAMPLES = st.lists(
    st.builds(
        Sample,
        content=st.binary(min_size=1, max_size=2_000),
        extension=st.sampled_from(sorted(EXTENSIONS)),
        label=st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)


@given(SAMPLES)
def test_images_come_back_in_order_and_to_the_byte(samples: list[Sample]) -> None:
    assert unpack_shard(pack_shard(samples)) == tuple(sample.content for sample in samples)


@given(SAMPLES)
def test_equal_images_give_equal_bytes(samples: list[Sample]) -> None:
    again = [
        Sample(content=sample.content, extension=sample.extension, label=sample.label)
        for sample in samples
    ]
    assert pack_shard(samples) == pack_shard(again)


def test_members_are_named_for_every_reader_of_webdataset() -> None:
    shard = pack_shard([Sample(content=b"x", extension=ext, label=0) for ext in (".png", ".jpg")])
    with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
        assert tar.getnames() == ["000000.png", "000001.jpg"]
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}


@given(st.lists(st.integers(0, MAX_BYTES + 1), max_size=8))
def test_no_group_is_over_the_byte_limit_unless_it_is_one_image(sizes: list[int]) -> None:
    # Sized stands for bytes of that length: 64 MiB of zeros would prove nothing more.
    samples = [Sample(content=Sized(size), extension=".png", label=0) for size in sizes]
    groups = list(split_into_shards(samples))
    assert [sample for group in groups for sample in group] == samples
    for group in groups:
        assert len(group) == 1 or sum(len(sample.content) for sample in group) <= MAX_BYTES


class Sized(bytes):
    """Bytes that claim a length."""

    def __new__(cls, size: int) -> "Sized":
        made = super().__new__(cls)
        made.size = size
        return made

    size: int

    def __len__(self) -> int:
        return self.size


@given(st.integers(0, 4 * MAX_IMAGES))
def test_groups_are_as_full_as_the_image_limit_allows(images: int) -> None:
    samples = [Sample(content=b"x", extension=".png", label=index) for index in range(images)]
    groups = list(split_into_shards(samples))
    assert [sample.label for group in groups for sample in group] == list(range(images))
    assert len(groups) == -(-images // MAX_IMAGES)
