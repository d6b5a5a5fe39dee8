"""Outputs about the system: that it runs, that it has ended, and what was checked of it."""

from typing import Literal

from pydantic import BaseModel, Field


class StartedSystem(BaseModel):
    """A system that answers."""

    endpoint: str
    store: str
    ray: str
    pid: int | None = Field(description="Its process; null on a Ray that ran before.")
    log: str | None = Field(description="Where it writes in the background.")
    waits_for: str | None = Field(description="Why it does not coordinate.")
    notes: list[str] = Field(
        default=[], description="Such as that an adapter has another method than is configured."
    )


class StartedConsole(BaseModel):
    """A console that answers."""

    url: str = Field(examples=["http://127.0.0.1:8001/console"])
    store: str
    pid: int
    login: bool = Field(description="Whether people log in; else everybody here may do everything.")


class AppliedConfig(BaseModel):
    """What `up` has made of another configuration of a running system."""

    applied: list[str] = Field(description="Keys that count from now on.")
    needs_restart: list[str] = Field(description="Keys that count after `down` and `up` alone.")
    notes: list[str] = Field(
        default=[], description="Such as that an adapter has another method than is configured."
    )


class StoppedSystem(BaseModel):
    """A system that has ended."""

    stopped: Literal[True] = True
    endpoint: str
    store: str
    ray: str


class CheckFinding(BaseModel):
    """What one check has found."""

    check: str
    level: Literal["ok", "warning", "error"]
    found: str
    remedy: str = Field(description="What to do; empty where all is well.")
