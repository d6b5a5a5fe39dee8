"""The S3 store against a real server."""

import os
import pickle
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import NacreError, StoreRefusedError, UnavailableError
from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.open import open_store
from cluster.stores.s3 import S3Store
from cluster.stores.s3_client import new_client
from cluster.stores.s3_settings import S3Settings
from tests.support.conformance.store import StoreSuite
from tests.support.drivers.s3_server import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    S3Server,
    free_port,
    require,
    seaweedfs,
)
from workers.store import ObjectStore

pytestmark = pytest.mark.slow


def _keys(access: str, secret: str) -> S3Credentials:
    names = ("NACRE_S3_ACCESS_KEY", "NACRE_S3_SECRET_KEY")
    return S3Credentials(environment=dict(zip(names, (access, secret), strict=True)))


def _as_environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes find the keys, too: none are sent to them."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def _emptied(settings: S3Settings) -> Iterator[ObjectStore]:
    """Give a store below a prefix of its own, and remove what the test left there."""
    store = S3Store(replace(settings, prefix=f"{settings.prefix}{uuid.uuid4().hex}/"))
    yield store
    for listed in store.list(""):
        store.delete(listed.key)


class TestSeaweedFS(StoreSuite):
    @pytest.fixture
    def store(self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
        _as_environment(s3_server, monkeypatch)
        yield from _emptied(s3_server.settings)


class TestMinIO(StoreSuite):
    @pytest.fixture
    def store(
        self, minio_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[ObjectStore]:
        _as_environment(minio_server, monkeypatch)
        yield from _emptied(minio_server.settings)


class TestServerOfTheEnvironment(StoreSuite):
    """Anyone's own server: NACRE_TEST_S3_ENDPOINT, NACRE_TEST_S3_BUCKET and the credentials."""

    @pytest.fixture
    def store(self) -> Iterator[ObjectStore]:
        endpoint = os.environ.get("NACRE_TEST_S3_ENDPOINT")
        if not endpoint:
            pytest.skip("NACRE_TEST_S3_ENDPOINT is not set")
        bucket = os.environ.get("NACRE_TEST_S3_BUCKET", BUCKET)
        yield from _emptied(S3Settings.from_url(f"s3://{bucket}?endpoint={endpoint}", os.environ))


def test_the_private_put_of_the_client_is_conditional_and_the_public_one_is_not(
    s3_server: S3Server,
) -> None:
    """Fails on the day that minio changes either, which is when `put_if` must be looked at."""
    client, name = new_client(s3_server.settings), uuid.uuid4().hex
    client._put_object(BUCKET, name, b"first", {"If-None-Match": "*"})
    with pytest.raises(Exception, match="PreconditionFailed"):
        client._put_object(BUCKET, name, b"second", {"If-None-Match": "*"})
    data = Path(__file__)
    with data.open("rb") as file:
        client.put_object(BUCKET, name, file, data.stat().st_size, metadata={"If-None-Match": "*"})
    assert client.stat_object(BUCKET, name).size == data.stat().st_size


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"credentials": _keys(ACCESS_KEY, "wrong-secret")}, "the secret key is wrong"),
        ({"credentials": _keys("nobody", SECRET_KEY)}, "does not know the access key"),
        ({"bucket": "no-such-bucket"}, "bucket 'no-such-bucket' does not exist"),
    ],
)
def test_what_the_server_refuses_is_one_clear_sentence(
    s3_server: S3Server, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StoreRefusedError, match=sentence) as caught:
        S3Store(replace(s3_server.settings, **changes))
    assert SECRET_KEY not in str(caught.value)


def test_a_server_without_tls_is_told_apart_from_one_that_is_away(s3_server: S3Server) -> None:
    with pytest.raises(StoreRefusedError, match="does not speak TLS; write http://"):
        S3Store(replace(s3_server.settings, endpoint=f"https://127.0.0.1:{s3_server.port}"))
    away = replace(s3_server.settings, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        S3Store(away, sleep=lambda _: None)


def test_a_url_and_the_environment_open_the_store(s3_server: S3Server) -> None:
    url = replace(s3_server.settings, prefix="by/url/").url
    store = open_store(url, environment=s3_server.environment)
    store.put("a", b"1")
    assert store.url == url
    assert open_store(store.url, environment=s3_server.environment).get("a").data == b"1"
    assert SECRET_KEY not in repr(s3_server.settings) + store.url


def test_a_pickled_store_takes_no_credentials_along(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = S3Store(s3_server.settings)
    opened.put("before", b"1")  # with credentials that it holds by now
    pickled = pickle.dumps(opened)
    assert SECRET_KEY.encode() not in pickled
    _as_environment(s3_server, monkeypatch)
    store = pickle.loads(pickled)
    store.put("pickled", b"1")
    assert store.get("pickled").data == b"1"


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(scratch: Path) -> None:
    server = require(seaweedfs(scratch)).start()
    acknowledged: list[str] = []
    enough = threading.Event()

    def put_until_it_fails(store: ObjectStore) -> None:
        try:
            for number in range(100_000):
                store.put(f"stream/{number}", b"%d" % number)
                acknowledged.append(f"stream/{number}")
                if number == 100:
                    enough.set()
        except NacreError:
            return

    try:
        writer = threading.Thread(
            target=put_until_it_fails,
            args=(S3Store(server.settings, sleep=lambda _: None),),
        )
        writer.start()
        assert enough.wait(60)
        server.kill()
        writer.join()
        server.start()
        store = S3Store(server.settings)
        assert len(acknowledged) > 100
        for key in acknowledged:
            assert store.get(key).data == key.removeprefix("stream/").encode()
    finally:
        server.stop()
