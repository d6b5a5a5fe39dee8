"""Outputs about what lies in a store: damage, lost changes, what was removed."""

from pydantic import BaseModel, Field


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


class CollectedObjects(BaseModel):
    """Objects that nothing needs."""

    keys: list[str]
    size_bytes: int
    removed: bool


class CollectedGarbage(BaseModel):
    """Objects that nothing needs, by the prefix of their keys."""

    deleted: bool = Field(description="False: this was a dry run.")
    found: dict[str, CollectedObjects]
