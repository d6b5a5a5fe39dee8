"""Overview: what is served, what is being learnt, and what somebody should look at."""

from dataclasses import dataclass

from cluster.console.known.snapshot import KnownAdapter, Snapshot
from cluster.console.shown.figures import OUTCOMES, STEPS
from cluster.console.shown.look import Look, Page
from cluster.wire.versions import HistoryEntry, PublishedVersion
from workers.queue.ticket import Stage

MOST_MOVES_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that somebody should look at.

    Attributes:
        said: What, as a sentence.
        remedy: What to do.
        link: Where on these pages; empty for nowhere.
    """

    said: str
    remedy: str
    link: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One adapter.

    Attributes:
        adapter: The adapter.
        served: The version in production.
        classes: How many it has.
        answers: What the replicas answer with; None where nobody can say.
        moves: The latest moves of its aliases.
    """

    adapter: KnownAdapter
    served: PublishedVersion | None
    classes: int
    answers: str | None
    moves: tuple[HistoryEntry, ...]


def overview(look: Look) -> Page:
    """Show everything at one look."""
    seen = look.adapters
    stages = look.stages
    return Page(
        template="overview.html.j2",
        title="Overview",
        content={
            "alerts": [alert for alert in alerts(look) if alert],
            "cards": [_card(adapter, look.known) for adapter in seen],
            "stages": [(name, stages[Stage(name)]) for name in (*STEPS, *OUTCOMES)],
            "queue": look.known.queue,
            "store": look.sources.client.store.url if look.may("audit", "*") else "",
        },
    )


def alerts(look: Look) -> list[Alert]:
    """Return what somebody should look at, the worst first."""
    known, seen = look.known, look.adapters
    found = []
    if known.away:
        found.append(
            Alert(
                said="The store does not answer: this is what was known before",
                remedy=look.sources.places.said(known.away),
            )
        )
    found += _of_queue(look)
    found += [Alert(said=said, remedy="") for said in known.contradicted if look.may("status", "*")]
    for adapter in seen:
        found += _of_adapter(adapter, known)
    return found


def _of_queue(look: Look) -> list[Alert]:
    queue, found, stages = look.known.queue, [], look.stages
    waiting = sum(stages[Stage(name)] for name in STEPS)
    if not queue.is_coordinated and (waiting or queue.leader):
        ended = f"; the system on {queue.leader.host} did last" if queue.leader else ""
        found.append(
            Alert(
                said=f"Nobody coordinates the queue{ended}"
                + (f": {waiting} submissions wait" if waiting else ""),
                remedy="`nacre up` starts a system; everything is kept until then",
                link="/queue",
            )
        )
    paused = queue.leader.paused if queue.leader else ()
    if paused:
        names = ", ".join("all adapters" if name == "*" else name for name in paused)
        found.append(
            Alert(said=f"Paused: {names}", remedy="resume on the page of the queue", link="/queue")
        )
    if stages[Stage.FAILED]:
        failed = look.states({Stage.FAILED})
        tasks = ", ".join(state.ticket.task for state in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        found.append(
            Alert(
                said=f"Failed within a day: {tasks}{more}",
                remedy="read why, mend it, and try again",
                link="/queue?stage=failed",
            )
        )
    return found


def _of_adapter(adapter: KnownAdapter, known: Snapshot) -> list[Alert]:
    found, versions = [], f"/adapters/{adapter.name}/versions"
    latest = adapter.moves[0] if adapter.moves else None
    if latest and latest.action == "refuse":
        found.append(
            Alert(
                said=f"A replica could not load what {adapter.name} serves: {latest.why}",
                remedy="roll back to a version that is served, or mend it",
                link=versions,
            )
        )
    newest = adapter.versions[0].number if adapter.versions else 0
    if adapter.production is None and newest:
        found.append(
            Alert(
                said=f"Nothing of {adapter.name} is in production",
                remedy=f"promote a version; the newest is {newest}",
                link=versions,
            )
        )
    state = (known.answering or {}).get(adapter.name)
    if state and state.refused:
        found.append(
            Alert(
                said=f"Replicas cannot load {state.refused}: {state.reason}",
                remedy="they go on answering with what they have",
                link=versions,
            )
        )
    return found


def _card(adapter: KnownAdapter, known: Snapshot) -> Card:
    production = adapter.production
    served = None if production is None else adapter.version(production)
    state = (known.answering or {}).get(adapter.name)
    return Card(
        adapter=adapter,
        served=served,
        classes=sum(task.classes for task in served.tasks) if served else 0,
        answers=state.version if state else None,
        moves=adapter.moves[:MOST_MOVES_SHOWN],
    )
