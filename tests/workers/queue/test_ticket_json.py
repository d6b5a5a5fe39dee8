"""Tickets as JSON: they come back equal, and what is no ticket is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.canonical import canonical_json
from adapters.errors import CorruptionError
from tests.support.scenes.queue import ticket
from workers.queue.ticket import Cause, Failure, Stage, Ticket
from workers.queue.ticket_json import ticket_from_json, ticket_to_json

TIMES = st.floats(0, 1e12)
COUNTS = st.integers(0, 10**6)
FAILURES = st.builds(
    Failure, stage=st.sampled_from(Stage), cause=st.sampled_from(Cause), error=st.text(), at=TIMES
)
TICKETS = st.builds(
    Ticket,
    submission_id=st.text(),
    task=st.text(),
    adapter=st.text(),
    accepted_at=TIMES,
    priority=st.integers(-100, 100),
    images=COUNTS,
    stage=st.sampled_from(Stage),
    since=TIMES,
    round=COUNTS,
    attempts=COUNTS,
    losses=COUNTS,
    not_before=TIMES,
    failures=st.lists(FAILURES, max_size=3).map(tuple),
    parent=st.none() | COUNTS,
    version=st.none() | COUNTS,
    earlier=COUNTS,
    note=st.none() | st.text(),
)


def stored(value: Any) -> Any:
    return json.loads(canonical_json(value))


@given(TICKETS)
def test_a_ticket_comes_back_equal(entry: Ticket) -> None:
    assert ticket_from_json(stored(ticket_to_json(entry))) == entry


def test_what_is_as_it_would_be_anyway_is_left_out() -> None:
    value = stored(ticket_to_json(ticket("task", accepted_at=5.0)))
    assert value == {"submission_id": "task", "task": "task", "adapter": "main", "accepted_at": 5.0}


def test_keys_of_a_later_release_are_passed_over() -> None:
    value = {**stored(ticket_to_json(ticket("task"))), "deadline": 5}
    assert ticket_from_json(value) == ticket("task")


GOOD = stored(ticket_to_json(ticket("task")))
DAMAGED: list[Any] = [
    None,
    [],
    "ticket",
    5,
    {},
    # a field that has no default
    {key: value for key, value in GOOD.items() if key != "adapter"},
    {**GOOD, "stage": "sleeping"},
    {**GOOD, "stage": None},
    {**GOOD, "failures": 5},
    {**GOOD, "failures": [{}]},
    {**GOOD, "failures": [{"stage": "training", "cause": "magic", "error": "", "at": 0.0}]},
    # what would break the order of the queue, or its sums
    {**GOOD, "accepted_at": "yesterday"},
    {**GOOD, "accepted_at": None},
    {**GOOD, "priority": "high"},
    {**GOOD, "attempts": []},
    {**GOOD, "not_before": "soon"},
    {**GOOD, "submission_id": 5},
    {**GOOD, "adapter": None},
    {**GOOD, "version": "two"},
]


@pytest.mark.parametrize("value", DAMAGED)
def test_what_is_no_ticket_is_refused(value: Any) -> None:
    with pytest.raises(CorruptionError, match="expected a ticket"):
        ticket_from_json(value)
