"""LADA's scorer with more records than have products of their own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter, UnseenClasses
from adapters.contract.adapter_state import AdapterState
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.method import Query
from adapters.contract.placement import Placement
from adapters.contract.records import Record
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.methods.lada.method import Lada
from tests.adapters.synthetic import ENCODER, SCALE, entries, unit_rows
from tests.support.fakes.random_records import random_record

WIDTH, TASKS = 24, OWN_PRODUCTS + 9
FORMATS: tuple[MemoryFormat, ...] = ("float32", "bfloat16")
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}
"""Of scores that reach 20; a class's sum of at most four affinities loses a part in 256."""


def record(number: int) -> Record:
    """Return a record; they differ in classes, vectors, alpha and beta, and some have no memory."""
    made = random_record(
        f"task-{number}",
        encoder=ENCODER,
        width=WIDTH,
        classes=1 + number % 3,
        vectors=(4, 4, 2, 0)[number % 4],
        seed=number,
        noun="thing",
    )
    factors = {"alpha": (1.0, 2.5)[number % 5 == 0], "beta": (1.0, 3.0)[number % 7 == 0]}
    return replace(made, settings={**made.settings, **factors})


RECORDS = [record(number) for number in range(TASKS)]


def adapter(count: int, kept: MemoryFormat = "float32") -> Adapter:
    return Adapter(RECORDS[:count], placement=Placement(memory=kept))


def scores(of: Adapter, images: int, **more: object) -> Tensor:
    features = unit_rows(images, WIDTH, seed=99)
    return of.score(features, encoder=ENCODER, logit_scale=SCALE, **more).values  # type: ignore[arg-type]


def by_definition(images: int) -> Tensor:
    features, columns = unit_rows(images, WIDTH, seed=99), []
    for each in RECORDS:
        alpha, beta = each.settings["alpha"], each.settings["beta"]
        text = SCALE * features @ normalize(each.tensors["text_features"], dim=-1).t()
        affinities = (beta * (features @ each.tensors["memory"].t() - 1)).exp()
        own = affinities.view(images, len(each.classes), -1).sum(dim=2)
        columns.append(text + alpha * own)
    return torch.cat(columns, dim=1)


@pytest.mark.parametrize("kept", FORMATS)
def test_scores_are_those_of_the_equation(kept: MemoryFormat) -> None:
    found = scores(adapter(TASKS, kept), 7)
    torch.testing.assert_close(found, by_definition(7), rtol=0, atol=TOLERANCE[kept])


@pytest.mark.parametrize("kept", FORMATS)
@pytest.mark.parametrize("images", [1, 7, 300])
def test_old_scores_keep_their_bits_while_records_follow(kept: MemoryFormat, images: int) -> None:
    grown = adapter(1, kept)
    before = scores(grown, images)
    for added in RECORDS[1:]:
        grown = grown.extended(added)
        after = scores(grown, images)
        assert torch.equal(after[:, : before.shape[1]], before)
        before = after
    assert torch.equal(before, scores(adapter(TASKS, kept), images))


@pytest.mark.parametrize("kept", FORMATS)
def test_some_tasks_have_the_bits_that_they_have_among_all(kept: MemoryFormat) -> None:
    whole, chosen = adapter(TASKS, kept), (0, 3, OWN_PRODUCTS + 1, OWN_PRODUCTS + 2, TASKS - 1)
    some = scores(whole, 7, tasks=[RECORDS[place].task for place in chosen])
    ends = torch.tensor([0, *(len(each.classes) for each in RECORDS)]).cumsum(0).tolist()
    columns = torch.cat([torch.arange(ends[place], ends[place + 1]) for place in chosen])
    assert torch.equal(some, scores(whole, 7)[:, columns])


def test_classes_that_nobody_has_learnt_stand_beside_tiles() -> None:
    unseen = UnseenClasses(
        classes=entries("unseen", 40), text_features=unit_rows(40, WIDTH, seed=77)
    )
    known = scores(adapter(TASKS), 60)
    both = scores(adapter(TASKS), 60, unseen=unseen)
    seen = both[:, known.shape[1] :].isinf().all(dim=1)
    assert 0 < int(seen.sum()) < 60
    assert torch.equal(both[seen, : known.shape[1]], known[seen])


def test_a_record_that_comes_changes_nothing_of_the_version_before() -> None:
    before = adapter(TASKS - 1)
    known = scores(before, 3)
    before.extended(RECORDS[-1])
    assert torch.equal(scores(before, 3), known)


@pytest.mark.parametrize("kept", FORMATS)
def test_scoring_stays_on_the_device_where_the_records_are(kept: MemoryFormat) -> None:
    placement = Placement(device=torch.device("meta"), memory=kept)
    state = placement.state(AdapterState(records=tuple(RECORDS)))
    scorer = Lada().keeping(kept).scorer(state)
    assert all(scorer.anchors(place).device.type == "meta" for place in range(TASKS))
    classes = sum(len(each.classes) for each in RECORDS)
    found = scorer.scores(
        Query(
            paths=torch.empty(5, 1, WIDTH, device="meta"),
            text_logits=torch.empty(5, classes, device="meta"),
            positions=range(TASKS),
            logit_scale=SCALE,
        )
    )
    assert found.device.type == "meta" and found.shape == (5, classes)
