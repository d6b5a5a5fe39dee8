"""Spans of this process in memory, kept by OpenTelemetry's own SDK."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from cluster.traces.opentelemetry_tracer import ChosenIds, OpenTelemetryTracer
from workers.traces.spans import trace_with


class Spans:
    """What was kept so far.

    Args:
        exporter: Has it.
    """

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def of(self, trace: str) -> list[ReadableSpan]:
        """Return the spans of a trace that have ended."""
        return [each for each in self.all() if f"{_context(each).trace_id:032x}" == trace]

    def all(self) -> list[ReadableSpan]:
        """Return all spans that have ended."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans that are called so."""
        return [each for each in self.all() if each.name == name]


@contextmanager
def keeping_spans() -> Iterator[Spans]:
    """Keep the spans of this process as long as the block lasts."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=ChosenIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_with(OpenTelemetryTracer(provider.get_tracer("tests")))
    try:
        yield Spans(exporter)
    finally:
        trace_with(None)


def tree(spans: list[ReadableSpan]) -> dict[str, set[str]]:
    """Return the names of parts by the name of what they are parts of; of nothing known as ''."""
    names = {_context(each).span_id: each.name for each in spans}
    found: dict[str, set[str]] = {}
    for each in spans:
        of = names.get(each.parent.span_id, "") if each.parent else ""
        found.setdefault(of, set()).add(each.name)
    return found


def id_of(span: ReadableSpan) -> str:
    """Return the id of a span."""
    return f"{_context(span).span_id:016x}"


def trace_of(span: ReadableSpan) -> str:
    """Return the id of the trace of a span."""
    return f"{_context(span).trace_id:032x}"


def said(span: ReadableSpan, name: str) -> object:
    """Return an attribute of nacre's."""
    assert span.attributes is not None
    return span.attributes[f"nacre.{name}"]


def _context(span: ReadableSpan) -> SpanContext:
    found = span.get_span_context()
    assert found is not None
    return found
