"""Dispatcher of one webhook: tells it milestones, those of each adapter in their order."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from adapters.errors import CorruptionError, MissingError
from workers.concurrency.threads import Threads
from workers.store.base import ObjectStore
from workers.webhooks.attempts import (
    after_another,
    after_attempt,
    after_loss,
    after_other_loss,
    after_resumption,
    after_test,
)
from workers.webhooks.deliveries import (
    Deliveries,
    SetAside,
    read_deliveries,
    write_deliveries,
)
from workers.webhooks.log import MilestoneLog
from workers.webhooks.milestone import Kind, Milestone
from workers.webhooks.sender import Answer, Parcel, WebhookSetup
from workers.webhooks.webhook import Webhook

SAVED_S = 0.5
"""So often the state is written while all goes well; what was told since a crash is told again."""
logger = logging.getLogger("nacre.webhooks")


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What all dispatchers of a term have in common.

    Attributes:
        store: The object store.
        log: What has happened.
        setup: How webhooks are served.
        clock: Gives seconds since the epoch.
        threads: Where the store is read and written.
        epoch: Of the lead.
        leads: Says whether this coordinator still leads.
    """

    store: ObjectStore
    log: MilestoneLog
    setup: WebhookSetup
    clock: Callable[[], float]
    threads: Threads
    epoch: int
    leads: Callable[[], bool]


class Dispatcher:
    """Tells one webhook what it wants to hear: one request at a time.

    Args:
        webhook: As it is registered.
        around: The rest.
    """

    # Owns: the state of the webhook, while its coordinator leads. It belongs to one event loop.

    def __init__(self, webhook: Webhook, around: Surroundings) -> None:
        self.webhook = webhook
        self._around = around
        self._woken = asyncio.Event()
        self._state = Deliveries(name=webhook.name, id=webhook.id)
        self._saved = self._state
        self._saved_at = 0.0
        self._turn = ""

    def wake(self, webhook: Webhook | None = None) -> None:
        """Note that there may be something to tell, or that the webhook has changed."""
        self.webhook = webhook or self.webhook
        self._woken.set()

    async def run(self) -> None:
        """Tell, until this is cancelled."""
        around = self._around
        self._state = await around.threads.call(
            read_deliveries, around.store, self.webhook.name, self.webhook.id
        )
        self._state = replace(self._state, epoch=around.epoch)
        self._saved = self._state
        while True:
            self._woken.clear()
            await self._heed()
            tells = around.leads() and not self._state.stopped
            told = tells and (await self._tell_again() or await self._tell_next())
            await self._save(at_once=not told)
            if not told:
                await self._rest()

    async def _heed(self) -> None:
        """Heed what somebody has asked for since."""
        webhook = self.webhook
        if webhook.resumed != self._state.resumed:
            self._state = after_resumption(self._state, webhook.resumed)
        if webhook.test and webhook.test != self._state.tested and self._around.leads():
            now = self._around.clock()
            test = Milestone(id=webhook.test, kind=Kind.TEST, adapter="", at=now)
            answer, began, ended = await self._sent(test, None)
            self._state = after_test(
                self._state, test, answer, test=webhook.test, began=began, ended=ended
            )

    async def _tell_again(self) -> bool:
        """Tell what was set aside, once somebody has asked for that; return whether there was."""
        tried = next((each for each in self._state.aside if each.due), None)
        if tried is None:
            return False
        found = await self._around.threads.call(self._set_aside, self._around.log, tried)
        if found is None:
            self._state = after_other_loss(self._state, tried, now=self._around.clock())
            return True
        answer, began, ended = await self._sent(found, tried.sequence)
        self._state = after_another(self._state, tried, found, answer, began=began, ended=ended)
        return True

    def _set_aside(self, log: MilestoneLog, tried: SetAside) -> Milestone | None:
        """Return what was set aside; None where it is kept no longer."""
        try:
            batch = log.batch_with(tried.adapter, tried.sequence)
        except (CorruptionError, MissingError):
            return None
        if batch is None or batch.first > tried.sequence:
            return None
        return batch.milestones[tried.sequence - batch.first]

    async def _tell_next(self) -> bool:
        """Tell the next milestone of one adapter; return whether there was any to be told now."""
        now, log = self._around.clock(), self._around.log
        for adapter in self._in_turn():
            failing = self._state.failing.get(adapter)
            if failing is not None and now < failing.until:
                continue
            if not log.is_behind(adapter, self._place(adapter)):
                continue
            found = await self._around.threads.call(self._next, log, adapter)
            if found is None:
                continue
            sequence, milestone = found
            self._turn = adapter
            answer, began, ended = await self._sent(milestone, sequence)
            before = self._state
            self._state = after_attempt(
                before,
                milestone,
                sequence,
                answer,
                began=began,
                ended=ended,
                setup=self._around.setup,
            )
            self._say(before, answer)
            return True
        return False

    def _in_turn(self) -> list[str]:
        """Return the adapters, those behind the one that was last first."""
        names = sorted(self._around.log.adapters)
        return [n for n in names if n > self._turn] + [n for n in names if n <= self._turn]

    def _place(self, adapter: str) -> int:
        return max(self._state.next.get(adapter, 0), self.webhook.begins_at(adapter))

    def _next(self, log: MilestoneLog, adapter: str) -> tuple[int, Milestone] | None:
        """Return the next milestone of an adapter that the webhook wants to hear of."""
        sequence = self._place(adapter)
        while True:
            try:
                batch = log.batch_with(adapter, sequence)
            except (CorruptionError, MissingError) as error:
                following = log.after(adapter, sequence)
                if following is None:
                    return None  # the recorder says what is wrong
                self._lose(adapter, sequence, following, why=error.message)
                sequence = following
                continue
            if batch is None:
                return None
            if batch.first > sequence and self._state.next.get(adapter) is not None:
                why = "they were removed, since they waited for longer than they are kept"
                self._lose(adapter, sequence, batch.first, why=why)
            for number in range(max(sequence, batch.first), batch.end):
                milestone = batch.milestones[number - batch.first]
                if self.webhook.hears(milestone):
                    return number, milestone
            sequence = batch.end
            self._state = replace(self._state, next={**self._state.next, adapter: sequence})

    def _lose(self, adapter: str, sequence: int, following: int, *, why: str) -> None:
        now = self._around.clock()
        logger.warning("webhook %s misses events of %s: %s", self.webhook.name, adapter, why)
        self._state = after_loss(self._state, adapter, sequence, following, now=now, why=why)

    async def _sent(
        self, milestone: Milestone, sequence: int | None
    ) -> tuple[Answer, float, float]:
        around, webhook = self._around, self.webhook
        began = around.clock()
        parcel = Parcel(
            url=webhook.url,
            milestone=milestone,
            sequence=sequence,
            secrets=webhook.signing(now=began),
            now=began,
        )
        answer = await around.setup.sender.send(parcel)
        return answer, began, around.clock()

    def _say(self, before: Deliveries, answer: Answer) -> None:
        """Say once that a webhook fails, that it has stopped, and that it goes on."""
        name, after = self.webhook.name, self._state
        if len(after.aside) > len(before.aside):
            logger.warning("webhook %s: an event was set aside: %s", name, answer.said)
        if after.stopped:
            logger.warning("webhook %s has stopped: %s", name, after.stopped)
        elif after.failing and not before.failing:
            logger.warning("webhook %s fails: %s", name, answer.said)
        elif before.failing and not after.failing:
            logger.info("webhook %s is told again", name)

    async def _save(self, *, at_once: bool) -> None:
        around, now = self._around, self._around.clock()
        due = at_once or self._state.failing != self._saved.failing or self._state.stopped
        if self._state == self._saved or not (due or not 0 <= now - self._saved_at < SAVED_S):
            return
        state = self._state
        await around.threads.call(write_deliveries, around.store, state)
        self._saved, self._saved_at = state, now

    async def _rest(self) -> None:
        """Wait until something has changed, or it is time to try again."""
        now = self._around.clock()
        ends = [failing.until for failing in self._state.failing.values()]
        wait_s = max(0.0, min(ends) - now) if ends and not self._state.stopped else None
        if not self._around.leads():
            wait_s = self._around.setup.poll_s
        # Not `wait_for`, which forgets that it was cancelled where the event is set just then.
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
