"""Documents of predictions: images that are sent, and what is answered for them."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from adapters.contract.thresholds import MOST_RATE
from cluster.wire.scalars import FieldNumber, Label, WholeNumber

MAX_IMAGES = 64
MAX_LABELS = 1000
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
"""A PNG of one grey pixel, in base64, for examples."""
IMAGES: list[JsonValue] = [{"data": PIXEL}]


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

    top_k: FieldNumber = Field(default=5, ge=1, le=1000, description="Most classes per image.")
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
    reject: float | None = Field(
        default=None,
        gt=0,
        le=MOST_RATE,
        allow_inf_nan=False,
        description="Also say which images are of none of the classes, at this rate of false "
        "alarms: the share of images of learnt classes that are taken for unknown ones.",
        examples=[0.05],
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
    unknown: bool | None = Field(
        default=None,
        description="Whether the image is of none of the classes; there only where `reject` was "
        "given. Null where that was not measured for the task of the best class at this rate.",
    )
    familiarity: float | None = Field(
        default=None,
        description="How far the image looks like what the task of the best class has learnt; the "
        "higher, the more. There only where `reject` was given; null where nothing was measured.",
    )


class PredictAnswer(BaseModel):
    """All images of one request, answered by one version."""

    version: str = Field(examples=["main@5"])
    digest: str = Field(description="SHA-256 of the version's manifest.")
    results: list[ImageAnswer]


class EmbedAnswer(BaseModel):
    """Unit features of the images of one request, in their order."""

    encoder: str = Field(description="Fingerprint of the encoder.")
    features: list[list[float]]
