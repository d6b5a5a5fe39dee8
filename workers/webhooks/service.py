"""Service of all webhooks while one coordinator leads: what has happened is recorded, and told."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from adapters.errors import CorruptionError, MissingError
from workers.concurrency.supervision import Backoff, Supervisor
from workers.concurrency.threads import Threads
from workers.store.base import ObjectStore
from workers.store.changed import ChangedObjects
from workers.webhooks import webhook as webhooks
from workers.webhooks.dispatcher import Dispatcher, Surroundings
from workers.webhooks.log import MilestoneLog
from workers.webhooks.milestone import Milestone
from workers.webhooks.recorder import Recorder
from workers.webhooks.sender import WebhookSetup
from workers.webhooks.webhook import Webhook, name_of, read_webhook

TRIM_EVERY_S = 3600.0
logger = logging.getLogger("nacre.webhooks")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueMilestones:
    """What the queue has to tell.

    Attributes:
        pending: Returns the milestones on its pages that are not known to be recorded.
        recorded: Is told which they are: all up to one, by its order.
    """

    pending: Callable[[], Sequence[Milestone]]
    recorded: Callable[[tuple[int, int]], None]


@dataclass(kw_only=True, slots=True)
class _Served:
    """A webhook that is served: its dispatcher, and the task that begins it again."""

    dispatcher: Dispatcher
    task: asyncio.Task[None]


class WebhookService:
    """Runs beside a queue, which never waits for it.

    Args:
        store: The object store.
        setup: How webhooks are served.
        queue: What the queue has to tell.
        clock: Gives seconds since the epoch.
        threads: Where the store is read and written.
        epoch: Of the lead.
        leads: Says whether this coordinator still leads.
    """

    # Owns: the dispatchers and their tasks, and what was said of webhooks that cannot be served. It
    # belongs to one event loop.

    def __init__(
        self,
        store: ObjectStore,
        setup: WebhookSetup,
        queue: QueueMilestones,
        *,
        clock: Callable[[], float],
        threads: Threads,
        epoch: int,
        leads: Callable[[], bool],
    ) -> None:
        self._store = store
        self._setup = setup
        self._queue = queue
        self._clock = clock
        self._threads = threads
        self._epoch = epoch
        self._leads = leads
        self._woken = asyncio.Event()
        self._served: dict[str, _Served] = {}
        self._said: dict[str, str] = {}
        self._supervisor = Supervisor("webhooks", self._serve, clock=clock, logger=logger)

    def wake(self) -> None:
        """Note that something has happened."""
        self._woken.set()

    async def run(self) -> None:
        """Record and tell until this is cancelled, whatever goes wrong meanwhile."""
        try:
            await self._supervisor.run()
        finally:
            await self._dismiss(list(self._served))

    async def _serve(self) -> None:
        await self._dismiss(list(self._served))
        log = await self._threads.call(MilestoneLog, self._store)
        around = Surroundings(
            store=self._store,
            log=log,
            setup=self._setup,
            clock=self._clock,
            threads=self._threads,
            epoch=self._epoch,
            leads=self._leads,
        )
        recorder = Recorder(self._store, log)
        documents = ChangedObjects(self._store, webhooks.PREFIX)
        trimmed_at = self._clock()
        while True:
            self._woken.clear()
            if self._leads():
                await self._look_at_webhooks(documents, around)
                await self._record(recorder, log)
                self._supervisor.recovered()
                if self._clock() - trimmed_at > TRIM_EVERY_S:
                    trimmed_at = self._clock()
                    await self._threads.call(log.forget, trimmed_at - self._setup.kept_s)
            await self._rest()

    async def _record(self, recorder: Recorder, log: MilestoneLog) -> None:
        before, pending = log.size, self._queue.pending()
        await self._threads.call(recorder.record, pending, now=self._clock())
        if pending and not recorder.is_behind:
            self._queue.recorded(max(each.order or (0, 0) for each in pending))
        if log.size != before:
            for served in self._served.values():
                served.dispatcher.wake()

    async def _look_at_webhooks(self, documents: ChangedObjects, around: Surroundings) -> None:
        changed = await self._threads.call(documents.look, now=self._clock())
        there = {name_of(key) for key in documents.keys}
        await self._dismiss([name for name in self._served if name not in there])
        for key in changed:
            name = name_of(key)
            try:
                found = await self._threads.call(read_webhook, self._store, name)
            except (CorruptionError, MissingError) as error:
                documents.look_again(key)
                if self._said.get(name) != error.message:
                    logger.warning("webhook %s is not served: %s", name, error.message)
                self._said[name] = error.message
                continue
            self._said.pop(name, None)
            known = self._served.get(name)
            if known is not None and (found is None or known.dispatcher.webhook.id != found.id):
                await self._dismiss([name])
                known = None
            if found is not None and known is None:
                self._served[name] = self._begun(found, around)
            elif found is not None and known is not None and found != known.dispatcher.webhook:
                known.dispatcher.wake(found)

    def _begun(self, found: Webhook, around: Surroundings) -> _Served:
        dispatcher = Dispatcher(found, around)
        supervisor = Supervisor(
            f"webhook {found.name}",
            dispatcher.run,
            clock=self._clock,
            backoff=Backoff(),
            logger=logger,
        )
        return _Served(dispatcher=dispatcher, task=asyncio.create_task(supervisor.run()))

    async def _dismiss(self, names: Sequence[str]) -> None:
        """End what is done for webhooks; a request that is under way is broken off."""
        tasks = [self._served.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rest(self) -> None:
        # Not `wait_for`, which forgets that it was cancelled where the event is set just then.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._setup.poll_s):
                await self._woken.wait()
