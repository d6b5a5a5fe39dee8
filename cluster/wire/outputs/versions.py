"""Outputs about versions that came from files, or were written to one."""

from pydantic import BaseModel, Field

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
