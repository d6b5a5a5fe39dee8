"""The registry on a real S3 server."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cluster.stores.s3 import S3Store
from tests.support.drivers.committers import commit_at_once
from tests.support.drivers.s3_server import S3Server
from tests.support.scenes.registry import live
from workers.store import ObjectStore

pytestmark = pytest.mark.slow


@pytest.fixture
def store(s3_server: S3Server) -> Iterator[ObjectStore]:
    yield S3Store(replace(s3_server.settings, prefix=f"{uuid.uuid4().hex}/"))


def test_an_adapter_lives_on_s3(store: ObjectStore) -> None:
    live(store)


def test_processes_that_commit_at_once_lose_nothing(s3_server: S3Server) -> None:
    settings = replace(s3_server.settings, prefix=f"{uuid.uuid4().hex}/")
    tally = commit_at_once(
        settings.url, processes=3, seconds=60.0, most=4, environment=s3_server.environment
    )
    assert len(tally.acknowledged) == 3 * 4
    tally.check()
