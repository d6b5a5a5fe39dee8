"""Documents of health: what a replica answers with, and what keeps it from that."""

from typing import Literal

from pydantic import BaseModel, Field


class Trouble(BaseModel):
    """What keeps something from running or answering."""

    reason: str = Field(description="The latest error, as a sentence.")
    for_s: float | None = Field(description="Seconds since the first of the row; null if unknown.")
    tries: int = Field(description="How often it was tried in vain.")


class AdapterState(BaseModel):
    """What a replica answers with for one adapter."""

    version: str | None = Field(examples=["main@5"])
    refused: str | None = Field(description="A version that could not be loaded.")
    reason: str | None = Field(description="Why.")
    seen_s: float | None = Field(
        description="Seconds since `production` was last known to be this version."
    )
    stale: bool = Field(description="Whether that is longer ago than `stale_s`.")
    ready: bool = Field(
        default=True, description="Whether requests for the adapter can be answered."
    )
    opening: str | None = Field(
        default=None,
        description="A version that it is reading, and how far it is.",
        examples=["main@7: 500 of 1,000 records"],
    )
    went_back: int = Field(
        default=0, description="How often the store answered with an older `production`, unheeded."
    )
    trouble: Trouble | None = Field(
        default=None, description="What keeps it from looking, if anything."
    )


class Ready(BaseModel):
    """What a replica answers with."""

    encoder: str
    adapters: dict[str, AdapterState]
    loaded: list[str] = Field(description="Versions kept loaded, the latest used last.")
    embedding: Trouble | None = Field(
        default=None, description="That an embedding does not end; null where all goes on."
    )
    replica: str = Field(
        default="", description="Which one answers: machine and process.", examples=["node-1:4711"]
    )
    in_metrics: str = Field(
        default="",
        description="The same one as its metrics and Ray's call it, in their label `replica`.",
        examples=["x2k9q1ab"],
    )
    runs_s: float = Field(default=0.0, description="Seconds since it began.")
    under_way: int = Field(
        default=0, description="Images that it was asked about and has not answered yet."
    )


class Status(Ready):
    """What a replica answers with, and what it knows of the system around it."""

    coordinator: Trouble | None = Field(
        default=None,
        description="Why the queue is not coordinated by this system; null where it is.",
    )
    deployments: dict[str, Trouble] = Field(
        default={}, description="What else does not run as it should, such as `shard_encoder`."
    )


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"
