"""Cost of traces and logs of the work: `make bench-tracing`.

What the spans of one request with one image take in the threads that answer it, where nobody traces
and where somebody does, and what a line of a worker takes that is kept. Shares are of the time that
a request takes at least, as `make bench-serve` measures it.
"""

import logging
import sys
from collections.abc import Callable, Iterator

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.table import Row, report
from benchmarks.thread_time import seconds_of
from cluster.serving.traced import TracedBatch
from cluster.traces.opentelemetry_tracer import ChosenIds, OpenTelemetryTracer
from workers.logs.errand import Errand
from workers.logs.keeping import KeepingHandler, WorkLogs
from workers.store import MemoryStore
from workers.traces.spans import called_by, span, trace_with
from workers.traces.traceparent import Traceparent

TIMES = 20_000
REQUEST_S = 0.062
MOST_SHARE = 0.01
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def main() -> int:
    """Measure, print, and return 0 when all bars hold."""
    return report("bench-tracing", list(_rows()))


def _rows() -> Iterator[Row]:
    off = seconds_of(_request, TIMES)
    yield Row(figure="spans of a request, where nobody traces", value=1e6 * off, unit="µs")
    yield _share("that, of the time of a request", off)
    provider = TracerProvider(id_generator=ChosenIds(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_Away()))
    trace_with(OpenTelemetryTracer(provider.get_tracer("benchmark")))
    on = seconds_of(_request, TIMES // 10)
    trace_with(None)
    yield Row(figure="spans of a request, where somebody does", value=1e6 * on, unit="µs")
    yield _share("that, of the time of a request that somebody traces", on)
    yield Row(figure="a line of a worker that is kept", value=1e6 * _line(), unit="µs")


def _share(figure: str, seconds: float) -> Row:
    share = seconds / REQUEST_S
    return Row(
        figure=figure,
        value=100 * share,
        unit="%",
        bar=f"at most {100 * MOST_SHARE:.0f}",
        holds=share <= MOST_SHARE,
    )


class _Away(SpanExporter):
    """Takes spans and does nothing: sending is done by a thread of its own."""

    def export(self, spans: object) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def _request() -> None:
    """Open the spans of a request with one image, as a replica does."""
    caller = Traceparent.read(CALLER)
    called_by(caller)
    with span("POST", parent=caller, request="0123456789abcdef") as asked:
        with span("decode", images=1):
            pass
        with span("answer", images=1) as answering:
            places = {answering.place} - {None}
            if places:
                with TracedBatch([place for place in places if place], images=1) as batch:
                    batch.timed(lambda _tower, pixels: pixels)(None, [0])  # type: ignore[arg-type]
        asked.rename("POST /v1/predict")
        asked.note(route="/v1/predict", status=200, who="anna", version="main@3", images=1)


def _line() -> float:
    logger = logging.getLogger("nacre.benchmark")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(KeepingHandler())
    logs = WorkLogs(MemoryStore(), "trainer", every_s=3600.0)
    errand = Errand(submission_id="birds-0123456789ab", stage="training")
    said: Callable[[], None] = lambda: logger.info("step %d of %d", 300, 500)  # noqa: E731
    return logs.run(errand, seconds_of, said, TIMES)


if __name__ == "__main__":
    sys.exit(main())
