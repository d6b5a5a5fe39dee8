"""`nacre doctor --store`: what it finds of a store, and that it leaves nothing."""

import json
import re
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from adapters.errors import InputError, UnavailableError
from cluster.stores.s3 import S3Store
from cluster.system.race_process import Answer
from cluster.system.race_results import Figures
from cluster.system.store_doctor import examine_store
from cluster.system.store_races import THREADS, members_of
from cluster.system.store_report import StoreReport
from tests.support.drivers.s3_server import S3Server
from tests.support.fakes.lenient_store import CreatesAnywhere, WinsInEachProcess
from workers.store import FileStore
from workers.store.conditional_writes import ENOUGH
from workers.store.conditions import Condition


def unwatched(done: int, total: int) -> None:
    del done, total


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("heat", [0, 1, 9])
def test_each_race_is_between_processes_and_no_process_has_more_racers_than_threads(
    processes: int, heat: int
) -> None:
    races = members_of(processes, heat)
    assert all(len(members) >= 2 for members in races)
    assert all(len(set(members)) == min(processes, len(members)) for members in races)
    everybody = [number for members in races for number in members]
    assert all(1 <= everybody.count(number) <= THREADS for number in range(processes))


def told(
    *, etag: str | None = None, doubt: str = "", serials: tuple[int | None, ...] = ()
) -> Answer:
    error = UnavailableError(doubt) if doubt else None
    return Answer(key="a", seconds=0.5, etag=etag, serials=serials, doubt=error)


RACES = [
    # what the racers were told, races that count, won by several, by nobody, the winner's etag
    ([told(etag="1"), told()], (1, 0, 0), "1"),
    ([told(), told()], (1, 0, 1), None),
    ([told(etag="1"), told(etag="2")], (1, 1, 0), None),
    ([told(etag="1"), told(doubt="away")], (0, 0, 0), None),  # who was not told may have won
    ([told(etag="1"), told(etag="2"), told(doubt="away")], (1, 1, 0), None),
]


@pytest.mark.parametrize(("racers", "counted", "winner"), RACES)
def test_a_race_counts_when_it_says_something(
    racers: list[Answer], counted: tuple[int, int, int], winner: str | None
) -> None:
    figures = Figures()
    winners = figures.note_writes(figures.creating, {"a": racers})
    races = figures.creating
    assert (races.made, races.by_several, races.by_nobody) == counted
    assert winners.get("a") == winner
    assert len(figures.write_s) + figures.unanswered == len(racers)


READS = [
    # two reads of what was acknowledged as 2: older, went back, denied
    ((2, 2), (0, 0, 0)),
    ((1, 2), (1, 0, 0)),
    ((2, 1), (1, 1, 0)),
    ((None, 2), (0, 0, 1)),
]


@pytest.mark.parametrize(("serials", "counted"), READS)
def test_reads_from_before_are_counted(
    serials: tuple[int | None, ...], counted: tuple[int, int, int]
) -> None:
    figures = Figures()
    figures.note_reads({"a": [told(serials=serials)]}, serial=2)
    assert (figures.before, figures.went_back, figures.denied) == counted


def reported(figures: Figures, *broken: Condition) -> StoreReport:
    return StoreReport(
        urls=("s3://bucket",),
        answered="a server",
        seconds=30.0,
        processes=4,
        broken=broken,
        figures=figures,
    )


def raced(creating: int, replacing: int, *, by_several: int = 0, by_nobody: int = 0) -> Figures:
    figures = Figures()
    figures.creating.made, figures.replacing.made = creating, replacing
    figures.replacing.by_several, figures.replacing.by_nobody = by_several, by_nobody
    return figures


VERDICTS = [
    # fit, and what the verdict says
    (reported(raced(700, 690)), True, "fit for nacre: no race was won by two; .* one race of 100,"),
    (reported(raced(700, 700, by_several=1)), False, "must not be used, because 1 of 1,400 races"),
    (reported(Figures(), Condition.STALE), False, "does not hold that a replace of an etag from"),
    (reported(raced(700, 690), Condition.GONE), True, "fit for nacre"),
    (
        reported(raced(700, 690), Condition.GONE, Condition.TAKEN),
        False,
        "because it does not hold that a create where something is, [^;]*: two writers",
    ),
    (reported(raced(700, ENOUGH - 1)), None, "cannot be judged: 30 races"),
    (reported(raced(700, 700, by_nobody=690)), None, "cannot be judged"),
    (reported(Figures()), None, "cannot be judged: 0 races"),
]


@pytest.mark.parametrize(("report", "fit", "sentence"), VERDICTS)
def test_the_verdict_follows_from_the_races(
    report: StoreReport, fit: bool | None, sentence: str
) -> None:
    assert report.fit is fit
    last = list(report.findings())[-1]
    assert last.level == {True: "ok", False: "error", None: "warning"}[fit]
    json.dumps(report.to_json())
    assert re.search(sentence, last.found)


@pytest.mark.slow
def test_a_folder_is_fit_from_several_processes_and_nothing_is_left(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    found = examine_store([store.url], seconds=3.0, processes=2, report=unwatched)
    assert found.figures.made > 0
    assert (found.figures.by_several, found.figures.unanswered, found.broken) == (0, 0, ())
    assert found.fit is not False
    assert list(store.list("")) == []


@pytest.mark.slow
def test_a_store_where_each_process_wins_is_unfit_though_one_alone_sees_nothing(
    tmp_path: Path,
) -> None:
    store = WinsInEachProcess(tmp_path / "store")
    found = examine_store(
        [store.url], seconds=1.0, processes=2, report=unwatched, opened=lambda _: store
    )
    assert found.broken == ()
    assert found.figures.creating.by_several == found.figures.creating.made > 0
    assert found.fit is False
    assert list(store.list("")) == []


def test_what_does_not_hold_alone_is_not_raced_for() -> None:
    store = CreatesAnywhere()
    found = examine_store(["file:///somewhere"], report=unwatched, opened=lambda _: store)
    assert (found.broken, found.fit, found.figures.made) == ((Condition.TAKEN,), False, 0)
    assert list(store.list("")) == []


@pytest.mark.slow
def test_an_interrupt_ends_the_processes_and_removes_what_was_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")

    def interrupted_once_something_is_there(done: int, total: int) -> None:
        del done, total
        looks.append(len(looks))
        if len(looks) > 3:
            raise KeyboardInterrupt

    looks: list[int] = []
    before = psutil.Process().children(recursive=True)
    with pytest.raises(KeyboardInterrupt):
        examine_store([store.url], processes=2, report=interrupted_once_something_is_there)
    assert list(store.list("")) == []
    racers = set(psutil.Process().children(recursive=True)) - set(before)
    assert [each for each in racers if "spawn_main" in " ".join(each.cmdline())] == []


def test_a_store_in_memory_cannot_be_raced_for_by_several_processes() -> None:
    with pytest.raises(InputError, match="of one process"):
        examine_store(["memory://x"], report=unwatched)


def test_addresses_of_two_stores_are_told_apart_from_a_store_that_is_wrong(tmp_path: Path) -> None:
    one, other = (FileStore(tmp_path / name) for name in ("one", "other"))
    with pytest.raises(InputError, match="expected addresses of one store"):
        examine_store([one.url, other.url], report=unwatched)
    assert list(one.list("")) == []


@pytest.mark.slow
def test_what_answers_is_told_by_its_name(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():  # for the processes that race
        monkeypatch.setenv(name, value)
    settings = replace(s3_server.settings, prefix="doctor/")
    found = examine_store(
        [settings.url, settings.url],
        seconds=2.0,
        processes=2,
        report=unwatched,
        opened=lambda _: S3Store(settings),
    )
    assert found.answered.startswith("SeaweedFS")
    assert (found.figures.by_several, found.broken) == (0, ())
    assert list(S3Store(settings).list("")) == []
