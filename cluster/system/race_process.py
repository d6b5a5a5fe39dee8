"""A process that takes part in races for keys of a store, told by another one when and for what."""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from adapters.errors import NacreError, NotFoundError, StoreRefusedError, WorkerLostError
from workers.store.base import ObjectStore
from workers.store.race import DOUBTS, LOST
from workers.store.scratch import new_body, serial_of

LEAVING_S = 10.0
"""How long a process may take to leave when it is told to; its requests end before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What one racer is to do.

    Attributes:
        key: For this key.
        serial: Write a body with this serial; None is to read, twice.
        etag: Replace this etag; None is to create.
    """

    key: str
    serial: int | None = None
    etag: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one racer was told.

    Attributes:
        key: For which key.
        seconds: How long it took; of reads, both together.
        etag: Of a write that won; None where it was lost.
        serials: What was read, one after the other; None stands for "not there".
        doubt: What kept the racer from being told; None where it was told.
    """

    key: str
    seconds: float
    etag: str | None = None
    serials: tuple[int | None, ...] = ()
    doubt: NacreError | None = None


class RaceProcess:
    """The process, as the one that gives the orders has it.

    Args:
        store: What it is to use; sent to it.
        threads: How many orders it can carry out at once.
    """

    # Owns: the process and this end of its pipe. It ends by itself when the pipe is closed.

    def __init__(self, store: ObjectStore, *, threads: int) -> None:
        # Started anew, since locks of this process' threads would be held for ever in a fork.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_take_part, args=(theirs, store, threads), name="nacre racer", daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, orders: Sequence[Order], *, at: float) -> None:
        """Have `orders` begun at the moment `at` of the monotonic clock, which all processes share.

        Raises:
            WorkerLostError: The process has died.
        """
        try:
            self._pipe.send((tuple(orders), at))
        except OSError as error:
            raise _lost() from error

    def receive(self) -> list[Answer]:
        """Return the answers to what was sent last, in the order of the orders.

        Raises:
            WorkerLostError: The process has died.
            NacreError: A racer was told something that is about no race, such as who may write.
        """
        try:
            answers: list[Answer] | NacreError = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise _lost() from error
        if isinstance(answers, NacreError):
            raise answers
        return answers

    def close(self) -> None:
        """Let the process end what it does, and leave."""
        self._pipe.close()
        self._process.join(LEAVING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _lost() -> WorkerLostError:
    return WorkerLostError("a process that raced for the store has died; try again")


def _take_part(pipe: Connection, store: ObjectStore, threads: int) -> None:
    # An interrupt reaches all processes of a terminal; the one that gives the orders decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError), ThreadPoolExecutor(threads) as pool:
        while True:
            orders, at = pipe.recv()
            try:
                pipe.send(list(pool.map(partial(carry_out, store, at=at), orders)))
            except NacreError as error:
                pipe.send(error)


def carry_out(store: ObjectStore, order: Order, *, at: float) -> Answer:
    """Wait until `at`, carry out `order`, and return what was told.

    Raises:
        StoreRefusedError: Nobody is let in, which is no part of a race.
    """
    body = None if order.serial is None else new_body(order.serial)
    time.sleep(max(0.0, at - time.monotonic()))
    began, told = time.monotonic(), partial(Answer, key=order.key)
    try:
        if body is None:
            serials = (_read(store, order.key), _read(store, order.key))
            return told(seconds=time.monotonic() - began, serials=serials)
        etag = _write(store, order, body)
        return told(seconds=time.monotonic() - began, etag=etag)
    except LOST:
        return told(seconds=time.monotonic() - began)
    except StoreRefusedError:
        raise
    except DOUBTS as error:
        return told(seconds=time.monotonic() - began, doubt=error)


def _write(store: ObjectStore, order: Order, body: bytes) -> str:
    if order.etag is None:
        return store.create(order.key, body)
    return store.replace(order.key, body, order.etag)


def _read(store: ObjectStore, key: str) -> int | None:
    try:
        return serial_of(store.get(key).data)
    except NotFoundError:
        return None
