"""Which method is recommended: other input, other advice, and every figure from the tables."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.methods import METHODS
from benchmarks.advice import PAGE, SETTINGS, method_of, page_tables, towers
from harness.advice.advice import ALIKE, ENOUGH, NEAREST_MEAN, SHORT_LIST, Need, advise
from harness.advice.measured import MEASURED, WAYS, Accuracy, Tables, Times, measured_tables
from tests.adapters.synthetic import class_means, clusters

LARGE = Need(tasks=4, classes=400, images=16)
MANY = Need(tasks=1000, classes=10_000, images=16)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return the tables that come with nacre."""
    return measured_tables()


def test_what_may_be_recommended_is_a_method_of_the_queue(tables: Tables) -> None:
    assert {method_of(way) for way in WAYS} <= set(METHODS)
    assert set(tables.times) == set(tables.records) == set(tables.memory) == set(WAYS)
    for line in tables.lines:
        assert set(line.methods) <= set(WAYS)
        assert {"nearest_mean", "own_metric"} <= set(line.methods), line.collection


def test_large_tasks_of_many_images_take_the_most_accurate_method(tables: Tables) -> None:
    found = advise(LARGE, tables)
    assert found.recommended.way == "own_metric"
    assert found.runner_up is not None
    assert found.runner_up.method != "own_metric"
    assert found.recommended.last == max(way.last for way in found.ways)


def test_a_thousand_tasks_take_the_form_for_many(tables: Tables) -> None:
    found = advise(MANY, tables)
    assert (found.recommended.way, found.recommended.settings) == (
        SHORT_LIST,
        {"form": "short_list"},
    )
    (dense,) = [way for way in found.ways if way.way == "own_metric"]
    assert found.recommended.growing_ms < dense.growing_ms / 10
    assert found.recommended.memory < dense.memory
    assert any("for each task that follows" in reason for reason in found.reasons)
    (refused,) = [way for way in found.ways if way.way == "dual_rail"]
    assert "20,000" in refused.refused


def test_up_to_sixteen_tasks_nobody_is_told_of_a_form_that_changes_nothing(tables: Tables) -> None:
    assert SHORT_LIST not in {way.way for way in advise(LARGE, tables).ways}


def test_little_memory_leaves_what_fits_and_says_what_would_be_better(tables: Tables) -> None:
    found = advise(replace(LARGE, memory=5_000_000), tables)
    assert found.recommended.memory <= 5_000_000
    assert found.recommended.way != "own_metric"
    assert any(reason.startswith("own_metric is better by") for reason in found.reasons)


def test_little_time_leaves_what_is_learnt_in_it(tables: Tables) -> None:
    found = advise(replace(LARGE, seconds=0.1), tables)
    assert found.recommended.learning_s <= 0.1


def test_where_nothing_fits_the_error_says_what_is_least(tables: Tables) -> None:
    with pytest.raises(SettingsError, match=r"expected .* a replica \(nearest_mean\)"):
        advise(replace(LARGE, memory=1000), tables)


def test_the_nearest_class_mean_is_enough_where_it_is_as_good(tables: Tables) -> None:
    lines = [
        replace(
            line,
            methods={
                way: Accuracy(lasts=(80.0 + (ENOUGH if way == "own_metric" else 0.0),))
                for way in line.methods
            },
        )
        for line in tables.lines
    ]
    alike = replace(tables, lines=lines)
    found = advise(LARGE, alike)
    assert found.recommended.way == NEAREST_MEAN
    assert any("is enough" in reason for reason in found.reasons)
    apart = [
        replace(line, methods={**line.methods, "own_metric": Accuracy(lasts=(81.1,))})
        for line in lines
    ]
    assert advise(LARGE, replace(alike, lines=apart)).recommended.way == "own_metric"


def test_of_two_that_are_alike_the_smaller_one_is_taken(tables: Tables) -> None:
    lines = [
        replace(
            line,
            methods={
                **{way: Accuracy(lasts=(50.0,)) for way in line.methods},
                "own_metric": Accuracy(lasts=(80.0,)),
                "gda": Accuracy(lasts=(80.0 - ALIKE / 2,)),
            },
        )
        for line in tables.lines
    ]
    found = advise(LARGE, replace(tables, lines=lines))
    assert found.recommended.way == "gda"
    assert any("no difference" in reason for reason in found.reasons)


def test_lines_are_those_most_like_what_is_asked_about(tables: Tables) -> None:
    few = advise(replace(LARGE, images=1), tables)
    assert {line.images for line in few.lines} == {1}
    many = advise(MANY, tables)
    assert {line.tasks for line in many.lines} == {max(line.tasks for line in tables.lines)}


def test_seconds_lie_between_what_was_measured() -> None:
    times = Times(learning=[(10, 0.1), (1000, 1.0)], opening=(0, 0), scoring=(0, 0), growing=(0, 0))
    assert times.learning_s(1) == pytest.approx(0.1)
    assert times.learning_s(100) == pytest.approx(0.1 * 10**0.5)
    assert times.learning_s(10_000) == pytest.approx(10.0)


@pytest.mark.parametrize("way", WAYS)
def test_bytes_of_records_are_those_of_real_ones(way: str, tables: Tables) -> None:
    classes, images, width = 12, 16, tables.width
    settings = {**SETTINGS.get(way, {})}
    if method_of(way) == "lada":
        settings["steps"] = 2
    method, state = METHODS[method_of(way)], AdapterState()
    for number in range(18 if way == SHORT_LIST else 1):
        task = clusters(f"t{number}", classes=classes, images=images, width=width, seed=number)
        state = learn(
            method,
            TrainingInputs(task=task, past=state, text=class_means(task), settings=settings),
        )
    real = len(encode_record(state.records[-1]))
    said = tables.records[way].bytes_of(tasks=1, classes=classes, images=classes * images)
    assert said == pytest.approx(real, rel=0.05)


def test_methods_that_train_the_tower_are_as_the_page_has_them(tables: Tables) -> None:
    assert tables.towers == towers(), f"`python -m benchmarks.advice --part towers --write`, {PAGE}"
    found = advise(Need(tasks=5, classes=10, images=500, learns_tower=True), tables)
    assert {each["method"] for each in found.towers["methods"]} >= {"CL-LoRA", "DMC"}


def test_the_page_has_the_tables_that_are_read() -> None:
    page = Path("docs/advise.md").read_text()
    for table in page_tables(json.loads(MEASURED.read_text())):
        assert table in page


@pytest.mark.parametrize(
    ("tasks", "classes", "images"),
    [(0, 400, 16), (4, 400, 0), (500, 400, 16)],
    ids=["tasks", "images", "classes"],
)
def test_no_need_is_less_than_one(tasks: int, classes: int, images: int) -> None:
    with pytest.raises(SettingsError, match="expected"):
        Need(tasks=tasks, classes=classes, images=images)


def test_what_was_not_measured_is_said(tables: Tables) -> None:
    lines = [
        replace(line, methods={way: line.methods[way] for way in ("nearest_mean", "own_metric")})
        for line in tables.lines
    ]
    found = advise(LARGE, replace(tables, lines=lines))
    assert found.reasons[-1] == "not measured there: dual_rail, gda, lada, tip_adapter"
