"""Documents of versions: what has been published, its aliases, and their moves."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from cluster.wire.mistakes import NAMES, ComparedSet
from cluster.wire.scalars import WholeNumber

MOST_MOVES = 1000
"""Of a history, in one answer."""
MOST_VERSIONS = 100
"""In one answer: each has all of its tasks, so that a hundred of a thousand tasks are 40 MB."""


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
        description="Over the tasks that were measured, among the classes of this version alone; "
        "null where none was."
    )
    not_measured: list[str] = Field(description="Its tasks that are not in that mean.")
    gate: str | None = Field(description="What the gate said, where it did not simply pass.")
    unmeasured_by_gate: list[str] = Field(
        default=[], description="Tasks that the gate had to measure and could not."
    )


class Provenance(BaseModel):
    """Where a version came from."""

    author: str
    code: str
    seed: int | None
    images: dict[str, str] = Field(description="Digests by split.")
    notes: dict[str, str]


class ShownVersion(PublishedVersion):
    """A version with everything that is known of it."""

    settings: dict[str, JsonValue]
    provenance: Provenance
    shared: StoredObject | None
    classes: int
    size_bytes: int


class ChangedTask(BaseModel):
    """One task that two versions do not have alike."""

    task: str
    submission: str
    classes: int
    record: StoredObject


class ChangedAccuracy(BaseModel):
    """What was measured on one task of two versions."""

    task: str
    before: float | None
    after: float | None
    before_interval: tuple[float, float] | None = Field(description="With 95 % confidence.")
    after_interval: tuple[float, float] | None
    images: int = Field(description="Test images of the later version that has some.")


class VersionDifference(BaseModel):
    """What changed from one version to another."""

    adapter: str
    before: int
    after: int
    added: list[ChangedTask]
    removed: list[ChangedTask]
    replaced: list[ChangedTask]
    classes: int = Field(description="How many more; negative for fewer.")
    size_bytes: int = Field(description="How many more.")
    accuracies: list[ChangedAccuracy]
    before_candidates: int = Field(
        description="Among how many classes the earlier version's answers were chosen."
    )
    after_candidates: int
    compared: list[ComparedSet] = Field(
        description="By task, where the answers of both versions about the same images were kept."
    )
    names: dict[str, str] = NAMES


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


class RelearntTask(BaseModel):
    """One task of an adapter that is learnt anew."""

    task: str
    state: Literal["to learn", "there", "hindered"] = Field(
        description="`there`: the branch has it, or it is on its way. `hindered`: it cannot be."
    )
    why: str | None = Field(description="Why it cannot be; null where it can.")
    images: int = Field(description="Both splits together; 0 where they are not stored any more.")
    size_bytes: int = Field(description="Of the shards that they lie in.")


class RelearntAdapter(BaseModel):
    """An adapter that is learnt anew under another encoder."""

    adapter: str
    alias: str = Field(examples=["tiny-vit"], description="Of the branch that is grown.")
    encoder: str = Field(examples=["tiny-vit"], description="The model, or the folder of it.")
    source: int = Field(description="The version whose tasks are learnt anew.")
    tasks: list[RelearntTask] = Field(description="In the order of learning.")
    images: int = Field(description="How many are embedded, of all that is to be learnt.")
    size_bytes: int = Field(description="Of the shards that they lie in.")
    encoding_s: float | None = Field(
        description="Seconds that embedding them takes, as earlier tasks took; null: nobody knows."
    )
    learning_s: float | None = Field(description="The same for learning, one after another.")
    measured_under: str | None = Field(
        description="Fingerprint of the encoder under which earlier tasks took so long."
    )
    submissions: list[str] = Field(description="In the order of learning; empty for a dry run.")


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
    with_head: bool = Field(
        default=False, description="Move `head` in the same instant: the next task builds on it."
    )


class RollbackRequest(MoveRequest):
    """A wish to serve an earlier version again, and to build on it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 3, "why": "4 was learnt from wrong labels"}]}
    )

    serving_only: bool = Field(default=False, description="Leave `head` where it is.")


class AliasRequest(MoveRequest):
    """A wish to give a version a name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 4, "why": "reviewed"}]})


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


class RelearnRequest(BaseModel):
    """A wish to learn an adapter anew under another encoder."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"encoder": "tiny-vit", "dry_run": True}]}
    )

    encoder: str = Field(
        max_length=200, description="`tiny`, `tiny-vit`, or a name under `encoders` of the system."
    )
    alias: str | None = Field(
        default=None, max_length=64, description="Of the branch; null: as the encoder is called."
    )
    partial: bool = Field(default=False, description="Leave out what cannot be learnt anew.")
    dry_run: bool = Field(default=False, description="Submit nothing.")


class HeldTask(BaseModel):
    """Where a task is to be found."""

    adapter: str
    task: str
    versions: list[int] = Field(
        description="Those that hold it, or whose shared state has learnt from it."
    )
    submissions: list[str] = Field(description="It was learnt from these.")


class AccuracyMatrix(BaseModel):
    """What was measured of each version on each task, when it was published."""

    adapter: str
    tasks: list[str] = Field(description="Of the columns.")
    versions: list[int] = Field(description="Of the rows, oldest first.")
    candidates: list[int] = Field(
        description="Of each version, the classes that it had learnt: among them it chose."
    )
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


class AdapterBehind(BaseModel):
    """An adapter of which the newest version does not answer, after a rollback or a refusal."""

    adapter: str
    production: int | None = Field(description="null where no version is in production.")
    newest: int


class ServedBehind(AdapterBehind):
    """The same, with the move that has taken `production` away."""

    newest: int = Field(description="0 where there is none.")
    removed: HistoryEntry | None = Field(
        description="The move that removed `production`; null where it is there, or never was."
    )
