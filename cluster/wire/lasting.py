"""Documents of lasting verbs: lines that say how far one is, and at last its answer or an error."""

from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, Field

from cluster.wire.problems import Problem
from cluster.wire.tasks import TaskState

LINES = "application/x-ndjson"
"""The type of an answer in lines; whoever accepts it is answered so."""
Kind = Literal["progress", "state", "file", "result", "error"]


class LastingProgress(BaseModel):
    """How far a lasting verb is."""

    what: str = Field(description="What is being done; empty where it is the verb itself.")
    done: int
    total: int = Field(description="0 where nobody knows.")


class FilePiece(BaseModel):
    """A piece of a file that belongs to the answer; those of one name follow each other."""

    name: str = Field(examples=["report.html"])
    data: Base64Bytes


class LastingLine(BaseModel):
    """A line of an answer in lines: an object with one of these keys.

    The last line has `result` or `error`. What ends without one of these has broken off.
    """

    progress: LastingProgress | None = Field(
        default=None, description="Comes again and again, also where nothing has moved."
    )
    state: TaskState | None = Field(default=None, description="Of a submission that is watched.")
    file: FilePiece | None = None
    result: Any = Field(
        default=None, description="What the route answers to whoever accepts JSON alone."
    )
    error: Problem | None = None
