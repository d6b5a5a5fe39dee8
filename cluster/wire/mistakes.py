"""Documents of mistakes: what versions get wrong about test images, and where two differ."""

from pydantic import BaseModel, Field

NAMES = Field(description="What people read of the classes in this document, by their ids.")
PLACE = Field(description="Which of the set's test images, from 0 on.")


class RecognisedClass(BaseModel):
    """How one class is recognised."""

    class_id: str = Field(examples=["digits/3"])
    images: int = Field(description="Test images of the class.")
    right: int
    answered: int = Field(description="Test images of any class that were taken for it.")
    recall: float | None = Field(description="`right` of `images`; null for no images.")
    precision: float | None = Field(description="`right` of `answered`; null for no answers.")


class ConfusedPair(BaseModel):
    """Images of one class that were taken for another."""

    truth: str
    answer: str
    images: int


class WrongAnswer(BaseModel):
    """A test image that was taken for another class than its own."""

    place: int = PLACE
    truth: str
    answer: str
    confidence: float = Field(description="Its probability among the candidates, 0 to 1.")


class MistakenSet(BaseModel):
    """What a version gets wrong about one set of test images."""

    set: str
    submission: str | None = Field(description="Whose test images they are; null: of no task.")
    images: int
    right: int
    low: float = Field(description="The accuracy is between `low` and `high`, 95 % (Wilson).")
    high: float
    classes: list[RecognisedClass] = Field(description="Least recall first.")
    more_classes: int = Field(description="Classes that are left out of `classes`.")
    confusions: list[ConfusedPair] = Field(description="Most images first.")
    more_confused: int = Field(description="Wrong images of pairs that are left out.")
    wrong: list[WrongAnswer] = Field(description="Most confident first.")
    more_wrong: int = Field(description="Wrong images that are left out of `wrong`.")


class ChangedAnswer(BaseModel):
    """A test image that one of two versions has right, and the other wrong."""

    place: int = PLACE
    truth: str
    before: str
    after: str
    confidence: float = Field(description="Of `after`, 0 to 1.")


class ComparedSet(BaseModel):
    """Two versions on the same test images."""

    set: str
    images: int
    won: int = Field(description="Images that only the later version has right.")
    lost: int = Field(description="Images that only the earlier one has right.")
    p: float = Field(description="McNemar's: how likely chance makes as large a difference.")
    images_won: list[ChangedAnswer] = Field(description="Some of them, most confident first.")
    images_lost: list[ChangedAnswer] = Field(description="The same of those lost.")


class VersionMistakes(BaseModel):
    """What a version gets wrong about the test images of its tasks, as of its publication."""

    adapter: str
    version: int
    candidates: int = Field(description="Among how many classes each answer was chosen.")
    names: dict[str, str] = NAMES
    sets: list[MistakenSet]
