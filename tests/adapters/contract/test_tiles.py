"""Columns in tiles of a fixed size, the room of tiles, and placements of records on a device."""

import sys
from pathlib import Path

import pytest
import torch

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.placement import CPU, Placement
from adapters.contract.records import Record
from adapters.contract.rule import ROWS, AnchorRows, Anchors, AnchorTiles
from adapters.contract.tiles import PAGE, columns_of, merged, numbers_of, room_for
from adapters.errors import SettingsError
from tests.adapters.synthetic import unit_rows
from tests.support.fakes.random_records import random_record

SIZE = 4
SCALE = 20.0
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the system has other calls")


def record() -> Record:
    return random_record("some", encoder="e", width=8, classes=3, vectors=2, seed=1, noun="thing")


@pytest.mark.parametrize(
    ("ranges", "tiles"),
    [
        ([range(9)], [0, 1, 2]),  # whole tiles and the beginning of another
        ([range(1, 3)], [0]),  # the middle of one
        ([range(2), range(3, 5), range(10, 12)], [0, 1, 2]),  # gaps, and one tile twice
        ([range(4, 8)], [1]),  # exactly one
        ([], []),
    ],
)
def test_columns_come_in_the_order_of_the_ranges_and_only_of_their_tiles(
    ranges: list[range], tiles: list[int]
) -> None:
    computed: list[int] = []

    def tile(number: int) -> torch.Tensor:
        computed.append(number)
        return torch.arange(number * SIZE, (number + 1) * SIZE)[None]

    found = [column for part in columns_of(ranges, size=SIZE, tile=tile) for column in part[0]]
    assert [int(column) for column in found] == [column for each in ranges for column in each]
    assert computed == tiles == numbers_of(ranges, size=SIZE)


def test_ranges_that_follow_one_another_are_put_together() -> None:
    assert merged([range(2), range(2, 5), range(6, 6), range(7, 8)]) == [range(5), range(7, 8)]


@pytest.mark.parametrize("images", [1, 7, 300])
def test_anchors_in_tiles_have_the_same_logits_however_many_follow(images: int) -> None:
    features = unit_rows(images, 24, seed=1)
    groups = [unit_rows(3 + seed, 24, seed=seed) for seed in range(40)]
    tiles, placed, known = AnchorTiles(), list[AnchorRows](), None
    for rows in groups:
        tiled = range(tiles.count, tiles.count + len(rows))
        tiles = tiles.extended([rows])
        placed.append(AnchorRows.of(rows)._replace(tiled=tiled))
        values = Anchors(placed, tiles).logits(features, scale=SCALE)
        if known is not None:
            assert torch.equal(values[:, : known.shape[1]], known)
        known = values
    assert known is not None
    torch.testing.assert_close(known, SCALE * features @ torch.cat(groups).t())
    some = Anchors([placed[1], placed[2], placed[7]], tiles).logits(features, scale=SCALE)
    ends = torch.tensor([len(rows) for rows in groups]).cumsum(0).tolist()
    columns = torch.cat([torch.arange(ends[0], ends[2]), torch.arange(ends[6], ends[7])])
    assert torch.equal(some, known[:, columns])


def test_more_anchors_copy_the_last_tile_alone_and_leave_the_former_ones() -> None:
    before = AnchorTiles().extended([unit_rows(ROWS + 5, 8, seed=1)])
    kept = [tile.clone() for tile in before.tiles]
    after = before.extended([unit_rows(ROWS, 8, seed=2)])
    assert after.count == 2 * ROWS + 5 and len(after.tiles) == 3
    assert after.tiles[0] is before.tiles[0] and after.tiles[1] is not before.tiles[1]
    assert all(torch.equal(*pair) for pair in zip(before.tiles, kept, strict=True))


def test_a_format_of_memory_that_does_not_exist_is_named() -> None:
    with pytest.raises(SettingsError, match="one of float32, bfloat16, found 'bf16'"):
        Placement(memory="bf16")  # type: ignore[arg-type]


def test_on_the_cpu_a_placement_gives_back_what_it_is_given() -> None:
    state = AdapterState(records=(record(),))
    assert Placement().device == CPU
    assert Placement().state(state) is state
    assert Placement().record(state.records[0]) is state.records[0]


def test_elsewhere_numbers_are_on_the_device_and_offsets_stay_at_hand() -> None:
    shared = SharedState(method="m", encoder="e", tensors={"prompts": torch.ones(2, 3)})
    away = Placement(device=torch.device("meta"))
    state = away.state(AdapterState(records=(record(),), shared=shared))
    tensors = state.records[0].tensors
    assert set(tensors) == set(record().tensors) and len(tensors) == len(record().tensors)
    assert tensors["memory"].device.type == "meta"
    assert tensors["memory_offsets"].tolist() == [0, 2, 4, 6]
    assert state.shared is not None and state.shared.tensors["prompts"].device.type == "meta"


def mapped(address: int) -> bool:
    """Return whether this process may use the memory at an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return True
    return False


@pytest.mark.parametrize("rows", [1, 1023, 1024, 1025, 2048, 2600])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_room_is_of_the_shape_that_was_asked_for_and_can_be_written(
    rows: int, dtype: torch.dtype
) -> None:
    room = room_for((2, rows, 256), dtype, CPU)
    assert (room.shape, room.dtype, room.is_contiguous()) == ((2, rows, 256), dtype, True)
    room.copy_(torch.arange(rows)[:, None])
    assert torch.equal(room[1, :, 255], torch.arange(rows).to(dtype))


@on_linux
def test_large_room_begins_with_a_page_and_goes_with_its_last_tensor() -> None:
    room = room_for((PAGE // 4 + 3,), torch.float32, CPU)
    address, part = room.data_ptr(), room[5:9]
    assert address % PAGE == 0
    room.fill_(1.0)
    del room
    assert mapped(address) and part.tolist() == [1.0] * 4
    del part
    assert not mapped(address)


def test_room_elsewhere_is_that_of_the_device() -> None:
    assert room_for((PAGE,), torch.float32, torch.device("meta")).device.type == "meta"
