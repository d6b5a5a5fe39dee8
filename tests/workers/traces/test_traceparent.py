"""Traceparent: read to the letter, and nothing that is sent breaks anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.traces.traceparent import Traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_what_the_standard_has_is_read_and_written_as_it_was() -> None:
    found = Traceparent.read(GOOD)
    assert found == Traceparent(trace=TRACE, span=SPAN, sampled=True)
    assert str(found) == GOOD
    assert str(Traceparent.read(f"00-{TRACE}-{SPAN}-00")).endswith("-00")


@pytest.mark.parametrize(
    ("sent", "sampled"),
    [
        (f" {GOOD}\t", True),
        (f"00-{TRACE}-{SPAN}-ff", True),  # flags that are not known yet
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"01-{TRACE}-{SPAN}-01", True),  # a later version
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-bring", True),
    ],
)
def test_what_others_may_send_is_taken(sent: str, sampled: bool) -> None:
    assert Traceparent.read(sent) == Traceparent(trace=TRACE, span=SPAN, sampled=sampled)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        GOOD.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,{GOOD}",
        f"cc-{TRACE}-{SPAN}-01.{'x' * 5}",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 10_000}",
        "x" * 10_000,
        "٠٠" + GOOD[2:],  # digits, but not those
    ],
)
def test_anything_else_counts_as_nothing(sent: str) -> None:
    assert Traceparent.read(sent) is None


@given(st.text(max_size=200))
def test_no_header_breaks_anything(sent: str) -> None:
    found = Traceparent.read(sent)
    assert found is None or Traceparent.read(str(found)) == found


def test_parts_of_a_trace_are_found_again_by_what_they_stand_for() -> None:
    whole = Traceparent(trace=TRACE, span=SPAN, sampled=True)
    assert whole.part("birds-1", 1) == whole.part("birds-1", 1)
    assert len({whole.part("birds-1", 1), whole.part("birds-1", 2), whole.part("birds-11")}) == 3
    assert Traceparent.read(str(whole.part("birds-1", 1))) == whole.part("birds-1", 1)
