"""Tiles: columns of many records computed in blocks of one fixed shape.

A thousand small products cost more in calls than in arithmetic; one large product whose shape grows
with every record would be rounded anew each time. So columns lie in tiles of a fixed size, filled
one after the other and padded at the end: what is in a tile is computed in the same shape however
many columns follow. One more record copies the last tile, never those before it.

Memory that is new is given page by page, each when it is first written. Of pages of 4 kB that takes
longer than to fill them; a tile is one large page, or two. Products read these faster too.

Shapes: N images
"""

import math
import mmap
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

OWN_PRODUCTS = 12
"""So many records are scored by products of their own, as all were before there were tiles: their
scores stay what they were, bit for bit. Records that follow share tiles. No suite of the papers has
more than eleven tasks."""

PAGE = 2**21
"""Bytes of a large page. Where the system has others, room begins at a multiple of this as well."""


def room_for(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor with anything in it: in large pages where it is large and on the CPU.

    Where the system has none, or is asked in vain, it is like any other.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < PAGE or device.type != "cpu" or sys.platform != "linux":
        return torch.empty(*shape, dtype=dtype, device=device)
    try:
        # So much more is only a range of addresses: memory is given to what is written.
        memory = mmap.mmap(-1, size + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        given = torch.frombuffer(memory, dtype=torch.uint8)  # which keeps it as long as it is used
        first = -given.data_ptr() % PAGE
        # Whole pages alone: of a part of one the system would give all.
        memory.madvise(mmap.MADV_HUGEPAGE, first, size - size % PAGE)
    except OSError:  # no range is left, or the system was built without large pages
        return torch.empty(*shape, dtype=dtype, device=device)
    return given[first : first + size].view(dtype).view(*shape)


def copied(tile: Tensor) -> Tensor:
    """Return a copy of `tile` in room of its own."""
    return room_for(tile.shape, tile.dtype, tile.device).copy_(tile)


def merged(ranges: Iterable[range]) -> list[range]:
    """Return `ranges` with those put together that follow one another."""
    found: list[range] = []
    for each in ranges:
        if found and found[-1].stop == each.start:
            found[-1] = range(found[-1].start, each.stop)
        elif len(each):
            found.append(each)
    return found


def numbers_of(ranges: Iterable[range], *, size: int) -> list[int]:
    """Return the numbers of the tiles that columns in `ranges` lie in, each once, ascending."""
    return sorted(
        {number for each in ranges for number in range(each.start // size, -(-each.stop // size))}
    )


def columns_of(
    ranges: Sequence[range], *, size: int, tile: Callable[[int], Tensor]
) -> Iterator[Tensor]:
    """Yield the columns in `ranges`, piece by piece; their tiles are computed one at a time.

    Args:
        ranges: Of columns, counted over all tiles.
        size: Columns of a tile.
        tile: Returns the columns of a tile, (N, size), by its number.
    """
    number, columns = -1, torch.empty(0)
    for each in ranges:
        start = each.start
        while start < each.stop:
            if start // size != number:
                number = start // size
                columns = tile(number)
            first = start - number * size
            count = min(each.stop - start, size - first)
            yield columns[:, first : first + count]
            start += count
