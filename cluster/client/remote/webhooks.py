"""Calls for webhooks: add, look, remove, rotate, test, resume."""

from collections.abc import Sequence

from cluster.client.remote.call import Call, change, look, path_to
from cluster.client.remote.part import CallPart
from cluster.wire.webhooks import OVERLAP_HOURS, RegisteredWebhook, TestedWebhook, WebhookState

HOUR_S = 3600.0
OVERLAP_S = OVERLAP_HOURS * HOUR_S


class WebhookCalls(CallPart):
    """Registers webhooks, and shows what became of their deliveries."""

    def add_webhook(
        self, name: str, url: str, *, adapters: Sequence[str] = (), kinds: Sequence[str] = ()
    ) -> Call[RegisteredWebhook]:
        """Register a webhook, which hears of whatever happens from now on, and return it.

        Its secret is in what is returned, and in no later answer.

        Args:
            name: What it is called.
            url: Where it is; below an address that the configuration permits.
            adapters: Of which it hears; of all where there are none.
            kinds: Of what it hears; of everything where there are none.

        Raises:
            InputError: no such name, address or kind is permitted, or there are too many webhooks.
            ConflictError: there is one of that name.
        """
        path = path_to("webhooks")
        return change(
            RegisteredWebhook, path, name=name, url=url, adapters=[*adapters], kinds=[*kinds]
        )

    def webhooks(self) -> Call[list[WebhookState]]:
        """Return all webhooks, by name, each with its deliveries."""
        return look(list[WebhookState], path_to("webhooks"))

    def webhook(self, name: str) -> Call[WebhookState]:
        """Return a webhook with its deliveries.

        Raises:
            NotFoundError: there is none.
        """
        return look(WebhookState, path_to("webhooks", name))

    def remove_webhook(self, name: str) -> Call[None]:
        """Remove a webhook, which hears of nothing any more.

        Raises:
            NotFoundError: there is none.
        """
        path = path_to("webhooks", name, "remove")
        return Call(kind=None, verb="POST", path=path, changes=True)

    def rotate_webhook(self, name: str, *, overlap_s: float = OVERLAP_S) -> Call[RegisteredWebhook]:
        """Give a webhook a new secret, beside which the old one signs for a while; return it.

        Its new secret is in what is returned, and in no later answer.

        Raises:
            NotFoundError: there is none.
        """
        path = path_to("webhooks", name, "rotate")
        return change(RegisteredWebhook, path, overlap_hours=overlap_s / HOUR_S)

    def resume_webhook(self, name: str) -> Call[WebhookState]:
        """Try at once whatever a webhook waits for, also where it has stopped.

        Raises:
            NotFoundError: there is none.
        """
        return change(WebhookState, path_to("webhooks", name, "resume"))

    def test_webhook(self, name: str) -> Call[TestedWebhook]:
        """Have the running system send an event that means nothing, and return what became of it.

        Raises:
            NotFoundError: there is no such webhook.
            UnavailableError: no system runs, or one that sends events nowhere.
        """
        return change(TestedWebhook, path_to("webhooks", name, "test"))
