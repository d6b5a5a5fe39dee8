"""Spans of submissions: derived from tickets alone, so that they outlive the coordinator."""

from dataclasses import replace

import pytest

from tests.support.drivers.keeping_spans import id_of, keeping_spans, said, trace_of, tree
from workers.queue import inbox
from workers.queue.events import Accepted
from workers.queue.ticket import Cause, Failure, Stage, Ticket
from workers.queue.ticket_json import ticket_from_json, ticket_to_json
from workers.queue.traced import (
    record_broken_off,
    record_stage,
    stage_span,
    submission_span,
    traced,
)
from workers.store import MemoryStore

TRACE = "0af7651916cd43dd8448eb211c80319c"
CAME = f"00-{TRACE}-b7ad6b7169203331-01"
TICKET = Ticket(submission_id="birds-1", task="birds", adapter="main", accepted_at=10.0, since=10.0)
OURS = replace(TICKET, traceparent=CAME)


def moved(ticket: Ticket, stage: Stage, at: float) -> Ticket:
    after = replace(ticket, stage=stage, since=at)
    record_stage(ticket, after, now=at)
    return after


def lived(ticket: Ticket) -> Ticket:
    """Return a ticket that came to its end at second 40."""
    for at, stage in ((20.0, Stage.ENCODING), (30.0, Stage.WAITING), (35.0, Stage.TRAINING)):
        ticket = moved(ticket, stage, at)
    return moved(ticket, Stage.PUBLISHED, 40.0)


def test_a_ticket_keeps_its_span_and_one_without_reads_as_it_did() -> None:
    assert ticket_from_json(ticket_to_json(OURS)) == OURS
    written = ticket_to_json(TICKET)
    assert "traceparent" not in written
    assert ticket_from_json(written) == TICKET


def test_the_span_goes_through_the_inbox() -> None:
    store = MemoryStore()
    inbox.ask(store, Accepted(ticket=OURS), who="anna")
    (found,) = inbox.announced(store)
    assert found.traceparent == CAME


def test_nothing_is_kept_and_nothing_changes_where_nobody_traces() -> None:
    assert traced(TICKET) == TICKET
    lived(OURS)
    with keeping_spans() as spans:
        lived(TICKET)
        assert spans.all() == []


def test_a_submission_that_came_without_a_trace_gets_one_of_its_own() -> None:
    with keeping_spans() as spans:
        ticket = traced(TICKET)
        assert ticket.traceparent[:3] == "00-"
        assert traced(ticket) == ticket
        lived(ticket)
        (begun,) = spans.named("accept")
        assert tree(spans.of(trace_of(begun)))["submission published"] == {
            "accepted",
            "encoding",
            "waiting",
            "training",
        }


@pytest.mark.parametrize("sampled", ["00", "01"])
def test_whoever_submits_says_whether_it_is_recorded(sampled: str) -> None:
    with keeping_spans() as spans:
        lived(replace(TICKET, traceparent=f"{CAME[:-2]}{sampled}"))
        assert bool(spans.of(TRACE)) == (sampled == "01")


def test_a_coordinator_that_was_killed_leaves_spans_in_their_place() -> None:
    """What workers said under the stage that was broken off is a part of it all the same."""
    training = replace(OURS, stage=Stage.TRAINING, since=35.0)
    told_workers, whole = stage_span(training), submission_span(OURS)
    assert told_workers is not None
    assert whole is not None
    again = ticket_from_json(ticket_to_json(training))  # what the next one finds
    with keeping_spans() as spans:
        record_broken_off(again, now=50.0)
        (broken,) = spans.named("training")
        assert id_of(broken) == told_workers.span
        assert broken.parent is not None
        assert f"{broken.parent.span_id:016x}" == str(whole.span)
        assert not broken.status.is_ok


def test_a_stage_that_broke_says_why_and_the_next_attempt_is_another_span() -> None:
    training = replace(OURS, stage=Stage.TRAINING, since=35.0)
    failure = Failure(stage=Stage.TRAINING, cause=Cause.FAULT, error="singular", at=36.0)
    with keeping_spans() as spans:
        after = replace(training, stage=Stage.WAITING, since=36.0, failures=(failure,), attempts=1)
        record_stage(training, after, now=36.0)
        lived(after)
        broken, again = spans.named("training")
        assert (broken.status.description, again.status.is_ok) == ("singular", True)
        assert id_of(broken) != id_of(again)


def test_a_name_that_nobody_should_print_or_send_is_escaped() -> None:
    odd = replace(OURS, task="b\x1b[2J\x00irds\udce9" + "x" * 10_000)
    with keeping_spans() as spans:
        lived(odd)
        (whole,) = spans.named("submission published")
        task = str(said(whole, "task"))
        assert task.isprintable()
        assert len(task.encode()) < 2_000
