"""Outputs about the system: that it runs, that it has ended, and what was checked of it."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class StartedSystem(BaseModel):
    """A system that answers."""

    endpoint: str
    store: str
    ray: str
    pid: int | None = Field(description="Its process; null on a Ray that ran before.")
    log: str | None = Field(description="Where it writes in the background.")
    waits_for: str | None = Field(description="Why it does not coordinate.")
    console: str | None = Field(
        default=None, description="Where its pages are; null without `serve: {console: true}`."
    )
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


class ReadySystem(BaseModel):
    """A system that can answer requests."""

    ready: Literal[True] = True
    endpoint: str = Field(description="Where it was asked.")


class ShownConfig(BaseModel):
    """The configuration in effect."""

    configuration: dict[str, Any] = Field(description="Every key, as in the file.")
    file: str | None = Field(description="The file that was read; null where there was none.")
    notes: list[str] = Field(description="Variables that begin like nacre's and are no keys.")


class ListeningAt(BaseModel):
    """Where Ray Serve listens."""

    host: str
    port: int


class ServedApplication(BaseModel):
    """An application of Ray Serve."""

    name: str
    import_path: str
    route_prefix: str | None
    args: dict[str, Any]


class ServeDocument(BaseModel):
    """What `serve deploy` and RayService take."""

    proxy_location: str
    http_options: ListeningAt
    logging_config: dict[str, Any]
    applications: list[ServedApplication]


class BundledPart(BaseModel):
    """A part of a support bundle."""

    part: str = Field(examples=["logs"])
    size_bytes: int = Field(description="Of its files, as they are unpacked.")
    missing: str | None = Field(description="Why it is not there, or not all of it.")


class SupportBundle(BaseModel):
    """An archive that somebody can be sent."""

    file: str
    size_bytes: int
    hidden: int = Field(description="In how many places a secret, or what looks like one, stood.")
    parts: list[BundledPart]
