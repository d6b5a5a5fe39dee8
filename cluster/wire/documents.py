"""The HTTP API's documents, as Pydantic models, so that OpenAPI describes them exactly."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict

MAX_IMAGES = 64
MAX_LABELS = 1000
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
"""A PNG of one grey pixel, in base64, for examples."""
IMAGES: list[JsonValue] = [{"data": PIXEL}]

WholeNumber = Annotated[int, Strict()]
"""No truth, no fraction and no text: `{"version": true}` is not version 1."""
Label = Annotated[str, Field(min_length=1, max_length=200)]


class EncodedImage(BaseModel):
    """One image inside a JSON request."""

    data: str = Field(description="The image file's bytes in base64.")


class EmbedRequest(BaseModel):
    """A JSON request; multipart requests carry files called `images` instead."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"images": IMAGES}]})

    images: list[EncodedImage] = Field(min_length=1, max_length=MAX_IMAGES)


class PredictRequest(EmbedRequest):
    """A JSON request; in multipart requests the same fields stand beside the files."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"images": IMAGES},
                {"images": IMAGES, "top_k": 3, "version": 2, "tasks": ["fashion"]},
                {"images": IMAGES, "candidate_labels": ["zebra", "okapi"]},
            ]
        }
    )

    top_k: int = Field(default=5, ge=1, le=1000, description="Most classes per image.")
    version: str | WholeNumber | None = Field(
        default=None,
        description="Pin a version by its number or an alias.",
        examples=[3, "canary"],
    )
    tasks: list[Label] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_LABELS,
        description="Only the classes of these tasks are candidates.",
    )
    candidate_labels: list[Label] = Field(
        default_factory=list,
        max_length=MAX_LABELS,
        description="Further candidates that nobody has learnt, known by their names alone.",
    )
    prompt: str = Field(
        default="a photo of a {}.",
        max_length=500,
        pattern=r"^[^{}]*\{\}[^{}]*$",
        description="The sentence that candidate labels are put into.",
    )


class Prediction(BaseModel):
    """One class that an image may show."""

    label: str = Field(examples=["ankle boot"])
    class_id: str | None = Field(
        examples=["fashion/ankle_boot"], description="None for a label that nobody has learnt."
    )
    task: str | None = Field(examples=["fashion"])
    score: float = Field(ge=0, le=1, description="Softmax over all candidates.")


class ImageAnswer(BaseModel):
    """The best classes of one image, best first."""

    predictions: list[Prediction]


class PredictAnswer(BaseModel):
    """All images of one request, answered by one version."""

    version: str = Field(examples=["main@5"])
    digest: str = Field(description="SHA-256 of the version's manifest.")
    results: list[ImageAnswer]


class EmbedAnswer(BaseModel):
    """Unit features of the images of one request, in their order."""

    encoder: str = Field(description="Fingerprint of the encoder.")
    features: list[list[float]]


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


class StoredObject(BaseModel):
    """Names an object of the store by what is in it."""

    sha256: str
    size: int = Field(description="Bytes.")
    area: int = Field(description="The part of the adapter's folder that it lies in.")


class PublishedTask(BaseModel):
    """One task of a version."""

    task: str
    submission: str
    classes: int
    record: StoredObject = Field(description="What it left behind.")
    accuracy: float | None = Field(description="On its test images, 0 to 1; null: not measured.")


class PublishedVersion(BaseModel):
    """One version of an adapter."""

    adapter: str
    number: int
    label: str = Field(examples=["main@5"])
    digest: str = Field(description="SHA-256 of its manifest.")
    parent: int | None
    created: float = Field(description="Seconds since 1970.")
    encoder: str = Field(description="Fingerprint of the encoder.")
    method: str
    aliases: list[str]
    tasks: list[PublishedTask]
    accuracies: dict[str, float] = Field(description="What was measured when it was published.")
    purged: list[str] = Field(description="Its tasks whose records are gone for good.")
    notes: dict[str, str] = Field(description="Such as why the gate refused it.")
    mean_accuracy: float | None = Field(
        description="Over the tasks that were measured; null where none was."
    )
    not_measured: list[str] = Field(description="Its tasks that are not in that mean.")
    gate: str | None = Field(description="What the gate said, where it did not simply pass.")
    unmeasured_by_gate: list[str] = Field(
        default=[], description="Tasks that the gate had to measure and could not."
    )


class Aliases(BaseModel):
    """The aliases of an adapter, and the versions that they point to."""

    adapter: str
    aliases: dict[str, int] = Field(examples=[{"head": 6, "production": 5}])
    notes: list[str] = Field(
        default=[], description="Such as that no replica serves the adapter whose alias was moved."
    )


class Moved(Aliases):
    """Aliases after some of them were moved."""

    version: int = Field(description="Where they are now; of a removed alias, where it was.")
    moved: list[str] = Field(description="The aliases that were moved or removed.")


class DroppedTask(Moved):
    """The version without a task."""

    task: str
    relearnt: list[str] = Field(
        default_factory=list, description="Submissions of later tasks that are learnt again."
    )


class MoveRequest(BaseModel):
    """A wish to move an alias."""

    model_config = ConfigDict(extra="forbid")

    version: str | WholeNumber = Field(examples=[3, "canary"])
    why: str = Field(default="", max_length=1000, description="Kept in the history.")


class PromoteRequest(MoveRequest):
    """A wish to point an alias to a version."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 5, "why": "it was right after all"}]}
    )

    alias: str = Field(default="production", max_length=64)


class RollbackRequest(MoveRequest):
    """A wish to serve an earlier version again, and to build on it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 3, "why": "4 was learnt from wrong labels"}]}
    )

    serving_only: bool = Field(default=False, description="Leave `head` where it is.")


class DropRequest(BaseModel):
    """A wish to publish a version without a task."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"task": "digits", "why": "no longer sold"}]},
    )

    task: str = Field(max_length=64)
    promote: bool = Field(default=False, description="Serve the new version at once.")
    relearn: bool = Field(
        default=False,
        description="Learn later tasks again where the state that they share has learnt from it.",
    )
    why: str = Field(default="", max_length=1000, description="Kept in the history.")


class AccuracyMatrix(BaseModel):
    """What was measured of each version on each task, when it was published."""

    adapter: str
    tasks: list[str] = Field(description="Of the columns.")
    versions: list[int] = Field(description="Of the rows, oldest first.")
    accuracy: list[list[float | None]]


class VersionName(BaseModel):
    """Names a version's manifest."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"number": 5, "sha256": "ab" * 32, "size": 900, "area": 0}]}
    )

    number: WholeNumber = Field(ge=1, lt=2**63)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: WholeNumber = Field(ge=1, lt=2**48)
    area: WholeNumber = Field(ge=0, lt=2**48)


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
    error: str | None = Field(description="Why its latest attempt failed.")
    failures: list[TaskFailure] = Field(description="The latest ones, oldest first.")
    done: int = Field(description="Images or steps of the present stage that are finished.")
    total: int = Field(description="The same in all; 0 where they are not counted.")
    rate: float | None = Field(description="Images or steps per second.")
    left_s: float | None = Field(description="Seconds left in the present stage.")


class TaskOutcome(TaskState):
    """Where a submission is after somebody has asked for a change of it."""

    outcome: Literal["done", "asked", "ended"] = Field(
        description="`done`: it is so. `asked`: nobody has carried it out yet. `ended`: it had "
        "ended otherwise before, and stays so."
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
    sources: dict[str, SourceCount] = Field(
        description="What became of everything in `images` and `held_out`."
    )


class Lead(BaseModel):
    """Who coordinates the queue, or did last."""

    host: str
    epoch: int
    since: float = Field(description="Seconds since 1970.")
    alive: bool


class HistoryEntry(BaseModel):
    """One move of an adapter's aliases."""

    index: int
    action: str = Field(examples=["rollback"])
    who: str
    why: str
    when: float = Field(description="Seconds since 1970.")
    moves: dict[str, dict[str, int | None]] = Field(
        examples=[{"production": {"from": 5, "to": 3}}], description="By alias; null is no version."
    )
    published: int | None = Field(description="The version that came with it.")
    detail: dict[str, str] = Field(description="Such as the task or the submission.")


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


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["NotFoundError"])
    status: int = Field(examples=[404])
    detail: str = Field(
        examples=["adapter 'main' has no version 7; the next one will be 6"],
        description="What was expected and found, and what to do.",
    )
