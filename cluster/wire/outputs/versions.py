"""Outputs about versions: everything that is known of one, and what a verb has made of them."""

from pydantic import BaseModel, Field, JsonValue

from cluster.wire.versions import Moved, PublishedVersion, StoredObject


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


class DroppedTask(Moved):
    """The version without a task."""

    task: str


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
