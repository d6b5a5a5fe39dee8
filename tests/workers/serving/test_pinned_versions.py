"""A version answers bit for bit what it answered when it was published, whatever follows."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.records import Record, encode_record
from adapters.familiarity import Verdict, with_thresholds
from adapters.methods import METHODS
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn
from workers.registry import AddRecord, Author, Commit, Inline, Registry, drop
from workers.registry.record_cache import Versions
from workers.store import MemoryStore

pytestmark = pytest.mark.slow

BY = Author(who="anna", why="a test", now=0.0)
IMAGES = unit_rows(6, 24, seed=4)
TASKS = 4
METHOD = METHODS["own_metric"]
RATE = 0.1

Deed = tuple[str, int]


def answers(records: Sequence[Record]) -> Tensor:
    return Adapter(records).score(IMAGES, encoder=ENCODER, logit_scale=SCALE).values


def rejected(records: Sequence[Record]) -> list[Verdict]:
    adapter = Adapter(records)
    scores = adapter.score(IMAGES, encoder=ENCODER, logit_scale=SCALE)
    return adapter.verdicts(IMAGES, scores, rate=RATE)


@given(
    st.lists(
        st.tuples(st.sampled_from(["learn", "drop", "roll back"]), st.integers(0, 9)),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None)
def test_a_pinned_version_answers_the_same_after_later_tasks_drops_and_rollbacks(
    deeds: list[Deed],
) -> None:
    store = MemoryStore(clock=lambda: 0.0)
    main = Registry(store).create("main")
    answered: dict[int, Tensor] = {}
    told: dict[int, list[Verdict]] = {}
    for deed, number in [("learn", 0), *deeds]:
        versions, grown = Versions(store), None
        head = versions.records("main", versions.resolve("main", "head") or 0)
        present = [record.task for record in head]
        if deed == "learn":
            missing = [name for name in map("task {}".format, range(TASKS)) if name not in present]
            if not missing:
                continue
            name = missing[number % len(missing)]
            task = clusters(name, classes=2 + number % 3, images=5, seed=10 + number)
            learnt = learn(METHOD, task, head, text=class_means(task), settings={}, seed=1)
            record = with_thresholds(METHOD, learnt, task)
            main.commit(
                Commit(
                    updates=(
                        AddRecord(
                            task=name,
                            submission=f"{name}-{len(answered)}",
                            record=Inline(encode_record(record)),
                            classes=len(record.classes),
                        ),
                    ),
                    encoder=ENCODER,
                    method=METHOD.name,
                    settings=dict(record.settings),
                    aliases=("head", "production"),
                ),
                by=BY,
            )
            grown = Adapter(head).extended(record) if head else Adapter([record])
        elif deed == "drop" and len(present) > 1:
            drop(main, present[number % len(present)], by=BY, promoted=True)
        elif deed == "roll back":
            main.rollback(1 + number % len(answered), by=BY)
        reader = Versions(store)
        newest = reader.resolve("main", "head")
        assert newest is not None
        if newest not in answered:
            answered[newest] = answers(reader.records("main", newest))
            told[newest] = rejected(reader.records("main", newest))
            if grown is not None:
                values = grown.score(IMAGES, encoder=ENCODER, logit_scale=SCALE).values
                assert torch.equal(values, answered[newest])
        for version, expected in answered.items():
            assert torch.equal(answers(Versions(store).records("main", version)), expected)
            assert rejected(Versions(store).records("main", version)) == told[version]
