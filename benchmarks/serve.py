"""Cost of serving: `make bench-serve`.

All in one run on one machine, as ratios. Requests are JPEGs of 640 by 480 pixels and about 80 kB.
The model has the size of ViT-B-32 and random weights; the version has random records of 16 memory
vectors a class. The bare forward gets decoded tensors and its best batch size. An empty deployment
of Serve behind the same proxy, asked the same, is what no service on Serve can go below.
`python -m benchmarks.serve --part nacre` measures a part.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from math import isfinite
from pathlib import Path

import click
import psutil
import torch
from torch.nn.functional import normalize

from adapters.contract.memory_format import MemoryFormat
from benchmarks import observed
from benchmarks.bare_forward import BareForward, seconds_of
from benchmarks.empty_deployment import Floor
from benchmarks.load import Load, image_request, request_bytes, run_in_turns, run_load
from benchmarks.photograph import photograph
from benchmarks.random_encoder import RandomEncoder
from benchmarks.random_records import VECTORS, WIDTH, publish_random
from benchmarks.table import Row, report
from cluster.config import Config, ReplicasConfig, ServeConfig
from tests.support.drivers.s3_server import free_port
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Predictor, Question
from workers.store import FileStore, MemoryStore, ObjectStore

THREADS = 2
SECONDS = 12.0
CLIENTS = 64
TURNS = 60
"""Requests at low load, in turns with the bare forward."""
INGRESSES = {"proxy": False, "HAProxy": True}
"""How requests come in, and whether that is `serve: haproxy:`."""
CLASSES_PER_RECORD = 100
IDLE_S, UPSCALE_S = 5.0, 2
SHARES: Mapping[tuple[int, MemoryFormat], float | None] = {
    (100, "float32"): 0.01,
    (1_000, "float32"): 0.02,
    (1_000, "bfloat16"): 0.02,
    (10_000, "float32"): None,  # beside the reading of its bytes, which no method can spare
    (10_000, "bfloat16"): 0.10,
}
"""The most that an adapter may take of a request, by classes and the format of its memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What all parts measure with.

    Attributes:
        encoder: The model.
        config: Of the service.
        jpeg: What is asked about.
        bare: What the parts of a request take by themselves.
    """

    encoder: RandomEncoder
    config: Config
    jpeg: bytes
    bare: BareForward


def _shares(setting: Setting) -> Iterator[Row]:
    """Yield the adapter's share of a request, at batch 1 and at the best batch."""
    encoder, bare = setting.encoder, setting.bare
    for (classes, kept), bar in SHARES.items():
        store = MemoryStore()
        _publish(store, encoder.fingerprint, records=classes // CLASSES_PER_RECORD)
        predictor = Predictor(encoder, Versions(store), adapters=("main",), memory=kept)
        predictor.follower("main").follow()
        version = predictor.version("main")
        memory = torch.ones(classes * VECTORS, WIDTH, dtype=getattr(torch, kept))
        size_mb = f"{memory.nbytes / 1e6:.0f} MB"
        reading = seconds_of(memory.view(torch.float32).sum)
        figure = f"reading the vectors of {classes:,} classes once, {kept}, {size_mb}"
        yield Row(figure=figure, value=1e3 * reading, unit="ms")
        alone = reading / (bare.decoding + bare.forward[1] + reading)
        yield Row(figure=f"{figure}, of a request at batch 1", value=100 * alone, unit="%")
        for size in sorted({1, bare.best}):
            features = normalize(torch.randn(size, WIDTH), dim=-1)
            seconds = seconds_of(partial(predictor.predict, features, version, Question())) / size
            share = seconds / (bare.decoding + bare.forward[size] + seconds)
            yield Row(
                figure=f"adapter's share of a request, {classes:,} classes, {kept}, batch {size}",
                value=100 * share,
                unit="%",
                bar=f"at most {100 * bar:.0f}" if bar else None,
                holds=share <= bar if bar else None,
            )


def _nacre(setting: Setting) -> Iterator[Row]:
    """Yield what one replica answers at low load, and what a replica per core does together."""
    each = ReplicasConfig(min=THREADS, max=THREADS)
    for name, haproxy in INGRESSES.items():
        alone = replace(setting.config.serve, threads=1, haproxy=haproxy)
        together = replace(alone, replicas=each)
        floor = Floor.of(replace(setting.config, serve=together), setting.jpeg, setting.bare)
        yield from floor.rows(name, setting.bare)
        with _serving(replace(setting.config, serve=alone)) as endpoint:
            url = f"{endpoint}/v1/predict"
            yield from _alone(f"nacre, {name}", url, setting, judged=haproxy)
            health = f"{endpoint}/v1/health/live"
            load = run_load(health, request_bytes(health), clients=16, seconds=SECONDS / 4)
            yield Row(
                figure=f"nacre, {name}: an endpoint without model",
                value=load.per_second,
                unit="requests/s",
            )
        with _serving(replace(setting.config, serve=together)) as endpoint:
            figure = f"nacre, {name}, {THREADS} replicas of one thread"
            yield from _full(figure, f"{endpoint}/v1/predict", setting, judged=haproxy)


def _scaling(setting: Setting) -> Iterator[Row]:
    """Yield how long a further replica takes to answer, and how long one too many stays."""
    from ray import serve
    from ray.serve.schema import ReplicaState

    from cluster.runtime.names import API, application

    def running() -> int:
        (replicas,) = serve.status().applications[application(API)].deployments.values()
        return int(replicas.replica_states.get(ReplicaState.RUNNING, 0))

    def waited(count: int) -> float:
        started = time.monotonic()
        while running() != count:
            if time.monotonic() - started > 180:
                return float("nan")
            time.sleep(0.1)
        return time.monotonic() - started

    sized = ReplicasConfig(min=1, max=2, busy=2, idle_s=IDLE_S)
    served = replace(setting.config.serve, replicas=sized, threads=1)
    config = replace(setting.config, serve=served)
    with _serving(config) as endpoint:
        url = f"{endpoint}/v1/predict"
        request = image_request(url, setting.jpeg)
        with ThreadPoolExecutor(1) as threads:
            busy = threads.submit(run_load, url, request, clients=12, seconds=60)
            cold = waited(2)
            busy.result()
            # What is under way on the one that is taken away is answered first.
            drained = threads.submit(run_load, url, request, clients=1, seconds=60)
            gone = waited(1)
            lost = _others_of(drained.result())
    figure = f"cold start: a second replica answers (requests are watched for {UPSCALE_S} s first)"
    yield Row(figure=figure, value=cold, unit="s", holds=isfinite(cold), bar="it does")
    figure = f"it is gone after the load (idle_s = {IDLE_S:.0f})"
    yield Row(figure=figure, value=gone, unit="s", holds=isfinite(gone), bar="it is")
    figure = "other answers while it is taken away"
    yield Row(figure=figure, value=lost, bar="none", holds=lost == "none")


def _flood(setting: Setting) -> Iterator[Row]:
    """Yield what becomes of more requests than are taken."""
    for name, haproxy in INGRESSES.items():
        little = replace(setting.config.serve, haproxy=haproxy, max_ongoing=4, max_queued=4)
        with _serving(replace(setting.config, serve=little)) as endpoint:
            url = f"{endpoint}/v1/predict"
            request = image_request(url, setting.jpeg)
            load = run_load(url, request, clients=CLIENTS, seconds=SECONDS / 2)
        figure = f"flood of 64 clients on 4 + 4 requests, {name}"
        yield Row(figure=f"{figure}: answered", value=load.per_second, unit="images/s")
        yield Row(figure=f"{figure}: p95 of these", value=1e3 * load.quantile(0.95), unit="ms")
        refused = load.statuses[429]
        yield Row(figure=f"{figure}: 429", value=refused, bar="some", holds=refused > 0)
        others = {s: n for s, n in load.statuses.items() if s not in (200, 429)}
        yield Row(figure=f"{figure}: anything else", value=str(others or "none"))


def _observed(setting: Setting) -> Iterator[Row]:
    """Yield what metrics and traces cost a replica."""
    port = free_port()
    request = image_request(f"http://127.0.0.1:{port}/v1/predict", setting.jpeg)
    yield from observed.rows(setting.config.store, port, request)


def _others(setting: Setting) -> Iterator[Row]:
    """Yield the same of other servers with the same model."""
    store = setting.config.store
    for name, path in (("fastapi", "/predict"), ("litserve", "/predict")):
        port = free_port()
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.plain_server", name, store]
        process = subprocess.Popen(
            [*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"http://127.0.0.1:{port}{path}"
            _wait_until_answered(url, setting.jpeg)
            yield from _alone(f"plain {name}", url, setting, judged=False)
            yield from _full(f"plain {name}", url, setting, judged=False)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and the processes that it has spawned."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


def _alone(name: str, url: str, setting: Setting, *, judged: bool) -> Iterator[Row]:
    """Yield the latency at low load, and how much of it is not the work of one thread.

    That work is done in turns with the requests: machines have moments in which all takes longer.
    """
    request = image_request(url, setting.jpeg)
    run_load(url, request, clients=1, seconds=2)  # warms everything up
    bare: list[float] = []
    load = run_in_turns(url, request, lambda: bare.append(setting.bare.alone_once()), turns=TURNS)
    yield Row(figure=f"{name}: at low load, p50", value=1e3 * load.quantile(0.5), unit="ms")
    added = load.quantile(0.5) - statistics.median(bare)
    yield Row(
        figure=f"{name}: at low load, p50 above decoding, transform and forward of one thread",
        value=1e3 * added,
        unit="ms",
        bar="at most 5" if judged else None,
        holds=1e3 * added <= 5 if judged else None,
    )


def _full(name: str, url: str, setting: Setting, *, judged: bool) -> Iterator[Row]:
    """Yield the throughput at saturation."""
    request = image_request(url, setting.jpeg)
    run_load(url, request, clients=CLIENTS, seconds=3)
    load = run_load(url, request, clients=CLIENTS, seconds=SECONDS)
    share = load.per_second / setting.bare.per_second
    yield Row(figure=f"{name}: at saturation", value=load.per_second, unit="images/s")
    yield Row(
        figure=f"{name}: at saturation, of the bare batched forward",
        value=share,
        bar="at least 0.85" if judged else None,
        holds=share >= 0.85 if judged else None,
    )
    yield Row(figure=f"{name}: at saturation, p95", value=1e3 * load.quantile(0.95), unit="ms")
    yield Row(figure=f"{name}: at saturation, other answers", value=_others_of(load))


def _others_of(load: Load) -> str:
    found = {status: count for status, count in load.statuses.items() if status != 200}
    return ", ".join(f"{status}: {count}" for status, count in found.items()) or "none"


@contextmanager
def _serving(config: Config) -> Iterator[str]:
    import ray
    from ray import serve

    from cluster.runtime.names import API
    from cluster.system import system

    # Anew each time: whoever runs beside this may have been given the one that was free before.
    config = replace(config, serve=replace(config.serve, port=free_port()))
    system.connect(config)
    try:
        system.start(config, encoder=RandomEncoder, roles=(API,))
        yield config.endpoint
    finally:
        serve.shutdown()
        ray.shutdown()


def _wait_until_answered(url: str, jpeg: bytes) -> None:
    request = image_request(url, jpeg)
    deadline = time.monotonic() + 120
    while not run_load(url, request, clients=1, seconds=0.2).statuses[200]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not answer")
        time.sleep(0.5)


def _publish(store: ObjectStore, fingerprint: str, *, records: int) -> None:
    adapter = Registry(store).create("main")
    for number in range(records):
        publish_random(adapter, [number], classes=CLASSES_PER_RECORD, encoder=fingerprint)


PARTS: Mapping[str, Callable[[Setting], Iterable[Row]]] = {
    "shares": _shares,
    "nacre": _nacre,
    "observed": _observed,
    "others": _others,
    "flood": _flood,
    "scaling": _scaling,
}


@click.command()
@click.option("--part", "parts", multiple=True, default=tuple(PARTS), type=click.Choice([*PARTS]))
def main(parts: Sequence[str]) -> None:
    """Measure PARTS, all of them where none is named."""
    torch.set_num_threads(THREADS)
    jpeg = photograph()
    encoder = RandomEncoder(EncoderSettings())
    bare = BareForward(encoder, jpeg, threads=THREADS)
    with tempfile.TemporaryDirectory() as name:
        store = FileStore(Path(name) / "store")
        _publish(store, encoder.fingerprint, records=1)
        config = Config(
            store=store.url,
            serve=ServeConfig(threads=THREADS, max_ongoing=256),
        )
        setting = Setting(encoder=encoder, config=config, jpeg=jpeg, bare=bare)
        rows: list[Row] = []
        for row in chain(bare.rows(), *(PARTS[part](setting) for part in parts)):
            print(f"{row.figure}: {row.value} {row.unit}", flush=True)
            rows.append(row)
    sys.exit(report("serve", rows))


if __name__ == "__main__":
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    main()
