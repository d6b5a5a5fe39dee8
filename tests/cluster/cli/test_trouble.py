"""What `nacre status` says is wrong: what, for how long, how often tried; or that all is well."""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from adapters.errors import UnavailableError
from cluster.cli.running import Running
from cluster.cli.trouble import Service, all_wrong, duration
from cluster.config import load_config
from cluster.ready import RUNNING
from cluster.wire.facts import lead_document
from cluster.wire.health import AdapterState, Status, Trouble
from cluster.wire.tasks import TaskList
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised
from tests.support.scenes.registry import ANNA, addition, learn
from workers.queue.leadership import Leadership, take_leadership
from workers.registry import Registry
from workers.store import FileStore

NOW = 1000.0
LEAD = Leadership(owner="a", host="node-7", epoch=1, expires=NOW + 5, since=NOW - 50)
WELL = AdapterState(version="main@5", refused=None, reason=None, seen_s=0.1, stale=False)
AWAY = Trouble(reason="the store said 503 SlowDown", for_s=130.0, tries=17)
RUNS = Running(pid=7, started=NOW - 400, endpoint="http://127.0.0.1:8000", store="memory://x")


def status(*, main: AdapterState = WELL, **changes: object) -> Status:
    facts: dict[str, object] = {"encoder": "e", "adapters": {"main": main}, "loaded": []}
    return Status.model_validate(facts | changes)


def said(
    found: Status | UnavailableError | None,
    *,
    lead: Leadership | None = LEAD,
    running: Running | None = RUNS,
) -> list[str]:
    service = None
    if isinstance(found, Status):
        service = Service(status=found)
    elif found is not None:
        service = Service(error=found)
    queue = TaskList(
        coordinated=lead is not None and lead.lasts(now=NOW),
        coordinator=lead_document(lead),
        paused=[],
        unread_requests=0,
        refusals=[],
        submissions=[],
    )
    return [str(one) for one in all_wrong(queue, service, running=running, now=NOW)]


def test_a_production_that_was_removed_is_a_trouble_until_it_is_set_again(
    nacre: Command, tmp_path: Path
) -> None:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits")
    removed = nacre("alias", "production", "--remove", "--why", "a mistake", "--by", "anna")
    assert "answer with version 1 until they start again" in removed.err
    found = nacre("status")
    assert found.code == 4
    assert "adapter main: anna has removed `production` (a mistake): " in found.out
    assert "`nacre promote head --adapter main`" in found.out
    assert nacre("promote", "head").err == ""
    assert nacre("status").code == 0


def test_a_version_that_was_never_in_production_is_no_trouble_and_is_told(
    nacre: Command, tmp_path: Path
) -> None:
    adapter = Registry(FileStore(tmp_path / "store")).create("main")
    adapter.commit(addition("digits", parent=None), by=ANNA)
    found = nacre("status")
    assert found.code == 0
    assert "no version of main is in production, the newest is 1: `nacre show 1" in found.out
    (behind,) = as_promised("status", nacre("status", "--output", "json").out)["behind"]
    assert behind == {"adapter": "main", "production": None, "newest": 1}


def waits(reason: str, tries: int) -> dict[str, object]:
    return {"reason": reason, "for_s": 12.0 if tries else None, "tries": tries}


def test_where_all_is_well_nothing_is_wrong() -> None:
    assert said(status()) == []


def test_where_nothing_runs_nothing_is_wrong() -> None:
    assert said(None, lead=None, running=None) == []
    assert said(None, lead=replace(LEAD, expires=NOW - 1), running=None) == []


def test_that_another_system_coordinates_is_no_trouble() -> None:
    assert said(status(coordinator=waits("coordinated by the system on 'b'", 0))) == []


REFUSED = WELL.model_copy(update={"refused": "main@6", "reason": "damaged", "seen_s": 7500.0})
STALE = WELL.model_copy(update={"stale": True, "seen_s": 90.0})
FOLLOWING = STALE.model_copy(update={"trouble": AWAY})
WRONG: list[tuple[Callable[[], list[str]], str]] = [
    (lambda: said(status(coordinator=waits("the store said 503", 9))),
     "the coordinator: the store said 503 (for 12 s, tried 9 times)"),
    (lambda: said(status(main=FOLLOWING)),
     "following main: the store said 503 SlowDown (for 2 min, tried 17 times)"),
    (lambda: said(status(main=STALE)),
     "adapter main: whether `production` has moved is not known (for 90 s)"),
    (lambda: said(status(main=REFUSED)),
     "adapter main: main@6 is not served: damaged (for 2 h)"),
    (lambda: said(status(deployments={"shard_encoder": waits("no such weights", 1)})),
     "shard_encoder: no such weights (for 12 s)"),
    (lambda: said(UnavailableError("nothing answers")),
     "the API: nothing answers, though process 7 runs here"),
    (lambda: said(status(), lead=replace(LEAD, expires=NOW - 300)),
     "the coordinator: nobody coordinates, though process 7 runs here (for 5 min)"),
    (lambda: said(status(), lead=None),
     "the coordinator: nobody coordinates, though process 7 runs here (for 7 min)"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "sentence"), WRONG)
def test_each_trouble_is_a_line_with_since_when_and_how_often(
    found: Callable[[], list[str]], sentence: str
) -> None:
    assert found() == [sentence]


def test_an_api_of_others_that_does_not_answer_is_no_trouble_of_ours() -> None:
    assert said(UnavailableError("nothing answers"), running=None) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def mark_as_running(home: Path, endpoint: str) -> None:
    home.mkdir(exist_ok=True)
    running = Running(
        pid=os.getpid(), started=psutil.Process().create_time(), endpoint=endpoint, store=""
    )
    (home / RUNNING).write_text(json.dumps(asdict(running)))


@pytest.mark.slow
def test_a_system_says_in_one_line_that_it_is_well_and_what_is_wrong_once_it_is_not(
    nacre: Command, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "store")
    take_leadership(store, owner="a", host="node-7", ttl_s=3_000.0, now=time.time())
    with ApiServer(load_config()) as server:
        (tmp_path / "nacre.yaml").write_text(f"serve: {{port: {server.url.rpartition(':')[2]}}}\n")
        mark_as_running(tmp_path / "home", server.url)
        tried = threading.Event()
        while server.status().adapters["main"].stale:  # a busy machine has kept it from looking
            tried.wait(0.05)
        well = nacre("status")
        assert (well.code, well.err) == (0, "")
        assert well.out.splitlines()[-1].startswith("all is well: coordinated from node-7 since")
        assert well.out.splitlines()[-1].endswith(f":{os.getpid()}, `alone` in metrics)")
        assert json.loads(nacre("status", "--output", "json").out)["troubles"] == []

        (tmp_path / "store").rename(tmp_path / "elsewhere")
        while not (found := server.status().adapters["main"].trouble) or found.tries < 3:
            tried.wait(0.05)
        away = nacre("status")
        assert away.code == 4
        assert "following main: expected the store, found that it is gone" in away.err
        assert ", tried " in away.err

        (tmp_path / "elsewhere").rename(tmp_path / "store")
        while server.status().adapters["main"].trouble:
            tried.wait(0.05)
        assert nacre("status").code == 0
