"""Outages: nodes of a server that are killed and started again while something else goes on."""

import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COMMAND_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Shell commands that take a node away and bring it back.

    Attributes:
        kill: Takes it away.
        restart: Brings it back; returns when it has been told to start, or when it has.
        up_s: A node is up for about so many seconds before it is killed.
        down_s: It is away for about so many.
    """

    kill: str
    restart: str
    up_s: float = 6.0
    down_s: float = 3.0


@contextmanager
def outages(hooks: Hooks | None, *, seed: int = 0) -> Iterator[Callable[[], int]]:
    """Kill and restart now and then until the context ends; yield what tells how often so far."""
    over, kills, draw = threading.Event(), [0], random.Random(seed)

    def go_on() -> None:
        while hooks is not None and not over.wait(draw.uniform(0.5, 1.5) * hooks.up_s):
            _call(hooks.kill)
            kills[0] += 1
            over.wait(draw.uniform(0.5, 1.5) * hooks.down_s)
            _call(hooks.restart)

    thread = threading.Thread(target=go_on, name="outages")
    thread.start()
    try:
        yield lambda: kills[0]
    finally:
        over.set()
        thread.join()


def _call(command: str) -> None:
    subprocess.run(command, shell=True, check=True, timeout=COMMAND_TIMEOUT_S)
