"""The command `nacre` as tests run it: how it ends and what it prints."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
"""Runs `nacre` with its arguments, in this process."""
