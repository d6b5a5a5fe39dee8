"""OpenTelemetry tracer: keeps spans as `workers.traces` opens them, with OpenTelemetry's SDK."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
)

from adapters.errors import NacreError, one_line, printable, reason_of
from workers.logs.masking import Masking
from workers.traces.spans import Span, Value
from workers.traces.traceparent import Traceparent

LONGEST_VALUE = 300
"""Characters of an attribute: others choose names."""
LONGEST_REASON = 2000
_chosen: ContextVar[int | None] = ContextVar("chosen span id", default=None)


class ChosenIds(RandomIdGenerator):
    """Ids as OpenTelemetry draws them, but for spans whose id is known already."""

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return _chosen.get() or super().generate_span_id()


class _OpenSpan:
    """See `Span`."""

    def __init__(self, kept: trace.Span, masked: Masking) -> None:
        self._kept = kept
        self._masked = masked

    @property
    def place(self) -> Traceparent | None:
        """See `Span`."""
        return _place(self._kept.get_span_context())

    def rename(self, name: str) -> None:
        """See `Span`."""
        self._kept.update_name(name)

    def note(self, **attributes: Value) -> None:
        """See `Span`."""
        self._kept.set_attributes(_told(attributes))

    def fail(self, why: str) -> None:
        """See `Span`."""
        self._kept.set_status(
            Status(StatusCode.ERROR, self._masked(printable(why[:LONGEST_REASON])))
        )


class OpenTelemetryTracer:
    """See `Tracer`.

    Args:
        tracer: Of OpenTelemetry.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._masked = Masking.of()

    def span(
        self,
        name: str,
        *,
        parent: Traceparent | None,
        alone: bool,
        links: Iterable[Traceparent],
        attributes: Mapping[str, Value],
    ) -> AbstractContextManager[Span]:
        """See `Tracer`."""
        return self._span(name, parent, alone, links, attributes)

    @contextmanager
    def _span(
        self,
        name: str,
        parent: Traceparent | None,
        alone: bool,
        links: Iterable[Traceparent],
        attributes: Mapping[str, Value],
    ) -> Iterator[Span]:
        context = Context() if alone else None if parent is None else _context(parent)
        with self._tracer.start_as_current_span(
            name,
            context=context,
            links=_links(links),
            attributes=_told(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as kept:
            opened = _OpenSpan(kept, self._masked)
            try:
                yield opened
            except GeneratorExit:
                raise  # whoever consumes it has enough
            except BaseException as error:
                kept.set_attribute("error.type", type(error).__name__)
                opened.fail(error.message if isinstance(error, NacreError) else reason_of(error))
                raise

    def record(
        self,
        name: str,
        *,
        begun_at: float,
        ended_at: float,
        parent: Traceparent,
        place: Traceparent | None,
        links: Iterable[Traceparent],
        attributes: Mapping[str, Value],
        error: str,
    ) -> None:
        """See `Tracer`."""
        token = _chosen.set(int(place.span, 16) if place else None)
        try:
            kept = self._tracer.start_span(
                name,
                context=_context(parent),
                links=_links(links),
                attributes=_told(attributes),
                start_time=_nanoseconds(begun_at),
            )
        finally:
            _chosen.reset(token)
        if error:
            _OpenSpan(kept, self._masked).fail(error)
        kept.end(max(_nanoseconds(begun_at), _nanoseconds(ended_at)))

    def here(self) -> Traceparent | None:
        """See `Tracer`."""
        return _place(trace.get_current_span().get_span_context())


def _context(parent: Traceparent) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    found = SpanContext(
        trace_id=int(parent.trace, 16),
        span_id=int(parent.span, 16),
        is_remote=True,
        trace_flags=flags,
    )
    return trace.set_span_in_context(NonRecordingSpan(found), Context())


def _place(found: SpanContext) -> Traceparent | None:
    if not found.is_valid:
        return None
    return Traceparent(
        trace=f"{found.trace_id:032x}",
        span=f"{found.span_id:016x}",
        sampled=found.trace_flags.sampled,
    )


def _links(places: Iterable[Traceparent]) -> list[Link]:
    return [Link(trace.get_current_span(_context(place)).get_span_context()) for place in places]


def _told(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {
        f"nacre.{name}": one_line(value[:LONGEST_VALUE]) if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _nanoseconds(seconds: float) -> int:
    with suppress(OverflowError, ValueError):  # a clock that says nonsense
        return max(0, int(seconds * 1e9))
    return 0
