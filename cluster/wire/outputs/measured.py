"""Outputs about accuracy: matrices, and the figures of the papers."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from adapters.contract.thresholds import MOST_RATE
from cluster.wire.mistakes import NAMES, ComparedSet, MistakenSet


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
    low: float = Field(description="The accuracy is between `low` and `high`, 95 % (Wilson).")
    high: float


class ReliabilityBin(BaseModel):
    """Answers of nearly the same probability."""

    images: int
    confidence: float = Field(description="Their mean probability.")
    accuracy: float = Field(description="Which share of them is right.")


class MeasuredReliability(BaseModel):
    """Whether probabilities mean what they say."""

    error: float = Field(
        description="Calibration error, 0 to 1: root of the mean square over 15 bins of as many "
        "images of all sets, ten at least, without what chance alone makes."
    )
    brier: float = Field(description="Brier score over all candidates, 0 to 2.")
    images: int
    bins: list[ReliabilityBin] = Field(description="From the least sure answers to the surest.")


class MeasuredRejection(BaseModel):
    """Which share of the images of a set is of none of the classes."""

    unknown: float = Field(description="That share, 0 to 1.")
    images: int = Field(
        description="Of how many: those whose answer is of a task with a threshold of the rate."
    )


class MeasuredVersion(BaseModel):
    """A row of an accuracy matrix."""

    number: int
    digest: str
    candidates: int = Field(description="Among how many classes each answer was chosen.")
    accuracies: list[Measured]
    served_candidates: int = Field(description="How many classes the version has learnt.")
    served: list[Measured | None] = Field(
        description="As `predict` answers, among the classes that the version has learnt; null for "
        "a set with others."
    )
    reliability: MeasuredReliability | None = Field(
        default=None,
        description="Of what is served, over all sets whose classes are learnt; null without one.",
    )
    rejected: list[MeasuredRejection | None] | None = Field(
        default=None,
        description="By set, what is of none of the learnt classes, where `reject` was given; null "
        "for a set of which nothing was measured, and for a version that rejects nothing.",
    )


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
    zero_shot_candidates: int = Field(description="As `candidates` of a version.")
    versions: list[MeasuredVersion]
    metrics: Figures | None
    metrics_alike: Figures | None
    collisions: dict[str, list[str]] = Field(description="One name, several classes.")
    remarks: list[str]
    names: dict[str, str] = NAMES
    mistakes: list[MistakenSet] = Field(description="Of the last version, by set.")
    compared: list[ComparedSet] = Field(
        description="The last version against the one before it, by set; empty for one alone."
    )


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
    candidates: int | None = Field(
        description="Among how many classes each answer was chosen at the end; null where all runs "
        "are of early releases."
    )
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
    missing: dict[str, str] = Field(
        default={}, description="Sets that are not there and were left out, with what was expected."
    )


class ShownDemo(BaseModel):
    """What the demo has learnt and shown."""

    adapter: str
    tasks: list[str] = Field(description="Of the columns, in the order in which they were learnt.")
    candidates: int = Field(description="Among how many classes each answer was chosen.")
    zero_shot: list[float]
    served: list[list[float | None]] = Field(
        description="A row per version, as `predict` answers, among the classes that it has "
        "learnt; null for a task that it has not."
    )
    accuracy: list[list[float]] = Field(
        description="A row per version, among the classes of all tasks, learnt or not."
    )
    transfer: float | None
    average: float
    last: float
    report: str
    rolled_back_to: int
    serving: bool = Field(description="Whether the service still runs.")
    endpoint: str
    home: str


class EvaluateRequest(BaseModel):
    """A wish to have versions measured on test images."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"versions": "1..2", "tasks": ["digits"]}]}
    )

    versions: str = Field(
        default="",
        max_length=1000,
        description="`1..5`, numbers and aliases with commas between, or nothing for all.",
    )
    tasks: list[str] = Field(
        default=[],
        max_length=100,
        description="Names of tasks or ids of submissions that are measured besides.",
    )
    sets: dict[str, str] = Field(
        default={},
        max_length=100,
        description="Further images by the name of their set, at addresses s3://… on the server of "
        "this service's store.",
    )
    reject: float | None = Field(
        default=None,
        gt=0,
        le=MOST_RATE,
        allow_inf_nan=False,
        description="Also measure which images are of none of the learnt classes, at this rate of "
        "false alarms.",
    )
    report: bool = Field(
        default=False, description="Also write the files of a report; for an answer in lines."
    )
