"""The identities on features of a real CLIP, which lie in a narrow cone and are hard to invert.

Needs the folder that `benchmarks.feature_sets` reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.records import Record, decode_record, encode_record
from adapters.methods import measured_method
from adapters.towers.text_side import TextSide
from benchmarks.feature_sets import LOGIT_SCALE, default_folder, feature_set
from harness.measured_set import MeasuredSet, accuracy, unseen_of
from tests.adapters.parts.test_statistics import all_at_once
from tests.support.scenes.training import learn

SHOTS = 4
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "nearest_mean": {},
    "gda": {"alpha": 1.0},
    "ran_pac": {"width": 600, "ridge": 100.0},
    "dual_rail": {},
    "primal_rail": {"width": 600},
}

pytestmark = pytest.mark.skipif(
    not default_folder().is_dir(),
    reason=f"no features in {default_folder()}; NACRE_FEATURES names a folder that has them",
)


@cache
def sets() -> tuple[MeasuredSet, ...]:
    """Return pets and flowers, a few images per class."""
    return tuple(
        few(feature_set(name, folder=default_folder()))
        for name in ("oxford_pets", "oxford_flowers")
    )


def few(measured: MeasuredSet) -> MeasuredSet:
    task = measured.task
    chosen = torch.cat([(task.labels == c).nonzero()[:SHOTS, 0] for c in range(len(task.classes))])
    part = replace(task, features=task.features[chosen], labels=task.labels[chosen])
    return replace(
        measured,
        task=part,
        test_features=measured.test_features[:300],
        test_labels=measured.test_labels[:300],
    )


def together() -> MeasuredSet:
    pets, flowers = sets()
    features = torch.cat([pets.text.features, flowers.text.features])
    return replace(
        pets,
        task=all_at_once([pets.task, flowers.task]),
        text=TextSide(features=features, logit_scale=LOGIT_SCALE),
    )


def learnt(name: str, measured: Sequence[MeasuredSet]) -> list[Record]:
    """Return the records as an adapter reads them back."""
    method, records = measured_method(name), list[Record]()
    for one in measured:
        settings = SETTINGS.get(name, {})
        record = learn(method, one.task, records, text=one.text, settings=settings, seed=1)
        records.append(decode_record(encode_record(record)))
    return records


def scores(name: str, records: Sequence[Record]) -> dict[str, Tensor]:
    """Return the scores of all test images by class."""
    adapter = Adapter(records, method=measured_method(name))
    images = torch.cat([one.test_features for one in sets()])
    found = adapter.score(images, encoder=adapter.encoder, logit_scale=LOGIT_SCALE)
    return {entry.class_id: found.values[:, n] for n, entry in enumerate(found.classes)}


@pytest.mark.parametrize("name", SETTINGS)
def test_task_by_task_equals_all_at_once_in_any_order(name: str) -> None:
    expected = scores(name, learnt(name, [together()]))
    for order in (sets(), sets()[::-1]):
        found = scores(name, learnt(name, order))
        # Statistics are stored as float32; logarithms of small probabilities lose some digits more.
        for class_id, values in expected.items():
            torch.testing.assert_close(found[class_id], values, rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize("name", ["dual_rail", "primal_rail"])
def test_on_a_task_that_is_not_learnt_rail_is_exactly_as_good_as_zero_shot(name: str) -> None:
    pets, flowers = sets()
    # Anchors that know less than the class means, as text features do.
    other = flowers.task.features[:, 0].mean(dim=0)
    blurred = replace(
        flowers, text=TextSide(features=flowers.text.features + other, logit_scale=LOGIT_SCALE)
    )
    found = [
        accuracy(
            Adapter(learnt(method, [pets]), method=measured_method(method)),
            blurred,
            unseen_of([blurred]),
        )
        for method in (name, "zero_shot")
    ]
    assert found[0] == found[1] > 0.5
