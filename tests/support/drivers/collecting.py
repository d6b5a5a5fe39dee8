"""A collector of spans: takes them over HTTP as an OpenTelemetry collector does, and keeps them."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

TIMEOUT_S = 60.0
FAILED = 2


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One span as it was sent.

    Attributes:
        name: What was done.
        service: The process.
        trace: Id of the trace.
        span: Its id.
        parent: Id of its parent; empty for none.
        begun_at: Seconds since the epoch.
        ended_at: The same.
        links: Ids of the spans that it links to.
        attributes: What else is said.
        error: Why it did not end well; empty where it did.
    """

    name: str
    service: str
    trace: str
    span: str
    parent: str
    begun_at: float
    ended_at: float
    links: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class Collector:
    """Keeps what is sent to it.

    Attributes:
        url: Where it listens.
        spans: What was sent, in the order in which it came.
        status: What it answers with.
        holds: Let it answer as long as this is set.
    """

    # Owns: the spans, which only grow.

    def __init__(self) -> None:
        self.spans: list[Collected] = []
        self.url = ""
        self.status = 200
        self.asked = threading.Event()
        self.holds = threading.Event()
        self.holds.set()

    def take(self, content: bytes) -> None:
        """Keep the spans of a request."""
        sent = ExportTraceServiceRequest.FromString(content)
        for resource in sent.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for each in scope.spans:
                    self.spans.append(_collected(each, named["service.name"]))

    def awaited(self, holds: Callable[[list[Collected]], bool]) -> list[Collected]:
        """Return the spans once something holds of them."""
        deadline = time.monotonic() + TIMEOUT_S
        while not holds(self.spans):
            assert time.monotonic() < deadline, [each.name for each in self.spans]
            time.sleep(0.05)
        return list(self.spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Give a collector that listens as long as the block lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            collector.asked.set()
            collector.holds.wait(TIMEOUT_S)
            if collector.status == 200:
                collector.take(content)
            self.send_response(collector.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.holds.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _collected(span: Any, service: str) -> Collected:
    return Collected(
        name=span.name,
        service=service,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begun_at=span.start_time_unix_nano / 1e9,
        ended_at=span.end_time_unix_nano / 1e9,
        links=tuple(link.span_id.hex() for link in span.links),
        attributes={each.key: _value(each.value) for each in span.attributes},
        error=span.status.message or "failed" if span.status.code == FAILED else "",
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
