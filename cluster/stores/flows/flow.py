"""Flow of one request to a store: after how long a wait it is given up.

A request has a credit of seconds. Waiting for the other side uses it up; every byte that moves
gives back the time that it takes at the least rate, up to the credit of the beginning. So silence
ends a request after the credit, wherever it sets in; a byte now and then does not prolong it; and a
large object on a slow line has the time that it needs:

    seconds waited <= credit + bytes / least rate
"""

from collections.abc import Callable
from dataclasses import dataclass

SILENT_S = 10.0
LEAST_RATE = 4096
"""Bytes a second. Thirty-two connections that share a line of one megabit have as many each."""
TOLD_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowLimits:
    """How long a request to a store may wait.

    Attributes:
        silent_s: The credit: silence of so long, in seconds, ends a request.
        least_rate: Bytes a second; what is slower uses the credit up.
        told_s: Once so much of the credit is used up, somebody is told, in seconds.
        in_vain_s: No further attempt of an operation is begun once failed ones have taken so long,
            in seconds; each counts for `silent_s` at most.
    """

    silent_s: float = SILENT_S
    least_rate: int = LEAST_RATE
    told_s: float = TOLD_S
    in_vain_s: float = 2 * SILENT_S

    @classmethod
    def of(cls, silent_s: float) -> "FlowLimits":
        """Return the limits of whoever waits for so long in silence, in seconds."""
        return cls(silent_s=silent_s, told_s=min(TOLD_S, silent_s / 2), in_vain_s=2 * silent_s)


class SilenceError(OSError):
    """A request was given up; its text says what the other side did, as the end of a sentence."""


class Flow:
    """Watches the bytes of one request after another, on one connection.

    Args:
        limits: How long they may wait.
        tell: Called once in a request, when it has waited for `told_s`.
    """

    # Owns: the credit of the request under way; belongs to the thread that sends it.

    def __init__(self, limits: FlowLimits, *, tell: Callable[[], None]) -> None:
        self._limits = limits
        self._tell = tell
        self.begin()

    def begin(self) -> None:
        """Begin a request, with a credit of its own."""
        self._left_s, self._waited_s, self._silent_s = self._limits.silent_s, 0.0, 0.0
        self._received = 0
        self._told = False

    @property
    def left_s(self) -> float:
        """How long the next bytes are waited for, until something is to be done, in seconds."""
        used_s = self._limits.silent_s - self._left_s
        next_s = self._left_s if self._told else self._limits.told_s - used_s
        return max(0.001, next_s)

    def note(self, *, waited_s: float, sent: int = 0, received: int = 0) -> None:
        """Note what has moved after a wait of so many seconds.

        Raises:
            SilenceError: the credit is used up.
        """
        moved = sent + received
        self._waited_s += waited_s
        self._silent_s = 0.0 if moved else self._silent_s + waited_s
        self._received += received
        earned_s = moved / self._limits.least_rate
        self._left_s = min(self._limits.silent_s, self._left_s - waited_s + earned_s)
        if self._limits.silent_s - self._left_s >= self._limits.told_s:
            self.tell()
        if self._left_s <= 0:
            raise SilenceError(self._said())

    def tell(self) -> None:
        """Tell that it is waited, unless that was told of this request before."""
        if not self._told:
            self._told = True
            self._tell()

    def _said(self) -> str:
        if not self._received:
            return f"accepted the connection and has not answered for {self._waited_s:.0f} s"
        if self._silent_s >= self._limits.silent_s / 2:
            return (
                f"stopped in the middle of an answer, after {self._received} bytes, and has said "
                f"nothing for {self._silent_s:.0f} s"
            )
        return (
            f"answers too slowly: {self._received} bytes in {self._waited_s:.0f} s, where "
            f"{self._limits.least_rate} a second are the least"
        )
