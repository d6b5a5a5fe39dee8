"""Denials in the audit log: the first at once, and a flood of them as a number."""

import asyncio
import threading
from dataclasses import replace

from adapters.errors import UnavailableError
from cluster.api.access.denials import MOST_KINDS, DenialCounts, Denials
from workers.access.audit import AuditEntry, Outcome

DENIED = AuditEntry(
    at=1.0, who="token:ci", road="http", verb="purge", adapter="birds", outcome=Outcome.DENIED
)


def test_the_first_of_a_kind_is_written_at_once_and_others_are_counted() -> None:
    counts = DenialCounts()
    assert counts.note(DENIED) == DENIED
    assert [counts.note(replace(DENIED, at=float(at))) for at in (2, 3, 4)] == [None] * 3
    assert counts.take() == [replace(DENIED, at=2.0, times=3)]
    assert counts.take() == []
    assert counts.note(DENIED) == DENIED


def test_kinds_are_told_apart_by_who_what_and_where() -> None:
    counts = DenialCounts()
    for other in (
        DENIED,
        replace(DENIED, who="token:nightly"),
        replace(DENIED, verb="drop"),
        replace(DENIED, adapter="cats"),
        replace(DENIED, target="digits"),
    ):
        assert counts.note(other) == other


def test_whoever_makes_up_adapters_makes_up_no_entries() -> None:
    counts = DenialCounts()
    kept = [counts.note(replace(DENIED, adapter=f"made-up-{n}")) for n in range(10 * MOST_KINDS)]
    written = [entry for entry in kept if entry is not None]
    assert len(written) == MOST_KINDS + 1
    assert written[-1].adapter == "*"
    (rest,) = counts.take()
    assert (rest.adapter, rest.times) == ("*", 9 * MOST_KINDS - 1)


def test_what_can_be_no_adapter_is_kept_without() -> None:
    kept = DenialCounts().note(replace(DENIED, adapter="../../elsewhere"))
    assert kept is not None
    assert kept.adapter == "*"


def test_denials_are_written_beside_the_requests_and_counted_ones_when_the_time_is_over() -> None:
    async def deny() -> list[AuditEntry]:
        written, last = [], threading.Event()

        def write(entry: AuditEntry) -> None:
            written.append(entry)
            if entry.times > 1:
                last.set()

        denials = Denials(write, together_s=0.01)
        for _ in range(5):
            denials.note(DENIED)
        assert await asyncio.to_thread(last.wait, 60)
        return written

    assert [entry.times for entry in asyncio.run(deny())] == [1, 4]


def test_a_store_that_is_away_stops_no_denial() -> None:
    async def deny() -> None:
        tried = threading.Event()

        def write(_: AuditEntry) -> None:
            tried.set()
            raise UnavailableError("away")

        denials = Denials(write)
        denials.note(DENIED)
        assert await asyncio.to_thread(tried.wait, 60)
        denials.note(replace(DENIED, verb="drop"))

    asyncio.run(deny())
