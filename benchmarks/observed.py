"""What metrics and traces cost a replica: the same replica, with both and without, in turns.

A part of `make bench-serve`. A process answers what a replica answers, on one thread. With SIGUSR1
it counts, tells Ray's instruments every second and sends its spans to a collector; with SIGUSR2
it does none of that. Blocks of requests are sent to it in both states in turns, so that what the
machine does to one it does to the other. Judged is the time of its CPUs for a request, all of its
threads together, which says the same on a machine that is busy.

    python -m benchmarks.serve --part observed
    python -m benchmarks.observed STORE PORT COLLECTOR    the process
"""

import asyncio
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

import psutil
import torch
import uvicorn

from benchmarks.load import Load, run_load
from benchmarks.random_encoder import RandomEncoder
from benchmarks.table import Row
from cluster.metrics.ray_tally import RayTally
from workers.metrics import Family
from workers.metrics.meter import Labels

BLOCKS, BLOCK_S, CLIENTS = 20, 3.0, 4
"""Of each state; a second of each is not looked at."""
MOST_SHARE = 0.01
STATES = (signal.SIGUSR1, signal.SIGUSR2)
"""On and off."""


class Switched(RayTally):
    """A tally that counts, and of which Ray's instruments are told, while it is on."""

    is_on = False

    def count(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """See `Meter`."""
        if self.is_on:
            super().count(family, *labels, by=by)

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""
        if self.is_on:
            super().observe(family, value, *labels)

    def set(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""
        if self.is_on:
            super().set(family, value, *labels)

    def set_all(self, family: Family, values: Mapping[Labels, float]) -> None:
        """See `Meter`."""
        if self.is_on:
            super().set_all(family, values)

    def tell(self) -> None:
        """See `RayTally`."""
        if self.is_on:
            super().tell()


def rows(store: str, port: int, request: bytes) -> Iterator[Row]:
    """Yield what both cost.

    Args:
        store: URL of the store with the version that answers.
        port: Where the process is to answer.
        request: What is sent.
    """
    from tests.support.drivers.collecting import collecting

    with collecting() as collector:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.observed", store]
        process = subprocess.Popen([*command, str(port), collector.url])
        try:
            yield from _measured(psutil.Process(process.pid), port, request)
        finally:
            process.terminate()
            process.wait()
        spans = len(collector.spans)
        yield Row(figure="spans that came to the collector meanwhile", value=spans, holds=spans > 0)


def _measured(process: psutil.Process, port: int, request: bytes) -> Iterator[Row]:
    url = f"http://127.0.0.1:{port}/v1/predict"
    while not run_load(url, request, clients=1, seconds=2.0).statuses[200]:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("expected a replica, found that its process has ended")
    of_cpu: dict[signal.Signals, list[float]] = {state: [] for state in STATES}
    per_second: dict[signal.Signals, list[float]] = {state: [] for state in STATES}
    for block in range(BLOCKS):
        # Each is first as often as the other.
        for state in STATES if block % 2 else reversed(STATES):
            process.send_signal(state)
            run_load(url, request, clients=CLIENTS, seconds=1.0)
            before = _cpu_s(process)
            load: Load = run_load(url, request, clients=CLIENTS, seconds=BLOCK_S)
            of_cpu[state].append((_cpu_s(process) - before) / load.statuses[200])
            per_second[state].append(load.per_second)
    on, off = STATES
    yield Row(
        figure="CPU for a request, without", value=1e3 * statistics.median(of_cpu[off]), unit="ms"
    )
    costs = [with_ / without - 1 for with_, without in zip(of_cpu[on], of_cpu[off], strict=True)]
    cost = statistics.median(costs)
    yield Row(
        figure="metrics and traces, of the CPU for a request",
        value=100 * cost,
        unit="%",
        bar=f"at most {100 * MOST_SHARE:.0f}",
        holds=cost <= MOST_SHARE,
    )
    yield Row(
        figure="that, half of the pairs lie between", value=" and ".join(_quarters(costs)), unit="%"
    )
    lost = [1 - with_ / without for with_, without in zip(*per_second.values(), strict=True)]
    yield Row(
        figure="requests in a second that are lost to both",
        value=100 * statistics.median(lost),
        unit="%",
    )
    yield Row(
        figure="that, half of the pairs lie between", value=" and ".join(_quarters(lost)), unit="%"
    )


def _quarters(shares: list[float]) -> list[str]:
    found = statistics.quantiles(shares, n=4)
    return [f"{100 * each:.2f}" for each in (found[0], found[2])]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _serve(store: str, port: int, collector: str) -> None:
    """Answer until somebody ends the process."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from cluster.api.access.requesters import Access
    from cluster.config import Config, ServeConfig
    from cluster.serving.service import Service
    from cluster.stores.versions import open_versions
    from cluster.system.app import build_api
    from cluster.traces.opentelemetry_tracer import ChosenIds, OpenTelemetryTracer
    from workers.registry.audience import Nobody
    from workers.traces.spans import trace_with

    torch.set_num_threads(1)
    config = Config(store=store, serve=ServeConfig(threads=1, max_ongoing=256))
    tally = Switched()
    provider = TracerProvider(id_generator=ChosenIds(), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector}/v1/traces"))
    )
    tracer = OpenTelemetryTracer(provider.get_tracer("benchmark"))

    def turn(on: bool) -> None:
        tally.is_on = on
        trace_with(tracer if on else None)

    loop = asyncio.get_running_loop()
    for state in STATES:
        loop.add_signal_handler(state, partial(turn, state == STATES[0]))
    service = Service(config, open_versions(config), encoder=RandomEncoder, meter=tally)
    await service.start()
    api = build_api(service, config, audience=Nobody(), access=Access())
    settings = uvicorn.Config(api, port=port, log_level="warning", ws="none", lifespan="off")
    await uvicorn.Server(settings).serve()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
