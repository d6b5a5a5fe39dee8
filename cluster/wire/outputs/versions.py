"""Outputs about versions that came from files, or were written to one."""

from pydantic import BaseModel, ConfigDict, Field

from cluster.wire.versions import Moved


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


class ImportRequest(BaseModel):
    """A wish to publish the version in a file."""

    model_config = ConfigDict(extra="forbid")

    alias: list[str] = Field(
        default=["head"],
        min_length=1,
        max_length=20,
        description="Aliases for the new version; `head` only in an empty adapter.",
    )
    purged: bool = Field(
        default=False,
        description="Also bring back what was purged of this store, for an admin.",
    )
    why: str = Field(default="", max_length=1000, description="Kept in the history.")
