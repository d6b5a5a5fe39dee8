"""The accuracy that memory in other formats costs: `python -m benchmarks.scale_formats`.

LADA learns the cached CLIP features one set after the other, with few steps; each format answers
the same test images over the classes of all sets.
"""

import sys
from collections.abc import Iterator, Sequence

import torch

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.contract.records import Record
from benchmarks.absent import absent_features
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.features import learnt_in_sequence
from benchmarks.table import Row, report
from harness.measured_set import MeasuredSet

SETS = (*SEQUENCE, "dtd")
SETTINGS = {"text": "residual", "steps": 40}
BEHIND = 0.1
"""Points of accuracy that bfloat16 may lose on any set."""


def figures() -> Iterator[Row]:
    """Yield accuracies in both formats and the share of changed answers, set by set."""
    folder = default_folder()
    if absent_features(folder, SETS):
        yield Row(figure="bfloat16 memory", value=f"not measured: no features in {folder}")
        return
    sets = [feature_set(name, folder=folder) for name in SETS]
    yield from compared(sets, learnt_in_sequence(sets, SETTINGS, seed=0))


def compared(sets: Sequence[MeasuredSet], records: Sequence[Record]) -> Iterator[Row]:
    """Yield the rows of `records`, which are of `sets` in their order."""
    kept: dict[MemoryFormat, Adapter] = {
        form: Adapter(records, placement=Placement(memory=form)) for form in ("float32", "bfloat16")
    }
    offset = 0
    for each in sets:
        answers = {
            form: adapter.score(
                each.test_features,
                encoder=adapter.encoder,
                logit_scale=each.text.logit_scale,
            )
            for form, adapter in kept.items()
        }
        right = {
            form: 100 * float((found.winners == each.test_labels + offset).float().mean())
            for form, found in answers.items()
        }
        exact, rounded = answers["float32"], answers["bfloat16"]
        changed = 100 * float((exact.winners != rounded.winners).float().mean())
        moved = (exact.values.softmax(dim=1) - rounded.values.softmax(dim=1)).abs().max()
        lost = right["float32"] - right["bfloat16"]
        name = each.task.task
        yield Row(figure=f"{name}: accuracy, float32", value=right["float32"], unit="%")
        yield Row(
            figure=f"{name}: accuracy, bfloat16",
            value=right["bfloat16"],
            unit="%",
            bar=f"at most {BEHIND} less",
            holds=lost <= BEHIND,
        )
        yield Row(figure=f"{name}: changed answers", value=changed, unit="%")
        yield Row(figure=f"{name}: largest change of a probability", value=float(moved))
        offset += len(each.task.classes)


def main() -> int:
    """Measure, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("scale_formats", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
