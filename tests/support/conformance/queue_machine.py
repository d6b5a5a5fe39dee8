"""The queue and a plain model that must agree, whatever happens and in whatever order.

The model looks through all tickets for every decision. Workers begin what is decided, and finish,
break, die or are stopped whenever they like; now and then the coordinator is started again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.scenes.queue import ticket
from workers.queue.events import (
    Accepted,
    Broke,
    Cancel,
    Decision,
    Encode,
    Event,
    Learn,
    Moved,
    Pause,
    Resume,
    Retry,
    Stop,
)
from workers.queue.machine import EVERY_ADAPTER, Limits, Queue
from workers.queue.retry_policy import RetryPolicy, resumed_stage
from workers.queue.ticket import ACTIVE, ENDED, LEARNING, Cause, Stage, Ticket

ADAPTERS = ("x", "y", "z")
NEXT = {
    Stage.ENCODING: (Stage.WAITING,),
    Stage.TRAINING: (Stage.COMPRESSING,),
    Stage.COMPRESSING: (Stage.CHECKING,),
    Stage.CHECKING: (Stage.PUBLISHED, Stage.REJECTED),
}
LIMITS = st.builds(
    Limits,
    encoding=st.integers(1, 4),
    encoding_per_adapter=st.integers(1, 3),
    learning=st.integers(1, 3),
    retry_policy=st.just(
        RetryPolicy(attempts=3, first_s=5, growth=2, longest_s=60, losses=3, lost_s=1)
    ),
)
MOST_STEPS_PER_TICKET = 20


class QueueMachine(RuleBasedStateMachine):
    """What is known besides the queue: who works on what, and what was published."""

    @initialize(limits=LIMITS)
    def start(self, limits: Limits) -> None:
        self.limits = limits
        self.queue = Queue(limits)
        self.now = 100.0
        self.numbers = count()
        self.accepted: set[str] = set()
        self.forgotten: set[str] = set()
        self.published: Counter[str] = Counter()
        self.working: set[str] = set()
        self.paused: set[str] = set()
        self.turns: dict[str, int] = {}
        self.seen: list[str] = []

    @rule(
        adapter=st.sampled_from(ADAPTERS),
        priority=st.integers(-1, 1),
        later_s=st.sampled_from([0.0, 0.5]),
    )
    def accept(self, adapter: str, priority: int, later_s: float) -> None:
        self.now += later_s
        entry = ticket(
            f"t{next(self.numbers)}", adapter=adapter, accepted_at=self.now, priority=priority
        )
        self._tell(Accepted(ticket=entry))
        self.accepted.add(entry.submission_id)
        self._see(entry)

    @rule()
    def begin_what_is_due(self) -> None:
        for decision in self.queue.decide(now=self.now):
            self._begin(decision)

    @rule()
    def begin_the_most_urgent(self) -> None:
        for decision in self.queue.decide(now=self.now)[:1]:
            self._begin(decision)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish_a_stage(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.working)))
        stage = self.queue.tickets[name].stage
        self._finish(name, data.draw(st.sampled_from(NEXT[stage])))

    @precondition(lambda self: self.working)
    @rule(data=st.data(), progressed=st.booleans())
    def break_a_stage(self, data: st.DataObject, progressed: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.working)))
        cause = data.draw(st.sampled_from(Cause))
        self.working.discard(name)
        self._tell(Broke(submission_id=name, cause=cause, error="why", progressed=progressed))

    @precondition(lambda self: self._known())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self._tell(Cancel(submission_id=data.draw(st.sampled_from(self._known()))))

    @precondition(lambda self: self._known())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self._tell(Retry(submission_id=data.draw(st.sampled_from(self._known()))))

    @rule(adapter=st.sampled_from([*ADAPTERS, EVERY_ADAPTER]))
    def pause(self, adapter: str) -> None:
        self._tell(Pause(adapter=adapter))
        self.paused.add(adapter)

    @rule(adapter=st.sampled_from([*ADAPTERS, EVERY_ADAPTER]))
    def resume(self, adapter: str) -> None:
        self._tell(Resume(adapter=adapter))
        self.paused -= self.paused if adapter == EVERY_ADAPTER else {adapter}

    @rule(seconds=st.sampled_from([0.5, 5.0, 100.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: any(entry.stage in ENDED for entry in self._tickets()))
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        ended = [entry.submission_id for entry in self._tickets() if entry.stage in ENDED]
        name = data.draw(st.sampled_from(sorted(ended)))
        self.queue.forget(name)
        self.forgotten.add(name)

    @rule()
    def start_the_coordinator_again(self) -> None:
        """All work is lost; tickets and pauses are in the store."""
        tickets, self.working, self.turns, self.seen = self._tickets(), set(), {}, []
        self.queue = Queue(self.limits)
        self.queue.paused = frozenset(self.paused)
        for entry in tickets:
            active = entry.stage in ACTIVE
            found = replace(entry, stage=resumed_stage(entry.stage)) if active else entry
            self._tell(Accepted(ticket=found))
            self._see(found)

    @invariant()
    def nothing_is_lost_and_nothing_published_twice(self) -> None:
        assert set(self.queue.tickets) == self.accepted - self.forgotten
        assert max(self.published.values(), default=0) <= 1
        ended = {entry.submission_id: entry.stage for entry in self._tickets()}
        assert all(ended.get(name, Stage.PUBLISHED) is Stage.PUBLISHED for name in self.published)

    @invariant()
    def limits_hold(self) -> None:
        learning = Counter(entry.adapter for entry in self._tickets() if entry.stage in LEARNING)
        encoding = Counter(
            entry.adapter for entry in self._tickets() if entry.stage is Stage.ENCODING
        )
        assert max(learning.values(), default=0) <= 1
        assert learning.total() <= self.limits.learning
        assert encoding.total() <= self.limits.encoding
        assert max(encoding.values(), default=0) <= self.limits.encoding_per_adapter
        assert {entry.submission_id for entry in self.queue.active} == self.working

    @invariant()
    def the_queue_decides_like_the_model(self) -> None:
        decided = self.queue.decide(now=self.now)
        assert decided == (*self._to_learn(), *self._to_encode())
        assert self.queue.decide(now=self.now) == decided
        waits = [
            entry.not_before
            for entry in self._tickets()
            if entry.stage in (Stage.ACCEPTED, Stage.WAITING) and entry.not_before > self.now
        ]
        assert self.queue.wake_at(now=self.now) == min(waits, default=None)

    @invariant()
    def nobody_is_overtaken(self) -> None:
        for decision in self.queue.decide(now=self.now):
            if isinstance(decision, Learn):
                chosen = self.queue.tickets[decision.submission_id]
                assert not [
                    entry
                    for entry in self._tickets()
                    if entry.adapter == chosen.adapter
                    and entry.stage not in ENDED
                    and entry.order < chosen.order
                ]

    def teardown(self) -> None:
        """Nobody starves: where workers do their work, everything ends."""
        if hasattr(self, "queue"):
            self.resume(EVERY_ADAPTER)
            for _ in range(MOST_STEPS_PER_TICKET * len(self.accepted)):
                self._go_on()
            assert all(entry.stage in ENDED for entry in self._tickets())

    def _go_on(self) -> None:
        self.begin_what_is_due()
        if not self.working:
            self.now = self.queue.wake_at(now=self.now) or self.now
        for name in sorted(self.working):
            self._finish(name, NEXT[self.queue.tickets[name].stage][0])

    def _begin(self, decision: Decision) -> None:
        name = decision.submission_id
        stage = Stage.TRAINING if isinstance(decision, Learn) else Stage.ENCODING
        if stage is Stage.TRAINING:
            self.turns[self.queue.tickets[name].adapter] = next(self.numbers)
        assert name not in self.working
        self.working.add(name)
        self._tell(Moved(submission_id=name, stage=stage))

    def _finish(self, name: str, stage: Stage) -> None:
        if stage not in ACTIVE:
            self.working.discard(name)
        self.published.update([name] if stage is Stage.PUBLISHED else [])
        self._tell(Moved(submission_id=name, stage=stage))

    def _tell(self, event: Event) -> None:
        for decision in self.queue.apply(event, now=self.now):
            assert isinstance(decision, Stop)
            self.working.remove(decision.submission_id)

    def _see(self, entry: Ticket) -> None:
        if entry.adapter not in self.seen:
            self.seen.append(entry.adapter)

    def _tickets(self) -> list[Ticket]:
        return list(self.queue.tickets.values())

    def _known(self) -> list[str]:
        return sorted(self.queue.tickets)

    def _may_begin(self, entry: Ticket) -> bool:
        return not self.paused & {entry.adapter, EVERY_ADAPTER} and entry.not_before <= self.now

    def _to_learn(self) -> Iterator[Learn]:
        lines: defaultdict[str, list[Ticket]] = defaultdict(list)
        for entry in sorted(self._tickets(), key=lambda entry: entry.order):
            if entry.stage not in ENDED:
                lines[entry.adapter].append(entry)
        busy = {entry.adapter for entry in self._tickets() if entry.stage in LEARNING}
        fronts = [lines[adapter][0] for adapter in self.seen if lines[adapter]]
        ready = [
            entry
            for entry in fronts
            if entry.adapter not in busy and entry.stage is Stage.WAITING and self._may_begin(entry)
        ]
        ready.sort(key=lambda entry: (self.turns.get(entry.adapter, -1), -entry.priority))
        for entry in ready[: self.limits.learning - len(busy)]:
            yield Learn(submission_id=entry.submission_id)

    def _to_encode(self) -> Iterator[Encode]:
        encoding = Counter(
            entry.adapter for entry in self._tickets() if entry.stage is Stage.ENCODING
        )
        left = [
            entry
            for entry in self._tickets()
            if entry.stage is Stage.ACCEPTED and self._may_begin(entry)
        ]
        while encoding.total() < self.limits.encoding:
            room = [e for e in left if encoding[e.adapter] < self.limits.encoding_per_adapter]
            if not room:
                return
            fronts: dict[str, Ticket] = {}
            for entry in sorted(room, key=lambda each: each.order):
                fronts.setdefault(entry.adapter, entry)
            chosen = min(fronts.values(), key=lambda e: (encoding[e.adapter], *e.arrival))
            yield Encode(submission_id=chosen.submission_id)
            encoding[chosen.adapter] += 1
            left.remove(chosen)
