"""Survey of a source: how much was seen, used and passed over, of what kinds, with examples.

Nothing that a source holds is left out without being counted here; what cannot be read although it
should be used is refused by name instead, later, when images are read.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from adapters.contract.counts import agreeing
from adapters.errors import SettingsError, one_line

EXAMPLES = 3
MOST_NAME = 100
MOST_KINDS = 50
"""Kinds that are told apart; names may have any number of extensions."""
MOST_SEEN = 2_000_000
"""Most files, members or rows of a source: ImageNet has 1.28 million training images."""

MOST_UNPACKED = 64 * 2**30
"""Most bytes of images that are unpacked of one source; a submission holds some 60,000 images."""


class What(Enum):
    """Why something was passed over; `{}` stands for what it is."""

    UNREAD = "{} in formats that are not read"
    DEEPER = "{} in folders inside those of the classes"
    LOOSE = "{} beside the folders of the classes, or beside shards"
    UNLISTED = "{} that the list in their folder does not name"
    HIDDEN = "{} with a dot before the name"
    SPLIT = "{} of other splits"
    UNLABELLED = "{} without a class"
    UNNAMED = "{} of classes that `classes` does not name"
    CLOSED = "{} that cannot be opened"
    LINKS = "{} to nowhere, or to folders inside those of the classes"
    SPECIAL = "pipes, sockets or devices"
    EMPTY = "empty {}"
    REPEATED = "{} with path and label of another"
    UNSEEN = "{} that were not looked into, as there are so many that are no images by name"
    OTHER = "other {}"
    SYSTEM = "{} of operating systems and programs"


_THINGS = {
    What.LINKS: "link",
    **dict.fromkeys((What.REPEATED, What.SPLIT, What.UNLABELLED), "row"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOver:
    """What was passed over for one reason.

    Attributes:
        what: The reason.
        are_pictures: Whether these look like pictures, by extension or content.
        count: How many.
        kinds: How many of each kind: an extension, the name of a format, a class.
        examples: Some of their names; none of classes, which are kinds here.
    """

    what: What
    are_pictures: bool
    count: int
    kinds: tuple[tuple[str, int], ...] = ()
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        of_kinds = [f"{count} {_of_number(kind, count)}" for kind, count in self.kinds[:EXAMPLES]]
        named = ", ".join(of_kinds) + (", …" if len(self.kinds) > EXAMPLES else "")
        reason = self.reason if self.count > 1 else self.reason.replace(self._things, self._thing)
        more = ", …" if self.count > len(self.examples) else ""
        examples = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{self.count} {reason} ({named}{examples})"

    @property
    def reason(self) -> str:
        """Why they were passed over, without their number."""
        return self.what.value.format(self._things)

    @property
    def _thing(self) -> str:
        if self.are_pictures:
            return "picture"
        return _THINGS.get(self.what, "file")

    @property
    def _things(self) -> str:
        return f"{self._thing}s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What became of everything in a source.

    Attributes:
        things: What was counted: files, rows or members.
        seen: How many there are; labels of tar shards are not among them.
        used: How many of them are images of classes.
        passed_over: The others, pictures first.
    """

    things: str = "files"
    seen: int = 0
    used: int = 0
    passed_over: tuple[PassedOver, ...] = ()

    def __str__(self) -> str:
        """Say what was passed over; empty where nothing was."""
        if not self.passed_over:
            return ""
        passed = sum(each.count for each in self.passed_over)
        reasons = "; ".join(map(str, self.passed_over))
        things = self.things if self.seen != 1 else self.things.removesuffix("s")
        return f"{self.seen} {things} seen, {passed} passed over: {reasons}"

    def without(self, classes: Iterable[tuple[str, int]]) -> "Survey":
        """Return the survey where classes, each with its number of images, are not learnt."""
        left = [(key, count) for key, count in classes if count]
        if not left:
            return self
        kinds: Counter[str] = Counter()
        for key, count in left[:MOST_KINDS]:
            kinds[one_line(repr(key[:MOST_NAME]))] += count
        unnamed = PassedOver(
            what=What.UNNAMED,
            are_pictures=True,
            count=sum(count for _, count in left),
            kinds=tuple(
                (one_line(repr(key[:MOST_NAME])), count) for key, count in left[:MOST_KINDS]
            ),
        )
        return replace(
            self,
            used=self.used - unnamed.count,
            passed_over=(unnamed, *self.passed_over),
        )


def _of_number(kind: str, count: int) -> str:
    """Return the name of a kind behind a number: `a video` as `videos`, `SVG` as it is."""
    found = _COUNTABLE.fullmatch(kind)
    return kind if found is None else f"{agreeing(count, found[1])}{found[2] or ''}"


_COUNTABLE = re.compile(r"an? (.+?)( of .+| in .+| \(.+)?")


def unwatched() -> None:
    """Say nothing, and let whatever goes on go on."""


@dataclass(slots=True)
class _Kinds:
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    examples: list[str] = field(default_factory=list)


class Counting:
    """Counts what is seen and what becomes of it.

    Args:
        things: What is counted.
        on_seen: Called for each thousand that were seen; raises what should stop the work.
        any_key: See `read_source`.
        most_bytes: Most bytes of images that are unpacked.

    Attributes:
        any_key: The same.
        most_bytes: The same.
    """

    # Owns: the counts. Used by one thread.

    def __init__(
        self,
        things: str = "files",
        *,
        on_seen: Callable[[], None] = unwatched,
        any_key: bool = False,
        most_bytes: int = MOST_UNPACKED,
    ) -> None:
        self.any_key, self.most_bytes = any_key, most_bytes
        self._things = things
        self._on_seen = on_seen
        self._seen = 0
        self._used = 0
        self._passed: defaultdict[tuple[What, bool], _Kinds] = defaultdict(_Kinds)

    def anew(self) -> "Counting":
        """Count from nothing, since what was counted is told by a list; return the same."""
        self._seen = self._used = 0
        self._passed.clear()
        return self

    def of(self, things: str) -> None:
        """Say what is counted, before anything is."""
        self._things = things

    def go_on(self) -> None:
        """Raise what should stop the work, where nothing is seen for long."""
        self._on_seen()

    def see(self, number: int = 1) -> None:
        """Count what was seen.

        Raises:
            SettingsError: there is too much of it.
        """
        before, self._seen = self._seen, self._seen + number
        if self._seen > MOST_SEEN:
            raise SettingsError(
                f"expected at most {MOST_SEEN} {self._things} in one source, found more; divide it"
            )
        if before // 1000 != self._seen // 1000:
            self._on_seen()

    def use(self, number: int = 1) -> None:
        """Count what is used."""
        self._used += number

    def pass_over(self, what: What, name: str, kind: str, *, is_picture: bool = False) -> None:
        """Count what is passed over."""
        found = self._passed[what, is_picture]
        known = kind in found.counts or len(found.counts) < MOST_KINDS
        found.counts[kind if known else "of other kinds"] += 1
        if len(found.examples) < EXAMPLES:
            found.examples.append(one_line(name))

    def survey(self) -> Survey:
        """Return what was counted."""
        order = list(What)
        passed = sorted(
            self._passed.items(), key=lambda item: (not item[0][1], order.index(item[0][0]))
        )
        return Survey(
            things=self._things,
            seen=self._seen,
            used=self._used,
            passed_over=tuple(
                PassedOver(
                    what=what,
                    are_pictures=are_pictures,
                    count=sum(found.counts.values()),
                    kinds=tuple(sorted(found.counts.items(), key=lambda item: (-item[1], item[0]))),
                    examples=tuple(found.examples),
                )
                for (what, are_pictures), found in passed
            ),
        )
