"""The judge of a load under which versions moved: pure, from records of both."""

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """How much time passes before something counts as wrong.

    Attributes:
        grace_s: A followed answer may be as old as that, before its request.
        missed_s: The same after a move that replicas were not told of: they find out by looking.
        kill_s: Whoever asks so long after a kill may still meet its traces.
    """

    grace_s: float = 0.25
    missed_s: float = 2.0
    kill_s: float = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """`production` moved: at some instant between two moments, by the monotonic clock.

    Attributes:
        number: The version that it points to since.
        begun: When the write was sent.
        done: When its answer was there.
        told: Whether the replicas were told; else they find out by looking.
    """

    number: int
    begun: float
    done: float
    told: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One request and what became of it.

    Attributes:
        client: Who asked.
        image: Which picture.
        pin: The version asked for; None for what is in production.
        sent: When, by the monotonic clock.
        received: When the answer was there, likewise.
        status: Of the answer; 0 for a broken connection.
        number: The version that answered; None where none did.
        right: Whether the results are those of that version.
        said: Of a failure, what was answered, or why nothing was.
    """

    client: int
    image: int
    pin: int | None
    sent: float
    received: float
    status: int
    number: int | None = None
    right: bool = True
    said: str = ""


@dataclass(kw_only=True)
class Verdict:
    """What was found.

    Attributes:
        sent: Requests.
        failed: Those without a good answer, by status.
        failed_pins_away: Those of them that asked for a pinned version while the store was away: a
            replica that has not met that version before cannot know it.
        unexplained: The rest of those that were under way while nobody had been killed.
        mixed: Answers whose results are not all of the version that they name.
        wrong_pins: Pinned answers of another version.
        wrong: Followed answers of a version that was not in production.
        lags: How much longer than until the move an old version answered new requests, in
            seconds: one figure per move of which the replicas were told.
        missed_lags: The same for moves of which they were not told.
        returned: How often a client saw the new version, and then the old one, after a move of
            which the replicas were told.
        missed_returned: The same after moves of which they were not told: one replica finds out
            before the other.
        kills: Whom, and how often.
        moves: Of `production`.
        met: How many requests met the store in each kind of weather.
    """

    sent: int = 0
    failed: Counter[int] = field(default_factory=Counter)
    failed_pins_away: int = 0
    unexplained: list[Asked] = field(default_factory=list)
    mixed: int = 0
    wrong_pins: int = 0
    wrong: list[Asked] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    missed_lags: list[float] = field(default_factory=list)
    returned: int = 0
    missed_returned: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    met: Counter[str] = field(default_factory=Counter)


def judged(
    asked: Sequence[Asked],
    moves: Sequence[Move],
    kills: Mapping[str, Sequence[float]],
    *,
    away: Sequence[tuple[float, float]] = (),
    allowance: Allowance | None = None,
) -> Verdict:
    """Return what is to be said of all requests.

    Args:
        asked: All requests.
        moves: All moves of `production`, in order.
        kills: When somebody was killed, by who it was.
        away: From when until when the store was away.
        allowance: How much time passes before something is wrong.
    """
    allowed = allowance or Allowance()
    killed = sorted(itertools.chain(*kills.values()))
    found = Verdict(
        sent=len(asked), moves=len(moves), kills=Counter({w: len(t) for w, t in kills.items()})
    )
    for entry in asked:
        if entry.status != 200:
            found.failed[entry.status] += 1
            if _is_pin_away(entry, away):
                found.failed_pins_away += 1
            elif not any(entry.sent - allowed.kill_s <= at <= entry.received for at in killed):
                found.unexplained.append(entry)
            continue
        found.mixed += not entry.right
        if entry.pin is not None:
            found.wrong_pins += entry.number != entry.pin
        elif not _was_in_production(entry, moves, allowed):
            found.wrong.append(entry)
    followed = [entry for entry in asked if entry.status == 200 and entry.pin is None]
    for index, move in enumerate(moves[2:], 2):
        lag = _lag(followed, moves, index)
        (found.lags if move.told else found.missed_lags).append(lag)
    found.returned = _returned(followed, moves, told=True)
    found.missed_returned = _returned(followed, moves, told=False)
    return found


def _is_pin_away(entry: Asked, away: Sequence[tuple[float, float]]) -> bool:
    """Return whether a pinned version may not have been found because the store was away."""
    return entry.pin is not None and any(
        since <= entry.received and entry.sent <= until for since, until in away
    )


def _was_in_production(entry: Asked, moves: Sequence[Move], allowed: Allowance) -> bool:
    """Return whether the version was in production just before the request or until its answer."""
    last = bisect_right(moves, entry.received, key=lambda move: move.begun) - 1
    grace_s = allowed.grace_s
    for index in range(last, -1, -1):
        until = moves[index + 1].done if index < len(moves) - 1 else float("inf")
        if index < last and not moves[index + 1].told:
            grace_s = max(grace_s, allowed.missed_s)
        if until < entry.sent - grace_s:
            return False
        if moves[index].number == entry.number:
            return True
    return False


def _lag(followed: Sequence[Asked], moves: Sequence[Move], index: int) -> float:
    """Return how long after a move the version before it answered new requests, in seconds."""
    old, move = moves[index - 1].number, moves[index]
    until = moves[index + 1].begun if index + 1 < len(moves) else float("inf")
    late = [
        entry.sent - move.done
        for entry in followed
        if entry.number == old and move.done < entry.sent and entry.received < until
    ]
    return max(late, default=0.0)


def _returned(followed: Sequence[Asked], moves: Sequence[Move], *, told: bool) -> int:
    """Return how often a client saw the new version of a move, and then the old one.

    Of moves that replicas were told of, or of the others.
    """
    count = 0
    by_client: dict[int, list[Asked]] = {}
    for entry in sorted(followed, key=lambda one: one.sent):
        by_client.setdefault(entry.client, []).append(entry)
    for index in range(1, len(moves)):
        if moves[index].told is not told:
            continue
        old, new = moves[index - 1].number, moves[index].number
        since = moves[index].begun
        until = moves[index + 1].begun if index + 1 < len(moves) else float("inf")
        for entries in by_client.values():
            seen_new = False
            for entry in entries:
                if since <= entry.sent and entry.received < until:
                    count += seen_new and entry.number == old
                    seen_new = seen_new or entry.number == new
    return count
