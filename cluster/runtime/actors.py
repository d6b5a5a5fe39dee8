"""The coordinator as a detached Ray actor, which Ray starts again when it dies."""

import asyncio
import logging
import os
import socket
import threading
import time
from typing import Any

import ray
from ray import serve

from cluster.config import Config
from cluster.running_config import published
from cluster.runtime.crew import Handles, RayCrew
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import COORDINATOR, NAMESPACE, ROLES, application
from cluster.stores.open import open_store
from cluster.webhooks.permitted import Permitted
from cluster.webhooks.sending import HttpSender
from workers.concurrency.supervision import Supervisor
from workers.coordination.coordinator import STARTING, Coordinator, Waiting
from workers.coordination.settings import AdapterRules, Intervals, Setup
from workers.queue.machine import Limits
from workers.queue.retry_policy import RetryPolicy
from workers.webhooks.sender import WebhookSetup

STOP_TIMEOUT_S = 20
logger = logging.getLogger("nacre.coordinator")


@ray.remote(num_cpus=0, max_restarts=-1)
class CoordinatorActor:
    """Runs the coordinator's loop in a thread of its own, so that it goes on after a restart."""

    # Owns: the thread, its event loop, and through it the coordinator.

    def __init__(self, config: Config, owner: str) -> None:
        log_as_json()
        self._config = config
        self._owner = owner
        self._loop = asyncio.new_event_loop()
        self._coordinator: Coordinator | None = None
        self._supervisor: Supervisor | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Return whether the loop runs."""
        return self._thread.is_alive()

    def config(self) -> Config:
        """Return the configuration of the running system."""
        return self._config

    def waits_for(self) -> Waiting | None:
        """Return why this system does not coordinate; None where it does."""
        if self._coordinator is not None:
            return self._coordinator.waiting
        trouble = self._supervisor.trouble if self._supervisor else None
        if trouble is None:
            return Waiting(reason=STARTING)
        return Waiting.because(trouble, now=time.monotonic(), doing=STARTING)

    def stop(self) -> None:
        """Stop, and let another system coordinate at once."""
        self._stopping = True
        for each in (self._supervisor, self._coordinator):
            if each is not None:
                self._loop.call_soon_threadsafe(each.stop)
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._supervised())
        except BaseException:
            logger.exception("the coordinator's thread has ended")
        if not self._stopping:
            os._exit(1)  # an actor that does nothing must not look alive: Ray starts it again

    async def _supervised(self) -> None:
        self._supervisor = Supervisor(
            "the coordinator's start", self._coordinate, clock=time.monotonic, logger=logger
        )
        await self._supervisor.run()

    async def _coordinate(self) -> None:
        # Made here, because what it holds belongs to this loop.
        setup = await asyncio.to_thread(setup_of, self._config)
        self._coordinator = Coordinator(setup, owner=self._owner, host=socket.gethostname())
        assert self._supervisor is not None
        self._supervisor.recovered()
        await self._coordinator.run()


def running_coordinator() -> Any:
    """Return the coordinator of the Ray that this process has joined; None where there is none."""
    try:
        return ray.get_actor(COORDINATOR, namespace=NAMESPACE)
    except ValueError:
        return None


def setup_of(config: Config) -> Setup:
    """Return what the coordinator works with, the roles being those of this Ray."""

    def rules(adapter: str) -> AdapterRules:
        chosen = config.of_adapter(adapter)
        return AdapterRules(method=chosen.method, gate=chosen.gate)

    workers = config.workers
    return Setup(
        store=open_store(config.store, existing=True),
        crew=RayCrew(
            handles=Handles(
                **{role: serve.get_app_handle(application(role)) for role in ROLES},
                shards_at_once=2 * workers.encoders.max + 2,
                mixture_parts=workers.mixtures,
            )
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
    )


def _webhooks(config: Config) -> WebhookSetup | None:
    """Return how webhooks are served; None where events may be sent nowhere."""
    if not config.events.allow:
        return None
    sender = HttpSender(Permitted(events=config.events))
    return WebhookSetup(sender=sender, poll_s=config.workers.poll_s)
