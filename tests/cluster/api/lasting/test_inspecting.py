"""Inspection over HTTP: what the client finds beside the same store, in a process of its own."""

import html
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.client.remote_client import RemoteClient
from cluster.config import Config
from cluster.wire.inspection import InspectedTask
from cluster.wire.lasting import LINES
from tests.support.drivers.served import served
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.routes import routes_of
from workers.access.roles import AccessRole
from workers.tasks.submission import submission_ids

pytestmark = pytest.mark.slow

WriteTask = Callable[..., Path]
INSPECT = "/v1/tasks/inspect"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(Config(store=f"file://{tmp_path}/store"))


@pytest.fixture
def routes(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    """Give the routes, which leave nothing where they unpack."""
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    yield routes_of(client)
    assert list(unpacked.glob("nacre-*")) == []


def packed(folder: Path) -> bytes:
    """Return a tar of the images in a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder / "images", arcname="images")
    return buffer.getvalue()


def without_times(found: InspectedTask) -> InspectedTask:
    """Return a document without what is measured, and without what only the first one makes."""
    estimate = found.estimate.model_copy(update={"stages": []})
    return found.model_copy(update={"estimate": estimate, "embedded": 0})


def test_what_was_sent_is_told_with_its_names_here_as_beside_the_store(
    client: Client, routes: TestClient, write_task: WriteTask, tmp_path: Path
) -> None:
    task = write_task(keys='skip_unreadable: 0.5\nclasses: {red: red, "blue & white": blue}')
    images = task.parent / "images"
    (images / "blue").rename(images / "blue & white")
    (images / "blue & white" / "copy of 0.png").write_bytes(
        (images / "blue & white" / "0.png").read_bytes()
    )
    (images / "red" / "so, broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    steps: list[tuple[str, int, int]] = []
    looked = tmp_path / "looked"
    with served(routes.app) as url, RemoteClient(Config(), url=url) as remote:
        found = remote.inspect(task, report=looked, on_step=lambda *step: steps.append(step))
    here = DocumentClient(client).inspect(task, report=tmp_path / "here")
    expected = here.document.model_copy(update={"report": str(looked / "inspection.html")})
    assert without_times(found.document).model_dump() == without_times(expected).model_dump()
    assert (found.document.embedded, here.document.embedded) == (12, 0)
    assert {"sending, in MiB", "embedding"} <= {what for what, _, _ in steps}
    (copies,) = found.document.exact.shown
    page = (looked / "inspection.html").read_text()
    for image in copies.images:
        assert Path(image.origin).is_file()
        assert html.escape(image.origin) in page
    assert submission_ids(client.store) == []


def test_who_may_not_submit_may_not_inspect_and_is_written_down(
    client: Client, write_task: WriteTask
) -> None:
    roles = {"main": AccessRole.VIEWER, "other": AccessRole.SUBMITTER}
    known = HeldTokens(own=held("own", roles))
    routes = routes_of(client, doors=Doors(access=Access(change_token="x"), known=known))
    content = write_task().read_text().replace("images: images", "images: s3://bucket/images")
    headers = {"Authorization": "Bearer nacre_own"}
    response = routes.post(INSPECT, content=content, headers=headers)
    assert response.status_code == 422  # it is read first: whose it is stands in it
    assert "s3://bucket/images" in response.json()["detail"]
    task = write_task()
    parts = {"task": ("task.yaml", task.read_bytes()), "archive": ("a.tar", packed(task.parent))}
    response = routes.post(INSPECT, files=parts, headers=headers)
    assert response.status_code == 403
    assert "`inspect` needs submitter of 'main'" in response.json()["detail"]
    (call,) = client.audit()
    assert (call.verb, call.adapter, call.outcome.value) == ("inspect", "main", "denied")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("report=true", f"Accept: {LINES}"),
        ("shown=0", "query.shown"),
        ("shown=1001", "query.shown"),
        ("features=perhaps", "query.features"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_begun(
    routes: TestClient, query: str, said: str
) -> None:
    response = routes.post(f"{INSPECT}?{query}", content="name: birds\nimages: train\n")
    assert response.status_code == 422, response.text
    assert said in response.json()["detail"]
