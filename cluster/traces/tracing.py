"""Tracing of a process: switched on by the configuration or by OpenTelemetry's own variables.

    traces: {endpoint: http://collector:4318}

`OTEL_EXPORTER_OTLP_ENDPOINT` and the other variables of the standard go before that, and
`OTEL_SDK_DISABLED=true` before all. Spans wait in memory, at most some thousand of them, and a
thread sends them: a collector that is away, slow or wrong costs spans and nothing else.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping

from cluster.config import TracesConfig
from cluster.version import this_build
from workers.traces.spans import is_traced, trace_with

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
DISABLED = "OTEL_SDK_DISABLED"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
PATH = "/v1/traces"
SAY_SO = ("opentelemetry.sdk._shared_internal", "opentelemetry.exporter.otlp.proto.http._common")
SAID_EVERY_S = 600.0
LEAVE_S = 1.0
"""How long a process that ends goes on to send its spans."""
TIMEOUT_S = 5.0
"""How long one sending may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says so."""
OURS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
logger = logging.getLogger("nacre.traces")


def is_wanted(traces: TracesConfig, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether anybody wants spans."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return False
    exporter = environment.get(EXPORTER, "").strip().lower()
    if exporter:
        return exporter != "none"
    return traces.endpoint is not None or any(environment.get(name) for name in ENDPOINTS)


def begin_tracing(traces: TracesConfig, service: str) -> None:
    """Have the spans of this process sent, where anybody wants them; it is asked for once.

    Whatever is wrong with that is said in the log, and the process goes on without.

    Args:
        traces: As configured.
        service: Names the process: `nacre-trainer`.
    """
    if is_traced() or not is_wanted(traces):
        return
    try:
        _begin(traces, service)
    except ImportError as error:
        logger.warning(
            "spans are not sent: expected OpenTelemetry's exporter, found none (%s); "
            "`pip install 'nacre[traces]'` brings it",
            error,
        )
    except Exception as error:  # noqa: BLE001 - what traces fails nothing
        logger.warning("spans are not sent: %r", error)


def _begin(traces: TracesConfig, service: str) -> None:
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    from cluster.traces.opentelemetry_tracer import ChosenIds, OpenTelemetryTracer

    exporter: SpanExporter
    kind = os.environ.get(EXPORTER, "otlp").strip().lower() or "otlp"
    if kind != "otlp":
        raise ValueError(f"expected {EXPORTER} to be otlp or none, found {kind[:40]!r}")
    protocol = next((os.environ[name] for name in PROTOCOLS if os.environ.get(name)), HTTP)
    if protocol != HTTP:
        raise ValueError(f"expected {PROTOCOLS[1]} to be {HTTP}, found {protocol[:40]!r}")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    said = any(os.environ.get(name) for name in ENDPOINTS)
    endpoint = None if said or traces.endpoint is None else f"{traces.endpoint.rstrip('/')}{PATH}"
    timeout_s = None if any(os.environ.get(name) for name in OURS) else TIMEOUT_S
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)
    named = {SERVICE_VERSION: str(this_build())}
    if "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        named[SERVICE_NAME] = os.environ.get("OTEL_SERVICE_NAME") or service
    sampler = None
    if "OTEL_TRACES_SAMPLER" not in os.environ and traces.ratio < 1:
        sampler = ParentBased(TraceIdRatioBased(traces.ratio))
    # The end of the process is taken care of below: the provider would wait for very long.
    provider = TracerProvider(
        sampler=sampler,
        resource=Resource.create(named),
        shutdown_on_exit=False,
        id_generator=ChosenIds(),
    )
    # What is said of a collector that is away is said with every try, by these.
    for module in (OTLPSpanExporter.__module__, BatchSpanProcessor.__module__, *SAY_SO):
        logging.getLogger(module).addFilter(Seldom())
    processor = BatchSpanProcessor(exporter)
    provider.add_span_processor(processor)
    trace_with(OpenTelemetryTracer(provider.get_tracer("nacre", str(this_build()))))
    atexit.register(_leave, processor)


def _leave(processor: object) -> None:
    """Send what is left, for a moment at most: the collector may be away."""
    flush = processor.force_flush  # type: ignore[attr-defined]
    thread = threading.Thread(target=flush, daemon=True, name="last spans")
    thread.start()
    thread.join(LEAVE_S)


class Seldom(logging.Filter):
    """Lets of the records of one level one pass in ten minutes, without its traceback.

    Args:
        clock: Gives seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[int, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is said."""
        now = self._clock()
        if now - self._said.get(record.levelno, -SAID_EVERY_S) < SAID_EVERY_S:
            return False
        self._said[record.levelno] = now
        record.exc_info = None
        return True
