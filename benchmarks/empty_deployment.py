"""What Ray Serve takes by itself: a deployment that reads the body of a request and answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cluster.config import Config
from cluster.system import system

PATH = "/v1/predict"
ANSWER = {"results": [{"predictions": [{"label": f"thing {rank}"} for rank in range(5)]}]}


async def _answered(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse(ANSWER)


@serve.deployment(name="empty")
@serve.ingress(Starlette(routes=[Route(PATH, _answered, methods=["POST"])]))
class EmptyDeployment:
    """One replica."""


@contextmanager
def empty_deployment(config: Config) -> Iterator[str]:
    """Run replicas of it on a Ray of this process, and yield the address that they answer at."""
    system.connect(config)
    try:
        system.start_serve(config)
        sized = EmptyDeployment.options(
            num_replicas=config.serve.replicas.min,
            max_ongoing_requests=config.serve.max_ongoing,
            logging_config=system.LOGGING,
            ray_actor_options={"num_cpus": system.CPU_SHARE},
        )
        serve.run(sized.bind(), route_prefix="/")
        yield f"{config.endpoint}{PATH}"
    finally:
        serve.shutdown()
        ray.shutdown()
