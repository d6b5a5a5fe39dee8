"""First answers of a replica: of a move that was made while Serve took it in it was not told."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cluster.config import Config, ServeConfig
from cluster.serving.service import Service
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.fakes.random_records import random_record
from tests.support.scenes.pictures import flat_png
from tests.support.scenes.serving import HeldStore, publish
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Question
from workers.store import MemoryStore, ObjectStore

REFS = "refs/main.json"


class Starting:
    """A replica that never looks by itself once it has started, and what is published beside it."""

    def __init__(self, there: ObjectStore, seen: ObjectStore) -> None:
        self._encoder = Encoder(EncoderSettings())
        self.adapter = Registry(there).create("main")
        self.publish("ants")
        config = Config(serve=ServeConfig(poll_s=3600))
        self.service = Service(config, Versions(seen))

    def publish(self, task: str) -> None:
        """Publish a version of which the replica is not told."""
        record = random_record(
            task,
            encoder=self._encoder.fingerprint,
            width=self._encoder.width,
            classes=2,
            vectors=2,
            seed=0,
            noun=task,
        )
        publish(self.adapter, record)

    async def answered_by(self) -> str:
        """Ask what a picture shows, and return which version says so."""
        picture = ("a.png", flat_png(8, 8))
        found = await self.service.predict([picture], Question(), adapter="main", pinned=None)
        return found.version


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def test_before_its_first_answer_it_looks_once_more_and_then_as_it_always_does() -> None:
    store = MemoryStore()
    replica = Starting(store, store)

    async def scene() -> None:
        await replica.service.start()
        replica.publish("birds")
        together = [replica.answered_by() for _ in range(3)]
        assert set(await asyncio.gather(*together)) == {"main@2"}
        replica.publish("cats")
        assert await replica.answered_by() == "main@2"

    play(scene)


@pytest.mark.parametrize("reads_before", [0, 1])
def test_refs_from_before_are_not_believed_then(reads_before: int) -> None:
    store = RememberingStore(MemoryStore())
    doubtful = DoubtfulStore(store, old=lambda key: key == REFS)
    replica = Starting(store, doubtful)

    async def scene() -> None:
        await replica.service.start()
        replica.publish("birds")
        for _ in range(reads_before):
            doubtful.get(REFS)
        assert await replica.answered_by() == "main@2"

    play(scene)


def test_a_store_that_is_silent_keeps_it_from_no_answer() -> None:
    store = MemoryStore()
    silent = HeldStore(store, "refs", operation="get")
    silent.holds = False
    replica = Starting(store, silent)

    async def scene() -> None:
        await replica.service.start()
        replica.publish("birds")
        silent.holds = True
        try:
            assert await replica.answered_by() == "main@1"
            assert silent.reached.is_set()
        finally:
            silent.go.set()

    play(scene)
