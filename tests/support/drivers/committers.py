"""Many processes that commit to one adapter at once; run as a program, this file is one of them."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import ConflictError
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

THIS = "tests.support.drivers.committers"
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What many committers left behind.

    Attributes:
        acknowledged: Versions that a committer was told of, by submission.
        conflicts: How often a committer was told that somebody else was first.
        head: The version at the end.
        versions: Every version that was published, the latest first.
        problems: What `verify` found broken.
    """

    acknowledged: Mapping[str, int]
    conflicts: int
    head: Manifest
    versions: tuple[Manifest, ...]
    problems: tuple[object, ...]

    def check(self) -> None:
        """Raise AssertionError unless every acknowledged commit is there, once and in order."""
        found = {task.submission: task for task in self.head.tasks}
        assert len(found) == len(self.head.tasks), "a submission was published twice"
        assert set(found) == set(self.acknowledged), "commits were lost, or not acknowledged"
        numbers = [manifest.number for manifest in self.versions]
        assert numbers == list(range(len(found), 0, -1)), "version numbers are not in order"
        for manifest in self.versions:
            brought = manifest.tasks[-1].submission
            assert self.acknowledged[brought] == manifest.number, "told of another version"
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
    main = Registry(store).create("main")
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
    return Tally(
        acknowledged={line[1]: int(line[2]) for line in lines if line[0] == "published"},
        conflicts=sum(int(line[1]) for line in lines if line[0] == "conflicts"),
        head=main.manifest("head"),
        versions=tuple(published_versions(main, main.refs())),
        problems=verify(store, "main").problems,
    )


def _commit(url: str, worker: int, seconds: float, most: int) -> None:
    """Commit until the time is up, printing every version that was acknowledged."""
    main = Registry(open_store(url)).adapter("main")
    deadline = time.monotonic() + seconds
    conflicts = number = 0
    while number < most and time.monotonic() < deadline:
        submission = f"{worker}-{number}"
        head = main.refs().find("head")
        commit = Commit(
            updates=(
                AddRecord(
                    task=submission,
                    submission=submission,
                    record=Inline(record_of(submission)),
                    classes=10,
                ),
            ),
            requirements=(SubmissionAbsent(submission), HeadIs(head.number if head else None)),
            encoder="tiny",
            method="lada",
            settings={},
        )
        try:
            by = Author(who=f"worker {worker}", why="a race", now=time.time())
            print("published", submission, main.commit(commit, by=by).number)
        except ConflictError:
            conflicts += 1
            continue
        number += 1
    print("conflicts", conflicts)


if __name__ == "__main__":
    _commit(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
