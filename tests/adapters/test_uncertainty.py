"""Intervals and McNemar's test against those of scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from adapters.uncertainty import EXACT, mcnemar_p, wilson_interval


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    right, images = counts
    expected = binomtest(right, images).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(right, images) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_of_no_images_nothing_is_known() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("right", [0, 10])
def test_a_few_images_that_are_all_alike_say_little(right: int) -> None:
    low, high = wilson_interval(right, 10)
    assert high - low == pytest.approx(0.278, abs=0.001)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_p_value_is_that_of_the_exact_binomial_test(won: int, lost: int) -> None:
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar_p(won, lost) == pytest.approx(expected, rel=1e-9)


def test_beyond_what_is_summed_the_normal_distribution_is_near() -> None:
    for won in (480, 520, 560, 600):
        lost = EXACT + 1 - won
        expected = binomtest(won, won + lost).pvalue
        assert mcnemar_p(won, lost) == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_six_images_must_be_lost_and_none_won_before_chance_is_seldom() -> None:
    assert mcnemar_p(0, 5) > 0.05 > mcnemar_p(0, 6)
