"""Documents that commands print with `--output json`, where the HTTP API has no such answer."""

from typing import Literal

from pydantic import BaseModel, Field, JsonValue

from cluster.wire.documents import (
    Moved,
    PublishedVersion,
    SourceCount,
    Status,
    StoredObject,
    TaskList,
    TaskState,
)


class ComparedConfig(BaseModel):
    """The configuration of the system that runs, beside the one that this command has read."""

    digest: str
    differs: list[str] = Field(description="Keys that are not the same.")


class AdapterBehind(BaseModel):
    """An adapter of which the newest version does not answer, after a rollback or a refusal."""

    adapter: str
    production: int
    newest: int


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


class QueuePause(BaseModel):
    """What is paused after somebody has asked for a change of it."""

    adapter: str = Field(description="The adapter that was named; `*` is all.")
    outcome: Literal["done", "asked"] = Field(
        description="`asked`: nobody coordinates right now; whoever does next takes note of it."
    )
    paused: list[str] = Field(description="Adapters of which nothing new is begun; `*` is all.")


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


class ImportedVersion(Moved):
    """The version that a file has become."""

    is_new: bool = Field(description="False where it was there already: nothing was moved.")
    file: str


class ExportedVersion(BaseModel):
    """The file that a version was written to."""

    adapter: str
    version: int
    file: str
    size_bytes: int


class DamagedObject(BaseModel):
    """An object that is not what it should be."""

    key: str
    used_by: str
    message: str


class CheckedAdapter(BaseModel):
    """Every byte of every version, checked."""

    objects: int
    size_bytes: int
    problems: list[DamagedObject]
    clean: bool


class SettledChange(BaseModel):
    """What became of one lost change."""

    lost: str
    version: int | None = Field(description="The version that has its tasks again.")
    note: str = Field(description="What is left to do.")


class PurgedTask(BaseModel):
    """A task that is gone for good."""

    versions: list[int]
    submissions: list[str]
    keys: list[str] = Field(description="What was removed.")
    relearnt: list[str] = Field(description="Submissions of other tasks that are learnt again.")


class CollectedObjects(BaseModel):
    """Objects that nothing needs."""

    keys: list[str]
    size_bytes: int
    removed: bool


class CollectedGarbage(BaseModel):
    """Objects that nothing needs, by the prefix of their keys."""

    deleted: bool = Field(description="False: this was a dry run.")
    found: dict[str, CollectedObjects]


class StartedSystem(BaseModel):
    """A system that answers."""

    endpoint: str
    store: str
    ray: str
    pid: int | None = Field(description="Its process; null on a Ray that ran before.")
    log: str | None = Field(description="Where it writes in the background.")
    waits_for: str | None = Field(description="Why it does not coordinate.")


class AppliedConfig(BaseModel):
    """What `up` has made of another configuration of a running system."""

    applied: list[str] = Field(description="Keys that count from now on.")
    needs_restart: list[str] = Field(description="Keys that count after `down` and `up` alone.")


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


class RacedCondition(BaseModel):
    """One condition of writes."""

    condition: str
    holds: bool
    made: int | None = Field(default=None, description="Races; left out where none are needed.")
    by_several: int | None = Field(default=None, description="Won by more than one.")
    by_nobody: int | None = None


class StoreReads(BaseModel):
    """What was read of a store."""

    made: int
    before: int = Field(description="Older than an acknowledged write.")
    went_back: int = Field(description="Older than the read before.")
    denied: int = Field(description="Said not to be there, and was.")


class StoreListings(BaseModel):
    """What a store listed."""

    made: int
    incomplete: int


class StoreReport(BaseModel):
    """What races for the keys of one store have shown."""

    store: list[str]
    answered: str
    seconds: float
    processes: int
    fit: bool | None = Field(description="Null: it cannot be judged.")
    verdict: str
    conditions: list[RacedCondition]
    races: int
    won_by_several: int
    unanswered: int
    write_ms: dict[str, float] = Field(description="`median` and `p95`.")
    read_ms: dict[str, float]
    reads: StoreReads
    listings: StoreListings


class MeasuredSet(BaseModel):
    """A column of an accuracy matrix."""

    name: str
    source: str
    images: int
    classes: int
    settings: dict[str, JsonValue]
    seed: int | None


class Measured(BaseModel):
    """One cell of an accuracy matrix."""

    accuracy: float
    alike: float = Field(description="A class of the same name counts as right.")
    images: int


class MeasuredVersion(BaseModel):
    """A row of an accuracy matrix."""

    number: int
    digest: str
    accuracies: list[Measured]


class Figures(BaseModel):
    """The figures of the papers."""

    transfer: float | None
    average: float
    last: float
    backward_transfer: float | None
    forgetting: float | None
    transfer_by_task: list[float | None]
    average_by_task: list[float]
    last_by_task: list[float]


class MeasuredAdapter(BaseModel):
    """The accuracy matrix of one adapter."""

    adapter: str
    encoder: str
    sets: list[MeasuredSet]
    zero_shot: list[Measured]
    versions: list[MeasuredVersion]
    metrics: Figures | None
    metrics_alike: Figures | None
    collisions: dict[str, list[str]] = Field(description="One name, several classes.")
    remarks: list[str]


class MeanFigure(BaseModel):
    """A mean over several adapters, in percent."""

    mean: float
    half: float | None = Field(description="Half of its 95 % confidence interval.")


class MeasuredAdapters(BaseModel):
    """Accuracy matrices."""

    adapters: list[MeasuredAdapter]
    over_adapters: dict[str, MeanFigure]
    reports: list[str] = Field(description="Pages that were written.")


class MeasuredOrder(BaseModel):
    """One order of a suite."""

    zero_shot: dict[str, float]
    methods: dict[str, dict[str, tuple[float, float | None] | None]] = Field(
        description="By title and column: mean, and half of its confidence interval."
    )


class MeasuredSuite(BaseModel):
    """Methods measured by the protocol of the papers."""

    suite: str
    report: str
    encoder: str
    orders: dict[str, MeasuredOrder]
    collisions: dict[str, list[str]]


class ShownDemo(BaseModel):
    """What the demo has learnt and shown."""

    adapter: str
    tasks: list[str] = Field(description="Of the columns, in the order in which they were learnt.")
    zero_shot: list[float]
    accuracy: list[list[float]] = Field(description="A row per version.")
    transfer: float | None
    average: float
    last: float
    report: str
    rolled_back_to: int
    serving: bool = Field(description="Whether the service still runs.")
    endpoint: str
    home: str
