"""Routes for operations: liveness and readiness for everybody, status and metrics."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from cluster.api.parameters import AskedBy
from cluster.api.places import Places
from cluster.api.problems import problem, problems
from cluster.client.requester import Requester
from cluster.metrics.exposition import CONTENT_TYPE
from cluster.serving.service import Service
from cluster.wire.health import Live, Ready, Status, Trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What is known of the system around a replica.

    Attributes:
        coordinator: Why the queue is not coordinated by it; None where it is.
        deployments: What else does not run as it should, by name.
    """

    coordinator: Trouble | None = None
    deployments: Mapping[str, Trouble] = field(default_factory=dict)


async def alone() -> Around:
    """Return what a replica without a system around it knows."""
    return Around()


def routes(service: Service, places: Places) -> APIRouter:
    """Return the routes for probes, answered by `service`.

    Args:
        service: Answers for this replica.
        places: What stands for the service's own places in reasons.
    """
    router = APIRouter(tags=["health"])

    @router.get("/v1/health/live", response_model=Live, responses=problems(503))
    async def live() -> Response:
        """Say that the process answers, and that everything in it runs that should."""
        ended = service.ended
        if ended is None:
            return JSONResponse(Live().model_dump())
        return problem(503, "UnavailableError", f"{ended}; start the replica again")

    @router.get("/v1/health/ready", response_model=Ready, responses=problems(503))
    async def ready() -> Response:
        """Say which versions answer, also before the first one; 503 where one cannot."""
        found = _known(service, places)
        unready = {name: state for name, state in found.adapters.items() if not state.ready}
        refused = [f"{s.refused} ({s.reason})" for s in unready.values() if s.refused]
        if found.embedding is not None:
            detail = found.embedding.reason
        elif refused:
            detail = f"what is in production cannot be loaded: {', '.join(refused)}"
        elif unready:
            detail = f"whether `production` has moved is not known of: {', '.join(unready)}"
        else:
            return JSONResponse(found.model_dump())
        return problem(503, "UnavailableError", detail)

    # Some probes and load balancers ask so; the server leaves out the body.
    for path, answer in (("live", live), ("ready", ready)):
        router.add_api_route(
            f"/v1/health/{path}", answer, methods=["HEAD"], include_in_schema=False
        )
    return router


def standing(
    service: Service,
    places: Places,
    around: Callable[[], Awaitable[Around]] = alone,
    counted: Callable[[], Awaitable[bytes]] | None = None,
) -> APIRouter:
    """Return the routes that say how all is, answered by `service`.

    Args:
        service: Answers for this replica.
        places: What stands for the service's own places in reasons.
        around: Looks at the rest of the system.
        counted: Reads what the system has counted; what `service` has where None.
    """
    router = APIRouter(tags=["health"])

    @router.get("/v1/status", responses=problems(422))
    async def status(by: AskedBy) -> Status:
        """Say everything that this replica knows of the adapters that may be looked at, whether it
        is ready or not, and of the system around it: what is wrong, and for how long.
        """
        found = await around()
        coordinator = found.coordinator and _said(found.coordinator, places)
        deployments = {name: _said(trouble, places) for name, trouble in found.deployments.items()}
        known = _seen(_known(service, places), by)
        return Status(**known.model_dump(), coordinator=coordinator, deployments=deployments)

    @router.get("/v1/metrics", response_class=PlainTextResponse, responses=problems(422, 503))
    async def metrics() -> Response:
        """Return what all processes of the system have counted, in Prometheus' text format.

        Whichever replica is asked says the same: the pages of Ray's agents on all nodes, added up
        per node, with what processes had counted that have died since. It is some seconds old.
        """
        read = counted or service.counted
        return Response(await read(), media_type=CONTENT_TYPE)

    return router


def _known(service: Service, places: Places) -> Ready:
    found = service.ready()
    for state in found.adapters.values():
        state.reason = state.reason and places.said(state.reason)
        state.trouble = state.trouble and _said(state.trouble, places)
    return found


def _seen(found: Ready, by: Requester) -> Ready:
    """Return what somebody may look at of what a replica answers with."""
    adapters = {name: state for name, state in found.adapters.items() if by.sees(name)}
    loaded = [label for label in found.loaded if by.sees(label.partition("@")[0])]
    return found.model_copy(update={"adapters": adapters, "loaded": loaded})


def _said(trouble: Trouble, places: Places) -> Trouble:
    return trouble.model_copy(update={"reason": places.said(trouble.reason)})
