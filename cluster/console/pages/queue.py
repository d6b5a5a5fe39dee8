"""Queue: every open submission and those that ended lately, and what can be done with them."""

import time
from collections.abc import Callable

from adapters.errors import InputError, NacreError
from cluster.console.shown.charts import Column, columns
from cluster.console.shown.figures import HOUR_S, OUTCOMES, STEPS, count
from cluster.console.shown.look import Act, Button, Done, Look, Page
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.progress import State
from workers.queue.ticket import Stage

ON_A_PAGE = 100
HOURS = 24


def queue(look: Look) -> Page:
    """Show the queue, filtered as the address says."""
    found = _wanted(look)
    first = look.number("from")
    stages = look.stages
    return Page(
        template="queue.html.j2",
        title="Queue",
        content={
            "queue": look.known.queue,
            "states": found[first : first + ON_A_PAGE],
            "first": first,
            "found": len(found),
            "step": ON_A_PAGE,
            "stages": [(name, stages[Stage(name)]) for name in (*STEPS, *OUTCOMES)],
            "all": stages.total(),
            "names": sorted(name for name in _names(look) if look.requester.sees(name)),
            "paused": look.known.queue.leader.paused if look.known.queue.leader else (),
            "throughput": _throughput(look.states({Stage.PUBLISHED})),
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


def _names(look: Look) -> set[str]:
    return {adapter for adapter, _ in look.known.queue.counts}


def _wanted(look: Look) -> list[State]:
    """Return the submissions that the address asks for."""
    stage, adapter, text = look.asked("stage"), look.asked("adapter"), look.asked("q").lower()
    stages: frozenset[Stage] = frozenset(Stage)
    if stage:
        stages = frozenset(each for each in Stage if each.value == stage)
    found = look.states(stages)
    if adapter:
        found = [state for state in found if state.ticket.adapter == adapter]
    if text:
        found = [state for state in found if _has(state, text)]
    return found


def _has(state: State, text: str) -> bool:
    ticket = state.ticket
    return any(
        text in named.lower() for named in (ticket.task, ticket.submission_id, ticket.author)
    )


def _throughput(states: list[State]) -> list[Column]:
    """Return how many were published in each of the last hours."""
    now = time.time()
    hours = [0] * HOURS
    for state in states:
        ago = int((now - state.ticket.since) // HOUR_S)
        if 0 <= ago < HOURS:
            hours[HOURS - 1 - ago] += 1
    named = [
        (f"{number} published, {HOURS - index} to {HOURS - 1 - index} hours ago", number)
        for index, number in enumerate(hours)
    ]
    return columns(named)
