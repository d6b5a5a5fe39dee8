"""Logs of processes: JSON, with ids of what they are written for, once, and without secrets."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from cluster.runtime.logs import log_as_json
from workers.logs.errand import Errand
from workers.logs.keeping import KeepingHandler, KeptStream, WorkLogs
from workers.logs.work_log import read_work_logs
from workers.store import MemoryStore

TRACE = "0af7651916cd43dd8448eb211c80319c"
BIRDS = Errand(
    submission_id="birds-1", stage="training", traceparent=f"00-{TRACE}-b7ad6b7169203331-01"
)
logger = logging.getLogger("nacre.test")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what this process writes to standard error, as a role's process does."""
    ours, written = logging.getLogger("nacre"), io.StringIO()
    before = ours.handlers, ours.level, ours.propagate
    monkeypatch.setattr(sys, "stderr", KeptStream(written, "stderr"))
    log_as_json()
    ours.addHandler(KeepingHandler())
    yield written
    ours.handlers, ours.level, ours.propagate = before


def test_a_line_bears_the_ids_of_what_it_is_written_for(written: io.StringIO) -> None:
    logs = WorkLogs(MemoryStore(), "trainer", every_s=3600.0)
    logs.run(BIRDS, logger.info, "step %d", 3, extra={"loss": 0.5})
    logger.info("of nothing in particular")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert (first["submission"], first["trace_id"], first["loss"]) == ("birds-1", TRACE, 0.5)
    assert first["span_id"] == "b7ad6b7169203331"
    assert not {"submission", "trace_id"} & second.keys()


def test_a_line_is_kept_once(written: io.StringIO) -> None:
    store = MemoryStore()
    logs = WorkLogs(store, "trainer", every_s=3600.0)
    logs.run(BIRDS, logger.info, "step %d", 3)
    logs.store()
    (log,) = read_work_logs(store, "birds-1")
    assert log.text.count("step 3") == written.getvalue().count("step 3") == 1


def test_a_traceback_is_without_secrets_and_names_make_no_lines(written: io.StringIO) -> None:
    try:
        int("https://anna:planted-secret@host\nforged")
    except ValueError:
        logger.exception("broke at %s", "a\nname\x1b[2J")
    (line,) = written.getvalue().splitlines()
    assert "planted" not in line
    assert "\x1b" not in line
    assert "***@host" in json.loads(line)["error"]
