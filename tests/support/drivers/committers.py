"""Many processes that commit to one adapter at once; run as a program, this file is one of them."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adapters.errors import ConflictError, UnavailableError, UnknownOutcomeError
from cluster.stores.open import open_store
from tests.support.scenes.registry import record_of
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    HeadIs,
    Inline,
    Manifest,
    Registry,
    SubmissionAbsent,
    verify,
)
from workers.registry.reach import published_versions
from workers.store import ObjectStore

THIS = "tests.support.drivers.committers"
ROOT = Path(__file__).parents[3]
Answer = TypeVar("Answer")
PAUSE_S = 0.2
SETTLING_S = 120.0
"""So long after its time is up a committer tries to learn what became of its last commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What many committers left behind.

    Attributes:
        acknowledged: Versions that a committer was told of, by submission.
        doubtful: Submissions of which a committer could not learn whether they were published.
        conflicts: How often a committer was told that somebody else was first.
        refusals: How often a committer was told that the store cannot be reached, or answers are
            lost.
        head: The version at the end.
        versions: Every version that was published, the latest first.
        problems: What `verify` found broken.
    """

    acknowledged: Mapping[str, int]
    doubtful: frozenset[str]
    conflicts: int
    refusals: int
    head: Manifest
    versions: tuple[Manifest, ...]
    problems: tuple[object, ...]

    def check(self) -> None:
        """Raise AssertionError unless every acknowledged commit is there, once and in order."""
        found = {task.submission: task for task in self.head.tasks}
        assert len(found) == len(self.head.tasks), "a submission was published twice"
        assert set(self.acknowledged) <= set(found), "commits were lost"
        assert set(found) <= set(self.acknowledged) | self.doubtful, "commits of nobody"
        numbers = [manifest.number for manifest in self.versions]
        assert numbers == list(range(len(found), 0, -1)), "version numbers are not in order"
        for manifest in self.versions:
            brought = manifest.tasks[-1].submission
            told = self.acknowledged.get(brought, manifest.number)
            assert told == manifest.number, "told of another version"
        assert not self.problems, self.problems


def commit_at_once(
    url: str,
    *,
    processes: int,
    seconds: float,
    most: int,
    environment: Mapping[str, str] | None = None,
) -> Tally:
    """Let `processes` processes commit to one new adapter, each for `seconds` or `most` commits."""
    variables = {**os.environ, **(environment or {})}
    store = open_store(url, environment=variables)
    Registry(store).create("main")
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.drivers.committers",
                url,
                str(n),
                str(seconds),
                str(most),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
            cwd=ROOT,
        )
        for n in range(processes)
    ]
    lines = [line.split() for each in started for line in each.communicate()[0].splitlines()]
    assert [each.returncode for each in started] == [0] * processes
    return _in_the_end(lambda: _tally(open_store(url, environment=variables), lines))


def _tally(store: ObjectStore, lines: list[list[str]]) -> Tally:
    main = Registry(store).adapter("main")
    return Tally(
        acknowledged={line[1]: int(line[2]) for line in lines if line[0] == "published"},
        doubtful=frozenset(line[1] for line in lines if line[0] == "doubtful"),
        conflicts=sum(int(line[1]) for line in lines if line[0] == "conflicts"),
        refusals=sum(int(line[1]) for line in lines if line[0] == "refusals"),
        head=main.manifest("head"),
        versions=tuple(published_versions(main, main.refs())),
        problems=verify(store, "main").problems,
    )


def _commit(url: str, worker: int, seconds: float, most: int) -> None:
    """Commit until the time is up, printing every version that was acknowledged.

    What was sent and not answered is sent again, for a while after the time is up.
    """
    main = Registry(_in_the_end(lambda: open_store(url))).adapter("main")
    deadline = time.monotonic() + seconds
    told: Counter[str] = Counter()
    number, is_doubtful = 0, False
    while number < most:
        now, submission = time.monotonic(), f"{worker}-{number}"
        if now > (deadline + SETTLING_S if is_doubtful else deadline):
            break
        by = Author(who=f"worker {worker}", why="a race", now=time.time())
        try:
            head = main.refs().find("head")
            commit = _addition(submission, parent=head.number if head else None)
            print("published", submission, main.commit(commit, by=by).number)
        except ConflictError:
            told["conflicts"] += 1
            continue
        except (UnavailableError, UnknownOutcomeError):
            told["refusals"] += 1
            is_doubtful = True
            time.sleep(PAUSE_S)
            continue
        number, is_doubtful = number + 1, False
    if is_doubtful:
        print("doubtful", submission)
    for what in ("conflicts", "refusals"):
        print(what, told[what])


def _in_the_end(read: Callable[[], Answer]) -> Answer:
    """Return what `read` returns, asked again for a while where the store cannot be reached."""
    deadline = time.monotonic() + SETTLING_S
    while True:
        try:
            return read()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


def _addition(submission: str, *, parent: int | None) -> Commit:
    return Commit(
        updates=(
            AddRecord(
                task=submission,
                submission=submission,
                record=Inline(record_of(submission)),
                classes=10,
            ),
        ),
        requirements=(SubmissionAbsent(submission), HeadIs(parent)),
        encoder="tiny",
        method="lada",
        settings={},
    )


if __name__ == "__main__":
    _commit(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
