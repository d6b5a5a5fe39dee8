"""Tensors that share the bytes of a safetensors file, whose header says where they lie.

The library's own reader copies every tensor, and opening a version of a thousand tasks is mostly
that. Files are written by the library, and what it refuses is refused here too, as
`tests/adapters/contract/test_tensor_blob.py` holds.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

SIZE_BYTES = 8
"""Of the number at the beginning, the bytes of the header."""

ALIGNED = 16
"""Bytes at multiples of which all memory begins that is given anew. Elsewhere a product of one row
may be rounded otherwise, so that a tensor which lies there is copied when it is asked for: every
other one, as headers are of multiples of eight bytes."""

MOST_SIDES = 64
"""Of a shape; torch takes no more."""

_DTYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}

with warnings.catch_warnings():
    # Said once in a process that such tensors must not be written: here, where nobody hears it.
    warnings.simplefilter("ignore")
    torch.frombuffer(bytes(1), dtype=torch.uint8)


class BlobTensors(Mapping[str, Tensor]):
    """Tensors by name that share the bytes of a file, which must not be written.

    Args:
        flat: Their numbers, a tensor for each run of the layout.
        layout: Where they lie.
    """

    # Of two threads that ask for a tensor both may copy it, or have it read again: they get equal
    # ones, and one stays.

    def __init__(self, flat: Sequence[Tensor], layout: "BlobLayout") -> None:
        self._layout = layout
        self._flat = tuple(flat)
        self._views: _Views | None = _Views(self._flat, layout)
        self._again: Callable[[], Mapping[str, Tensor]] | None = None

    def __getitem__(self, name: str) -> Tensor:
        views = self._held()
        found = views[name]
        if found.data_ptr() % ALIGNED:
            found = views.made[name] = found.clone()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.places)

    def __len__(self) -> int:
        return len(self._layout.places)

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (dict(self),)

    @property
    def views(self) -> Mapping[str, Tensor]:
        """The tensors where they lie."""
        return self._held()

    @property
    def flat(self) -> tuple[Tensor, ...]:
        """All numbers in as few tensors as there are types, for who looks at all of them.

        Empty once the bytes were let go.
        """
        return self._flat

    @property
    def layout(self) -> "BlobLayout":
        """Where they lie in the file: one and the same for files of one shape, as a rule."""
        return self._layout

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, in memory or let go."""
        return self._layout.size

    def passing(self) -> Mapping[str, Tensor]:
        """Return the tensors; those that were let go are read again and not kept."""
        again = self._again
        return again() if self._views is None and again is not None else self

    @property
    def are_held(self) -> bool:
        """Whether the bytes are in memory."""
        return self._views is not None

    def release(self, again: Callable[[], Mapping[str, Tensor]]) -> None:
        """Let the bytes go; when a tensor is asked for, all of them are read `again`."""
        self._again, self._views, self._flat = again, None, ()

    def _held(self) -> "_Views":
        held = self._views
        if held is None:
            if self._again is None:
                raise AssertionError("released without saying how they are read again")
            held = _Views((), self._layout)
            held.made.update(as_stored(self._again()))
            self._views = held
        return held


class _Views(Mapping[str, Tensor]):
    """Tensors where they lie, at odd places too; each is made when it is first asked for.

    Args:
        flat: Their numbers, a tensor for each run.
        layout: Where they lie in these.
    """

    def __init__(self, flat: Sequence[Tensor], layout: "BlobLayout") -> None:
        self._flat, self._layout = flat, layout
        self.made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        found = self.made.get(name)
        if found is None:
            run, first, numbers, shape = self._layout.places[name]
            found = self._flat[run].narrow(0, first, numbers)
            found = self.made[name] = found if len(shape) == 1 else found.view(shape)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.places)

    def __len__(self) -> int:
        return len(self._layout.places)


def as_stored(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return `tensors` where they lie, for whoever copies them: a product might be rounded anew."""
    return tensors.views if isinstance(tensors, BlobTensors) else tensors


def passing(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return `tensors` for whoever needs them once: what has left memory does not come back."""
    return tensors.passing() if isinstance(tensors, BlobTensors) else tensors


def header_of(blob: bytes | bytearray) -> bytes | bytearray:
    """Return the header of the safetensors file `blob`; ValueError where it is cut off."""
    end = SIZE_BYTES + int.from_bytes(blob[:SIZE_BYTES], "little")
    if not SIZE_BYTES < end <= len(blob):
        raise ValueError(f"expected a header of {end - SIZE_BYTES} bytes, found {len(blob)} in all")
    return blob[SIZE_BYTES:end]


class _Run(NamedTuple):
    """Tensors of one type that follow one another.

    Attributes:
        dtype: Of their numbers.
        begin: The first byte.
        total: Numbers of all of them.
    """

    dtype: torch.dtype
    begin: int
    total: int


class _Place(NamedTuple):
    """Where a tensor lies: in which run, from which number on, of how many numbers, its shape."""

    run: int
    first: int
    numbers: int
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlobLayout:
    """Where the tensors of a file lie: one after the other, from the first byte to the last.

    Attributes:
        runs: What they are made of.
        places: The tensors by name, in their order.
        size: Bytes of all of them.
    """

    runs: tuple[_Run, ...]
    places: Mapping[str, _Place]
    size: int


def layout_of(entries: Mapping[str, Any]) -> BlobLayout:
    """Return where a header says that tensors lie.

    Args:
        entries: By name what it says of each tensor.

    Raises:
        ValueError, KeyError, TypeError: it lies: tensors must follow one another.
    """
    placed = sorted((*entry["data_offsets"], name, entry) for name, entry in entries.items())
    here, runs, places = 0, list[_Run](), dict[str, _Place]()
    for begin, end, name, entry in placed:
        shape, dtype = _shape(entry["shape"]), _DTYPES[entry["dtype"]]
        count = math.prod(shape)
        if begin != here or end - begin != dtype.itemsize * count:
            raise ValueError(f"tensor {name!r} of shape {shape} is said to lie at {begin} to {end}")
        if not (runs and runs[-1].dtype == dtype):
            runs.append(_Run(dtype, begin, 0))
        places[name] = _Place(len(runs) - 1, runs[-1].total, count, tuple(shape))
        runs[-1] = runs[-1]._replace(total=runs[-1].total + count)
        here = end
    return BlobLayout(runs=tuple(runs), places=places, size=here)


def tensors_of(blob: bytes | bytearray, layout: BlobLayout, *, start: int) -> BlobTensors:
    """Return the tensors of `blob`, which may share its bytes and must not be written then.

    Args:
        blob: The whole file.
        layout: Where they lie.
        start: Where the first one begins.

    Raises:
        ValueError: they are not what follows there, to the last byte.
    """
    if start + layout.size != len(blob):
        raise ValueError(f"expected {start + layout.size} bytes, found {len(blob)}")
    flat = [
        torch.frombuffer(blob, dtype=dtype, count=total, offset=start + begin)
        if total
        else torch.empty(0, dtype=dtype)  # of no bytes there is no view
        for dtype, begin, total in layout.runs
    ]
    return BlobTensors(flat, layout)


def _shape(found: Any) -> list[int]:
    """Return the shape that a header says, before anything is made of it.

    A number times a text is a text that is so many times as long, and may take all memory.
    """
    if not isinstance(found, list) or len(found) > MOST_SIDES:
        raise ValueError(f"expected a shape of at most {MOST_SIDES} sides, found another one")
    if any(type(side) is not int or side < 0 for side in found):
        raise ValueError("expected a shape of whole numbers from 0, found another one")
    return found
