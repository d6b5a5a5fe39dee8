"""Replicas elsewhere: whatever is wrong with the way to them keeps no alias from moving."""

import pytest

from cluster.client.distant_replicas import DistantReplicas
from cluster.config import Config, ServeConfig
from tests.support.scenes.registry import ANNA, learn, registry
from workers.registry import Registry
from workers.store import MemoryStore

HOSTS = [
    # no URL can be made of this one as it stands; nobody is there
    "::1",
    "127.0.0.1",
]


@pytest.mark.parametrize("host", HOSTS)
def test_an_endpoint_that_cannot_be_asked_keeps_no_alias_from_moving(host: str) -> None:
    store = MemoryStore()
    learn(registry(store).create("main"), "fashion", "digits")
    # Port 1 is nobody's.
    audience = DistantReplicas(Config(serve=ServeConfig(host=host, port=1)))
    adapter = Registry(store, audience=audience).adapter("main")
    assert adapter.rollback(1, by=ANNA) == 1
    assert adapter.resolve("production") == 1
