"""Serving: the replicas that have answered lately, and what keeps them from it."""

from cluster.api.lasting.inspecting import InspectionHandlers
from cluster.api.places import NOWHERE
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import CONSOLE, Requester
from cluster.console.known.journals import Journals
from cluster.console.known.pictures import Pictures
from cluster.console.known.replicas import HEARD_WITHIN_S, Replicas
from cluster.console.known.snapshot import Snapshot, read_snapshot
from cluster.console.pages.serving import serving
from cluster.console.shown.look import Look, Sources
from cluster.console.shown.rendering import Frame, render
from cluster.wire.health import AdapterState, Status, Trouble
from tests.support.scenes.console import learnt

STATE = AdapterState(version="main@1", refused=None, reason=None, seen_s=0.1, stale=False)
STATUS = Status(
    encoder="tiny", adapters={"main": STATE}, loaded=["main@1"], replica="node-1:7", runs_s=60.0
)


def answered(**changed: object) -> Status:
    return STATUS.model_copy(update=changed)


def page_of(client: Client, snapshot: Snapshot) -> str:
    """Return the page as whoever has the machine sees it."""
    sources = Sources(
        client=client,
        journals=Journals(client),
        pictures=Pictures(client),
        tasks=TaskHandlers(client, NOWHERE),
        inspections=InspectionHandlers(client, NOWHERE),
        places=NOWHERE,
    )
    anna = Requester(name="anna", road=CONSOLE)
    look = Look(requester=anna, known=snapshot, sources=sources, path="/console/serving")
    return render(serving(look), look, Frame(csrf="")).html


def test_replicas_that_answer_by_turns_are_all_known_until_one_is_not_heard_of_any_more() -> None:
    found = Replicas().heard(STATUS, now=100.0).heard(answered(replica="node-2:9"), now=101.0)
    assert list(found.known) == ["node-1:7", "node-2:9"]
    assert found.latest == "node-2:9"
    later = found.heard(answered(replica="node-2:9"), now=100.0 + HEARD_WITHIN_S)
    assert list(later.known) == ["node-2:9"]
    assert later.heard(None, now=200.0) == Replicas()


def test_that_time_goes_by_is_no_news() -> None:
    first = Replicas().heard(STATUS, now=100.0)
    assert first.heard(answered(runs_s=61.2), now=101.0) == first
    assert first.heard(answered(under_way=3), now=101.0) != first


def test_the_page_names_replicas_and_why_one_refuses_a_version() -> None:
    console = learnt("cars", "dogs")
    refusing = STATE.model_copy(
        update={
            "refused": "main@2",
            "reason": "its record is damaged",
            "trouble": Trouble(reason="the store is away", for_s=3.0, tries=2),
        }
    )
    status = answered(
        adapters={"main": refusing},
        under_way=12,
        in_metrics="x2k9q1ab",
        coordinator=Trouble(reason="no coordinator runs on this Ray", for_s=None, tries=1),
    )
    client = Client(console.config, store=console.store)
    snapshot = read_snapshot(client, Snapshot(), standing=lambda: status)
    assert snapshot.answering == snapshot.replicas.known["node-1:7"].adapters
    html = page_of(client, snapshot)
    for said in (
        "node-1:7",
        "<code>x2k9q1ab</code>",
        "main@1",
        "behind",
        "main@2",
        "its record is damaged",
        "12",
    ):
        assert said in html
    assert "no coordinator runs on this Ray" in html
    assert "it cannot follow main: the store is away" in html
