"""Races for keys of one store, from several processes and for as long as one likes."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

from adapters.errors import InputError, MissingError, UnavailableError
from cluster.system.race_process import Answer, Order, RaceProcess
from cluster.system.race_results import Figures
from workers.progress_callbacks import ProgressCallback
from workers.store.base import ObjectStore
from workers.store.scratch import Scratch, new_body

Members = Mapping[str, Sequence[int]]
"""The numbers of the processes that race for each key."""

THREADS = 4
"""Racers in each process."""
ALL_AT_ONCE = 10
"""Every so many heats, all processes race for one key; in the others two racers for each key."""
HEAD_START_S = 0.003
"""How long before its start everybody is told of a race."""
PAUSE_S = 0.2
"""Between heats while the store is away."""


def run_races(
    scratch: Scratch,
    stores: Sequence[ObjectStore],
    *,
    seconds: float,
    processes: int,
    report: ProgressCallback,
) -> Figures:
    """Race for `seconds` from `processes` processes, and return what was found.

    Args:
        scratch: Gives the keys, and removes them.
        stores: The store by each of its addresses; the processes are spread over them.
        seconds: How long; the races that have begun are ended.
        processes: How many.
        report: Is told seconds done and seconds in all.

    Raises:
        InputError: The addresses are not those of one store.
        StoreRefusedError: The store does not let us in.
        UnavailableError: It stays away at the start, or a process has died.
    """
    _require_one_store(scratch, stores)
    figures = Figures()
    with ExitStack() as stack:
        cleaners = stack.enter_context(ThreadPoolExecutor(THREADS))
        crowd = [
            stack.enter_context(closing(RaceProcess(store, threads=THREADS)))
            for store in (stores[number % len(stores)] for number in range(processes))
        ]
        report(0, int(seconds))
        _asked(crowd, {}, lambda key: Order(key=key))  # until everybody has been started
        began, heat = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            report(int(passed), int(seconds))
            doubts = figures.unanswered
            list(cleaners.map(scratch.remove, _run_heat(scratch, crowd, figures, heat)))
            time.sleep(PAUSE_S if figures.unanswered > doubts else 0.0)
            heat += 1
    report(int(seconds), int(seconds))
    return figures


def members_of(processes: int, heat: int) -> list[list[int]]:
    """Return the processes that race for each key of a heat: two, and now and then all."""
    if heat % ALL_AT_ONCE == ALL_AT_ONCE - 1:
        return [[number % processes for number in range(max(2, processes))]]
    firsts = range(heat, heat + processes * THREADS, 2)
    return [[first % processes, (first + 1) % processes] for first in firsts]


def _run_heat(
    scratch: Scratch, crowd: Sequence[RaceProcess], figures: Figures, heat: int
) -> list[str]:
    """Race to create keys and then to replace them, read them, and return them."""
    keys = {scratch.new_key(): members for members in members_of(len(crowd), heat)}
    etags = figures.note_writes(
        figures.creating, _asked(crowd, keys, lambda key: Order(key=key, serial=1))
    )
    created = {key: keys[key] for key in etags}
    replaced = figures.note_writes(
        figures.replacing,
        _asked(crowd, created, lambda key: Order(key=key, serial=2, etag=etags[key])),
    )
    settled = {key: keys[key] for key in replaced}
    figures.note_reads(_asked(crowd, settled, lambda key: Order(key=key)), serial=2)
    if heat % ALL_AT_ONCE == 0:
        _look_for(scratch, settled, figures)
    return list(keys)


def _asked(
    crowd: Sequence[RaceProcess], members: Members, order: Callable[[str], Order]
) -> dict[str, list[Answer]]:
    """Have everybody race for their keys, and return what they were told, by key."""
    begin = time.monotonic() + HEAD_START_S
    for number, process in enumerate(crowd):
        mine = [order(key) for key, racers in members.items() for each in racers if each == number]
        process.send(mine, at=begin)
    answers: dict[str, list[Answer]] = {key: [] for key in members}
    for process in crowd:
        for answer in process.receive():
            answers[answer.key].append(answer)
    return answers


def _look_for(scratch: Scratch, keys: Members, figures: Figures) -> None:
    with suppress(UnavailableError):
        listed = {each.key for each in scratch.store.list(scratch.prefix)}
        figures.listings += 1
        figures.incomplete += not listed.issuperset(keys)


def _require_one_store(scratch: Scratch, stores: Sequence[ObjectStore]) -> None:
    key = scratch.new_key()
    scratch.store.put(key, new_body())
    for store in stores:
        try:
            store.get_existing(key, because=f"it was written in {scratch.store.url}")
        except MissingError as error:
            raise InputError(
                f"expected addresses of one store, found none of what {scratch.store.url} has in "
                f"{store.url}; look at each store by itself",
                url=store.url,
            ) from error
