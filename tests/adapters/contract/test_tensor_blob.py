"""Tensors that share stored bytes: read as the library reads them, and refused as it refuses."""

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from torch import Tensor

from adapters.contract.json_reading import read_json
from adapters.contract.records import pack, unpack
from adapters.contract.tensor_blob import (
    ALIGNED,
    SIZE_BYTES,
    BlobTensors,
    as_stored,
    header_of,
    layout_of,
    tensors_of,
)
from adapters.errors import CorruptionError

EXAMPLE = {
    "rows": torch.arange(6.0).view(2, 3),
    "none": torch.zeros(0, 4),
    "one": torch.tensor(7, dtype=torch.int64),
    "half": torch.ones(3, dtype=torch.bfloat16),
}


def read(blob: bytes | bytearray) -> BlobTensors:
    header = header_of(blob)
    entries = read_json(header)
    entries.pop("__metadata__", None)
    return tensors_of(blob, layout_of(entries), start=SIZE_BYTES + len(header))


def with_header(header: Any, content: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(SIZE_BYTES, "little") + text + content


def test_what_the_library_writes_is_read_as_the_library_reads_it() -> None:
    blob = safetensors.torch.save(EXAMPLE)
    found, expected = read(blob), safetensors.torch.load(blob)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


def test_a_header_of_any_length_is_read_though_its_tensors_begin_at_odd_places() -> None:
    header, content = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)
    for spaces in range(8):
        blob = with_header(header | {"__metadata__": {"pad": " " * spaces}}, content)
        assert torch.equal(read(blob)["a"], torch.zeros(2))


def test_tensors_share_their_bytes_where_new_memory_could_begin() -> None:
    shared = set()
    for length in range(17):
        blob = bytearray(pack({"a": torch.zeros(4)}, {"kind": "x" * length}))
        tensors, _ = unpack(blob)
        assert tensors["a"].data_ptr() % ALIGNED == 0
        tensors["a"].fill_(1.0)
        shared.add(torch.equal(unpack(blob)[0]["a"], torch.ones(4)))
    assert shared == {True, False}


@pytest.mark.parametrize(
    "shape",
    [[10**8, "ab"], [10**8, [1, 2]], ["ab"], "ab", {}, [True], [2.0], [-1, -4], [2**64 - 1] * 65],
)
def test_a_shape_is_looked_at_before_anything_is_made_of_it(shape: Any) -> None:
    entry = {"dtype": "U8", "shape": shape, "data_offsets": [0, 4]}
    header = {"a": entry, "__metadata__": {"nacre": "{}"}}
    with pytest.raises(CorruptionError, match="expected a shape of"):
        unpack(with_header(header, bytes(4)))


@given(
    begin=st.integers(-8, 40),
    end=st.integers(-8, 40),
    shape=st.lists(st.integers(-2, 5), max_size=3),
    dtype=st.sampled_from(["F32", "I64", "U8", "no such"]),
)
def test_what_the_library_refuses_is_refused(
    begin: int, end: int, shape: list[int], dtype: str
) -> None:
    first = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header = {"a": first, "b": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}
    blob = with_header({**header, "__metadata__": {"nacre": "{}"}}, bytes(32))
    try:
        expected = safetensors.torch.load(blob)
    except (SafetensorError, KeyError, RuntimeError):
        with pytest.raises(CorruptionError):
            unpack(blob)
    else:
        found, _ = unpack(blob)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_tensor_at_an_odd_place_is_copied_when_it_is_asked_for_and_only_then() -> None:
    lengths = range(17)
    blobs = [bytearray(pack({"a": torch.ones(4)}, {"kind": "x" * length})) for length in lengths]
    odd = 0
    for blob in blobs:
        tensors = read(blob)
        view = as_stored(tensors)["a"]
        odd += view.data_ptr() % ALIGNED != 0
        view.fill_(2.0)
        assert torch.equal(read(blob)["a"], torch.full((4,), 2.0))  # it is where the bytes are
        assert tensors["a"].data_ptr() % ALIGNED == 0
        assert tensors["a"] is tensors["a"] is as_stored(tensors)["a"]
    assert 0 < odd < len(blobs)


def test_tensors_that_were_released_are_read_again_once() -> None:
    blob, times = safetensors.torch.save(EXAMPLE), list[int]()
    tensors = read(blob)

    def again() -> Mapping[str, Tensor]:
        times.append(1)
        return read(blob)

    size = tensors.nbytes
    tensors.release(again)
    assert (set(tensors), len(tensors), tensors.nbytes) == (set(EXAMPLE), len(EXAMPLE), size)
    assert times == []
    for name, expected in EXAMPLE.items():
        assert torch.equal(tensors[name], expected)
    assert times == [1]


@pytest.mark.parametrize("text", ["", 'a"b', "a\\", "}},{", '"},"', "é", "🦆", "x" * 5000])
def test_the_description_is_read_whatever_it_says(text: str) -> None:
    for described in ({"a": text}, {text: [text]}):
        tensors, found = unpack(pack(EXAMPLE, described))
        assert found == described
        assert all(torch.equal(tensors[name], EXAMPLE[name]) for name in EXAMPLE)


@pytest.mark.parametrize(
    "header",
    [
        '{"__metadata__":{"nacre":"{}"},"a":ENTRY,"__metadata__":{"nacre":"{}"}}',
        '{"__metadata__":{"nacre":"{}"},"a":ENTRY,"a":ENTRY}',
        '{"__metadata__":{"nacre":"{}"},"a":ENTRY',
        '{"__metadata__":{"nacre":"{}"},"a":ENTRY}]',
        '{"__metadata__":{"nacre":"{}"},"a":ENTRY} {}',
        '{"__metadata__":{"nacre":"{}"},"}',
        '{"__metadata__":{"nacre":"{}',
        '{"__metadata__":{"nacre":"{}\\',
        '{"__metadata__":{"nacre":"\\ud800"},"a":ENTRY}',
        '{"__metadata__":{"nacre":"\n"},"a":ENTRY}',
        '{"__metadata__":{"nacre":"{}"},"a":NaN}',
        '{"__metadata__":{"nacre":"{}"}, "a":[[ENTRY]]}',
    ],
)
def test_a_header_that_only_begins_as_ours_is_refused(header: str) -> None:
    entry = '{"dtype":"U8","shape":[4],"data_offsets":[0,4]}'
    good = f'{{"__metadata__":{{"nacre":"{{}}"}},"a":{entry}}}'.encode()
    lying = header.replace("ENTRY", entry).encode()
    for text in (good, lying, good, lying):  # what is remembered changes nothing
        blob = len(text).to_bytes(SIZE_BYTES, "little") + text + bytes(4)
        if text is good:
            assert torch.equal(unpack(blob)[0]["a"], torch.zeros(4, dtype=torch.uint8))
            continue
        with pytest.raises(CorruptionError):
            unpack(blob)


def test_tensors_of_a_blob_travel_as_a_plain_mapping() -> None:
    sent = pickle.loads(pickle.dumps(read(safetensors.torch.save(EXAMPLE))))
    assert type(sent) is dict
    assert all(torch.equal(sent[name], tensor) for name, tensor in EXAMPLE.items())
