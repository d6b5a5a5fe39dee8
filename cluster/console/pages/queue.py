"""Queue: every open submission and those that ended lately, and what can be done with them."""

import time
from collections import Counter
from collections.abc import Callable

from adapters.errors import InputError, NacreError
from cluster.console.shown.charts import Column, columns
from cluster.console.shown.figures import HOUR_S, OUTCOMES, STEPS, count
from cluster.console.shown.look import Act, Button, Done, Look, Page
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import State
from workers.queue.ticket import ENDED, Stage

ON_A_PAGE = 100
HOURS = 24
OPEN = "open"


def queue(look: Look) -> Page:
    """Show the queue, filtered as the address says."""
    states = [s for s in look.known.queue.states if look.requester.sees(s.ticket.adapter)]
    found = [state for state in states if _is_wanted(state, look)]
    found.sort(key=_order)
    first = look.number("from")
    stages = Counter(state.ticket.stage.value for state in states)
    return Page(
        template="queue.html.j2",
        title="Queue",
        content={
            "queue": look.known.queue,
            "states": found[first : first + ON_A_PAGE],
            "first": first,
            "found": len(found),
            "step": ON_A_PAGE,
            "stages": [(name, stages.get(name, 0)) for name in (*STEPS, *OUTCOMES)],
            "all": len(states),
            "names": sorted({state.ticket.adapter for state in states}),
            "paused": look.known.queue.leader.paused if look.known.queue.leader else (),
            "throughput": _throughput(states),
            "may_change": look.may_somewhere("cancel"),
            "may_pause": look.may_somewhere("pause"),
        },
    )


def change(act: Act) -> Done:
    """Cancel or try again what was marked, or pause or resume an adapter."""
    asked = act.field("do")
    if asked in _WITH_QUEUE:
        return _pause_or_resume(act, asked)
    marked = act.fields("id")
    if asked not in _WITH_MARKED or not marked:
        raise InputError(
            "expected submissions that are marked and what to do with them, found "
            + ("none that is marked" if not marked else f"{asked[:40]!r}")
        )
    client, by = act.look.sources.client, act.look.requester
    verb: Callable[..., State] = client.cancel if asked == "cancel" else client.retry
    wrong = []
    for name in marked:
        try:
            verb(name, by=by)
        except NacreError as error:
            wrong.append(f"{name}: {error.message}")
    if wrong:
        done = len(marked) - len(wrong)
        raise InputError(f"{done} of {len(marked)} done; " + "; ".join(wrong[:3]))
    past, inverse = _WITH_MARKED[asked]
    undo = None
    if inverse:
        fields = {"do": inverse, "id": marked[0]}
        undo = Button(label="Undo", path=act.look.path, fields=fields) if not marked[1:] else None
    return Done(said=f"{past} {count(len(marked), 'submission')}.", onto=act.look.link(), undo=undo)


_WITH_MARKED = {"cancel": ("Asked to cancel", "retry"), "retry": ("Asked to try again", "cancel")}
_WITH_QUEUE = {"pause": "resume", "resume": "pause"}


def _pause_or_resume(act: Act, asked: str) -> Done:
    adapter = act.field("of") or EVERY_ADAPTER
    client, by = act.look.sources.client, act.look.requester
    done = (client.pause if asked == "pause" else client.resume)(adapter, by=by)
    of = "all adapters" if adapter == EVERY_ADAPTER else adapter
    said = f"{'Paused' if asked == 'pause' else 'Resumed'} {of}."
    if not done:
        said = f"Asked to {asked} {of}: the next system that runs does so."
    undo = Button(
        label="Undo", path=act.look.path, fields={"do": _WITH_QUEUE[asked], "of": adapter}
    )
    return Done(said=said, onto=act.look.link(), undo=undo)


def _is_wanted(state: State, look: Look) -> bool:
    ticket, stage = state.ticket, look.asked("stage")
    if stage == OPEN and ticket.stage in ENDED:
        return False
    if stage and stage not in (OPEN, ticket.stage.value):
        return False
    if look.asked("adapter") not in ("", ticket.adapter):
        return False
    text = look.asked("q").lower()
    return not text or any(
        text in value.lower() for value in (ticket.task, ticket.submission_id, ticket.author)
    )


def _order(state: State) -> tuple[bool, float]:
    """Sort open submissions first, in their order, and then what ended last."""
    ticket = state.ticket
    ended = ticket.stage in ENDED
    return ended, -ticket.since if ended else ticket.accepted_at


def _throughput(states: list[State]) -> list[Column]:
    """Return how many were published in each of the last hours."""
    now = time.time()
    hours = [0] * HOURS
    for state in states:
        ago = int((now - state.ticket.since) // HOUR_S)
        if state.ticket.stage is Stage.PUBLISHED and 0 <= ago < HOURS:
            hours[HOURS - 1 - ago] += 1
    named = [
        (f"{number} published, {HOURS - index} to {HOURS - 1 - index} hours ago", number)
        for index, number in enumerate(hours)
    ]
    return columns(named)
