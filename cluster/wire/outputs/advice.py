"""Outputs about advice: a method that measured tables recommend, and what stands beside it."""

from pydantic import BaseModel, Field


class AdvisedNeed(BaseModel):
    """What was asked about."""

    tasks: int
    classes: int = Field(description="Of all tasks.")
    images: int = Field(description="Training images of a class, in the middle.")
    memory: int | None = Field(description="Bytes that a version may take in a replica.")
    seconds: float | None = Field(description="Of a processor that learning a task may take.")


class AdvisedWay(BaseModel):
    """A method, or a form of one, and what it would give."""

    method: str
    settings: dict[str, str] = Field(description="Of the first task of the adapter.")
    last: float = Field(description="Percent of answers that were right after the last task.")
    half: float | None = Field(
        description="Half of the widest 95 % interval of the figures behind `last`."
    )
    task_bytes: int = Field(description="Of the record of a task.")
    class_bytes: int = Field(description="The same by its classes.")
    memory: int = Field(description="Of a version of all tasks in a replica.")
    learning_s: float = Field(description="Of a processor, for a task.")
    scoring_ms: float = Field(description="For an image, among all tasks.")
    growing_ms: float = Field(description="To follow one more task and score one image.")
    refused: str = Field(description="Why it cannot be had; empty where it can.")


class AdvisedBy(BaseModel):
    """A collection that accuracies were measured on."""

    collection: str
    tasks: int
    classes: int
    images: int = Field(description="Training images a class.")
    draws: int


class MeasuredTower(BaseModel):
    """A method beside those that train the image tower."""

    method: str
    average: float
    last: float
    half: float = Field(description="Half of the 95 % interval of `last`.")
    learning_s: float = Field(description="Of a processor, for all tasks.")


class MeasuredTowers(BaseModel):
    """Methods that train the image tower, beside others."""

    command: str
    collection: str
    tasks: int
    classes: int
    images: int
    methods: list[MeasuredTower]


class GivenAdvice(BaseModel):
    """What is recommended, and why."""

    need: AdvisedNeed
    recommended: AdvisedWay
    runner_up: AdvisedWay | None
    ways: list[AdvisedWay] = Field(description="All that were weighed, the most accurate first.")
    measured_on: list[AdvisedBy]
    command: str = Field(description="What measures the tables.")
    reasons: list[str]
    towers: MeasuredTowers | None = Field(description="With `--tower`.")
