"""Reports of one store: what was found by racing for it, and what that means."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cluster.system.doctor import Finding
from cluster.system.race_results import Figures
from workers.store.conditional_writes import ENOUGH
from workers.store.conditions import ALONE, WISHED, Condition
from workers.store.servers import advice

MISSED = 0.001
"""With which probability what is not found out is allowed to be missed."""
SLOW_WRITE_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreReport:
    """What was found of a store.

    Attributes:
        urls: Its addresses.
        answered: What answers there, as far as it says so.
        seconds: For how long races were run.
        processes: From how many processes.
        broken: The conditions that do not hold even for one who writes alone.
        figures: Of the races; none were run where a condition is broken that must hold.
    """

    urls: tuple[str, ...]
    answered: str
    seconds: float
    processes: int
    broken: tuple[Condition, ...]
    figures: Figures

    @property
    def fit(self) -> bool | None:
        """Whether nacre may use it; None where the races were too few to say so."""
        if self._wrong or self.figures.by_several:
            return False
        return True if self._fewest >= ENOUGH else None

    @property
    def verdict(self) -> str:
        """What that means, as a sentence."""
        if self.fit is False:
            return (
                f"must not be used, because {self._reason}: two writers would overwrite each "
                "other's versions, and nobody would be told"
            )
        if self.fit is None:
            return (
                f"cannot be judged: {self._fewest} races had a winner, of the condition with the "
                f"fewest, and {ENOUGH} are needed; race for more seconds, or wait until the store "
                "answers"
            )
        return (
            "fit for nacre: no race was won by two; if that happened in one race of "
            f"{_one_in(self._fewest)}, it would have been found out with 999 of 1,000"
        )

    @property
    def _wrong(self) -> tuple[Condition, ...]:
        """The conditions that do not hold and must."""
        return tuple(each for each in self.broken if each not in WISHED)

    @property
    def _fewest(self) -> int:
        """Races with a winner, of the condition of which there were fewest."""
        return min(races.made - races.by_nobody for races in self.figures.raced.values())

    @property
    def _reason(self) -> str:
        if self._wrong:
            return "; ".join(f"it does not hold that {each.value}" for each in self._wrong)
        figures = self.figures
        return f"{figures.by_several} of {figures.made:,} races were won by more than one"

    def findings(self) -> Iterator[Finding]:
        """Yield everything that was found, as `nacre doctor` tells it."""
        yield Finding(check="store", level="ok", found=", ".join(self.urls))
        yield Finding(check="answered", level="ok", found=self.answered)
        for condition in ALONE:
            if not self._wrong or condition in self.broken:
                yield self._alone(condition)
        if not self._wrong:
            yield from self._of_races()
        level = {True: "ok", False: "error", None: "warning"}[self.fit]
        remedy = "" if self.fit else advice(self.answered, self.broken)
        yield Finding(check="verdict", level=level, found=self.verdict, remedy=remedy)

    def _alone(self, condition: Condition) -> Finding:
        found = _held(condition, condition not in self.broken, "")
        if condition not in self.broken or condition not in WISHED:
            return found
        told = advice(self.answered, (condition,))
        return replace(found, level="warning", remedy=f"nothing here depends on it; {told}")

    def _of_races(self) -> Iterator[Finding]:
        figures = self.figures
        for condition, races in figures.raced.items():
            told = f"{races.made:,} races, {races.by_several} won by more than one"
            told += f", {races.by_nobody} by nobody" * bool(races.by_nobody)
            yield _held(condition, not races.by_several, told)
        yield Finding(
            check="answers",
            level="warning" if figures.unanswered else "ok",
            found=f"{figures.unanswered} of {len(figures.write_s) + len(figures.read_s) // 2:,} "
            f"racers were not told how it ended{figures.doubt and f': {figures.doubt}'}",
            remedy="such races do not count; nacre waits and asks again" * bool(figures.unanswered),
        )
        yield _latency("writes", figures.write_s)
        yield _latency("reads", figures.read_s)
        yield self._of_reads()
        yield Finding(
            check="listings",
            level="warning" if figures.incomplete else "ok",
            found=f"{figures.incomplete} of {figures.listings} lacked what had been written",
            remedy="requests in the queue are found later" * bool(figures.incomplete),
        )

    def _of_reads(self) -> Finding:
        figures = self.figures
        odd = figures.before or figures.went_back or figures.denied
        return Finding(
            check="what was read",
            level="warning" if odd else "ok",
            found=f"of {len(figures.read_s):,} reads {figures.before} were older than an "
            f"acknowledged write, {figures.went_back} older than the read before, and "
            f"{figures.denied} denied what was there",
            remedy="nacre goes by serials and asks again, so that it stays right and waits longer"
            * bool(odd),
        )

    def to_json(self) -> Mapping[str, Any]:
        """Return the document that `--output json` prints; times in milliseconds."""
        figures = self.figures
        alone = [{"condition": each.value, "holds": each not in self.broken} for each in ALONE]
        raced = [
            {"condition": condition.value, "holds": not races.by_several, **asdict(races)}
            for condition, races in figures.raced.items()
        ]
        return {
            "store": list(self.urls),
            "answered": self.answered,
            "seconds": self.seconds,
            "processes": self.processes,
            "fit": self.fit,
            "verdict": self.verdict,
            "conditions": alone if self._wrong else [*alone, *raced],
            "races": figures.made,
            "won_by_several": figures.by_several,
            "unanswered": figures.unanswered,
            "write_ms": _quantiles_ms(figures.write_s),
            "read_ms": _quantiles_ms(figures.read_s),
            "reads": {
                "made": len(figures.read_s),
                "before": figures.before,
                "went_back": figures.went_back,
                "denied": figures.denied,
            },
            "listings": {"made": figures.listings, "incomplete": figures.incomplete},
        }


def _held(condition: Condition, holds: bool, told: str) -> Finding:
    found = "holds" if holds else "DOES NOT HOLD"
    return Finding(
        check=condition.value,
        level="ok" if holds else "error",
        found=f"{found} ({told})" if told else found,
    )


def _latency(check: str, seconds: Sequence[float]) -> Finding:
    if not seconds:
        return Finding(check=check, level="warning", found="none was answered")
    told = _quantiles_ms(seconds)
    slow = told["median"] > 1000 * SLOW_WRITE_S
    return Finding(
        check=check,
        level="warning" if slow else "ok",
        found=f"median {told['median']:.1f} ms, 95 of 100 within {told['p95']:.1f} ms",
        remedy="a commit takes eight requests: put the workers nearer to the store" * slow,
    )


def _quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        "median": round(1000 * statistics.median(ordered), 2),
        "p95": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 2),
    }


def _one_in(races: int) -> int:
    """Return n: had one race in n gone wrong, all of `races` would miss it as rarely as MISSED."""
    share: float = 1.0 - MISSED ** (1.0 / races)
    return int(1.0 / share)
