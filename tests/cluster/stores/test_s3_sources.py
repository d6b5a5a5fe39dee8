"""Images of tasks on a real S3 server: every kind of source, and a task from beginning to end."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import nacre
from cluster.stores.open import open_store
from cluster.stores.s3_client import new_client
from tests.support.conformance.lists import ListSuite
from tests.support.conformance.sources import SourceSuite, StoreSite, tar
from tests.support.conformance.surveys import SurveySuite
from tests.support.drivers.s3_server import BUCKET, S3Server
from workers.intake.intake import take_in
from workers.sources import Opener
from workers.store import BlobRef, ObjectStore, get_blob
from workers.tasks.submission import SHARDS
from workers.tasks.task import load_task

pytestmark = pytest.mark.slow

NUMBERS = itertools.count()


class S3Site(StoreSite):
    """A prefix of a bucket, into which other programs write what no store of ours would."""

    def __init__(self, server: S3Server, address: str, opener: Opener) -> None:
        super().__init__(address, opener, query=f"?endpoint={server.settings.endpoint}")
        self._client = new_client(server.settings)

    def write(self, name: str, content: bytes) -> None:
        key = f"{self.address.removeprefix(f's3://{BUCKET}/')}/{name}"
        self._client._put_object(BUCKET, key, content)


@pytest.fixture
def site(s3_server: S3Server) -> StoreSite:
    def opened(url: str) -> ObjectStore:
        return open_store(url, environment=s3_server.environment)

    address = f"s3://{BUCKET}/sources-{next(NUMBERS)}"
    return S3Site(s3_server, address, opened)


class TestS3Sources(SourceSuite, SurveySuite, ListSuite):
    """Every kind of source below an s3:// address."""


def test_a_task_whose_images_are_on_s3_is_taken_in_from_there(
    site: StoreSite, write_task: Callable[..., Path]
) -> None:
    folder = write_task(images=6).parent
    members = []
    for path in sorted((folder / "images").glob("*/*.png")):
        sample = f"{path.parent.name}-{path.stem}"
        members += [
            (f"{sample}.png", path.read_bytes()),
            (f"{sample}.cls", path.parent.name.encode()),
        ]
    site.write("shards/s-000.tar", tar(members[:10]))
    site.write("shards/s-001.tar", tar(members[10:]))
    (folder / "s3.yaml").write_text(f"name: colors\nimages: {site.source('shards')}\n")
    local = load_task(folder / "task.yaml")
    remote = load_task(folder / "s3.yaml", opener=site.opener)
    store = site.opener(site.source("store"))
    submission = take_in(remote, store, now=1.0, author="anna").submission
    # The same content is the same submission, wherever it was read from.
    assert not take_in(local, store, now=2.0, author="ben").is_new
    for shard in submission.shards:
        assert get_blob(store, BlobRef(sha256=shard.digest, size=shard.size), prefix=SHARDS)


def test_the_face_of_the_program_opens_addresses_with_credentials_of_the_environment(
    site: StoreSite, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    site.write("train/red/1.png", b"?")
    path = tmp_path / "task.yaml"
    path.write_text(f"name: colors\nimages: {site.source('train')}\n")
    assert list(nacre.load_task(path).images) == ["red"]
