"""Errors over HTTP name what was sent, and no place of the service."""

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from adapters.errors import InputError, NotFoundError
from cluster.api.places import Places, of_upload
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import Config, home
from cluster.stores.credentials.shared import S3Credentials
from tests.support.scenes.tickets import set_ticket
from tests.support.scenes.uploads import PICTURES, REFUSED, TASK, packed
from workers.queue.ticket import Cause, Failure, Stage
from workers.store import FileStore

ANNA = Requester(name="anna")


@pytest.fixture
def handlers(tmp_path: Path) -> TaskHandlers:
    config = Config(store=f"file://{tmp_path}/store")
    return TaskHandlers(Client(config), Places.of(config))


@pytest.mark.parametrize("what", REFUSED)
def test_a_task_that_is_refused_names_what_was_sent_and_no_place_of_ours(
    handlers: TaskHandlers, tmp_path: Path, what: str
) -> None:
    content, members, sentence = REFUSED[what]
    archive = None if members is None else io.BytesIO(packed(*members))
    with pytest.raises(InputError) as caught:
        handlers.submit(content.encode(), archive, by=ANNA)
    said = f"{caught.value.message} {caught.value.fields}"
    assert sentence in caught.value.message
    assert str(tmp_path) not in said
    assert tempfile.gettempdir() not in said
    assert "nacre-task" not in said
    for entry in Client(Config(store=f"file://{tmp_path}/store")).audit():
        assert str(tmp_path) not in entry.reason
        assert "nacre-task" not in entry.reason


@pytest.mark.parametrize("depth", [31, 2000])
def test_an_upload_leaves_nothing_behind(
    handlers: TaskHandlers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    archive = io.BytesIO(packed(*PICTURES, ("a/" * depth + "x", b"1")))
    with suppress(InputError):
        handlers.submit(TASK.encode(), archive, by=ANNA)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_why_a_task_has_failed_names_no_place_of_ours(
    handlers: TaskHandlers, tmp_path: Path
) -> None:
    accepted = handlers.submit(TASK.encode(), io.BytesIO(packed(*PICTURES)), by=ANNA)
    name = accepted.submission.submission_id
    store = FileStore(tmp_path / "store")
    failure = Failure(
        stage=Stage.ENCODING,
        cause=Cause.FAULT,
        error=f"'shards/x' in {store.url} is damaged",
        at=1.0,
    )
    set_ticket(store, name, stage=Stage.FAILED, failures=(failure,))
    assert handlers.task(name, by=ANNA).error == "'shards/x' in the store is damaged"


SAID = [
    # as the store says it, and as whoever asks over HTTP reads it
    (
        "'refs/x.json' in s3://own/prefix?endpoint=http://10.0.0.5:9000",
        "'refs/x.json' in the store",
    ),
    (
        "no bucket 'own' at http://10.0.0.5:9000; create it",
        "no such bucket at the server of the store; create it",
    ),
    # what it is, is said once
    (
        "the object store s3://own/prefix?endpoint=http://10.0.0.5:9000 does not honour conditions",
        "the store does not honour conditions",
    ),
    (
        "the object store at http://10.0.0.5:9000 cannot be reached (refused)",
        "the server of the store cannot be reached (refused)",
    ),
    (
        "http://10.0.0.5:9000 denies access to bucket 'own' (403)",
        "the server of the store denies access to the bucket of the store (403)",
    ),
    # what was sent may lie beside it
    ("found nothing at s3://own/prefix/photos, look", "at s3://own/prefix/photos, look"),
    ("found nothing at s3://own/prefix2", "at s3://own/prefix2"),
    ("found nothing at http://10.0.0.5:90001/x", "at http://10.0.0.5:90001/x"),
]


@pytest.mark.parametrize(("said", "expected"), SAID)
def test_addresses_of_the_store_are_not_told(said: str, expected: str) -> None:
    config = Config(store="s3://own/prefix?endpoint=http://10.0.0.5:9000")
    keys = {"NACRE_S3_ACCESS_KEY": "key", "NACRE_S3_SECRET_KEY": "secret"}
    error = Places.of(config, keys).error(NotFoundError(said, url=said))
    assert type(error) is NotFoundError
    assert expected in error.message
    assert error.message == error.fields["url"]


OF_ROLE = {
    "AWS_ROLE_ARN": "arn:aws:iam::42:role/inner",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/inner/token",
    "AWS_ENDPOINT_URL_STS": "http://10.0.0.9:9000",
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "http://10.0.0.9:9000 gives no credentials: it answers 503; try again later",
            "whoever gives its credentials gives no credentials: it answers 503; try again later",
        ),
        (
            "expected credentials in the file /var/run/inner/token, found no such file; see",
            "expected credentials in its file, found no such file; see",
        ),
        (
            "http://10.0.0.5:9000 says that the session token of {source} has expired; it is",
            "the server of the store says that the session token of its credentials has",
        ),
    ],
)
def test_where_credentials_come_from_is_not_told(said: str, expected: str) -> None:
    config = Config(store="s3://own/prefix?endpoint=http://10.0.0.5:9000")
    source = S3Credentials(environment=OF_ROLE).source.said
    told = Places.of(config, OF_ROLE).said(said.format(source=source))
    assert told.startswith(expected)
    assert not [part for part in OF_ROLE.values() if part in told]


IN_FOLDERS = [
    # as the store in a folder and the home say it, and as whoever asks over HTTP reads it
    ("expected the folder /data/store of the store, found it empty", "expected the store, found"),
    ("objects in the store /data/store, as seen", "objects in the store, as seen"),
    ("the folder /data/store/refs cannot be listed", "the folder refs in the store cannot be"),
    ("'/data/store/refs/x.json' is damaged", "'refs/x.json' in the store is damaged"),
    (
        "a folder that can be written at /data/store, found none",
        "written where the store is, found",
    ),
    ("'refs/x.json' in file:///data/store changed", "'refs/x.json' in the store changed"),
    ("the object store file:///data/store does not", "the store does not"),
    ("{home}/log is full", "log in the home of the service is full"),
    ("found nothing at /data/stores/x", "found nothing at /data/stores/x"),
]


@pytest.mark.parametrize(("said", "expected"), IN_FOLDERS)
def test_folders_of_the_service_are_not_told(said: str, expected: str) -> None:
    places = Places.of(Config(store="file:///data/store"))
    assert expected in places.said(said.format(home=home()))


def test_what_was_sent_is_called_as_it_was_sent() -> None:
    places = of_upload("/tmp/nacre-task-x")
    assert places.said("the folder /tmp/nacre-task-x cannot be") == "the archive cannot be"
    assert places.said("found nothing at /tmp/nacre-task-x/train") == "found nothing at train"


def test_no_route_tells_where_the_store_is(api: httpx.Client) -> None:
    store = api.get("/v1/adapters/nobody/versions")
    assert store.status_code == 404
    assert "no adapter 'nobody' in the store" in store.json()["detail"]
    asked = [
        api.get("/v1/adapters/nobody/aliases"),
        api.get("/v1/tasks/nobody"),
        api.post("/v1/adapters/nobody/promote", json={"version": 1}),
        api.post("/v1/adapters/nobody/rollback", json={"version": 1}),
        api.post("/v1/adapters/main/rollback", json={"version": 99}),
        api.post("/v1/tasks", content=b"name: x\nimages: photos/\n"),
    ]
    for response in asked:
        assert 400 <= response.status_code < 500, response.text
        assert "file://" not in response.text
        assert tempfile.gettempdir() not in response.text
