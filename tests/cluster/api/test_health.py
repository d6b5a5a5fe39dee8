"""Readiness: a replica answers on whatever happens, and says when it may be behind."""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from torch import Tensor

from adapters.towers.image_tower import FrozenImageTower
from cluster.api.access.requesters import Access
from cluster.api.health import Around, routes, standing
from cluster.api.middleware import Doors, add_access
from cluster.api.places import NOWHERE, Places
from cluster.config import Config, ServeConfig
from cluster.serving.metrics import Metrics
from cluster.serving.service import Service
from cluster.wire.health import AdapterState, Ready, Status, Trouble
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.pictures import flat_png
from tests.support.scenes.serving import TIMEOUT_S, Clock, publish, small_record
from workers.access.audit import AuditEntry
from workers.access.roles import AccessRole
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


def open_api(**doors: Any) -> FastAPI:
    """Return an application that lets everybody in, or as `doors` have it."""
    app = FastAPI()
    add_access(app, Doors(**{"access": Access(), **doors}), Metrics())
    return app


class Scene:
    """A replica without Ray, whose way to the store can be cut."""

    def __init__(self, encoder: str, *, stale_s: float, most_s: float | None = None) -> None:
        self.away = False
        self._encoder = encoder
        inner = MemoryStore()
        self.surprised = False
        store = FaultyStore(inner, lambda *_: self._fault())
        self._inner = inner
        self._main = Registry(inner).create("main")
        config = Config(serve=ServeConfig(stale_s=stale_s, max_staleness_s=most_s))
        self._service = Service(config, Versions(store))
        app = open_api()
        app.include_router(routes(self._service, NOWHERE))
        app.include_router(standing(self._service, NOWHERE))
        self._client = TestClient(app)

    def _fault(self) -> Fault | None:
        if self.surprised:
            return Fault.SURPRISE
        return Fault.FAIL if self.away else None

    def lose_refs(self) -> None:
        """Let the store say that there is no adapter."""
        self._inner.delete("refs/main.json")

    def live(self) -> int:
        return self._client.get("/v1/health/live").status_code

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


def test_before_the_first_version_a_replica_is_ready_for_the_first_task(encoder: str) -> None:
    scene = Scene(encoder, stale_s=NEVER)
    scene.look()
    assert scene.ready() == (200, "")
    assert (scene.state.version, scene.state.stale) == (None, False)
    scene.publish("ants")
    scene.look()
    assert scene.ready() == (200, "")
    assert scene.state.version == "main@1"


@pytest.mark.parametrize(
    ("most_s", "expected"),
    [
        # cut off for longer than is allowed, not as long, and without a limit
        (AT_ONCE, (503, "whether `production` has moved is not known of: main")),
        (NEVER, (200, "")),
        (None, (200, "")),
    ],
)
def test_a_replica_that_cannot_look_goes_on_and_is_ready_as_long_as_it_may(
    encoder: str, most_s: float | None, expected: tuple[int, str]
) -> None:
    scene = Scene(encoder, stale_s=AT_ONCE, most_s=most_s)
    scene.publish("ants")
    scene.look()
    seen_s = scene.state.seen_s
    scene.away = True
    scene.publish("birds")
    scene.look()
    assert scene.ready() == expected
    assert (scene.state.version, scene.state.stale) == ("main@1", True)
    assert scene.state.ready is (expected[0] == 200)
    # The look in vain has not made it any younger.
    assert seen_s is not None
    assert scene.state.seen_s is not None
    assert scene.state.seen_s > seen_s
    scene.away = False
    scene.look()
    assert scene.state.version == "main@2"


def test_a_replica_that_could_never_look_is_not_ready(encoder: str) -> None:
    scene = Scene(encoder, stale_s=NEVER)
    scene.away = True
    scene.look()
    assert (scene.state.seen_s, scene.state.stale) == (None, True)
    assert scene.ready() == (503, "whether `production` has moved is not known of: main")


def test_refs_that_are_gone_are_not_taken_for_an_alias_that_was_removed(encoder: str) -> None:
    scene = Scene(encoder, stale_s=AT_ONCE)
    scene.publish("ants")
    scene.look()
    scene.lose_refs()
    scene.look()
    assert (scene.state.version, scene.state.stale) == ("main@1", True)
    assert scene.ready()[0] == 200


def test_what_nobody_thought_of_leaves_the_follower_alive(encoder: str) -> None:
    scene = Scene(encoder, stale_s=NEVER)
    scene.publish("ants")
    scene.surprised = True
    scene.look()
    assert scene.live() == 200
    scene.surprised = False
    scene.look()
    assert scene.state.version == "main@1"


@pytest.mark.parametrize("stale_s", [AT_ONCE, NEVER])
def test_a_first_version_that_cannot_be_loaded_is_named(stale_s: float) -> None:
    scene = Scene("another" * 8, stale_s=stale_s)
    scene.publish("ants")
    scene.look()
    status, detail = scene.ready()
    assert status == 503
    assert detail.startswith("what is in production cannot be loaded: main@1 (")


def test_a_replica_whose_embedding_never_ends_says_so_and_is_not_live() -> None:
    clock, begun, go = Clock(), threading.Event(), threading.Event()

    class Waiting(FrozenImageTower):
        def features(self, pixels: Tensor) -> Tensor:
            begun.set()
            assert go.wait(TIMEOUT_S)
            return super().features(pixels)

    class Stalled(Encoder):
        """Waits with its forward until somebody lets it go on."""

        def __init__(self, settings: EncoderSettings, *, device: str = "cpu") -> None:
            super().__init__(settings, device=device)
            self.image_tower = Waiting(
                self.model, normalised=self.transform.normalised, fingerprint=self.fingerprint
            )

    service = Service(Config(), Versions(MemoryStore()), encoder=Stalled, clock=clock)
    app = open_api()
    app.include_router(routes(service, NOWHERE))
    app.include_router(standing(service, NOWHERE))
    client = TestClient(app)

    def codes() -> tuple[int, Trouble | None]:
        status = Status.model_validate(client.get("/v1/status").json())
        return client.get("/v1/health/live").status_code, status.embedding

    async def scene() -> None:
        asked = asyncio.create_task(service.embed([("a.png", flat_png(8, 8))]))
        assert await asyncio.to_thread(begun.wait, TIMEOUT_S)
        clock.now += 180.0  # three times as long as a request may take
        assert codes() == (200, None)
        clock.now += 1.0
        reason = "embedding has been under way for 181 s"
        assert codes() == (503, Trouble(reason=reason, for_s=181.0, tries=1))
        assert reason in client.get("/v1/health/live").json()["detail"]
        assert client.get("/v1/health/ready").status_code == 503
        assert not service.lives
        go.set()
        await asked
        assert codes() == (200, None)
        assert service.lives

    try:
        asyncio.run(scene())
    finally:
        go.set()


def test_probes_that_ask_for_the_head_alone_are_answered(api: httpx.Client) -> None:
    for path in ("/v1/health/live", "/v1/health/ready"):
        asked, head = api.get(path), api.head(path)
        assert head.status_code == asked.status_code == 200
        assert head.content == b""
        assert head.headers["content-type"] == asked.headers["content-type"]


def test_an_answer_carries_the_id_of_its_request_once(api: httpx.Client) -> None:
    answer = api.get("/v1/health/live", headers={"X-Request-Id": "mine"})
    assert answer.headers.get_list("x-request-id") == ["mine"]


def test_the_status_tells_of_troubles_without_the_places_of_the_store(encoder: str) -> None:
    trouble = Trouble(reason="'refs/x' in memory://mine cannot be read", for_s=1.0, tries=2)

    async def around() -> Around:
        return Around(coordinator=trouble, deployments={"trainer": trouble})

    service = Service(Config(), Versions(MemoryStore()))
    app, places = open_api(), Places(addresses={"memory://mine": "the store"})
    app.include_router(standing(service, places, around))
    told = Status.model_validate(TestClient(app).get("/v1/status").json())
    assert told.encoder == encoder
    assert told.coordinator is not None
    said = {told.coordinator.reason, told.deployments["trainer"].reason}
    assert said == {"'refs/x' in the store cannot be read"}


def test_whoever_may_look_at_one_adapter_is_told_of_it_and_nothing_is_denied() -> None:
    denied: list[AuditEntry] = []
    viewer = held("viewer", {"birds": AccessRole.VIEWER})
    app = open_api(
        access=Access(change_token="all"),
        known=HeldTokens(viewer=viewer),
        denied=denied.append,
    )
    config = Config(adapter="birds", serve=ServeConfig(adapters=("cats",)))
    trouble = Trouble(reason="none runs", for_s=1.0, tries=2)

    async def around() -> Around:
        return Around(coordinator=trouble)

    app.include_router(standing(Service(config, Versions(MemoryStore())), NOWHERE, around))
    client = TestClient(app)

    def seen(token: str) -> Status:
        answer = client.get("/v1/status", headers={"Authorization": f"Bearer {token}"})
        return Status.model_validate(answer.json())

    assert seen("all").adapters.keys() == {"birds", "cats"}
    found = seen("nacre_viewer")
    assert found.adapters.keys() == {"birds"}
    assert found.coordinator == trouble
    assert denied == []
