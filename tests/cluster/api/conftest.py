"""One adapter with two versions and another with one, behind the real API."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch

from cluster.config import Config, ServeConfig
from cluster.stores.open import open_store
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.learning import published_by_hand, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Versions 1 (fashion) and 2 (and digits) of `main`, and version 1 (digits) of `other`.

    Attributes:
        config: Where they are.
        bag: A picture of what `fashion` has learnt.
        zero: A picture of what `digits` has learnt.
    """

    config: Config
    bag: bytes
    zero: bytes


def picture(task: str, key: str) -> bytes:
    return next((EXAMPLES / task / "test" / key).iterdir()).read_bytes()


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return a store with published versions; nobody may change it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("api")
    config = Config(
        store=f"file://{folder}/store",
        serve=ServeConfig(adapters=("other",), poll_s=0.05, decoders=2),
    )
    store, encoder = open_store(config.store), Encoder(EncoderSettings())
    tasks = [small_task(EXAMPLES, folder, name, classes=2) for name in ("fashion", "digits")]
    for number, path in enumerate(tasks):
        published_by_hand(store, encoder, submitted(store, path, now=float(number)))
    again = small_task(EXAMPLES, folder / "again", "digits", classes=2)
    again.write_text(again.read_text() + "\nadapter: other\n")
    published_by_hand(store, encoder, submitted(store, again, now=9.0))
    keys = {
        path.name: sorted(p.name for p in (path / "train").iterdir())[0]
        for path in (EXAMPLES / "fashion", EXAMPLES / "digits")
    }
    return Scene(
        config=config,
        bag=picture("fashion", keys["fashion"]),
        zero=picture("digits", keys["digits"]),
    )


@pytest.fixture(scope="package")
def server(scene: Scene) -> Iterator[ApiServer]:
    """Return a running API that no test may change."""
    with ApiServer(scene.config) as running:
        yield running


@pytest.fixture
def api(server: ApiServer) -> Iterator[httpx.Client]:
    """Return a client of the running API."""
    with server.client() as client:
        yield client
