"""The HTTP API's documents, as Pydantic models, so that OpenAPI describes them exactly."""

from pydantic import BaseModel, Field


class EncodedImage(BaseModel):
    """One image inside a JSON request."""

    data: str = Field(description="The image file's bytes in base64.")


class PredictRequest(BaseModel):
    """A JSON request; multipart requests carry files called `images` instead."""

    images: list[EncodedImage] = Field(min_length=1, max_length=64)


class Prediction(BaseModel):
    """One class that an image may show."""

    label: str = Field(examples=["ankle boot"])
    class_id: str = Field(examples=["fashion/ankle_boot"])
    task: str = Field(examples=["fashion"])
    score: float = Field(ge=0, le=1, description="Softmax over all candidates.")


class ImageAnswer(BaseModel):
    """The best classes of one image, best first."""

    predictions: list[Prediction]


class PredictAnswer(BaseModel):
    """All images of one request, answered by one version."""

    version: str = Field(examples=["main@5"])
    digest: str = Field(description="SHA-256 of the version's manifest.")
    results: list[ImageAnswer]


class Ready(BaseModel):
    """What a replica answers with."""

    version: str | None
    encoder: str
    refusal: str | None = Field(description="Why the newest version could not be loaded.")


class TaskState(BaseModel):
    """Where a submission is."""

    submission_id: str = Field(examples=["fashion-0123456789ab"])
    task: str = Field(examples=["fashion"])
    adapter: str = Field(examples=["main"])
    stage: str = Field(examples=["training"])
    accepted_at: float = Field(description="Seconds since 1970.")
    priority: int
    attempts: int = Field(description="How often a stage of it has failed.")
    version: int | None = Field(description="The version that it was published as.")
    note: str | None = Field(description="What else there is to say of how it ended.")
    error: str | None = Field(description="Why its latest attempt failed.")
    done: int = Field(description="Images or steps of the present stage that are finished.")
    total: int = Field(description="The same in all; 0 where they are not counted.")
    left_s: float | None = Field(description="Seconds left in the present stage.")


class TaskAccepted(BaseModel):
    """A task has become durable."""

    submission: TaskState
    is_new: bool = Field(description="False where the same had been submitted before.")
    notes: list[str] = Field(description="What whoever submitted should know.")


class TaskList(BaseModel):
    """Open submissions and those that ended within a day, in the order of acceptance."""

    coordinated: bool = Field(description="Whether anybody coordinates the queue.")
    paused: list[str] = Field(description="Adapters of which nothing new is begun; `*` is all.")
    submissions: list[TaskState]


class TaskEvent(BaseModel):
    """One thing that happened to a submission."""

    at: float = Field(description="Seconds since 1970.")
    stage: str
    message: str
    took_s: float | None
    version: int | None


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
