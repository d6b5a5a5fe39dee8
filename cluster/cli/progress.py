"""Commands that follow submissions: watch, logs; and the bars of whoever waits for one."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import click

from cluster.cli.clients import client_of
from cluster.cli.terminal.completion import OPEN, SUBMISSIONS
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import (
    bars,
    note,
    output_option,
    print_json,
    print_json_line,
    say,
)
from cluster.cli.terminal.queue_table import why_ended
from cluster.client.documents import DocumentClient
from cluster.wire.tasks import TaskState, WorkerLog
from workers.queue.ticket import ENDED, Stage

if TYPE_CHECKING:
    from cluster.client.remote_client import RemoteClient
    from cluster.client.road import AnyClient

POLL_S = 0.5
CLOCKS_S = 60.0
MOST_FOLLOWED = 8
"""Submissions that a remote system is to say of when they change; of more it is asked."""

Seen = Callable[[TaskState], None]


@click.command(short_help="Follow submissions until they have ended.")
@click.argument("names", nargs=-1, shell_complete=OPEN)
@output_option
@click.pass_obj
def watch(path: Path | None, names: tuple[str, ...], output: str) -> None:
    """Follow submissions until they have ended.

    NAMES are ids of submissions or names of tasks; without any all are followed.

    With --output json every change is a line, a JSON document of its own.

    \b
    Examples:
      nacre watch
      nacre watch fashion digits
      nacre watch --output json
    """
    client = client_of(path)
    if names:
        chosen = [client.find(name) for name in names]
    else:
        chosen = [each for each in client.queue().submissions if each.stage not in ENDED]
    if output == "json":
        watched(client, chosen, seen=print_json_line)
        return
    if not chosen:
        say("nothing is open")
    for state in watched(client, chosen):
        why = "" if state.stage == Stage.PUBLISHED else why_ended(state)
        say(f"{state.submission_id}: {_ended(state)}{f': {why}' if why else ''}")


@click.command(short_help="Show what has happened to a submission.")
@click.argument("name", shell_complete=SUBMISSIONS)
@click.option("--follow", is_flag=True, help="Go on until the submission has ended.")
@click.option("--worker", is_flag=True, help="Show what workers wrote for it, with tracebacks.")
@output_option
@click.pass_obj
def logs(path: Path | None, name: str, output: str, *, follow: bool, worker: bool) -> None:
    """Show what has happened to a submission.

    NAME is its id, or the name of its task.

    With --worker it is what encoders, trainers and the others wrote while they worked on it: of
    each process and attempt the first and the last lines, without secrets.

    \b
    Examples:
      nacre logs fashion
      nacre logs fashion-0123456789ab --follow
      nacre logs fashion --worker
    """
    client = client_of(path)
    state = client.find(name)
    if worker:
        _show_worker_logs(client, state, output, follow=follow)
        return
    seen = 0.0
    entries = []
    with interruptible(goes_on([state.task])):
        if output == "text":
            say(f"{clock(state.accepted_at)}  {state.submission_id} accepted")
        while True:
            ended = client.state(state.submission_id).stage in ENDED
            for entry in client.journal(state.submission_id, after=seen):
                seen = entry.at
                entries.append(entry)
                if output == "text":
                    took = "" if entry.took_s is None else f"  ({entry.took_s:.1f} s)"
                    say(f"{clock(entry.at)}  {entry.stage:<11} {entry.message}{took}")
            if ended or not follow:
                break
            time.sleep(POLL_S)
    if output == "json":
        print_json(entries)


VERBS = (watch, logs)


def _show_worker_logs(client: "AnyClient", state: TaskState, output: str, *, follow: bool) -> None:
    name, found, shown = state.submission_id, dict[str, WorkerLog](), Shown()
    seen = 0.0
    with interruptible(goes_on([state.task])):
        while True:
            ended = client.state(name).stage in ENDED
            # Machines' clocks differ, and what is stored lately may bear an earlier time.
            for log in client.worker_logs(name, after=max(0.0, seen - CLOCKS_S)):
                seen = max(seen, log.at)
                found[f"{log.begun_at} {log.host} {log.pid} {log.role}"] = log
                if output == "text":
                    shown.show(log)
            if ended or not follow:
                break
            time.sleep(POLL_S)
    if output == "json":
        print_json(list(found.values()))
    elif not found:
        say("no worker has written anything for it")


class Shown:
    """Prints logs of workers as they grow, each line once."""

    # Owns: the last line that was printed of each log, and whose it was.

    def __init__(self) -> None:
        self._last: dict[tuple[object, ...], str] = {}
        self._latest: tuple[object, ...] = ()

    def show(self, log: WorkerLog) -> None:
        """Print what is new of a log."""
        key = (log.host, log.pid, log.role, log.begun_at)
        lines = log.text.splitlines()
        last = self._last.get(key)
        new = lines[len(lines) - lines[::-1].index(last) :] if last in lines else lines
        if log.removed and last is None:
            say(f"… {log.removed} older logs are not kept …")
        if new or (log.outcome and last is None):
            if self._latest != key:
                attempt = f"attempt {log.attempt}" + (f" of round {log.round}" * (log.round > 1))
                how = log.outcome or f"not ended at {clock(log.at)}"
                say(
                    f"== {log.role} on {log.host}, process {log.pid}: {log.stage}, {attempt}, {how}"
                )
            for line in new:
                say(line)
            self._latest = key
        self._last[key] = lines[-1] if lines else ""


def watched(
    client: "AnyClient", chosen: Sequence[TaskState], *, seen: Seen | None = None
) -> list[TaskState]:
    """Show a bar for each submission until all have ended, and return their last states.

    In logs, every stage that one comes to is a line. `seen` is told of every change.
    """
    names = list(dict.fromkeys(state.submission_id for state in chosen))
    ended: dict[str, TaskState] = {}
    known: dict[str, dict[str, object]] = {}
    with interruptible(goes_on(state.task for state in chosen)), bars() as progress:
        tasks = {name: progress.add_task(name, total=None) for name in names}
        stages: dict[str, str] = {}
        for state in _followed(client, names):
            name, task, stage = state.submission_id, state.task, state.stage
            said = f"{task}: {stage}"
            progress.update(
                tasks[name],
                description=f"{stage} {task}",  # of what does not fit, the end is cut
                completed=state.done,
                total=state.total or None,
            )
            if progress.disable and stages.get(name) != said:
                note(said)
            stages[name] = said
            if seen is not None and known.get(name) != _lasting(state):
                seen(state)
            known[name] = _lasting(state)
            if stage in ENDED:
                ended[name] = state
    return [ended[name] for name in names]


def _followed(client: "AnyClient", names: Sequence[str]) -> Iterator[TaskState]:
    """Yield where submissions are, again and again until all have ended."""
    if isinstance(client, DocumentClient) or len(names) > MOST_FOLLOWED:
        return _polled(client, names)
    return _told(client, names)


def _told(client: "RemoteClient", names: Sequence[str]) -> Iterator[TaskState]:
    told: Queue[TaskState | Exception] = Queue()
    for name in names:
        # A daemon: what it waits for may take hours, and nothing is lost with it.
        Thread(target=_tell, args=(client, name, told), daemon=True).start()
    left = len(names)
    while left:
        found = told.get()
        if isinstance(found, Exception):
            raise found
        yield found
        left -= found.stage in ENDED


def _tell(client: "RemoteClient", name: str, told: "Queue[TaskState | Exception]") -> None:
    try:
        for state in client.watch(name, timeout_s=inf, poll_s=POLL_S):
            told.put(state)
    except Exception as error:  # noqa: BLE001 - whoever waits raises it
        told.put(error)


def _polled(client: "AnyClient", names: Sequence[str]) -> Iterator[TaskState]:
    left = list(names)
    while left:
        for name in tuple(left):
            state = client.state(name)
            yield state
            if state.stage in ENDED:
                left.remove(name)
        if left:
            time.sleep(POLL_S)


def clock(at: float) -> str:
    """Return a time as this machine's clock says it."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")[:19]


def _ended(state: TaskState) -> str:
    """Return how a submission has ended; a version that the gate refused is nobody's answer."""
    if not state.version:
        return state.stage
    word = "published" if state.stage == Stage.PUBLISHED else f"{state.stage}, kept"
    return f"{word} as {state.adapter}@{state.version}"


def goes_on(tasks: Iterable[str]) -> str:
    """Return what whoever no longer waits for tasks should know."""
    names = list(dict.fromkeys(tasks))
    told, goes = " ".join(names), "task goes" if len(names) == 1 else "tasks go"
    return f"the {goes} on; `nacre status {told}`, `nacre cancel {told}`"


def _lasting(state: TaskState) -> dict[str, object]:
    """Return what does not change by itself as time goes by."""
    return state.model_dump(exclude={"rate", "left_s"})
