"""What Ray Serve takes by itself: a deployment that reads the body of a request and answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import psutil
import ray
from ray import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.bare_forward import BareForward
from benchmarks.load import image_request, run_in_turns, run_load
from benchmarks.table import Row
from cluster.app import CPU_SHARE
from cluster.config import Config
from cluster.system import system
from cluster.system.declaration import LOGGING
from tests.support.drivers.s3_server import free_port

CLIENTS, SECONDS, TURNS = 64, 3.0, 30
PATH = "/v1/predict"
ANSWER = {"results": [{"predictions": [{"label": f"thing {rank}"} for rank in range(5)]}]}


async def _answered(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse(ANSWER)


@serve.ingress(Starlette(routes=[Route(PATH, _answered, methods=["POST"])]))
class Empty:
    """One replica."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """What an empty deployment of Serve takes for a request, which no other goes below.

    Attributes:
        alone_s: From the request to the answer at low load, p50, in seconds.
        per_second: Answers at saturation.
        idle_s: Seconds of CPU that it and Ray take each second while nobody asks.
    """

    alone_s: float
    per_second: float
    idle_s: float

    @classmethod
    def of(cls, config: Config, jpeg: bytes, bare: BareForward) -> "Floor":
        """Measure it with `config`: its ingress, and as many replicas."""
        with _deployed(config) as url:
            request = image_request(url, jpeg)
            run_load(url, request, clients=1, seconds=1)  # warms everything up
            alone = run_in_turns(url, request, bare.alone_once, turns=TURNS)
            full = run_load(url, request, clients=CLIENTS, seconds=SECONDS)
            idle_s = _cpu_s(SECONDS) / SECONDS
        return cls(alone_s=alone.quantile(0.5), per_second=full.per_second, idle_s=idle_s)

    def rows(self, name: str, bare: BareForward) -> Iterator[Row]:
        """Yield the figures behind the ingress `name`, and what they leave of the bare forward."""
        figure = f"an empty deployment of Serve, {name}"
        yield Row(figure=f"{figure}: at low load, p50", value=1e3 * self.alone_s, unit="ms")
        yield Row(figure=f"{figure}: at saturation", value=self.per_second, unit="requests/s")
        yield Row(figure=f"{figure}: CPU while nobody asks", value=1e3 * self.idle_s, unit="ms/s")
        # At saturation all cores work on requests; with a forward they do what is left of it.
        server_s = bare.threads / self.per_second
        left = bare.share_left(server_s) * (1 - self.idle_s / bare.threads)
        yield Row(figure=f"{figure}: it and decoding leave, of the bare forward", value=left)


def _cpu_s(seconds: float) -> float:
    """Return how many seconds of CPU the processes of this Ray take in so many seconds."""

    def taken() -> dict[int, float]:
        found = {}
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it has ended
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        return found

    before = taken()
    time.sleep(seconds)
    return sum(after - before.get(pid, 0.0) for pid, after in taken().items())


@contextmanager
def _deployed(config: Config) -> Iterator[str]:
    """Run replicas of it on a Ray of this process, and yield the address that they answer at."""
    config = replace(config, serve=replace(config.serve, port=free_port()))
    system.connect(config)
    try:
        system.start_serve(config)
        sized = serve.deployment(
            name="empty",
            num_replicas=config.serve.replicas.min,
            max_ongoing_requests=config.serve.max_ongoing,
            logging_config=LOGGING,
            ray_actor_options={"num_cpus": CPU_SHARE},
        )(Empty)
        serve.run(sized.bind(), route_prefix="/")
        yield f"{config.endpoint}{PATH}"
    finally:
        serve.shutdown()
        ray.shutdown()
