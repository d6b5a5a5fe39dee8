"""A store that is waited for, and that somebody makes."""

import threading
from pathlib import Path

import pytest

from adapters.errors import StoreRefusedError, UnavailableError
from cluster.stores.known import made_known_store
from cluster.stores.open import open_store
from cluster.stores.store_patience import EVERY_S, awaited
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
    assert waiting.wait(10)
    assert found == []
    open_store(url).put("a", b"1")
    thread.join(timeout=180)
    assert [store.get("a").data for store in found] == [b"1"]


def test_what_does_not_come_is_an_error_when_patience_is_over() -> None:
    now = [0.0]
    tries: list[float] = []

    def opened() -> None:
        tries.append(now[0])
        raise UnavailableError("the store is away")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(UnavailableError, match="the store is away"):
        awaited(opened, patience_s=2.0, clock=lambda: now[0], sleep=sleep)
    assert tries == [EVERY_S * each for each in range(5)]


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
