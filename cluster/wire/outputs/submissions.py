"""Outputs about submissions: how they were accepted, and where they are."""

from pydantic import BaseModel, Field

from cluster.wire.health import Status
from cluster.wire.tasks import SourceCount, TaskList, TaskState
from cluster.wire.versions import AdapterBehind


class ComparedConfig(BaseModel):
    """The configuration of the system that runs, beside the one that this command has read."""

    digest: str
    differs: list[str] = Field(description="Keys that are not the same.")


class SubmittedTask(TaskState):
    """A task that has become durable, and where it is."""

    is_new: bool = Field(description="False where the same had been submitted before.")
    classes: int
    images_by_split: dict[str, int] = Field(examples=[{"train": 60, "held_out": 20}])
    notes: list[str] = Field(description="What whoever submitted should know.")
    configuration: ComparedConfig | None = Field(
        description="What the system that coordinates was configured with; null where none does."
    )
    sources: dict[str, SourceCount] = Field(
        description="What became of everything in `images` and `held_out`."
    )
    task_file: str | None = Field(
        default=None,
        description="The task file that says the same, where images were submitted without one.",
    )


class WrittenTaskFile(BaseModel):
    """A task file that was written for a source of images."""

    path: str
    task_file: str = Field(description="What it says, without its comments.")
    notes: list[str] = Field(description="What of the source was left alone.")


class Unanswered(BaseModel):
    """Why the HTTP API did not say how it is."""

    error: str


class SystemTrouble(BaseModel):
    """Something that is not as it should be."""

    what: str = Field(description="Which part of the system.", examples=["the coordinator"])
    reason: str
    for_s: float | None = Field(description="Seconds since it began; null if unknown.")
    tries: int | None = Field(description="How often it was tried in vain.")


class SystemStatus(TaskList):
    """The queue, what answers, and what is wrong."""

    service: Status | Unanswered | None = Field(
        description="What `GET /v1/status` says; null where nothing runs."
    )
    troubles: list[SystemTrouble]
    behind: list[AdapterBehind] = Field(
        description="Adapters of which an older version than the newest is in production."
    )
    configuration: ComparedConfig | None = Field(
        description="What the system that coordinates was configured with; null where none does."
    )
