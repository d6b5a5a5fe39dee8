"""Documents of tasks: where submissions are, and what became of their images."""

from typing import Literal

from pydantic import BaseModel, Field

from cluster.wire.versions import HistoryEntry

MAX_ARCHIVE_BYTES = 2 * 2**30
"""Of the images of one task over HTTP."""


class TaskFailure(BaseModel):
    """Why an attempt ended."""

    stage: str
    cause: str = Field(examples=["fault"])
    error: str
    at: float = Field(description="Seconds since 1970.")


class TaskState(BaseModel):
    """Where a submission is."""

    submission_id: str = Field(examples=["fashion-0123456789ab"])
    task: str = Field(examples=["fashion"])
    adapter: str = Field(examples=["main"])
    stage: str = Field(examples=["training"])
    accepted_at: float = Field(description="Seconds since 1970.")
    since: float = Field(description="When it came to its stage, in seconds since 1970.")
    priority: int
    images: int = Field(description="How many it has, both splits together.")
    round: int = Field(description="How often somebody has asked for it.")
    attempts: int = Field(description="How often a stage of it has failed.")
    losses: int = Field(description="How often in a row a worker died under it without progress.")
    not_before: float = Field(description="It waits until then, in seconds since 1970.")
    parent: int | None = Field(description="The version it is learnt on; 0 for none.")
    version: int | None = Field(
        description="The version that was made of it; of a rejected one it is not served."
    )
    earlier: int = Field(description="The latest version of an earlier round; 0 for none.")
    note: str | None = Field(description="What else there is to say of how it ended.")
    author: str = Field(
        default="", description="Who submitted it; empty where that is not known any more."
    )
    size_bytes: int = Field(default=0, description="Bytes of its images, as they are stored.")
    branch: str = Field(
        default="", description="The alias that it grows in place of `head`; empty for that."
    )
    error: str | None = Field(description="Why its latest attempt failed.")
    failures: list[TaskFailure] = Field(description="The latest ones, oldest first.")
    done: int = Field(description="Images or steps of the present stage that are finished.")
    total: int = Field(description="The same in all; 0 where they are not counted.")
    rate: float | None = Field(description="Images or steps per second.")
    left_s: float | None = Field(description="Seconds left in the present stage.")


class TaskOutcome(TaskState):
    """Where a submission is after somebody has asked for a change of it."""

    outcome: Literal["done", "asked", "ended"] = Field(
        description="`done`: it is so, also where it was so before. `asked`: nobody has carried it "
        "out yet. `ended`: it had ended otherwise before, and stays so."
    )


class PassedOver(BaseModel):
    """What was passed over in a source for one reason."""

    reason: str = Field(examples=["files of operating systems and programs"])
    pictures: bool = Field(description="Whether these look like pictures.")
    count: int = Field(examples=[2])
    kinds: dict[str, int] = Field(description="How many of each kind.", examples=[{"Thumbs.db": 2}])
    examples: list[str] = Field(examples=[["daisy/Thumbs.db", "rose/Thumbs.db"]])


class SourceCount(BaseModel):
    """What became of everything in a source; `seen` is the sum of the other numbers."""

    things: str = Field(description="What was counted: files, rows or members.", examples=["files"])
    seen: int = Field(examples=[22])
    used: int = Field(description="Images that are learnt from or measured on.", examples=[19])
    refused: int = Field(description="Images that cannot be read, and were skipped.", examples=[0])
    copies: int = Field(description="Further copies of an image in its class.", examples=[1])
    passed_over: list[PassedOver]


class TaskAccepted(BaseModel):
    """A task has become durable."""

    submission: TaskState
    is_new: bool = Field(description="False where the same had been submitted before.")
    notes: list[str] = Field(description="What whoever submitted should know.")
    warnings: list[str] = Field(
        default=[], description="The last of `notes`: what may not be as whoever submitted thinks."
    )
    classes: int = Field(default=0, description="How many it has.")
    images_by_split: dict[str, int] = Field(
        default={}, examples=[{"train": 60, "held_out": 20}], description="How many it has."
    )
    sources: dict[str, SourceCount] = Field(
        description="What became of everything in `images` and `held_out`."
    )


class Lead(BaseModel):
    """Who coordinates the queue, or did last."""

    host: str
    epoch: int
    since: float = Field(description="Seconds since 1970.")
    expires: float = Field(
        default=0.0,
        description="It leads no longer unless it says so again, in seconds since 1970.",
    )
    alive: bool


class TaskList(BaseModel):
    """Open submissions and those that ended within a day, in the order of acceptance."""

    coordinated: bool = Field(description="Whether anybody coordinates the queue.")
    coordinator: Lead | None = Field(description="Who does or did last; null: nobody ever.")
    paused: list[str] = Field(description="Adapters of which nothing new is begun; `*` is all.")
    unread_requests: int = Field(description="Requests that nobody has taken note of yet.")
    refusals: list[HistoryEntry] = Field(description="Of versions, by replicas.")
    submissions: list[TaskState]


class TaskEvent(BaseModel):
    """One thing that happened to a submission."""

    at: float = Field(description="Seconds since 1970.")
    stage: str
    message: str
    took_s: float | None = Field(description="How long the stage before had taken.")
    version: int | None
    epoch: int = Field(description="Of the coordinator that wrote it.")


class WorkerLog(BaseModel):
    """What one process wrote while it worked on one attempt at a submission."""

    role: str = Field(examples=["trainer"])
    stage: str = Field(examples=["training"])
    round: int = Field(description="How often somebody had asked for the submission.")
    attempt: int = Field(description="Which attempt of the round.")
    host: str = Field(description="Where it ran.")
    pid: int
    begun_at: float = Field(description="Seconds since 1970.")
    at: float = Field(description="When the latest of it was stored, in seconds since 1970.")
    outcome: Literal["done", "failed", "stopped"] | None = Field(
        description="null: it goes on, or was ended before it could say how, as by a kill."
    )
    text: str = Field(
        description="Lines with their times in UTC; of much the first and the last ones. Without "
        "secrets and bytes of images."
    )
    left_out_bytes: int = Field(description="How much stood between these.")
    removed: int = Field(description="How many older logs of the submission were removed for it.")
    trace: str = Field(description="Id of its trace; empty where there is none.")


class QueuePause(BaseModel):
    """What is paused after somebody has asked for a change of it."""

    adapter: str = Field(description="The adapter that was named; `*` is all.")
    outcome: Literal["done", "asked"] = Field(
        description="`asked`: no system runs right now; the next one takes note of it."
    )
    paused: list[str] = Field(description="Adapters of which nothing new is begun; `*` is all.")
