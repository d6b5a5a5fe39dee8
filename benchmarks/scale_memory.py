"""Memory of a class in a loaded version, by method: `python -m benchmarks.scale_memory`.

A task of ten classes of 16 images, width 512, is learnt once; versions hold copies of its record.
Bytes are of all tensors that live once a version has answered, so that what a method prepares is
counted too. What versions of different sizes have in common drops out of their difference.
"""

import gc
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.class_entry import ClassEntry
from adapters.contract.learning import learn
from adapters.contract.method import Method
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.tensor_blob import BlobTensors
from adapters.methods import METHODS
from benchmarks.random_records import WIDTH
from benchmarks.table import Row, report
from tests.adapters.synthetic import SCALE, class_means, clusters
from tests.support.conformance.method import LEARNT_FROM_IMAGES
from tests.support.scenes.training import inputs

CLASSES, IMAGES = 10, 16
SIZES = {"lada": (24, 88)}
"""Tasks of both versions: of LADA so many that tiles are full, of others few."""
FEW = (4, 12)
_CACHED = {"adapter": "feature", "prompts": "none", "image_epochs": 1, "prompt_epochs": 1}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "lada": {"text": "residual", "steps": 2},
    "dmc": _CACHED,
    "dmc_ot": _CACHED,
    "ran_pac": {"width": 1000},  # a tenth of the usual one, which takes minutes
    "tip_adapter_f": {"epochs": 1},
}


def figures() -> Iterator[Row]:
    """Yield bytes of a class in records and in a loaded version, method by method."""
    for name in sorted(METHODS.keys() - LEARNT_FROM_IMAGES):
        small, large = SIZES.get(name, FEW)
        learnt = _learnt(METHODS[name])
        classes = CLASSES * (large - small)
        stored = sum(tensor.nbytes for tensor in learnt.records[0].tensors.values()) / CLASSES
        taken = (_loaded(learnt, large) - _loaded(learnt, small)) / classes
        yield Row(figure=f"{name}: a class in its record", value=stored / 1e3, unit="kB")
        yield Row(figure=f"{name}: a class in a loaded version", value=taken / 1e3, unit="kB")


def _learnt(method: Method) -> AdapterState:
    task = clusters("first", classes=CLASSES, images=IMAGES, width=WIDTH)
    settings = SETTINGS.get(method.name, {})
    return learn(method, inputs(task, text=class_means(task), settings=settings))


def _loaded(learnt: AdapterState, tasks: int) -> int:
    """Return the bytes of the tensors of a version of so many tasks that has answered."""
    before = living_bytes()
    first = learnt.records[0]
    records = (copy_of(first, number) for number in range(tasks))
    if METHODS[first.method].takes_over:  # as a replica opens a version
        adapter = Adapter([next(records)], shared=learnt.shared).extended_by(_passing(records))
    else:
        adapter = Adapter([*records], shared=learnt.shared)
    rows = clusters("asked", classes=1, images=1, width=WIDTH).features[:, 0]
    adapter.score(rows, encoder=adapter.fingerprint, logit_scale=SCALE)
    return living_bytes() - before


def _passing(records: Iterator[Record]) -> Iterator[Record]:
    """Yield `records`; the tensors of each leave memory when the next one is asked for."""
    for record in records:
        yield record
        if isinstance(record.tensors, BlobTensors):
            record.tensors.release(dict)


def copy_of(record: Record, number: int) -> Record:
    """Return a record of its own with the same contents, read as a replica reads it."""
    task = f"task-{number}"
    classes = tuple(
        ClassEntry(class_id=f"{task}/{place}", name=entry.name, prompt=entry.prompt)
        for place, entry in enumerate(record.classes)
    )
    return decode_record(encode_record(replace(record, task=task, classes=classes)))


def living_bytes() -> int:
    """Return the bytes of all tensors that are in memory; what they share counts once."""
    gc.collect()
    found = (each for each in gc.get_objects() if issubclass(type(each), Tensor))
    storages = (each.untyped_storage() for each in found if each.layout is torch.strided)
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def main() -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_memory", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
