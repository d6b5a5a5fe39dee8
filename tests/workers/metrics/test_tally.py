"""What a tally has counted, and how it is read."""

import pytest

from workers.metrics import Kind, Point, Tally
from workers.metrics.bounded import BoundedNames
from workers.metrics.families import (
    ATTEMPTS,
    BATCH_IMAGES,
    FAMILIES,
    INFLIGHT,
    OTHER,
    SUBMISSIONS,
)


def found(tally: Tally) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(each.name, each.labels): each.value for each in tally.points()}


def test_a_counter_grows_and_may_be_there_before_it_does() -> None:
    tally = Tally()
    tally.count(ATTEMPTS, "training", "fault", by=0)
    assert found(tally) == {("nacre_attempts_total", ("training", "fault")): 0}
    tally.count(ATTEMPTS, "training", "fault")
    tally.count(ATTEMPTS, "training", "fault", by=2)
    assert found(tally) == {("nacre_attempts_total", ("training", "fault")): 3}


def test_a_histogram_counts_what_is_at_most_as_large_and_adds_up_exactly() -> None:
    tally = Tally()
    for images in (1, 2, 2, 3, 100):
        tally.observe(BATCH_IMAGES, images)
    values = found(tally)
    buckets = {labels[-1]: value for (name, labels), value in values.items() if "_bucket" in name}
    assert buckets == {"1": 1, "2": 3, "4": 4, "8": 4, "16": 4, "32": 4, "64": 4, "+Inf": 5}
    assert values["nacre_batch_images_count", ()] == 5
    assert values["nacre_batch_images_sum", ()] == 108


def test_larger_bounds_come_first_so_that_who_takes_them_over_never_has_less_above() -> None:
    tally = Tally()
    tally.observe(BATCH_IMAGES, 3)
    values = [each.value for each in tally.points() if each.suffix == "_bucket"]
    assert values == sorted(values, reverse=True)


def test_all_that_a_gauge_has_is_replaced_at_once() -> None:
    tally = Tally()
    tally.set_all(SUBMISSIONS, {("accepted", "main"): 2.0, ("waiting", "main"): 1.0})
    tally.set_all(SUBMISSIONS, {("accepted", "main"): 1.0})
    assert found(tally) == {("nacre_submissions", ("accepted", "main")): 1.0}


def test_who_reads_has_gauges_measured_and_one_that_breaks_keeps_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally = Tally()

    def broken() -> None:
        raise ZeroDivisionError

    tally.before_reading("one", broken)
    tally.before_reading("two", lambda: tally.set(INFLIGHT, 6.0, "a"))
    tally.before_reading("two", lambda: tally.set(INFLIGHT, 7.0, "a"))
    assert found(tally) == {("nacre_inflight_requests", ("a",)): 7.0}
    assert "one cannot be measured" in caplog.text


def test_names_that_others_choose_are_bounded() -> None:
    label = BoundedNames(2)
    assert [label(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]


def test_a_label_of_a_bucket_is_its_bound() -> None:
    point = Point(family=BATCH_IMAGES, suffix="_bucket", labels=("4",), value=1)
    assert (point.name, point.named) == ("nacre_batch_images_bucket", {"le": "4"})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_named_as_prometheus_has_it(family: object) -> None:
    from workers.metrics import Family

    assert isinstance(family, Family)
    assert family.name.startswith("nacre_")
    assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
    assert bool(family.bounds) is (family.kind is Kind.HISTOGRAM)
    assert family.bounds == tuple(sorted(family.bounds))
    assert family.help[0].isupper() or family.help[0].isdigit()
    assert family.help.endswith(".")
    # A unit is a base unit, and the last word before `_total`.
    assert not any(word in family.name for word in ("_ms", "_milli", "_mb", "_percent"))


def test_no_two_families_have_a_name_in_common() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names)) > 20
