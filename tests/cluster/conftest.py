"""A real S3 server for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drivers.s3_server import S3Server, minio, require, seaweedfs


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a running SeaweedFS; without one, fail in CI and skip elsewhere."""
    yield from _running(require(seaweedfs(tmp_path_factory.mktemp("s3") / "seaweedfs")))


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a running MinIO where there is one; no package carries it, so it is never required."""
    server = minio(tmp_path_factory.mktemp("s3") / "minio")
    if server is None:
        pytest.skip("no `minio` on the PATH")
    yield from _running(server)


def _running(server: S3Server) -> Iterator[S3Server]:
    server.start()
    yield server
    server.stop()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Return an empty folder that the test may give to a server."""
    return tmp_path / "server"
