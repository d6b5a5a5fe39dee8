"""Keeping of logs: what this process writes while it carries out errands goes to the store.

Whoever writes waits for nothing: text is taken in memory, and a thread stores what is new every few
seconds. A store that is away is asked again later; a process that is killed leaves what was stored
by then.
"""

import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import Any, ParamSpec, TextIO, TypeVar

from adapters.errors import NacreError, one_line
from workers.logs.bounded_text import BoundedText
from workers.logs.errand import Errand, begin_errand
from workers.logs.log_record import fields_of
from workers.logs.masking import Masking
from workers.logs.work_log import Outcome, WorkLog, folder_of, make_room, write_work_log
from workers.store.base import ObjectStore

EVERY_S = 3.0
GAP_S = 1.0
"""What ends is stored at once, but no sooner after the last time."""
REMEMBERED = 32
"""Logs that this process has ended and may go on with, as another shard of the same task comes."""
LEAVE_S = 2.0
"""How long a process that ends goes on to store what is new."""
LINE_CHARACTERS = 2_000
"""Of a line that is not ended: longer ones are taken in as they are."""
_END = object()
_TAKEN_BY = "_nacre_kept_by"
Args = ParamSpec("Args")
Result = TypeVar("Result")
Item = TypeVar("Item")
logger = logging.getLogger("nacre.logs")


class _Open:
    """The log of one attempt in this process."""

    # Owns: its state, guarded by the lock of whoever keeps it; lines that are begun by that of
    # their stream.

    def __init__(self, errand: Errand, role: str, masked: Callable[[str], str], at: float) -> None:
        name = f"{int(at * 1e6):020d}-{role}-{secrets.token_hex(4)}.json"
        self.key = f"{folder_of(errand.submission_id)}{name}"
        self.errand, self.role, self.begun_at = errand, role, at
        self.text = BoundedText(masked)
        self.under_way = 0
        self.begun: dict[str, str] = {}
        self.outcome: Outcome | None = None
        self.stored: tuple[int, Outcome | None] | None = None
        self.removed = 0

    def printed(self, stream: str, text: str) -> None:
        """Take in what was printed."""
        self.text.add(f"{_moment(time.time())} {stream} {_indented(text)}\n")

    def end_lines(self) -> None:
        """Take in what was printed without a line break."""
        while self.begun:
            stream, text = self.begun.popitem()
            if text.strip():
                self.printed(stream, text)

    @property
    def state(self) -> tuple[int, Outcome | None]:
        """What of it changes; equal to `stored` where the store has all of it."""
        return self.text.number, None if self.under_way else self.outcome

    def document(self, *, now: float) -> WorkLog:
        """Return it as it is kept."""
        kept, (_, outcome) = self.text.kept(), self.state
        return WorkLog(
            role=self.role,
            stage=self.errand.stage,
            round=self.errand.round,
            attempt=self.errand.attempt,
            host=socket.gethostname(),
            pid=os.getpid(),
            begun_at=self.begun_at,
            at=now,
            outcome=outcome,
            head=kept.head,
            tail=kept.tail,
            left_out_bytes=kept.left_out_bytes,
            removed=self.removed,
            trace=self.errand.traceparent[3:35],
        )


_writing: ContextVar[_Open | None] = ContextVar("work log", default=None)
"""The log of what is being done here; whichever process it is, there is one."""


class WorkLogs:
    """Keeps the logs of one role's process.

    Args:
        store: Where.
        role: Names the process.
        clock: Gives seconds since the epoch.
        every_s: How often what is new is stored, in seconds.
        masked: Removes what nobody may read; the secrets of this process' environment where None.
    """

    # Owns: the logs by errand, guarded by `_lock`, and the thread that stores them.

    def __init__(
        self,
        store: ObjectStore,
        role: str,
        *,
        clock: Callable[[], float] = time.time,
        every_s: float = EVERY_S,
        masked: Callable[[str], str] | None = None,
    ) -> None:
        self._store = store
        self._role = role
        self._clock = clock
        self._every_s = every_s
        self._masked = masked or Masking.of()
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._logs: dict[Errand, _Open] = {}
        self._wake, self._leaving = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told = ""

    def run(
        self,
        errand: Errand | None,
        function: Callable[Args, Result],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Result:
        """Return what `function` returns; what it writes meanwhile is kept for `errand`, and the
        traceback of its error.
        """
        if errand is None:
            return function(*args, **kwargs)
        return copy_context().run(lambda: self._run(errand, function, *args, **kwargs))

    def each(self, errand: Errand | None, begin: Callable[[], Iterator[Item]]) -> Iterator[Item]:
        """Yield what `begin` gives, each item worked for as `run` does."""
        if errand is None:
            yield from begin()
            return
        log, context, items = self._open(errand), copy_context(), None
        outcome: Outcome = "stopped"
        context.run(begin_errand, errand)
        context.run(_writing.set, log)
        try:
            items = context.run(begin)
            while True:
                item: Any = context.run(next, items, _END)
                if item is _END:
                    break
                yield item
            outcome = "done"
        except GeneratorExit:
            if items is not None and hasattr(items, "close"):
                context.run(items.close)
            raise
        except BaseException as error:
            outcome = "failed"
            log.text.add(said_of(error))
            raise
        finally:
            self._close(log, outcome)

    def store(self) -> None:
        """Store what is new; a store that is away is asked again another time."""
        with self._storing:
            with self._lock:
                due = [log for log in self._logs.values() if log.state != log.stored]
            for log in due:
                if not self._is_stored(log):
                    break  # the others would wait for the same store
            with self._lock:
                over = [
                    errand
                    for errand, log in self._logs.items()
                    if not log.under_way and log.state == log.stored
                ]
                for errand in over[: max(0, len(self._logs) - REMEMBERED)]:
                    del self._logs[errand]
                # What could not be stored for long is given up, so that memory has a bound.
                ended = [errand for errand, log in self._logs.items() if not log.under_way]
                for errand in ended[: max(0, len(self._logs) - 2 * REMEMBERED)]:
                    del self._logs[errand]

    def leave(self) -> None:
        """Store what is new, for a moment at most: the process is about to end."""
        self._leaving.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(LEAVE_S)

    def _run(
        self,
        errand: Errand,
        function: Callable[Args, Result],
        *args: Args.args,
        **kwargs: Args.kwargs,
    ) -> Result:
        log = self._open(errand)
        outcome: Outcome = "failed"
        begin_errand(errand)
        _writing.set(log)
        try:
            result = function(*args, **kwargs)
            outcome = "done"
        except BaseException as error:
            log.text.add(said_of(error))
            raise
        finally:
            self._close(log, outcome)
        return result

    def _open(self, errand: Errand) -> _Open:
        with self._lock:
            log = self._logs.pop(errand, None)
            if log is None:
                log = _Open(errand, self._role, self._masked, self._clock())
            self._logs[errand] = log  # the latest one is the last
            log.under_way += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="worklogs", daemon=True)
                self._thread.start()
        return log

    def _close(self, log: _Open, outcome: Outcome) -> None:
        with self._lock:
            log.under_way -= 1
            if not log.under_way:
                log.end_lines()
            if log.outcome != "failed":  # one of several that has failed is what counts
                log.outcome = outcome
        self._wake.set()

    def _keep(self) -> None:
        while True:
            self._wake.wait(self._every_s)
            self._wake.clear()
            leaving = self._leaving.is_set()
            try:
                self.store()
            except Exception:
                logger.exception("logs are not stored this time")
            if leaving or self._leaving.wait(min(GAP_S, self._every_s)):
                self._leaving.set()
                self._wake.set()
                if leaving:
                    return

    def _is_stored(self, log: _Open) -> bool:
        """Store a log; return False where the store is away."""
        state = log.state
        if state[0] == 0 and log.stored is None:
            return True  # nobody has written anything
        try:
            if log.stored is None and not log.removed:
                log.removed = make_room(self._store, log.errand.submission_id, log.key)
            write_work_log(self._store, log.key, log.document(now=self._clock()))
        except NacreError as error:
            if error.message != self._told:
                self._told = error.message
                logger.warning("logs of the work are not stored now: %s", error.message)
            return False
        log.stored, self._told = state, ""
        return True


class KeepingHandler(logging.Handler):
    """Takes every record in that is written for an errand."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take it in; what is written for nothing in particular is passed over."""
        log = _writing.get()
        # A logger may have a handler of its own below one that has, too.
        if log is None or vars(record).setdefault(_TAKEN_BY, self) is not self:
            return
        try:
            text = line_of(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, the work goes on
            said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            why = f"its values cannot be written ({type(error).__name__})"
            text = f"{_head(record)}{_indented(said)}; {why}\n"
        log.text.add(text)


class KeptStream:
    """A stream that also takes what is written to it for an errand.

    Args:
        stream: Gets everything.
        name: Of the stream: `stdout`.

    Attributes:
        below: The stream that gets everything; handlers of logs write there, as their records are
            taken in already.
    """

    # Owns: of each log the line of this stream that has not ended, guarded by `_lock`.

    def __init__(self, stream: TextIO, name: str) -> None:
        self.below = stream
        self._name = name
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write `text`, and keep its whole lines."""
        log = _writing.get()
        if log is not None and text:
            self._take(log, text)
        return self.below.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)

    def _take(self, log: _Open, text: str) -> None:
        with self._lock:
            whole, line_break, rest = (log.begun.get(self._name, "") + text).rpartition("\n")
            if len(rest) > LINE_CHARACTERS:
                whole, rest = f"{whole}{line_break}{rest}", ""
            log.begun[self._name] = rest
        if whole.strip():
            log.printed(self._name, whole)


def keep_what_is_written(logs: WorkLogs, *, ours_alone: bool = False) -> None:
    """Have this process keep what is logged, warned of and printed while it carries out errands.

    Args:
        logs: Of the process.
        ours_alone: The process is somebody's own: what it prints and how much it logs stays as it
            is, and what nacre warns of is kept.
    """
    import atexit

    if ours_alone:
        _attach(logging.getLogger("nacre"))
        return
    logging.captureWarnings(True)
    root, ours = logging.getLogger(), logging.getLogger("nacre")
    for each in (root, *([] if ours.propagate else [ours])):
        _attach(each)
    if ours.getEffectiveLevel() > logging.INFO:
        ours.setLevel(logging.INFO)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, KeptStream):
            setattr(sys, name, KeptStream(stream, name))
    atexit.register(logs.leave)


def _attach(to: logging.Logger) -> None:
    if any(isinstance(handler, KeepingHandler) for handler in to.handlers):
        return
    if to is logging.root and not to.handlers:  # Python's last resort goes with the first handler
        shown = logging.StreamHandler()
        shown.setLevel(logging.WARNING)
        to.addHandler(shown)
    to.addHandler(KeepingHandler())


def line_of(record: logging.LogRecord) -> str:
    """Return a record as a line, with its fields and its traceback behind it."""
    said = record.getMessage()
    fields = fields_of(record).items()
    told = "".join(f" {name}={one_line(str(value))}" for name, value in fields)
    trace = ""
    if record.exc_info and record.exc_info[1] is not None:
        trace = f"\n{_traceback(record.exc_info[1])}"
    return f"{_head(record)}{_indented(f'{said}{told}{trace}')}\n"


def _head(record: logging.LogRecord) -> str:
    return f"{_moment(record.created)} {record.levelname} {one_line(record.name)}: "


def said_of(error: BaseException) -> str:
    """Return what is kept of an error that ended the work: its traceback."""
    return f"{_moment(time.time())} ERROR broke\n    {_indented(_traceback(error))}\n"


def _traceback(error: BaseException) -> str:
    text = f"{type(error).__name__}, which cannot be written"
    with suppress(Exception):  # an error of somebody's own may fail to say what it is
        text = logging.Formatter().formatException((type(error), error, error.__traceback__))
    return text


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _indented(text: str) -> str:
    """Return text whose further lines cannot be taken for entries of their own."""
    return text.rstrip().replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\n    ")
