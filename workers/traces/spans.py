"""Spans, as whoever works opens them; OpenTelemetry keeps them, where somebody wants to know.

Nothing is read of OpenTelemetry before that is so, and a span that nobody keeps is one object for
all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar

from workers.logs.errand import current_errand
from workers.traces.traceparent import Traceparent

Value = str | int | float | bool
Attributes = Mapping[str, Value]
Args = ParamSpec("Args")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Span(Protocol):
    """A span that is open."""

    @property
    def place(self) -> Traceparent | None:
        """What parts of it name as their parent; None where nobody keeps it."""

    def rename(self, name: str) -> None:
        """Call it otherwise than when it began."""

    def note(self, **attributes: Value) -> None:
        """Say more of it."""

    def fail(self, why: str) -> None:
        """Say that it did not end well."""


class Tracer(Protocol):
    """Keeps spans; every call is cheap, never fails and may come from any thread."""

    def span(
        self,
        name: str,
        *,
        parent: Traceparent | None,
        alone: bool,
        links: Iterable[Traceparent],
        attributes: Attributes,
    ) -> AbstractContextManager[Span]:
        """Open a span for the length of a block.

        Args:
            name: What is done.
            parent: Of what it is a part; of the span that is open here where None.
            alone: It begins a trace of its own.
            links: Spans of other traces that it serves.
            attributes: What else there is to say.
        """

    def record(
        self,
        name: str,
        *,
        begun_at: float,
        ended_at: float,
        parent: Traceparent,
        place: Traceparent | None,
        links: Iterable[Traceparent],
        attributes: Attributes,
        error: str,
    ) -> None:
        """Keep a span that has ended; times are in seconds since the epoch.

        Args:
            name: What was done.
            begun_at: When it began.
            ended_at: When it ended.
            parent: Of what it is a part.
            place: Its own, where parts of it have named it already.
            links: As above.
            attributes: As above.
            error: Why it did not end well; empty where it did.
        """

    def here(self) -> Traceparent | None:
        """Return the span that is open here; None where none is."""


class _Nothing:
    """A span that nobody keeps."""

    place = None

    def rename(self, name: str) -> None:
        """See `Span`."""

    def note(self, **attributes: Value) -> None:
        """See `Span`."""

    def fail(self, why: str) -> None:
        """See `Span`."""

    def __enter__(self) -> "_Nothing":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


_NOTHING = _Nothing()
_tracer: Tracer | None = None
_caller: ContextVar[Traceparent | None] = ContextVar("caller", default=None)
"""Of whoever asks, whether or not anything is kept here."""


def trace_with(tracer: Tracer | None) -> None:
    """Have the spans of this process kept by `tracer`; by nobody where None."""
    global _tracer  # noqa: PLW0603 - of a process, as loggers are
    _tracer = tracer


def is_traced() -> bool:
    """Return whether anybody keeps the spans of this process."""
    return _tracer is not None


def span(
    name: str,
    /,
    *,
    parent: Traceparent | None = None,
    alone: bool = False,
    links: Iterable[Traceparent] = (),
    **attributes: Value,
) -> AbstractContextManager[Span]:
    """Open a span for the length of a block; see `Tracer.span`.

    Without a parent, and where none is open here, it is a part of what `here` says.
    """
    return _opened(name, attributes, parent=parent, alone=alone, links=links)


def _opened(
    name: str,
    attributes: Attributes,
    *,
    parent: Traceparent | None = None,
    alone: bool = False,
    links: Iterable[Traceparent] = (),
) -> AbstractContextManager[Span]:
    if _tracer is None:
        return _NOTHING
    if parent is None and not alone:
        parent = here()
    return _tracer.span(name, parent=parent, alone=alone, links=links, attributes=attributes)


def record(
    name: str,
    /,
    *,
    begun_at: float,
    ended_at: float,
    parent: Traceparent | None,
    place: Traceparent | None = None,
    links: Iterable[Traceparent] = (),
    error: str = "",
    **attributes: Value,
) -> None:
    """Keep a span that has ended; see `Tracer.record`. One without a parent is nobody's."""
    if _tracer is not None and parent is not None:
        _tracer.record(
            name,
            begun_at=begun_at,
            ended_at=ended_at,
            parent=parent,
            place=place,
            links=links,
            attributes=attributes,
            error=error,
        )


def unkept() -> AbstractContextManager[Span]:
    """Return a span that nobody keeps, of what is not worth one."""
    return _NOTHING


def in_span(
    name: str, function: Callable[Args, Result], **attributes: Value
) -> Callable[Args, Result]:
    """Return what calls `function` in a span."""

    def call(*args: Args.args, **kwargs: Args.kwargs) -> Result:
        with _opened(name, attributes):
            return function(*args, **kwargs)

    return call if is_traced() else function


def each_in_span(
    name: str, begin: Callable[[], Iterator[Item]], **attributes: Value
) -> Callable[[], Iterator[Item]]:
    """Return what begins a generator whose steps are one span; all are done in one context."""

    def steps() -> Iterator[Item]:
        with _opened(name, attributes):
            yield from begin()

    return steps if is_traced() else begin


def called_by(caller: Traceparent | None) -> None:
    """Let everything from here on, in this task or thread, be for a span of somebody else's."""
    _caller.set(caller)


def here() -> Traceparent | None:
    """Return the span that what is done here is a part of; None where there is none.

    That is the one that is open, else that of whoever asks, else that of the errand.
    """
    found = _tracer.here() if _tracer is not None else None
    if found is not None:
        return found
    caller = _caller.get()
    if caller is not None:
        return caller
    errand = current_errand()
    return Traceparent.read(errand.traceparent) if errand and errand.traceparent else None
