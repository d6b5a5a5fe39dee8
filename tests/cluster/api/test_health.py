"""Readiness: a replica answers on whatever happens, and says when it may be behind."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cluster.api.health import routes
from cluster.config import Config, ServeConfig
from cluster.serving.service import Service
from cluster.wire.documents import AdapterState, Ready
from tests.support.scenes.serving import publish, small_record
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.store import MemoryStore
from workers.store.testing import Fault, FaultyStore

AT_ONCE, NEVER = 1e-9, 3600.0
"""Ages, in seconds, that everything has reached, and that nothing reaches here."""


@pytest.fixture(scope="module")
def encoder() -> str:
    """Return the fingerprint of the encoder that replicas have."""
    return Encoder(EncoderSettings()).fingerprint


class Scene:
    """A replica without Ray, whose way to the store can be cut."""

    def __init__(self, encoder: str, *, stale_s: float) -> None:
        self.away = False
        self._encoder = encoder
        inner = MemoryStore()
        store = FaultyStore(inner, lambda *_: Fault.FAIL if self.away else None)
        self._main = Registry(inner).create("main")
        config = Config(serve=ServeConfig(stale_s=stale_s))
        self._service = Service(config, Versions(store))
        app = FastAPI()
        app.include_router(routes(self._service))
        self._client = TestClient(app)

    def publish(self, task: str) -> None:
        publish(self._main, small_record(task, encoder=self._encoder))

    def look(self) -> None:
        asyncio.run(self._service.follow("main"))

    def ready(self) -> tuple[int, str]:
        """Return the status, and what is said where it is no success."""
        response = self._client.get("/v1/health/ready")
        return response.status_code, response.json().get("detail", "")

    @property
    def state(self) -> AdapterState:
        return Ready.model_validate(self._client.get("/v1/status").json()).adapters["main"]


def test_before_the_first_version_a_replica_is_not_ready_and_says_what_to_do(encoder: str) -> None:
    scene = Scene(encoder, stale_s=NEVER)
    scene.look()
    assert scene.ready() == (
        503,
        "no version is in production yet of: main; submit a task and wait until it is published",
    )
    assert (scene.state.version, scene.state.seen_s, scene.state.stale) == (None, None, False)
    scene.publish("ants")
    scene.look()
    assert scene.ready() == (200, "")
    assert scene.state.version == "main@1"


@pytest.mark.parametrize(
    ("stale_s", "expected"),
    [
        # cut off for longer than is allowed, and not as long
        (AT_ONCE, (503, "whether `production` has moved is not known of: main")),
        (NEVER, (200, "")),
    ],
)
def test_a_replica_that_cannot_look_is_ready_for_so_long(
    encoder: str, stale_s: float, expected: tuple[int, str]
) -> None:
    scene = Scene(encoder, stale_s=stale_s)
    scene.publish("ants")
    scene.look()
    seen_s = scene.state.seen_s
    scene.away = True
    scene.publish("birds")
    scene.look()
    assert scene.ready() == expected
    assert scene.state.version == "main@1"
    # The look in vain has not made it any younger.
    assert seen_s is not None
    assert scene.state.seen_s is not None
    assert scene.state.seen_s > seen_s
    scene.away = False
    scene.look()
    assert scene.state.version == "main@2"


def test_a_replica_that_has_nothing_to_answer_with_is_not_stale(encoder: str) -> None:
    scene = Scene(encoder, stale_s=AT_ONCE)
    scene.away = True
    scene.look()
    assert not scene.state.stale
    assert scene.ready()[0] == 503


@pytest.mark.parametrize("stale_s", [AT_ONCE, NEVER])
def test_a_first_version_that_cannot_be_loaded_is_named(stale_s: float) -> None:
    scene = Scene("another" * 8, stale_s=stale_s)
    scene.publish("ants")
    scene.look()
    status, detail = scene.ready()
    assert status == 503
    assert detail.startswith("what is in production cannot be loaded: main@1 (")
