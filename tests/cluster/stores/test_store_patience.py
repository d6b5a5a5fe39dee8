"""A store that is waited for, and that somebody makes."""

import threading
from pathlib import Path

import pytest

from adapters.errors import StoreRefusedError, UnavailableError
from cluster.stores.known import made_known_store
from cluster.stores.open import open_store
from cluster.stores.store_patience import SAID_EVERY_S, awaited
from workers.store import ObjectStore


def test_a_folder_that_another_process_makes_is_waited_for(tmp_path: Path) -> None:
    url = (tmp_path / "store").as_uri()
    found: list[ObjectStore] = []
    waiting = threading.Event()

    def opened() -> ObjectStore:
        try:
            return open_store(url, existing=True)
        finally:
            waiting.set()

    thread = threading.Thread(target=lambda: found.append(awaited(opened)))
    thread.start()
    assert waiting.wait(180)
    assert found == []
    open_store(url).put("a", b"1")
    thread.join(timeout=180)
    assert [store.get("a").data for store in found] == [b"1"]


def test_a_store_that_is_away_for_an_hour_is_waited_for_and_that_is_said_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]

    def opened() -> str:
        if now[0] < 3600:
            raise UnavailableError("the store is away")
        return "opened"

    def sleep(seconds: float) -> None:
        now[0] += seconds

    assert awaited(opened, clock=lambda: now[0], sleep=sleep) == "opened"
    said = [record.message for record in caplog.records]
    assert len(said) == 3600 / SAID_EVERY_S
    assert said[:2] == [
        "waiting for the store, for 0 s now: the store is away",
        "waiting for the store, for 60 s now: the store is away",
    ]


def test_a_store_that_refuses_is_told_at_once() -> None:
    tries: list[int] = []

    def opened() -> None:
        tries.append(1)
        raise StoreRefusedError("the keys are wrong")

    with pytest.raises(StoreRefusedError):
        awaited(opened)
    assert len(tries) == 1


@pytest.fixture
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("_own_home")
def test_a_new_folder_is_made_and_known_from_then_on(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    made_known_store(folder.as_uri())
    open_store(folder.as_uri(), existing=True)
    folder.rename(tmp_path / "away")
    with pytest.raises(UnavailableError, match="it is gone"):
        made_known_store(folder.as_uri())
    assert not folder.exists()
