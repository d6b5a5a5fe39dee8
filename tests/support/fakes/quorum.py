"""A model of an object store that keeps its objects on several drives, with faults by seed.

An object is written to all drives that answer, and acknowledged when a majority has it; a read
asks so many of them that it meets every acknowledged write, and answers with the newest copy that
it meets. So nothing that was acknowledged is lost; but a write that failed may be kept by some
drives, and is then seen by some reads and not by others until somebody writes.

What such a store may do is in `quorum_odds`; how often it has done so, in `Quorum.met`. In one
thread the same seed and the same requests give the same answers.
"""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.fakes.quorum_answers import (
    ABSENT,
    AnswerLostError,
    Condition,
    Copy,
    RefusedError,
    always,
)
from tests.support.fakes.quorum_odds import CALM, NEVER, Odds

MOST_BLIND = 5
"""So many requests a node denies what exists once it has started."""
MOST_AWAY = 25
"""So many requests a drive is away."""
MOST_LATE = 40
"""So many requests later a request that hangs is carried out."""
REMEMBERED = 4
"""Reads from before are of one of so many contents."""


@dataclass(kw_only=True)
class Quorum:
    """The store itself, as its nodes answer.

    Args:
        seed: Decides what goes wrong, and when.
        odds: How probable that is; may be changed at any moment.
        drives: How many there are, each with a node.
        clock: Gives the modification times of listings, in seconds.

    Attributes:
        met: How often each fault was met.
        requests: How many have been answered.
        written: Every content that a drive has had, by key and in order, and whether its write was
            acknowledged.
    """

    # Owns: everything, guarded by `lock`.

    seed: int = 0
    odds: Odds = CALM
    drives: int = 4
    clock: Callable[[], float] = lambda: 0.0
    met: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    written: dict[str, list[tuple[Copy, bool]]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._drives: list[dict[str, Copy]] = [{} for _ in range(self.drives)]
        self._away: dict[int, int] = {}
        self._blind: dict[int, int] = {}
        self._late: list[tuple[int, Callable[[], object]]] = []
        self._stamp = 0
        self._is_calm = False

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let all drives answer, and nothing go wrong or go on, for who must know what there is."""
        with self.lock:
            before, self._is_calm = self._is_calm, True
            try:
                yield
            finally:
                self._is_calm = before

    @property
    def write_quorum(self) -> int:
        """How many drives must have a write for it to be acknowledged."""
        return self.drives // 2 + 1

    @property
    def read_quorum(self) -> int:
        """How many drives a read asks: every acknowledged write is on one of them."""
        return self.drives - self.write_quorum + 1

    def read(self, key: str) -> Copy:
        """Answer a read; what it returns has data."""
        with self.lock:
            node = self._arrived()
            answering = self._answering(self.read_quorum, "SlowDownRead")
            copies = [self._drives[drive].get(key, ABSENT) for drive in answering]
            asked = copies if self._is_calm else self._rng.sample(copies, self.read_quorum)
            found = max(asked, key=_stamp)
            if found != max(copies, key=_stamp):
                self.met["reads that miss a half-made write"] += 1
            if found.data is not None and self._is_blind(node):
                self.met["404 of what exists"] += 1
                found = ABSENT
            elif self._happens(self.odds.before):
                found = self._from_before(key, found)
            if found.data is None:
                raise RefusedError(404, "NoSuchKey")
            return found

    def write(
        self, key: str, data: bytes | None, *, write_id: str = "", condition: Condition = always
    ) -> str | None:
        """Answer a write, or a deletion where `data` is None; return the new etag."""
        with self.lock:
            self._arrived()
            self._answering(self.write_quorum, "SlowDownWrite")

            def carry_out() -> str | None:
                return self._carried_out(key, data, write_id, condition)

            if self._happens(self.odds.late):
                self.met["writes that hang"] += 1
                due = self.requests + self._rng.randint(1, MOST_LATE)
                self._late.append((due, carry_out))
                raise AnswerLostError
            etag = carry_out()
            if self._happens(self.odds.lost):
                self.met["answers that are lost"] += 1
                raise AnswerLostError
            return etag

    def listing(self, prefix: str) -> Iterator[tuple[str, Copy]]:
        """Answer a listing of what lies under keys that begin with `prefix`."""
        with self.lock:
            self._arrived()
            answering = self._answering(self.read_quorum, "SlowDownRead")
            found = self._newest_of(answering, prefix)
        yield from found

    def _arrived(self) -> int:
        """Count a request, let time pass, and return the node that answers it."""
        if self._is_calm:
            return 0
        self.requests += 1
        self._carry_out_what_is_due()
        for left in (self._away, self._blind):
            for number in list(left):
                left[number] -= 1
                if left[number] < 0:
                    del left[number]
        if self._happens(self.odds.away) and len(self._away) < self.drives:
            self.met["drives that go away"] += 1
            self._away[self._rng.randrange(self.drives)] = self._rng.randint(1, MOST_AWAY)
        node = self._rng.randrange(self.drives)
        if not self._blind and self._happens(self.odds.blind):
            self.met["nodes that start blind"] += 1
            self._blind[node] = self._rng.randint(1, MOST_BLIND)
        if self._happens(self.odds.busy):
            self.met["503 before anything is done"] += 1
            raise RefusedError(503, "SlowDown")
        return node

    def _carry_out_what_is_due(self) -> None:
        due = [carry_out for at, carry_out in self._late if at <= self.requests]
        self._late = [entry for entry in self._late if entry[0] > self.requests]
        for carry_out in due:
            try:
                carry_out()
                self.met["writes that are carried out late"] += 1
            except RefusedError:
                self.met["writes that come too late"] += 1

    def _answering(self, quorum: int, code: str) -> list[int]:
        away = () if self._is_calm else self._away
        answering = [drive for drive in range(self.drives) if drive not in away]
        if len(answering) < quorum:
            self.met["too few drives"] += 1
            raise RefusedError(503, code)
        return answering

    def _is_blind(self, node: int) -> bool:
        return node in self._blind and not self._is_calm

    def _carried_out(
        self, key: str, data: bytes | None, write_id: str, condition: Condition
    ) -> str | None:
        answering = self._answering(self.write_quorum, "SlowDownWrite")
        there = max((self._drives[drive].get(key, ABSENT) for drive in answering), key=_stamp)
        if not condition(there.etag):
            passed = any(condition(copy.etag) for copy in self._past(key))
            if not passed or not self._happens(self.odds.two_winners):
                raise RefusedError(412, "PreconditionFailed")
            self.met["two winners"] += 1
        half = self._happens(self.odds.half_made)
        if half:
            self.met["writes that are half made"] += 1
            answering = self._rng.sample(answering, self._rng.randint(1, self.write_quorum - 1))
        self._stamp += 1
        copy = Copy(stamp=self._stamp, data=data, write_id=write_id, modified=self.clock())
        for drive in answering:
            self._drives[drive][key] = copy
        self.written[key].append((copy, not half))
        if half:
            raise RefusedError(503, "SlowDownWrite")
        return copy.etag

    def _past(self, key: str) -> list[Copy]:
        """Return what was there before the last acknowledged write, and absence if that is near."""
        acknowledged = [ABSENT, *(copy for copy, whole in self.written[key] if whole)]
        return acknowledged[-1 - REMEMBERED : -1]

    def _from_before(self, key: str, found: Copy) -> Copy:
        past = self._past(key)
        if not past:
            return found
        self.met["reads from before"] += 1
        return self._rng.choice(past)

    def _newest_of(self, answering: list[int], prefix: str) -> list[tuple[str, Copy]]:
        names = {
            key for drive in answering for key in self._drives[drive] if key.startswith(prefix)
        }
        found = (
            (key, max((self._drives[drive].get(key, ABSENT) for drive in answering), key=_stamp))
            for key in sorted(names)
        )
        return [(key, copy) for key, copy in found if copy.data is not None]

    def _happens(self, odds: float) -> bool:
        return odds > NEVER and not self._is_calm and self._rng.random() < odds


def _stamp(copy: Copy) -> int:
    return copy.stamp
