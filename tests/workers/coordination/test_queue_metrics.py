"""What a coordinator counts of its queue."""

from dataclasses import replace

from tests.support.drivers.running import Clock, Running, play
from tests.support.fakes.crews import PACE, ScriptedCrew
from tests.support.scenes.submissions import announced, submission
from workers.coordination.coordinator import STARTING
from workers.coordination.queue_metrics import EVERY_S, QueueMetrics
from workers.coordination.settings import Setup
from workers.encoding.encoder import Encoder
from workers.metrics import Tally
from workers.queue.events import Accepted, Broke, Moved, Pause
from workers.queue.machine import Queue
from workers.queue.ticket import ENDED, Cause, Stage, Ticket
from workers.store import MemoryStore, ObjectStore

TICKET = Ticket(submission_id="a-1", task="a", adapter="main", accepted_at=100.0, since=100.0)


def values(tally: Tally, name: str) -> dict[tuple[str, ...], float]:
    return {each.labels: each.value for each in tally.points() if each.name == name}


def queue_of(*tickets: Ticket) -> Queue:
    queue = Queue()
    for ticket in tickets:
        queue.apply(Accepted(ticket=ticket), now=ticket.accepted_at)
    return queue


def test_submissions_are_measured_by_stage_and_adapter_and_the_oldest_is_known() -> None:
    tally = Tally()
    metrics = QueueMetrics(tally)
    queue = queue_of(TICKET, replace(TICKET, submission_id="b-1", accepted_at=150.0))
    queue.apply(Moved(submission_id="b-1", stage=Stage.ENCODING), now=160.0)
    metrics.measure(queue, now=200.0)
    found = values(tally, "nacre_submissions")
    assert {labels: value for labels, value in found.items() if value} == {
        ("accepted", "main"): 1.0,
        ("encoding", "main"): 1.0,
    }
    assert found["waiting", "main"] == 0.0
    assert values(tally, "nacre_oldest_submission_age_seconds") == {(): 100.0}
    assert values(tally, "nacre_submissions_under_way") == {(): 1.0}
    metrics.end()
    assert values(tally, "nacre_submissions") == {}


def test_who_waits_because_a_person_has_paused_its_adapter_is_not_old() -> None:
    tally = Tally()
    queue = queue_of(TICKET)
    queue.apply(Pause(adapter="main"), now=101.0)
    QueueMetrics(tally).measure(queue, now=200.0)
    assert values(tally, "nacre_oldest_submission_age_seconds") == {(): 0.0}


def test_ten_thousand_tickets_are_not_looked_at_all_the_time() -> None:
    tally = Tally()
    metrics = QueueMetrics(tally)
    metrics.measure(queue_of(TICKET), now=200.0)
    metrics.measure(queue_of(), now=200.0 + EVERY_S / 2)
    assert values(tally, "nacre_submissions")["accepted", "main"] == 1.0
    metrics.measure(queue_of(), now=200.0 + EVERY_S)
    assert not any(values(tally, "nacre_submissions").values())


def test_attempts_stages_outcomes_and_verdicts_are_counted() -> None:
    tally = Tally()
    metrics = QueueMetrics(tally)
    queue = queue_of(TICKET)

    def told(event: Moved | Broke, now: float) -> None:
        before = queue.tickets["a-1"]
        queue.apply(event, now=now)
        metrics.changed(before, queue.tickets["a-1"], now=now)

    told(Moved(submission_id="a-1", stage=Stage.ENCODING), 110.0)
    told(Broke(submission_id="a-1", cause=Cause.LOSS, error="gone"), 120.0)
    told(Moved(submission_id="a-1", stage=Stage.TRAINING), 140.0)
    told(Moved(submission_id="a-1", stage=Stage.REJECTED, version=2), 150.0)
    attempts = values(tally, "nacre_attempts_total")
    assert {labels: value for labels, value in attempts.items() if value} == {
        ("encoding", "loss"): 1.0
    }
    assert attempts["training", "fault"] == 0.0  # so that the first one is seen
    ended = values(tally, "nacre_submissions_ended_total")
    assert ended == {("rejected",): 1, ("published",): 0, ("failed",): 0, ("cancelled",): 0}
    assert values(tally, "nacre_gate_total") == {("main", "refused"): 1.0}
    took = values(tally, "nacre_stage_duration_seconds_sum")
    assert took["encoding",] == 10.0


def test_who_leads_says_so_with_its_epoch_and_who_stands_by_is_in_no_trouble(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store, clock, anna, ben = MemoryStore(), Clock(), Tally(), Tally()
        birds = submission("birds")
        announced(store, birds)

        def running(owner: str, meter: Tally) -> Running:
            def setup(seen: ObjectStore) -> Setup:
                crew = ScriptedCrew(seen, encoder)
                return Setup(store=seen, crew=crew, clock=clock, intervals=PACE, meter=meter)

            return Running(store, setup, owner=owner)

        async with running("anna", anna) as first:
            await first.until_stage(birds, *ENDED)
            async with running("ben", ben) as other:
                await other.until(lambda: other.coordinator.waits_for not in (None, STARTING))
                leads = [values(each, "nacre_coordinator_lead") for each in (anna, ben)]
                epochs = [values(each, "nacre_coordinator_epoch") for each in (anna, ben)]
                assert leads == [{(): 1.0}, {(): 0.0}]
                assert epochs == [{(): 1.0}, {(): 0.0}]
                assert values(ben, "nacre_coordinator_trouble_seconds") == {(): 0.0}
        assert values(anna, "nacre_submissions_ended_total")["published",] == 1
        assert values(anna, "nacre_gate_total") == {("main", "passed"): 1, ("main", "refused"): 0}
        assert values(anna, "nacre_coordinator_lead") == {(): 0.0}
        assert values(anna, "nacre_submissions") == {}

    play(scene)
