"""Routes for operations: liveness, readiness, status, metrics."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from cluster.api.places import Places
from cluster.api.problems import problem, problems
from cluster.serving.metrics import CONTENT_TYPE
from cluster.serving.service import Service
from cluster.wire.documents import Live, Ready


def routes(service: Service, places: Places) -> APIRouter:
    """Return the routes, answered by `service`; reasons are said as `places` has them."""
    router = APIRouter(tags=["health"])

    def known() -> Ready:
        found = service.ready()
        for state in found.adapters.values():
            state.reason = state.reason and places.said(state.reason)
        return found

    @router.get("/v1/health/live", response_model=Live, responses=problems(503))
    async def live() -> Response:
        """Say that the process answers, and that everything in it runs that should."""
        if service.lives:
            return JSONResponse(Live().model_dump())
        return problem(503, "UnavailableError", "a follower has ended; start the replica again")

    @router.get("/v1/health/ready", response_model=Ready, responses=problems(503))
    async def ready() -> Response:
        """Say which versions answer, also before the first one; 503 where that may be outdated."""
        found = known()
        states = found.adapters
        refused = [
            f"{state.refused} ({state.reason})"
            for state in states.values()
            if state.refused and (state.stale or state.version is None)
        ]
        stale = [name for name, s in states.items() if s.stale and not s.refused]
        if refused:
            detail = f"what is in production cannot be loaded: {', '.join(refused)}"
        elif stale:
            detail = f"whether `production` has moved is not known of: {', '.join(stale)}"
        else:
            return JSONResponse(found.model_dump())
        return problem(503, "UnavailableError", detail)

    @router.get("/v1/status", responses=problems())
    async def status() -> Ready:
        """Say everything that this replica knows of its versions, whether it is ready or not."""
        return known()

    @router.get("/v1/metrics", response_class=PlainTextResponse, responses=problems())
    async def metrics() -> Response:
        """Return the counters of the replica that answers, in Prometheus' text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    # Some probes and load balancers ask so; the server leaves out the body.
    for path, answer in (("live", live), ("ready", ready)):
        router.add_api_route(
            f"/v1/health/{path}", answer, methods=["HEAD"], include_in_schema=False
        )
    return router
