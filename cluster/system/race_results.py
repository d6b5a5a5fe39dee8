"""Results of races for keys of a store: who won, what was read, and how long it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.system.race_process import Answer
from workers.store.conditions import Condition

Answers = Mapping[str, Sequence[Answer]]
"""What the racers for each key were told."""


@dataclass(kw_only=True, slots=True)
class Races:
    """The races for one condition.

    Attributes:
        made: How many have ended with every racer being told.
        by_several: How many were won by more than one; these count however the others ended.
        by_nobody: How many were won by nobody, though everybody was told.
    """

    made: int = 0
    by_several: int = 0
    by_nobody: int = 0


@dataclass(kw_only=True, slots=True)
class Figures:
    """What was found. It grows while the races run.

    Attributes:
        creating: The races to create a key.
        replacing: The races to replace an etag.
        unanswered: Writes and reads whose end nobody was told.
        doubt: What was told instead, the last time.
        write_s: Seconds of each write that was answered.
        read_s: Seconds of each read.
        before: Reads that were older than a write which had been acknowledged before they began.
        went_back: Reads that were older than the one before, by the same reader.
        denied: Reads that said "not there" of what was there.
        listings: Listings of keys that were all there.
        incomplete: Listings in which a key was missing.
    """

    creating: Races = field(default_factory=Races)
    replacing: Races = field(default_factory=Races)
    unanswered: int = 0
    doubt: str = ""
    write_s: list[float] = field(default_factory=list)
    read_s: list[float] = field(default_factory=list)
    before: int = 0
    went_back: int = 0
    denied: int = 0
    listings: int = 0
    incomplete: int = 0

    @property
    def made(self) -> int:
        """All races that have ended with every racer being told."""
        return self.creating.made + self.replacing.made

    @property
    def by_several(self) -> int:
        """All races that were won by more than one."""
        return self.creating.by_several + self.replacing.by_several

    @property
    def raced(self) -> Mapping[Condition, Races]:
        """The races by their condition."""
        return {Condition.ONE_CREATES: self.creating, Condition.ONE_REPLACES: self.replacing}

    def note_writes(self, races: Races, answers: Answers) -> dict[str, str]:
        """Note how races have ended; return the winner's etag of each that had one."""
        for answer in (answer for racers in answers.values() for answer in racers):
            if not self._is_doubtful(answer):
                self.write_s.append(answer.seconds)
        return {key: etag for key, racers in answers.items() if (etag := _ended(races, racers))}

    def note_reads(self, answers: Answers, *, serial: int) -> None:
        """Note reads of what had been acknowledged with `serial` before they began."""
        for answer in (answer for readers in answers.values() for answer in readers):
            if self._is_doubtful(answer):
                continue
            found = [each for each in answer.serials if each is not None]
            self.read_s += [answer.seconds / len(answer.serials)] * len(answer.serials)
            self.denied += len(answer.serials) - len(found)
            self.before += sum(each < serial for each in found)
            self.went_back += found != sorted(found)

    def _is_doubtful(self, answer: Answer) -> bool:
        if answer.doubt is not None:
            self.unanswered += 1
            self.doubt = answer.doubt.message
        return answer.doubt is not None


def _ended(races: Races, racers: Sequence[Answer]) -> str | None:
    winners = [answer.etag for answer in racers if answer.etag is not None]
    if len(winners) > 1:
        races.made, races.by_several = races.made + 1, races.by_several + 1
        return None
    if any(answer.doubt for answer in racers):
        return None
    races.made += 1
    races.by_nobody += not winners
    return winners[0] if winners else None
