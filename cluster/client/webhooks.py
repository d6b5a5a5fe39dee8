"""The client's verbs for webhooks: add, look, remove, rotate, test, resume."""

import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from adapters.errors import NotFoundError, UnavailableError, printable
from cluster.client.part import ClientPart
from cluster.client.requester import By
from cluster.webhooks.permitted import Permitted
from cluster.webhooks.sending import new_secret
from cluster.wire.webhooks import OVERLAP_HOURS
from workers.queue.leadership import read_leadership
from workers.queue.machine import EVERY_ADAPTER
from workers.registry import Author
from workers.registry.documents.layout import check_adapter
from workers.webhooks import webhook as registering
from workers.webhooks.deliveries import Deliveries, Delivery, read_deliveries
from workers.webhooks.log import MilestoneLog
from workers.webhooks.webhook import Secret, Webhook, check_kind, check_name

OVERLAP_S = OVERLAP_HOURS * 3600.0
TEST_TIMEOUT_S = 20.0
POLL_S = 0.25


class WebhookVerbs(ClientPart):
    """Registers webhooks, and shows what became of their deliveries."""

    def add_webhook(
        self,
        name: str,
        url: str,
        *,
        adapters: Sequence[str] = (),
        kinds: Sequence[str] = (),
        by: By = None,
    ) -> Webhook:
        """Register a webhook, which hears of whatever happens from now on, and return it.

        Its secret is in what is returned, and in no later answer.

        Args:
            name: What it is called.
            url: Where it is; below an address that the configuration permits.
            adapters: Of which it hears; of all where there are none.
            kinds: Of what it hears; of everything where there are none.
            by: Who registers it.

        Raises:
            InputError: no such name, address or kind is permitted, or there are too many webhooks.
            ConflictError: there is one of that name.
        """
        with self._changing_webhook(f"add {printable(name)}", by) as author:
            Permitted(events=self.config.events).url(url)
            wanted = Webhook(
                name=check_name(name),
                id=f"hook_{secrets.token_hex(8)}",
                url=url,
                secrets=(Secret(value=new_secret()),),
                created=author.now,
                by=author.who,
                adapters=tuple(map(check_adapter, adapters)),
                kinds=tuple(map(check_kind, kinds)),
                begins=self._now_recorded(),
            )
            return registering.register(self._store, wanted)

    def webhooks(self) -> list[tuple[Webhook, Deliveries]]:
        """Return all webhooks, by name, each with its deliveries."""
        return [(each, self._deliveries(each)) for each in registering.registered(self._store)]

    def webhook(self, name: str) -> tuple[Webhook, Deliveries]:
        """Return a webhook with its deliveries.

        Raises:
            NotFoundError: there is none.
        """
        found = registering.existing_webhook(self._store, name)
        return found, self._deliveries(found)

    def remove_webhook(self, name: str, *, by: By = None) -> None:
        """Remove a webhook, which hears of nothing any more.

        Raises:
            NotFoundError: there is none.
        """
        with self._changing_webhook(f"remove {printable(name)}", by):
            registering.remove(self._store, name)

    def rotate_webhook(self, name: str, *, overlap_s: float = OVERLAP_S, by: By = None) -> Webhook:
        """Give a webhook a new secret, beside which the old one signs for a while; return it.

        Its new secret is in what is returned, and in no later answer.

        Raises:
            NotFoundError: there is none.
        """
        with self._changing_webhook(f"rotate {printable(name)}", by) as author:
            secret, until = new_secret(), author.now + overlap_s
            return registering.change(
                self._store, name, lambda held: held.rotated(secret, until=until)
            )

    def resume_webhook(self, name: str, *, by: By = None) -> Webhook:
        """Try at once whatever a webhook waits for, also where it has stopped.

        Raises:
            NotFoundError: there is none.
        """
        with self._changing_webhook(f"resume {printable(name)}", by):
            return registering.change(
                self._store, name, lambda held: replace(held, resumed=held.resumed + 1)
            )

    def test_webhook(
        self, name: str, *, timeout_s: float = TEST_TIMEOUT_S, by: By = None
    ) -> Delivery | None:
        """Have the running system send an event that means nothing, and return what became of it.

        None where it was not sent in time; it is sent as soon as a system runs that permits it.

        Raises:
            NotFoundError: there is no such webhook.
            UnavailableError: no system runs, or one that sends events nowhere.
        """
        registering.existing_webhook(self._store, name)
        self._check_served()
        test = f"evt_{secrets.token_hex(16)}"
        with self._changing_webhook(f"test {name}", by):
            registering.change(self._store, name, lambda held: replace(held, test=test))
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            _, state = self.webhook(name)
            found = next((each for each in state.latest if each.id == test), None)
            if found is not None:
                return found
            time.sleep(POLL_S)
        return None

    def _changing_webhook(self, what: str, by: By) -> AbstractContextManager[Author]:
        return self._changing("webhook", EVERY_ADAPTER, target=what, by=by)

    def _check_served(self) -> None:
        """Raise UnavailableError unless a system runs that could send an event."""
        lead = read_leadership(self._store)
        if lead is None or not lead.lasts(now=time.time()):
            raise UnavailableError(
                "expected a system that runs and sends events, found none; have it started, and "
                "test again"
            )
        running = lead.configuration or {}
        if not running.get("events", {}).get("allow", True):
            raise UnavailableError(
                "the running system sends events nowhere: name the addresses that webhooks may "
                "have under `events: allow:` in its configuration, and have that applied"
            )

    def _deliveries(self, webhook: Webhook) -> Deliveries:
        return read_deliveries(self._store, webhook.name, webhook.id)

    def _now_recorded(self) -> dict[str, tuple[int, int]]:
        """Return, by adapter, how much has been recorded and has happened by now."""
        log = MilestoneLog(self._store)
        names = sorted({*log.adapters, *self._registry.adapters()})
        return {name: (log.end(name), self._history_length(name)) for name in names}

    def _history_length(self, name: str) -> int:
        handle = self._registry.adapter(name)
        try:
            latest = handle.refs().history
        except NotFoundError:
            return 0
        return handle.objects.entry(latest).index + 1 if latest else 0
