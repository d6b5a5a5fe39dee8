"""Logs of the work: kept by submission, without holding anybody up, and there after a kill."""

import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.errors import UnavailableError
from workers.concurrency.bounded import in_threads
from workers.logs import keeping
from workers.logs.errand import Errand, current_errand
from workers.logs.keeping import (
    KeepingHandler,
    KeptStream,
    WorkLogs,
    keep_what_is_written,
    line_of,
)
from workers.logs.work_log import MOST, WorkLog, folder_of, read_work_logs, write_work_log
from workers.store import FileStore, MemoryStore
from workers.store.testing import WrappedStore

BIRDS = Errand(submission_id="birds-0123456789ab", stage="training")
BOATS = Errand(submission_id="boats-0123456789ab", stage="encoding")
FOR_EVER_S = 3600.0
logger = logging.getLogger("nacre.test")


@pytest.fixture(autouse=True)
def attached(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what this process writes as a role's process does, and leave it as it was."""
    root, ours = logging.getLogger(), logging.getLogger("nacre")
    before, level = [*root.handlers], ours.level
    for name in ("stdout", "stderr"):  # what stands there now is what is put back
        monkeypatch.setattr(sys, name, getattr(sys, name))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        keep_what_is_written(WorkLogs(MemoryStore(), "trainer"))
        yield
    logging.captureWarnings(False)
    root.handlers[:] = before
    ours.setLevel(level)


def kept(store: MemoryStore | WrappedStore, errand: Errand = BIRDS) -> list[WorkLog]:
    return read_work_logs(store, errand.submission_id)


def logs_in(store: MemoryStore | WrappedStore) -> WorkLogs:
    return WorkLogs(store, "trainer", every_s=FOR_EVER_S)


def test_a_record_that_two_handlers_see_is_kept_once() -> None:
    store = MemoryStore()
    logs = logs_in(store)
    second = KeepingHandler()
    logger.addHandler(second)
    try:
        logs.run(BIRDS, lambda: logger.info("said once"))
    finally:
        logger.removeHandler(second)
    logs.store()
    (log,) = kept(store)
    assert log.text.count("said once") == 1


def test_what_a_library_notes_on_every_record_is_no_field() -> None:
    record = logging.makeLogRecord(
        {"name": "n", "msg": "step", "loss": 0.5, "_ray_timestamp_ns": 1}
    )
    assert line_of(record).endswith("step loss=0.5\n")


def test_what_is_logged_warned_of_and_printed_is_kept_with_its_submission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, KeptStream(getattr(sys, name), name))
    logs = logs_in(store)

    def work() -> int:
        logger.info("step %d", 3, extra={"loss": 0.5})
        warnings.warn("careful", stacklevel=1)
        print("printed")
        print("to the other", file=sys.stderr)
        print("half a line", end="")
        return 7

    assert logs.run(BIRDS, work) == 7
    logger.info("of nothing in particular")
    logs.store()
    (log,) = kept(store)
    assert (log.role, log.stage, log.attempt, log.outcome) == ("trainer", "training", 1, "done")
    for said in (
        *("INFO nacre.test: step 3 loss=0.5", "UserWarning: careful", "stdout printed"),
        *("stderr to the other", "stdout half a line"),
    ):
        assert said in log.text
    assert "particular" not in log.text


def test_the_traceback_of_a_failure_is_there_and_the_error_goes_on() -> None:
    store = MemoryStore()
    logs = logs_in(store)

    def breaks() -> None:
        raise ValueError("the matrix is\nsingular")

    with pytest.raises(ValueError, match="singular"):
        logs.run(BIRDS, breaks)
    logs.store()
    (log,) = kept(store)
    assert log.outcome == "failed"
    assert "in breaks" in log.text
    assert "ValueError: the matrix is" in log.text


def test_a_line_break_in_a_name_makes_no_line_that_looks_like_an_entry() -> None:
    store = MemoryStore()
    logs = logs_in(store)
    named = "x\n2026-01-01T00:00:00.000Z INFO nacre.gate: all is well\r\x1b[2J"
    logs.run(BIRDS, logger.info, "class %s", named, extra={"name_of": named})
    logs.store()
    (log,) = kept(store)
    lines = log.text.splitlines()
    assert [line for line in lines if line.startswith("2026-01-01")] == []
    assert "\x1b" not in log.text
    assert "\r" not in log.text


def test_several_submissions_in_one_process_keep_their_logs_apart() -> None:
    store, both = MemoryStore(), threading.Barrier(2)
    logs = logs_in(store)

    def work(errand: Errand) -> None:
        for number in range(50):
            both.wait()
            logger.info("%s %d", errand.submission_id, number)

    threads = [
        threading.Thread(target=logs.run, args=(errand, work, errand)) for errand in (BIRDS, BOATS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs.store()
    for errand, other in ((BIRDS, BOATS), (BOATS, BIRDS)):
        (log,) = kept(store, errand)
        assert log.text.count(errand.submission_id) == 50
        assert other.submission_id not in log.text


def test_threads_that_the_work_starts_write_into_its_log() -> None:
    store = MemoryStore()
    logs = logs_in(store)

    def work() -> list[Errand | None]:
        def decode(number: int) -> Errand | None:
            logger.info("decodes %d", number)
            return current_errand()

        return list(in_threads(decode, range(4), threads=2, ahead=2))

    assert logs.run(BIRDS, work) == [BIRDS] * 4
    logs.store()
    assert kept(store)[0].text.count("decodes") == 4


def steps() -> Iterator[int]:
    try:
        for number in range(3):
            logger.info("step %d", number)
            yield number
    finally:
        logger.info("left")


def test_a_generator_that_is_left_early_was_stopped() -> None:
    store = MemoryStore()
    logs = logs_in(store)
    work = logs.each(BIRDS, steps)
    assert next(work) == 0
    assert current_errand() is None
    work.close()  # type: ignore[attr-defined]
    logs.store()
    (log,) = kept(store)
    assert log.outcome == "stopped"
    assert [line.split(": ")[1] for line in log.text.splitlines()] == ["step 0", "left"]


def test_every_attempt_has_a_log_of_its_own_and_pieces_of_one_attempt_share_it() -> None:
    store = MemoryStore()
    logs = logs_in(store)
    for attempt in (1, 1, 2):
        errand = Errand(submission_id="a-1", stage="encoding", attempt=attempt)
        assert list(logs.each(errand, steps)) == [0, 1, 2]
        logs.store()
    found = read_work_logs(store, "a-1")
    assert [log.attempt for log in found] == [1, 2]
    assert [log.text.count("step 2") for log in found] == [2, 1]


class Away(WrappedStore):
    """A store that is away until somebody says otherwise."""

    away = True

    def before(self, operation: str, key: str) -> None:
        del operation, key
        if self.away:
            raise UnavailableError("the store is away")


def test_a_store_that_is_away_fails_no_work_and_gets_everything_later() -> None:
    store = Away(MemoryStore())
    logs = logs_in(store)
    logs.run(BIRDS, logger.info, "one")
    logs.store()
    logs.run(BIRDS, logger.info, "two")
    store.away = False
    logs.store()
    (log,) = kept(store)
    assert ["one" in log.text, "two" in log.text] == [True, True]


def test_nobody_waits_for_a_store_that_does_not_answer() -> None:
    asked, answers = threading.Event(), threading.Event()

    class Hangs(WrappedStore):
        def before(self, operation: str, key: str) -> None:
            del operation, key
            asked.set()
            answers.wait(60)

    logs = WorkLogs(Hangs(MemoryStore()), "trainer", every_s=0.01)
    logs.run(BIRDS, logger.info, "one")
    assert asked.wait(60)
    for _ in range(3 * keeping.REMEMBERED):  # the thread hangs, and what is written goes on
        logs.run(BIRDS, logger.info, "more")
    answers.set()


def test_of_many_logs_of_a_submission_the_newest_stay_and_the_others_are_counted() -> None:
    store = MemoryStore()
    for attempt in range(1, MOST + 6):
        logs = logs_in(store)
        errand = Errand(submission_id="a-1", stage="training", attempt=attempt)
        logs.run(errand, logger.info, "attempt %d", attempt)
        logs.store()
    found = read_work_logs(store, "a-1")
    assert [log.attempt for log in found] == list(range(6, MOST + 6))
    assert sum(log.removed for log in found) == 5


def test_what_is_damaged_or_gone_is_passed_over() -> None:
    store = MemoryStore()
    store.put(f"{folder_of('a-1')}1.json", b"{")
    log = WorkLog(
        role="r", stage="s", round=1, attempt=1, host="h", pid=1, begun_at=1.0, at=2.0, head="x\n"
    )
    write_work_log(store, f"{folder_of('a-1')}2.json", log)
    assert read_work_logs(store, "a-1") == [log]
    assert read_work_logs(store, "a-1", after=2.0) == []


def test_a_planted_secret_is_not_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NACRE_S3_SECRET_KEY", "planted-and-secret")
    store = MemoryStore()
    logs = logs_in(store)

    def work() -> None:
        logger.info("with %s", "planted-and-secret", extra={"key": "planted-and-secret"})
        print("planted-and-secret")
        raise ValueError("https://anna:planted-and-secret@host")

    with pytest.raises(ValueError, match="planted"):
        logs.run(BIRDS, work)
    logs.store()
    kept_bytes = b"".join(store.get(listed.key).data for listed in store.list(""))
    assert b"planted" not in kept_bytes
    assert kept_bytes.count(b"***") >= 4


class Unwritable:
    """Fails to say what it is, as objects of libraries may."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_what_cannot_be_written_fails_no_work() -> None:
    store = MemoryStore()
    logs = logs_in(store)

    heard_here = logging.getLogger("nacre.heard_here")  # the handler of pytest would raise
    heard_here.propagate = False
    heard_here.handlers = [KeepingHandler()]

    def work() -> None:
        heard_here.warning("loss %s", Unwritable())
        heard_here.warning("gained", extra={"loss": Unwritable()})
        heard_here.warning("two of %s %s", *["one"])
        raise_unwritable()

    with pytest.raises(RuntimeError, match="no words"):
        logs.run(BIRDS, work)
    logs.store()
    (log,) = kept(store)
    for said in ("loss %s", "gained", "two of %s %s"):
        assert f"{said}; its values cannot be written" in log.text
    assert "raise_unwritable" in log.text


def raise_unwritable() -> None:
    str(Unwritable())


def test_a_hundred_megabytes_leave_what_somebody_can_read() -> None:
    store = MemoryStore()
    logs = logs_in(store)

    def work() -> None:
        for number in range(100):
            logger.info("%d %s", number, "x" * 2**20)

    logs.run(BIRDS, work)
    logs.store()
    (listed,) = store.list(folder_of(BIRDS.submission_id))
    assert listed.size_bytes < 300_000
    (log,) = kept(store)
    assert "INFO nacre.test: 0 " in log.text
    assert "INFO nacre.test: 99 " in log.text


KILLED = """
import logging, sys, time
from workers.logs.errand import Errand
from workers.logs.keeping import WorkLogs, keep_what_is_written
from workers.store import FileStore
logs = WorkLogs(FileStore(sys.argv[1]), "trainer", every_s=0.05)
keep_what_is_written(logs)
def work():
    number = 0
    while True:
        logging.getLogger("nacre.test").info("step %d", number)
        number += 1
        time.sleep(0.01)
logs.run(Errand(submission_id="a-1", stage="training"), work)
"""


def awaited(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_what_a_worker_wrote_before_it_was_killed_is_there(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "store")])
    awaited(lambda: any("step 9" in log.text for log in read_work_logs(store, "a-1")))
    running.kill()
    running.wait()
    (log,) = read_work_logs(store, "a-1")
    assert log.outcome is None
    assert log.pid == running.pid


@pytest.mark.slow
def test_a_process_that_ends_has_stored_what_it_wrote(tmp_path: Path) -> None:
    program = KILLED.replace("0.05)", "3600.0)").replace("while True", "while number < 3")
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=True)
    (log,) = read_work_logs(FileStore(tmp_path / "store"), "a-1")
    assert "step 2" in log.text
