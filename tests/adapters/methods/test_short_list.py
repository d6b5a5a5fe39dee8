"""Own-metric classifiers in short-list form: the likeliest tasks as in dense form, and its cost."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.method import Query
from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods import METHODS
from adapters.methods.own_metric.common_metric import FIRST_TASKS
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.low_rank_scorer import LowRankScorer
from adapters.methods.own_metric.settings import LISTED
from adapters.methods.own_metric.short_list_scorer import ShortListScorer
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.factorisations import Factorisations
from tests.support.scenes.training import learn

METHOD = METHODS["own_metric"]
IMAGES = unit_rows(70, 24, seed=4)
TASKS = FIRST_TASKS + 5


@cache
def version(form: str = "short_list") -> tuple[Record, ...]:
    """Return the first tasks and some more, of different numbers of classes and images."""
    records: tuple[Record, ...] = ()
    for number in range(TASKS):
        records = (*records, learnt(number, records, form=form))
    return records


def learnt(number: int, past: Sequence[Record], **chosen: object) -> Record:
    task = clusters(
        f"task {number}", classes=2 + number % 4, images=2 + number % 5, seed=number, spread=0.5
    )
    settings = {"fusion": "alone", **chosen}
    return learn(METHOD, task, tuple(past), text=class_means(task), settings=settings, seed=1)


def scores(records: Sequence[Record], *tasks: str, adapter: Adapter | None = None) -> Tensor:
    asked = adapter or Adapter(records)
    only = tasks or None
    return asked.score(IMAGES, encoder=ENCODER, logit_scale=SCALE, tasks=only).values


def asked_of_all(records: Sequence[Record]) -> Query:
    classes = sum(len(record.classes) for record in records)
    return Query(
        paths=IMAGES[:, None],
        text_logits=torch.zeros(len(IMAGES), classes),
        positions=range(len(records)),
        logit_scale=SCALE,
    )


def test_the_first_tasks_answer_bit_for_bit_as_in_dense_form() -> None:
    dense, listed = (version(form)[:FIRST_TASKS] for form in ("dense", "short_list"))
    assert torch.equal(scores(dense), scores(listed))


def test_records_name_the_form_and_how_many_tasks_are_listed() -> None:
    assert {record.settings["form"] for record in version()} == {"short_list"}
    assert {int(record.tensors["listed"]) for record in version()} == {LISTED}
    assert learnt(TASKS, version()).settings["form"] == "short_list"


def test_listed_tasks_are_told_apart_as_in_dense_form_and_no_other_is_above_them() -> None:
    records = version()
    asked = asked_of_all(records)
    found = ShortListScorer.of(records).scores(asked)
    within, chosen_by = LowRankScorer.of(records).terms(asked)
    _, exact = DenseScorer(records).terms(asked)
    told = found - within  # the same for all classes of a task
    starts = [sum(len(each.classes) for each in records[:place]) for place in range(len(records))]
    told, exact, chosen_by = (each[:, starts] for each in (told, exact, chosen_by))
    listed = chosen_by.topk(LISTED, dim=1).indices
    torch.testing.assert_close(told.gather(1, listed), exact.gather(1, listed), rtol=0, atol=1e-4)
    others = told.scatter(1, listed, -torch.inf).amax(dim=1)
    assert (others <= told.gather(1, listed).amin(dim=1) + 1e-4).all()
    # What is not listed keeps its order.
    unlisted = ~torch.zeros_like(told, dtype=torch.bool).scatter(1, listed, True)
    for row in range(len(IMAGES)):
        ours, theirs = told[row][unlisted[row]], chosen_by[row][unlisted[row]]
        torch.testing.assert_close(ours - ours[0], theirs - theirs[0], rtol=0, atol=1e-4)


def test_columns_do_not_depend_on_the_tasks_that_are_asked_for() -> None:
    records = version()
    chosen = [records[3].task, records[FIRST_TASKS + 2].task]
    sizes = [len(record.classes) for record in records]
    parts = torch.split(scores(records), sizes, dim=1)
    expected = torch.cat([parts[3], parts[FIRST_TASKS + 2]], dim=1)
    torch.testing.assert_close(scores(records, *chosen), expected, rtol=0, atol=1e-5)


def test_a_version_that_grew_answers_as_one_that_was_opened() -> None:
    records = version()
    grown = Adapter(records[: FIRST_TASKS - 1])
    for record in records[FIRST_TASKS - 1 :]:
        grown = grown.extended(record)
    torch.testing.assert_close(scores(records, adapter=grown), scores(records), rtol=0, atol=1e-5)


def test_one_more_task_is_factorised_when_an_image_lists_it() -> None:
    records = version()
    before = Adapter(records[:-1])
    with Factorisations() as counted:
        grown = before.extended(records[-1])
    assert counted.count == 0
    one = IMAGES[:1]
    with Factorisations() as counted:
        grown.score(one, encoder=ENCODER, logit_scale=SCALE)
    assert counted.count == LISTED
    with Factorisations() as counted:
        grown.score(one, encoder=ENCODER, logit_scale=SCALE)
    assert counted.count == 0


def test_a_record_that_does_not_say_how_many_are_listed_is_damaged() -> None:
    first, *others = version()
    tensors = {name: each for name, each in first.tensors.items() if name != "listed"}
    with pytest.raises(CorruptionError, match="listed"):
        Adapter([replace(first, tensors=tensors), *others])
