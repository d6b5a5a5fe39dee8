"""Documents of webhooks: how they are registered, and what became of their deliveries."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

OVERLAP_HOURS = 24.0
"""So long an old secret signs beside a new one, where nobody says otherwise."""


class WebhookDelivery(BaseModel):
    """What became of telling one event, as of the latest attempt."""

    id: str = Field(description="The event's, as in the header webhook-id.")
    type: str = Field(examples=["submission.failed"], description="Empty where it is not known.")
    adapter: str
    sequence: int | None = Field(description="Which event of the adapter; null for a test.")
    at: float = Field(description="When the latest attempt began, in seconds since 1970.")
    took_s: float
    attempts: int
    status: int | None = Field(description="Of the answer; null where there was none.")
    outcome: Literal["delivered", "failed", "set_aside", "lost"] = Field(
        description="`failed`: it is tried again unless the webhook has stopped. `set_aside`: it "
        "was refused too often, and is tried again when the webhook is resumed. `lost`: what was "
        "stored of it is damaged or gone."
    )
    said: str = Field(examples=["it answered 204"])


class WebhookTrouble(BaseModel):
    """The next event of an adapter, which could not be delivered yet."""

    adapter: str
    since: float = Field(description="When it was tried first, in seconds since 1970.")
    attempts: int
    until: float = Field(description="It is tried again then.")


class WebhookSetAside(BaseModel):
    """An event that the receiver has refused too often."""

    adapter: str
    sequence: int = Field(description="Which event of the adapter.")


class WebhookState(BaseModel):
    """One webhook."""

    name: str = Field(examples=["team-chat"])
    url: str = Field(
        examples=["https://hooks.example.com/…"],
        description="Without its path and query, which may be secrets.",
    )
    adapters: list[str] = Field(description="Of which it hears; of all where there are none.")
    kinds: list[str] = Field(description="Of what it hears; of everything where there are none.")
    created: float = Field(description="Seconds since 1970.")
    by: str
    secrets: int = Field(description="How many secrets sign now: two after a rotation.")
    state: Literal["works", "fails", "stopped"]
    stopped: str = Field(description="Why nothing is delivered until it is resumed; else empty.")
    waiting: list[WebhookTrouble]
    set_aside: list[WebhookSetAside] = Field(
        description="Refused too often, the oldest first; tried again when the webhook is resumed."
    )
    deliveries: list[WebhookDelivery] = Field(description="The latest ones, newest first.")


class RegisteredWebhook(WebhookState):
    """A webhook that has just been given a secret."""

    secret: str = Field(description="Shown this once; receivers verify signatures with it.")


class TestedWebhook(BaseModel):
    """What became of a test."""

    name: str
    delivery: WebhookDelivery | None = Field(description="Null where nobody has sent it yet.")


class WebhookRequest(BaseModel):
    """A wish to register a webhook."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "team-chat",
                    "url": "https://hooks.example.com/nacre",
                    "kinds": ["submission.failed"],
                }
            ]
        },
    )

    name: str = Field(max_length=64)
    url: str = Field(max_length=2000)
    adapters: list[str] = Field(default=[], max_length=100)
    kinds: list[str] = Field(default=[], max_length=100)


class RotationRequest(BaseModel):
    """A wish for a new secret."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 48}]}
    )

    overlap_hours: float = Field(
        default=OVERLAP_HOURS,
        ge=0,
        le=8760,
        description="So long the old secret signs beside the new one.",
    )
