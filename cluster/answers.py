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


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
