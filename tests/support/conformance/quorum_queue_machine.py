"""The queue's machine with its tickets, its lead and its inbox on a store as stores are.

Whoever asks does so through the inbox; whoever coordinates writes every change into the ledger, and
one that is started again knows the queue by its pages alone. Coordinators that were deposed come
back and write nothing, and somebody who looks at pages sees none of them go back.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from adapters.errors import ConflictError, UnavailableError, UnknownOutcomeError
from tests.support.conformance.queue_machine import LIMITS, QueueMachine
from tests.support.drivers.machines import COMMANDS, Met
from tests.support.drivers.simulation import InlineThreads
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_odds import STORMY
from tests.support.fakes.quorum_store import QuorumStore
from workers.queue import inbox
from workers.queue.events import Accepted, Cancel, Event, Pause, Resume, Retry
from workers.queue.leadership import Leadership, renew_leadership, take_leadership
from workers.queue.ledger import PAGES, Ledger, read_page
from workers.queue.machine import Limits
from workers.queue.ticket import Stage, Ticket

MET = Met()
ASKED = (Accepted, Cancel, Retry, Pause, Resume)
ATTEMPTS = 100
LASTS_S = 1e9
Answer = TypeVar("Answer")


def in_the_end(command: Callable[[], Answer]) -> Answer:
    """Return what `command` returns, given again as often as the store cannot be reached."""
    for _ in range(ATTEMPTS):
        with suppress(UnavailableError, UnknownOutcomeError):
            return command()
    raise AssertionError(f"not done in {ATTEMPTS} attempts")


class Coordinator:
    """One process that leads."""

    def __init__(self, quorum: Quorum, *, now: float) -> None:
        self.store = QuorumStore(quorum)
        self.lead: Leadership = in_the_end(
            lambda: take_leadership(self.store, owner="anna", host="a", ttl_s=LASTS_S, now=now)
        )
        self.ledger = in_the_end(lambda: Ledger(self.store, self.lead, threads=InlineThreads()))
        self.saved = {ticket.submission_id: ticket for ticket in self.ledger.tickets}

    def save(self, tickets: list[Ticket], *, now: float) -> None:
        """Write down which of `tickets` have changed."""
        changed = [t for t in tickets if self.saved.get(t.submission_id) != t]
        if changed:
            in_the_end(lambda: self.ledger.save(changed, now=now))
            self.saved.update({ticket.submission_id: ticket for ticket in changed})

    def pause(self, paused: frozenset[str], *, now: float) -> None:
        """Write down what is paused."""
        wanted = replace(self.lead, paused=tuple(sorted(paused)))
        self.lead = in_the_end(lambda: renew_leadership(self.store, wanted, ttl_s=LASTS_S, now=now))


class QuorumQueueMachine(QueueMachine):
    """The same model; nothing of the queue is anywhere but in the store."""

    @initialize(limits=LIMITS, seed=st.integers(0, 2**32 - 1))
    def start(self, limits: Limits, seed: int) -> None:
        super().start(limits)
        self.quorum = Quorum(seed=seed, odds=STORMY, clock=lambda: self.now)
        self.asking, self.looking = QuorumStore(self.quorum), QuorumStore(self.quorum)
        self.is_recovering = False
        self.seen_beats = [0] * PAGES
        self.deposed: list[Coordinator] = []
        self.coordinator = Coordinator(self.quorum, now=self.now)

    @rule()
    def start_the_coordinator_again(self) -> None:
        self.deposed.append(self.coordinator)
        self.coordinator = Coordinator(self.quorum, now=self.now)
        kept = {name: t for name, t in self.coordinator.saved.items() if name not in self.forgotten}
        assert kept == self.queue.tickets
        assert set(self.coordinator.lead.paused) == self.paused
        self.is_recovering = True
        super().start_the_coordinator_again()
        self.is_recovering = False

    @precondition(lambda self: self.deposed and self._known())
    @rule(data=st.data())
    def let_a_deposed_coordinator_write(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.deposed))
        name = data.draw(st.sampled_from(self._known()))
        ticket = replace(self.queue.tickets[name], stage=Stage.ENCODING, attempts=99)
        with pytest.raises((ConflictError, UnavailableError, UnknownOutcomeError)):
            old.ledger.save([ticket], now=self.now)

    @rule(bucket=st.integers(0, PAGES - 1))
    def look_at_a_page(self, bucket: int) -> None:
        with suppress(UnavailableError):
            beat = read_page(self.looking, bucket).beat
            assert beat >= self.seen_beats[bucket], "a page was seen to go back"
            self.seen_beats[bucket] = beat

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "coordinator"):
            self.quorum.met["coordinators"] += 1 + len(self.deposed)
            MET.add(self.quorum.met)

    def _tell(self, event: Event) -> None:
        self.quorum.met[COMMANDS] += 1
        key = self._asked(event) if isinstance(event, ASKED) and not self.is_recovering else None
        super()._tell(event)
        self.coordinator.save(self._tickets(), now=self.now)
        if isinstance(event, Pause | Resume):
            self.coordinator.pause(self.queue.paused, now=self.now)
        if key is not None:
            in_the_end(lambda: self.coordinator.store.delete(key))

    def _asked(self, event: Event) -> str:
        """Ask for `event` as a person does, and find it as a coordinator does."""
        key = in_the_end(lambda: inbox.ask(self.asking, event, who="ben"))

        def found() -> bool:
            store = self.coordinator.store
            requests = inbox.read(store, inbox.waiting(store), threads=InlineThreads())
            return any(isinstance(r, inbox.QueueRequest) and r.key == key for r in requests)

        assert any(in_the_end(found) for _ in range(ATTEMPTS)), "a request was lost"
        return key
