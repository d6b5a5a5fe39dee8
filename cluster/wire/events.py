"""Document of an event: what webhooks receive as the body of a request."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from workers.webhooks.milestone import Kind, Milestone

SCHEMA: Literal[1] = 1
"""Grows when a receiver that reads today's events could not read tomorrow's; keys may be added."""
LATEST = 253_402_300_799.0
"""The end of the year 9999: no later time can be written."""


class EventData(BaseModel):
    """What has happened, and to what."""

    adapter: str = Field(description="Empty for a test.", examples=["main"])
    sequence: int | None = Field(
        description="Which event of the adapter it is, from 0: later ones have higher numbers. "
        "Numbers are missing where the webhook does not hear of everything. Null for a test."
    )
    who: str = Field(description="Who did it; empty where nobody is known.")
    why: str = Field(description="The reason that was given.")
    submission: str = Field(examples=["fashion-0123456789ab"])
    task: str = Field(description="Its name, or several with commas between.")
    version: int | None = Field(description="The version that it is about.")
    round: int = Field(description="How often somebody has asked for the submission.")
    reason: str = Field(description="Why it failed, was rejected or refused.")
    moves: dict[str, dict[str, int | None]] = Field(
        examples=[{"production": {"from": 5, "to": 3}}],
        description="Aliases that were moved with it; null is no version.",
    )


class Event(BaseModel):
    """One event."""

    type: Kind
    timestamp: str = Field(
        description="When it happened, in UTC.", examples=["2026-11-03T20:26:10.344522Z"]
    )
    id: str = Field(description="The same on every try, as in the header webhook-id.")
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    data: EventData


def event_document(milestone: Milestone, sequence: int | None) -> Event:
    """Return a milestone as webhooks receive it."""
    return Event(
        type=Kind(milestone.kind),
        timestamp=_timestamp(milestone.at),
        id=milestone.id,
        schema=SCHEMA,
        data=EventData(
            adapter=milestone.adapter,
            sequence=sequence,
            who=milestone.who,
            why=milestone.why,
            submission=milestone.submission,
            task=milestone.task,
            version=milestone.version,
            round=milestone.round,
            reason=milestone.reason,
            moves={name: {"from": old, "to": new} for name, (old, new) in milestone.moves.items()},
        ),
    )


def _timestamp(at: float) -> str:
    moment = datetime.fromtimestamp(min(max(at, 0.0), LATEST), tz=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
