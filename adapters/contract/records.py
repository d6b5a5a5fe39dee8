"""Records: the immutable result of one task's training, and its exact serialisation to bytes.

A record is a safetensors blob whose header carries one metadata entry, the canonical JSON of
everything that is not a tensor. The same record gives the same bytes on every machine, so that its
digest is its name.
"""

import cmath
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from adapters.contract.canonical import canonical_json
from adapters.contract.class_entry import ClassEntry
from adapters.contract.json_reading import read_json, typed
from adapters.contract.tensor_blob import (
    SIZE_BYTES,
    BlobLayout,
    BlobTensors,
    as_stored,
    header_of,
    layout_of,
    tensors_of,
)
from adapters.contract.thresholds import Thresholds
from adapters.errors import ClassNameError, CorruptionError, FeatureError

SCHEMA = 1
"""Of records without merged classes: they keep the bytes that every release gave them."""

SCHEMA_MERGED = 2
"""Of records with merged classes, which a release that does not know them must refuse."""

SCHEMA_CALIBRATED = 3
"""Of records with a temperature: a release that does not know it would give other scores."""

SCHEMA_THRESHOLDS = 4
"""Of records with thresholds: a release that does not know them could refuse no image by them."""

_SCHEMAS = (SCHEMA, SCHEMA_MERGED, SCHEMA_CALIBRATED, SCHEMA_THRESHOLDS)

_METADATA_KEY = "nacre"
_DESCRIBED_FIRST, _THEN_TENSORS = '{"__metadata__":{"nacre":"', '},"'
MOST_REMEMBERED = 4096
"""Characters of a header that are remembered with what they say."""

# What reading a header that lies raises, besides what reading JSON does.
_NO_BLOB = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Record:
    """What one task leaves behind: immutable, and enough to score images and to be replayed.

    Attributes:
        task: The task's name.
        classes: Its C classes, in the order of the tensors' rows.
        method: The method that learnt it, a key of `adapters.methods.METHODS`.
        settings: The method's settings, as JSON.
        seed: The seed it was learnt with.
        encoder: The fingerprint of the encoder whose features it was learnt from.
        tensors: Contiguous CPU tensors by name. LADA's are listed in
            `adapters.methods.lada.method`.
        temperature: What scores are divided by before their softmax, where one of its classes has
            the highest; see `adapters.calibration`. None where nothing could be measured, and in
            records of releases that knew none: scores stay as they are.
        thresholds: Below which familiarity an image is of none of its classes; see
            `adapters.familiarity`. None where nothing could be measured, in records of releases
            that knew none, and of methods whose records tell of no spread.
    """

    task: str
    classes: tuple[ClassEntry, ...]
    method: str
    settings: Mapping[str, Any]
    seed: int
    encoder: str
    tensors: Mapping[str, Tensor]
    temperature: float | None = None
    thresholds: Thresholds | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, in memory or let go."""
        if isinstance(self.tensors, BlobTensors):
            return self.tensors.nbytes
        return sum(tensor.nbytes for tensor in self.tensors.values())


def check_classes(classes: tuple[ClassEntry, ...], *, task: str) -> None:
    """Raise ClassNameError unless `classes` are at least one, named, and unique by id.

    A class counts as one of another task or as itself, and no two of a task count as the same.
    """
    if not classes:
        raise ClassNameError(f"task {task!r}: expected at least one class, found none", task=task)
    seen = {entry.class_id for entry in classes}
    named = all(map(str.strip, seen)) and all(map(str.strip, [entry.name for entry in classes]))
    if named and len(seen) == len(classes) and {entry.merged_into for entry in classes} == {None}:
        return  # as nearly all are
    seen = set()
    for entry in classes:
        if not (entry.class_id.strip() and entry.name.strip()):
            raise ClassNameError(
                f"task {task!r}: expected an id and a name for every class, found {entry}",
                task=task,
            )
        if entry.class_id in seen:
            raise ClassNameError(
                f"task {task!r}: class id {entry.class_id!r} appears twice; rename one",
                task=task,
                class_id=entry.class_id,
            )
        seen.add(entry.class_id)
    answers = {entry.counts_as for entry in classes}
    if len(answers) < len(classes) or any(entry.merged_into in seen for entry in classes):
        raise ClassNameError(
            f"task {task!r}: two of its classes count as one ({sorted(answers)}); make them one "
            "class, or merge each into a class of another task",
            task=task,
        )


def diverged(what: str, name: str) -> FeatureError:
    """Return that what was learnt has the tensor `name` with NaN or an infinity in it."""
    return FeatureError(
        f"{what}: tensor {name!r} is not finite: the training has diverged; submit the task again "
        "with a lower learning rate, or others of its `settings` nearer to their defaults",
        name=name,
    )


def encode_record(record: Record) -> bytes:
    """Return the bytes of `record`: the same for the same record, on every machine.

    Raises:
        ClassNameError: no classes, or two with one id.
        FeatureError: a tensor is not finite, or the temperature no positive number.
    """
    check_classes(record.classes, task=record.task)
    for name, tensor in record.tensors.items():
        if not _is_finite(tensor):
            raise diverged(f"record {record.task!r}", name)
    merged = {entry.class_id: entry.merged_into for entry in record.classes if entry.merged_into}
    described = {
        "schema": SCHEMA,
        "task": record.task,
        "classes": [[entry.class_id, entry.name, entry.prompt] for entry in record.classes],
        "method": record.method,
        "settings": dict(record.settings),
        "seed": record.seed,
        "encoder": record.encoder,
    }
    if merged:
        described |= {"schema": SCHEMA_MERGED, "merged": merged}
    if record.temperature is not None:
        if not _is_temperature(record.temperature):
            raise FeatureError(
                f"record {record.task!r}: expected a positive temperature, found "
                f"{record.temperature!r}"
            )
        described |= {"schema": SCHEMA_CALIBRATED, "temperature": float(record.temperature)}
    if record.thresholds is not None:
        kept = record.thresholds.described()
        described |= {"schema": SCHEMA_THRESHOLDS, "thresholds": kept}
    return pack(record.tensors, described)


def decode_record(blob: bytes) -> Record:
    """Return the record whose bytes are `blob`, which its tensors may share.

    Raises:
        CorruptionError: the bytes are not those of a record of this schema.
    """
    return decode_records([blob])[0]


def decode_records(blobs: Sequence[bytes]) -> list[Record]:
    """Return the records whose bytes are `blobs`; as `decode_record`.

    All descriptions are read before any numbers are looked at. These push out of the processor's
    cache what reads descriptions, which takes half as long when it is still there.
    """
    records = [_decoded(blob) for blob in blobs]
    for record in records:
        check_finite(record.tensors, what=f"record {record.task!r}")
    return records


def _decoded(blob: bytes) -> Record:
    tensors, written = _parts(blob)
    described = _described(written)
    schema = described.get("schema")
    if type(schema) is not int or schema not in _SCHEMAS:
        raise CorruptionError(
            f"record: expected schema {SCHEMA} to {SCHEMA_THRESHOLDS}, found {schema!r:.80}; read "
            "it with the release that wrote it"
        )
    try:
        stored = _plainly(described) or typed(_Description).validate_json(written, strict=True)
        record = Record(
            task=stored.task,
            classes=stored.entries(merged=stored.merged if schema >= SCHEMA_MERGED else {}),
            method=stored.method,
            settings=stored.settings,
            seed=stored.seed,
            encoder=stored.encoder,
            tensors=tensors,
            temperature=stored.temperature if schema >= SCHEMA_CALIBRATED else None,
            thresholds=stored.kept_thresholds() if schema == SCHEMA_THRESHOLDS else None,
        )
        check_classes(record.classes, task=record.task)
    except (ValidationError, ClassNameError) as error:
        raise CorruptionError(f"record: its description is malformed: {error}") from error
    needs_temperature = schema == SCHEMA_CALIBRATED or record.temperature is not None
    if needs_temperature and not _is_temperature(record.temperature):
        raise CorruptionError(
            f"record: expected a positive temperature, found {record.temperature!r}; nobody wrote "
            "it so"
        )
    return record


def _is_temperature(found: float | None) -> bool:
    return found is not None and 0 < found < math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class _Description:
    task: str
    classes: Sequence[tuple[str, str, str]]
    method: str
    settings: dict[str, Any]
    seed: int
    encoder: str
    merged: dict[str, str] = field(default_factory=dict)
    temperature: float | None = None
    thresholds: Sequence[tuple[float, float]] = ()

    def kept_thresholds(self) -> Thresholds:
        return Thresholds.read(self.thresholds, task=self.task)

    def entries(self, *, merged: Mapping[str, str]) -> tuple[ClassEntry, ...]:
        entries = (
            ClassEntry(class_id=class_id, name=name, prompt=prompt)
            for class_id, name, prompt in self.classes
        )
        if not merged:
            return tuple(entries)
        return tuple(replace(entry, merged_into=merged.get(entry.class_id)) for entry in entries)


_PLAIN: Mapping[str, type] = {
    "task": str,
    "classes": list,
    "method": str,
    "settings": dict,
    "seed": int,
    "encoder": str,
}
_PLAIN_KEYS = frozenset((*_PLAIN, "schema", "temperature", "thresholds"))


def _plainly(described: Mapping[str, Any]) -> _Description | None:
    """Return a description that was read already, where it is one as nearly all are.

    None for any other, and for one that is none: reading it once more says what it is.
    """
    fits = described.keys() <= _PLAIN_KEYS and all(
        type(described.get(key)) is kind for key, kind in _PLAIN.items()
    )
    if not fits:
        return None
    classes, thresholds = described["classes"], described.get("thresholds", [])
    temperature = described.get("temperature")
    fits = (temperature is None or type(temperature) is float) and type(thresholds) is list
    if not (fits and _are_rows(classes, 3, str) and _are_rows(thresholds, 2, float)):
        return None
    return _Description(
        task=described["task"],
        classes=classes,
        method=described["method"],
        settings=described["settings"],
        seed=described["seed"],
        encoder=described["encoder"],
        temperature=temperature,
        thresholds=thresholds,
    )


def _are_rows(found: Sequence[Any], count: int, kind: type) -> bool:
    """Return whether all of `found` are lists of so many values of that type."""
    return (
        {*map(type, found)} <= {list}
        and {*map(len, found)} <= {count}
        and {*map(type, chain.from_iterable(found))} <= {kind}
    )


def check_finite(tensors: Mapping[str, Tensor], *, what: str) -> None:
    """Raise CorruptionError, naming `what`, where a tensor has NaN or an infinity."""
    flat = tensors.flat if isinstance(tensors, BlobTensors) else ()
    if flat and all(map(_is_finite, flat)):
        return
    for name, tensor in as_stored(tensors).items():
        if not _is_finite(tensor):
            raise CorruptionError(f"{what}: tensor {name!r} is not finite; nobody wrote it so")


def _is_finite(tensor: Tensor) -> bool:
    """Return whether all of `tensor` is finite, from its sum where that says it.

    A sum to which NaN or an infinity was added is not finite. It takes a tenth of the time; a sum
    that is not finite may still be one of large numbers.
    """
    if not tensor.is_floating_point() and not tensor.is_complex():
        return True
    return cmath.isfinite(tensor.sum().item()) or bool(tensor.isfinite().all())


def pack(tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> bytes:
    """Return safetensors bytes of `tensors` with `described` as canonical JSON in the header."""
    canonical = canonical_json(described, ascii_only=True).decode()
    return safetensors.torch.save(apart(tensors), metadata={_METADATA_KEY: canonical})


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `tensors` as files hold them: on the CPU, contiguous, no memory under two names.

    A method may keep one tensor under two names, or a part of it beside the whole; safetensors
    refuses that.
    """
    found: dict[str, Tensor] = {}
    taken: list[tuple[int, int]] = []
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        start, end = plain.data_ptr(), plain.data_ptr() + plain.nbytes
        if any(start < other_end and other < end for other, other_end in taken):
            plain = plain.clone()
        else:
            taken.append((start, end))
        found[name] = plain
    return found


def unpack(blob: bytes | bytearray) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the description that `pack` wrote.

    The tensors may share the memory of `blob`: only those of a bytearray may be written.

    Raises:
        CorruptionError: the bytes are not such a blob.
    """
    tensors, written = _parts(blob)
    return dict(tensors), _described(written)


def _parts(blob: bytes | bytearray) -> tuple[BlobTensors, bytes]:
    """Return the tensors and the text of the description; errors as of `unpack`."""
    try:
        header = header_of(blob)
        written, layout = _read_header(header)
        return tensors_of(blob, layout, start=SIZE_BYTES + len(header)), written
    except _NO_BLOB as error:
        raise _no_blob(len(blob), error) from error


def _read_header(header: bytes | bytearray) -> tuple[bytes, BlobLayout]:
    """Return the description and where the tensors lie.

    Records of one shape have one text behind their descriptions, which `pack` puts first: it is
    read once for all of them. Every other header is read as a whole.
    """
    text = str(header, "utf-8")
    if text.startswith(_DESCRIBED_FIRST):
        written, end = scanstring(text, len(_DESCRIBED_FIRST), True)
        rest = text[end:].rstrip(" ")
        if rest.startswith(_THEN_TENSORS) and len(rest) <= MOST_REMEMBERED:
            return written.encode(), _layout_behind(rest)
    entries = read_json(header)
    described = entries.pop("__metadata__")[_METADATA_KEY].encode()
    return described, layout_of(entries)


@lru_cache(maxsize=64)
def _layout_behind(rest: str) -> BlobLayout:
    """Return where tensors lie by the end of a header, from the bracket behind the description."""
    entries = read_json(b"{" + rest.removeprefix("},").encode())
    if "__metadata__" in entries:
        raise ValueError("the key '__metadata__' is there twice")
    return layout_of(entries)


def _described(written: bytes) -> dict[str, Any]:
    try:
        described = read_json(written)
    except ValueError as error:
        raise _no_blob(len(written), error) from error
    if not isinstance(described, dict):
        raise CorruptionError(f"expected a description, found {type(described).__name__}")
    return described


def _no_blob(size: int, error: Exception) -> CorruptionError:
    return CorruptionError(
        f"expected a safetensors blob written by nacre, found {size} other bytes: {error}"
    )
