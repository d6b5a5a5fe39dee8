"""The coordinator as a Ray Serve deployment of one replica, which Serve starts again when it dies.

Serve may run two of them for a moment: while its arguments change, or where a node that was given
up goes on. Both are of one system; the lead goes to whichever was started last, and what the other
still writes is fenced by its epoch.
"""

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from adapters.errors import UnavailableError, reason_of
from cluster.config import Config
from cluster.running_config import published
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import COORDINATOR, ROLES, application
from cluster.traces.tracing import begin_tracing

if TYPE_CHECKING:
    from workers.coordination.coordinator import Coordinator, Waiting
    from workers.coordination.settings import Setup
    from workers.webhooks.sender import WebhookSetup

ANSWER_S = 20.0
"""How long it may take to say how it is, in seconds."""
logger = logging.getLogger("nacre.coordinator")


@serve.deployment(name=COORDINATOR)
class CoordinatorRole:
    """Runs the coordinator's loop; its answers are those of the loop's own thread."""

    # Owns: the task, and through it the coordinator.

    async def __init__(self, config: Config) -> None:  # type: ignore[misc]  # Serve awaits it
        from workers.concurrency.supervision import Supervisor

        log_as_json()
        begin_tracing(config.traces, "nacre-coordinator")
        self._config = config
        # The same for one that is started again on this Ray, and for no other system.
        self._owner = ray.get_runtime_context().get_session_name()
        self._coordinator: Coordinator | None = None
        self._supervisor = Supervisor(
            "the coordinator's start", self._coordinate, clock=time.monotonic, logger=logger
        )
        self._task = asyncio.create_task(self._supervisor.run())

    async def config(self) -> Config:
        """Return the configuration of the running system."""
        return self._config

    async def waits_for(self) -> "Waiting | None":
        """Return why this system does not coordinate; None where it does."""
        from workers.coordination.coordinator import STARTING, Waiting

        if self._coordinator is not None:
            return self._coordinator.waiting
        trouble = self._supervisor.trouble
        if trouble is None:
            return Waiting(reason=STARTING)
        return Waiting.because(trouble, now=time.monotonic(), doing=STARTING)

    async def check_health(self) -> None:
        """Raise where the loop has ended, which should run for ever; Serve starts another then.

        A loop that does not come to this is as dead: Serve waits for the answer only so long.
        """
        if self._task.done():
            raise RuntimeError("the coordinator's loop has ended; another one is started")

    async def __del__(self) -> None:
        """Stop, and let another system coordinate at once; Serve calls it before it ends this."""
        for each in (self._supervisor, self._coordinator):
            if each is not None:
                each.stop()
        await asyncio.wait([self._task], timeout=ANSWER_S)

    async def _coordinate(self) -> None:
        # Made here, because what it holds belongs to this loop.
        from workers.coordination.coordinator import Coordinator

        setup = await asyncio.to_thread(setup_of, self._config)
        self._coordinator = Coordinator(setup, owner=self._owner, host=socket.gethostname())
        self._supervisor.recovered()
        await self._coordinator.run()


def running_coordinator() -> Any:
    """Return a handle of the coordinator of the Ray that this process has joined.

    None where none was declared; one that is being started again answers when it runs.

    Raises:
        UnavailableError: Serve does not say.
    """
    try:
        if application(COORDINATOR) not in serve.status().applications:
            return None
        return serve.get_app_handle(application(COORDINATOR))
    except RayServeException:  # being declared at this moment, or Serve does not run
        return None
    except (RayError, TimeoutError) as error:
        raise UnavailableError(f"Ray Serve does not answer: {reason_of(error)}") from error


def setup_of(config: Config) -> "Setup":
    """Return what the coordinator works with, the roles being those of this Ray."""
    from cluster.runtime.crew import Handles, RayCrew
    from cluster.runtime.process_meter import process_meter
    from cluster.stores.known import made_known_store
    from workers.coordination.settings import AdapterRules, Intervals, Setup
    from workers.metrics.metered_store import MeteredStore
    from workers.queue.machine import Limits
    from workers.queue.retry_policy import RetryPolicy

    def rules(adapter: str) -> AdapterRules:
        chosen = config.of_adapter(adapter)
        return AdapterRules(method=chosen.method, gate=chosen.gate)

    workers, meter = config.workers, process_meter()
    return Setup(
        store=MeteredStore(made_known_store(config.store), meter),
        crew=RayCrew(
            handles=Handles(
                **{role: _handle(role) for role in ROLES},
                shards_at_once=2 * workers.encoders.max + 2,
                mixture_parts=workers.mixtures,
            ),
            meter=meter,
        ),
        clock=time.time,
        rules=rules,
        limits=Limits(
            encoding=workers.encode_at_once,
            encoding_per_adapter=workers.encode_at_once_per_adapter,
            learning=workers.trainers,
            retry_policy=RetryPolicy(attempts=workers.attempts),
        ),
        intervals=Intervals(poll_s=workers.poll_s),
        retention=config.retention,
        configuration=published(config),
        webhooks=_webhooks(config),
        meter=meter,
    )


def _handle(role: str) -> Any:
    """Return a handle of a role, which may be declared and not be built yet."""
    return serve.get_deployment_handle(role, application(role), _check_exists=False)


def _webhooks(config: Config) -> "WebhookSetup | None":
    """Return how webhooks are served; None where events may be sent nowhere."""
    from cluster.webhooks.permitted import Permitted
    from cluster.webhooks.sending import HttpSender
    from workers.webhooks.sender import WebhookSetup

    if not config.events.allow:
        return None
    sender = HttpSender(Permitted(events=config.events))
    return WebhookSetup(sender=sender, poll_s=config.workers.poll_s)
