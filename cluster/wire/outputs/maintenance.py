"""Outputs about what lies in a store: damage, lost changes, what was removed; and the wishes."""

from pydantic import BaseModel, ConfigDict, Field


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


class SettleRequest(BaseModel):
    """A wish to settle what the store has lost of acknowledged changes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"why": "restored from the backup of yesterday"}]},
    )

    why: str = Field(
        max_length=1000, description="What was wrong with the store, and why it is not any more."
    )


class PurgeRequest(BaseModel):
    """A wish to remove a task for good."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"task": "digits", "why": "the licence has ended"}]},
    )

    task: str = Field(max_length=64)
    relearn: bool = Field(
        default=False, description="Learn those tasks again that no version can answer for then."
    )
    why: str = Field(default="", max_length=1000, description="Kept in the history.")


class CollectRequest(BaseModel):
    """A wish to find, or remove, what nothing needs."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"delete": False, "grace_h": 72}]}
    )

    delete: bool = Field(default=False, description="Remove what is found.")
    grace_h: float = Field(
        default=24.0,
        ge=0,
        le=10**6,
        allow_inf_nan=False,
        description="Younger objects stay, in hours; of `blobs` never less than a day.",
    )
    blobs: bool = Field(
        default=False,
        description="Also shards, features and handovers of the whole store that nothing names, "
        "for an admin of all adapters. Submit nothing meanwhile.",
    )
