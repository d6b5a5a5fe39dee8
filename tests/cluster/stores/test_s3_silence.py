"""A server that accepts connections and does not answer: each request to it has an end."""

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest

from adapters.errors import UnavailableError, UnknownOutcomeError
from cluster.stores.s3 import S3Store
from tests.support.fakes.odd_s3 import KEYS, OddS3, odd_s3
from tests.support.fakes.s3_proxy import Fate, S3Proxy, S3Request
from workers.store import ObjectStore

pytestmark = pytest.mark.slow

SILENT_S = 0.2
STARVED = (Fate.HANG, Fate.DRIP, Fate.STALL)
SAID = {
    Fate.HANG: "accepted the connection and has not answered for",
    Fate.DRIP: "answers too slowly",
    Fate.STALL: "stopped in the middle of an answer",
}


@dataclass(kw_only=True)
class Scene:
    """A store behind a proxy.

    Attributes:
        store: Waits for `SILENT_S` in silence.
        server: What it stores in.
        fates: What becomes of the next requests; those after them pass.
        asked: The verbs of the requests that met one.
    """

    store: ObjectStore
    server: OddS3
    fates: list[Fate] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def decide(self, request: S3Request) -> Fate:
        """Return what becomes of a request."""
        if not self.fates:
            return Fate.PASS
        self.asked.append(request.verb)
        return self.fates.pop(0)


@contextmanager
def _scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        server, settings = stack.enter_context(odd_s3())
        proxy = S3Proxy(urlsplit(settings.endpoint).port or 0, drip_s=SILENT_S / 10)
        stack.enter_context(proxy)
        reached = replace(settings, endpoint=f"http://127.0.0.1:{proxy.port}", silent_s=SILENT_S)
        scene = Scene(store=S3Store(reached, sleep=lambda _: None), server=server)
        proxy.hook = scene.decide
        scene.store.put("a", b"hello" * 1000)
        yield scene


@pytest.fixture(scope="module")
def running_scene() -> Iterator[Scene]:
    with _scene() as scene:
        yield scene


@pytest.fixture
def scene(running_scene: Scene) -> Scene:
    running_scene.fates.clear()
    running_scene.asked.clear()
    running_scene.server.objects.clear()
    running_scene.store.put("a", b"hello" * 1000)
    return running_scene


VERBS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get("a"),
    "get_range": lambda store: store.get_range("a", 0, 4000),
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put("b", b"hello"),
    "delete": lambda store: store.delete("a"),
    "open": lambda store: S3Store(store._settings, sleep=lambda _: None),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("fate", STARVED, ids=lambda fate: fate.value)
@pytest.mark.parametrize("verb", VERBS)
def test_whatever_is_asked_of_a_silent_server_is_given_up_with_a_sentence(
    scene: Scene, verb: str, fate: Fate
) -> None:
    scene.fates[:] = [fate] * 10
    with pytest.raises(UnavailableError, match=r"the object store at http://127\.0\.0\.1") as told:
        VERBS[verb](scene.store)
    assert len(scene.asked) <= 3
    if verb == "get":
        assert SAID[fate] in told.value.message


@pytest.mark.parametrize("fate", STARVED, ids=lambda fate: fate.value)
def test_a_write_that_a_silent_server_may_have_made_is_unknown(scene: Scene, fate: Fate) -> None:
    scene.fates[:] = [fate] * 20
    with pytest.raises(UnknownOutcomeError, match="may have been written"):
        scene.store.create("b", b"hello")
    assert len(scene.asked) <= 4


@pytest.mark.parametrize("fate", STARVED, ids=lambda fate: fate.value)
def test_a_silence_that_passes_is_waited_out(scene: Scene, fate: Fate) -> None:
    for ask in (lambda: scene.store.get("a"), lambda: scene.store.create("b", b"hello")):
        scene.fates[:] = [fate]
        assert ask()
        assert not scene.fates
    assert scene.server.objects["b"][0] == b"hello"


def test_a_wait_is_told_once_before_it_ends(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():  # which do not travel with a store
        monkeypatch.setenv(name, value)
    store = pickle.loads(pickle.dumps(scene.store))  # which has told nothing yet
    scene.fates[:] = [Fate.HANG, Fate.HANG]
    with caplog.at_level(logging.WARNING, "nacre.store"), pytest.raises(UnavailableError):
        store.get("a")
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("waiting for the object store at http://127.0.0.1")
    assert "given up after" in said
