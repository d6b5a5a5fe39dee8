"""Webhooks as tests register them."""

from workers.store import ObjectStore
from workers.webhooks.webhook import Secret, Webhook, register

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://hooks.example.com/nacre/a-secret-path"


def webhook(
    store: ObjectStore,
    name: str = "team-chat",
    *,
    url: str = URL,
    adapters: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    begins: dict[str, tuple[int, int]] | None = None,
) -> Webhook:
    """Register a webhook, and return it."""
    return register(
        store,
        Webhook(
            name=name,
            id=f"hook_{name}",
            url=url,
            secrets=(Secret(value=SECRET),),
            created=1_000.0,
            by="anna",
            adapters=adapters,
            kinds=kinds,
            begins=begins or {},
        ),
    )
