"""Sending of spans: switched on as the standard says, and nobody waits for the collector."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster.config import TracesConfig
from cluster.traces.tracing import SAID_EVERY_S, Seldom, is_wanted
from tests.support.drivers.collecting import Collector, collecting
from tests.support.drivers.keeping_spans import keeping_spans
from workers.concurrency.streams import streamed
from workers.logs.errand import Errand
from workers.logs.keeping import WorkLogs
from workers.store import MemoryStore
from workers.traces.spans import each_in_span

CAME = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OFF = TracesConfig()
ON = TracesConfig(endpoint="http://collector:4318")

WANTED = [
    (OFF, {}, False),
    (ON, {}, True),
    (OFF, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
    (OFF, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
    (OFF, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    (OFF, {"OTEL_TRACES_EXPORTER": "otlp"}, True),
    (ON, {"OTEL_TRACES_EXPORTER": "none"}, False),
    (ON, {"OTEL_SDK_DISABLED": "true"}, False),
    (ON, {"OTEL_SDK_DISABLED": "false"}, True),
]


@pytest.mark.parametrize(("traces", "environment", "wanted"), WANTED)
def test_the_configuration_or_the_standard_variables_switch_it_on(
    traces: TracesConfig,
    environment: dict[str, str],
    wanted: bool,
) -> None:
    assert is_wanted(traces, environment) == wanted


def test_that_a_collector_is_away_is_said_now_and_then() -> None:
    now = 0.0
    seldom = Seldom(clock=lambda: now)
    record = logging.makeLogRecord({"levelno": logging.WARNING})
    assert [seldom.filter(record), seldom.filter(record)] == [True, False]
    assert seldom.filter(logging.makeLogRecord({"levelno": logging.ERROR}))
    now = SAID_EVERY_S
    assert seldom.filter(record)


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with collecting() as running:
        yield running


PROGRAM = """
import logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.WARNING)
from cluster.config import TracesConfig
from cluster.traces.tracing import begin_tracing
from workers.traces.spans import is_traced, span
begin_tracing(TracesConfig(endpoint=sys.argv[1] or None), "nacre-test")
for number in range(int(sys.argv[2])):
    with span("work", number=number, name="b\\x1b\\udce9"):
        pass
print(f"traced {is_traced()}")
"""


def ran(endpoint: str, spans: int = 3, **environment: str) -> str:
    """Return what a process prints that opens spans and ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, endpoint, str(spans)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return found.stdout + found.stderr


@pytest.mark.slow
def test_spans_come_to_where_the_configuration_says(collector: Collector) -> None:
    assert "traced True" in ran(collector.url)
    found = collector.awaited(lambda spans: len(spans) == 3)
    assert {(each.name, each.service) for each in found} == {("work", "nacre-test")}
    assert [each.attributes["nacre.number"] for each in found] == [0, 1, 2]


@pytest.mark.slow
def test_the_variables_of_the_standard_go_before_the_configuration(collector: Collector) -> None:
    ran(
        "http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="ours",
        OTEL_TRACES_SAMPLER="always_on",
    )
    assert collector.awaited(lambda spans: len(spans) == 3)[0].service == "ours"
    ran(collector.url, OTEL_TRACES_SAMPLER="always_off")
    assert len(collector.spans) == 3


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid:4318"])
def test_a_collector_that_is_away_costs_spans_and_nothing_else(
    collector: Collector, endpoint: str
) -> None:
    del collector
    said = ran(endpoint, 10_000)
    assert "traced True" in said
    assert "Traceback" not in said
    assert said.count("\n") < 12


@pytest.mark.slow
def test_a_collector_that_does_not_answer_keeps_no_process_from_ending(
    collector: Collector,
) -> None:
    collector.holds.clear()
    assert "traced True" in ran(collector.url, 10_000)
    assert collector.asked.is_set()


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_collector_that_is_none_costs_spans_and_nothing_else(
    collector: Collector, status: int
) -> None:
    collector.status = status
    said = ran(collector.url, 1_000)
    assert "traced True" in said
    assert "Traceback" not in said
    assert collector.spans == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_is_wrong_with_the_variables_is_said_and_nothing_is_traced(
    collector: Collector, wrong: dict[str, str]
) -> None:
    said = ran(collector.url, 3, **wrong)
    assert "traced False" in said
    assert "spans are not sent" in said


@pytest.mark.slow
def test_without_the_exporter_it_is_said_what_brings_it() -> None:
    program = "import sys; sys.modules['opentelemetry.exporter.otlp'] = None"
    said = subprocess.run(
        [sys.executable, "-c", f"{program}\n{PROGRAM}", "http://127.0.0.1:9", "3"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "nacre[traces]" in said
    assert "traced False" in said


OFF_PROGRAM = """
import sys
from workers.traces.spans import record, span
with span("work"):
    record("done", begun_at=1.0, ended_at=2.0, parent=None)
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_where_nobody_traces_nothing_of_opentelemetry_is_loaded() -> None:
    said = subprocess.run(
        [sys.executable, "-c", OFF_PROGRAM], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


def test_a_stream_of_work_that_is_left_early_ends_its_span_in_its_own_context(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a cancelled call of a worker is: begun in one thread, gone on with and left in others."""
    logs = WorkLogs(MemoryStore(), "trainer", every_s=3600.0)
    errand = Errand(submission_id="a-1", stage="training", traceparent=CAME)

    def steps() -> Iterator[int]:
        yield from range(10)

    async def left_early() -> None:
        stream = streamed(logs.each(errand, each_in_span("train", steps)))
        async for number in stream:
            if number == 3:
                break
        await asyncio.create_task(stream.aclose())  # type: ignore[attr-defined]

    with keeping_spans() as spans:
        asyncio.run(left_early())
        (found,) = spans.named("train")
        assert found.parent is not None
        assert f"{found.parent.span_id:016x}" == CAME[36:52]
        assert found.status.is_ok
    assert [each.getMessage() for each in caplog.records] == []
