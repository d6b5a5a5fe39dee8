"""Answers of a model of a store: what a drive has, and refusals."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass


class AnswerLostError(Exception):
    """No answer comes; the request may have been carried out, may never be, or may be later."""


class RefusedError(Exception):
    """An answer that is an error: a status and a code of S3."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """What a drive has under a key.

    Attributes:
        stamp: Of the write; later ones have higher ones.
        data: The bytes; None once the object was deleted.
        write_id: What the writer called this write.
        modified: When it was written, in seconds.
    """

    stamp: int
    data: bytes | None
    write_id: str = ""
    modified: float = 0.0

    @property
    def etag(self) -> str | None:
        """MD5 of the bytes, as S3 gives it; None where there is no object."""
        return None if self.data is None else hashlib.md5(self.data).hexdigest()


ABSENT = Copy(stamp=-1, data=None)
Condition = Callable[[str | None], bool]
"""Says of an etag, None for no object, whether a write may go on."""


def always(_etag: str | None) -> bool:
    """The condition of writes that have none."""
    return True
