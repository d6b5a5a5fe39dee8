"""The remote clients: verbs over a real server, what is lost on the way, and what is sent along."""

import asyncio
import hashlib
import json
import tarfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.errors import (
    InputError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.async_client import AsyncClient
from cluster.client.client import Client
from cluster.client.remote.packing import task_to_send
from cluster.client.remote_client import RemoteClient
from cluster.config import Config, ServeConfig
from cluster.wire.facts import entry_document, version_document
from tests.support.drivers.served import served
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from tests.support.scenes.tickets import set_ticket
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import FileStore

SECRET = "nobody-else-knows-this-one"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Return a client of a store with three versions of `main`."""
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits", "fashion", "flowers")
    config = Config(store=f"file://{tmp_path}/store", serve=ServeConfig(port=1))
    return Client(config, audience=Nobody())


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def url(client: Client) -> Iterator[str]:
    """Give the address of the routes over that store."""
    doors = Doors(access=Access(change_token=SECRET))
    with served(routes_of(client, doors=doors).app) as found:
        yield found


@pytest.fixture
def remote(url: str, token: Path) -> Iterator[RemoteClient]:
    with RemoteClient(Config(), url=url, token_file=token) as found:
        yield found


def test_an_operator_needs_a_token_and_nothing_else(remote: RemoteClient, client: Client) -> None:
    assert remote.adapters() == ["main"]
    assert [version.number for version in remote.versions()] == [3, 2, 1]
    moved = remote.rollback(2, why="mislabelled")
    assert (moved.version, moved.moved) == (2, ["head", "production"])
    assert client.aliases() == remote.aliases() == {"head": 2, "production": 2}
    (latest,) = remote.history(limit=1)
    assert (latest.who, latest.why) == ("token:change", "mislabelled")
    assert remote.show("production").tasks[-1].task == "fashion"
    assert remote.diff(1, 3).classes == 20
    assert [entry.verb for entry in remote.audit(who="token:change")] == ["rollback"]
    assert remote.pause("main").outcome == "asked"
    assert remote.gc().found.keys()
    assert remote.verify().clean
    assert remote.methods()
    made = remote.create_token("ci", role="viewer")
    assert made.roles == {"main": "viewer"}
    assert [each.state for each in remote.tokens()] == ["valid"]


def test_an_event_loop_does_the_same_at_once(
    url: str, token: Path, client: Client, tmp_path: Path, write_task: Callable[..., Path]
) -> None:
    async def scene() -> None:
        async with AsyncClient(Config(), url=url, token_file=token) as asking:
            found = await asyncio.gather(asking.versions(), asking.history(), asking.aliases())
            assert found[0] == [version_document(version) for version in client.versions()]
            assert found[1] == [entry_document(entry) for entry in client.history()]
            assert found[2] == client.aliases()
            assert (await asking.promote(1)).version == 1
            exported = await asking.export(2, tmp_path / "two.tar")
            assert exported.size_bytes == (tmp_path / "two.tar").stat().st_size
            accepted = await asking.submit(write_task())
            set_ticket(client.store, accepted.submission.submission_id, stage=Stage.FAILED)
            states = [state async for state in asking.watch(accepted.submission.submission_id)]
            assert [state.stage for state in states] == ["failed"]
            with pytest.raises(NotFoundError, match="no version 9"):
                await asking.rollback(9)

    asyncio.run(scene())


def test_a_wrong_path_in_the_address_is_told_and_no_adapter_without_versions(
    url: str, token: Path, remote: RemoteClient
) -> None:
    assert remote.versions("nobody") == []
    told = "there is no route '/elsewhere/v1/adapters/main"
    elsewhere = RemoteClient(Config(), url=f"{url}/elsewhere", token_file=token)
    with elsewhere, pytest.raises(NotFoundError, match=told):
        elsewhere.versions()


def test_a_long_history_comes_page_by_page(remote: RemoteClient, client: Client) -> None:
    for _ in range(3):
        client.promote(1)
        client.promote(3)
    whole = [entry_document(entry) for entry in client.history()]
    assert remote.history() == whole
    paged = remote.calls._moves("/v1/adapters/main/history", 0, None, most=4)
    assert remote.ask(paged) == whole
    paged = remote.calls._moves("/v1/adapters/main/history", 7, None, most=4)
    assert remote.ask(paged) == whole[:7]


def test_many_versions_come_page_by_page(remote: RemoteClient, client: Client) -> None:
    whole = [version_document(version) for version in client.versions()]
    assert [version.number for version in remote.versions(limit=2)] == [3, 2]
    assert remote.versions(limit=2, before=2) == whole[2:]
    path = "/v1/adapters/main/versions"
    assert remote.ask(remote.calls._page(path, 0, None, most=2)) == whole
    assert remote.ask(remote.calls._page(path, 3, None, most=1)) == whole
    assert remote.ask(remote.calls._page(path, 2, 3, most=1)) == whole[1:]


def test_without_the_right_token_nobody_is_let_in(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("a-wrong-secret")
    with RemoteClient(Config(), url=url, token_file=wrong) as asking:
        with pytest.raises(UnauthorizedError) as refused:
            asking.rollback(1)
        assert "a-wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a b", "%2e%2e", "ü", "a?b#c"])
def test_a_name_stays_a_name_whatever_it_is_written_with(remote: RemoteClient, name: str) -> None:
    with pytest.raises(InputError, match=r"expected the id of|no route|is not usable"):
        remote.find(name)
    with pytest.raises(InputError):
        remote.rollback(1, adapter=name)


def test_an_empty_name_is_no_name(remote: RemoteClient) -> None:
    with pytest.raises(InputError, match="found an empty one"):
        remote.cancel("")


def test_a_task_is_sent_with_its_images_and_is_the_one_that_is_submitted_here(
    remote: RemoteClient, client: Client, write_task: Callable[..., Path]
) -> None:
    told: list[tuple[int, int]] = []
    path = write_task()
    accepted = remote.submit(path, on_progress=lambda *far: told.append(far))
    assert (accepted.is_new, accepted.classes) == (True, 2)
    assert told[-1][0] == told[-1][1] > 0
    again = client.submit(path)
    assert not again.is_new
    assert again.submission.submission_id == accepted.submission.submission_id
    assert not remote.submit(path).is_new


def test_what_a_task_is_made_of_is_packed(tmp_path: Path, write_task: Callable[..., Path]) -> None:
    path = write_task()
    (tmp_path / "images" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "images" / "notes.txt").write_text("not an image")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "test.csv").write_text("path,label\nred/0.png,red\nblue/1.png,blue\n")
    for color in ("red", "blue"):
        (lists / color).symlink_to(tmp_path / "images" / color)
    path.write_text(f"name: colors\nimages: {tmp_path}/images\nheld_out: lists/test.csv\n")
    task = task_to_send(path, adapter=None, default="birds")
    content = json.loads(task.content)
    assert (content["images"], content["held_out"]) == ("images", "held_out/test.csv")
    assert content["adapter"] == "birds"
    with task.packed(lambda *_: None) as parts:
        archive: Any = parts["files"]
        with tarfile.open(fileobj=BytesIO(archive["archive"][1].read())) as tar:
            names = set(tar.getnames())
    assert {"images/red/0.png", "images/notes.txt", "held_out/test.csv"} <= names
    assert {name for name in names if name.startswith("held_out/")} == {
        *("held_out/test.csv", "held_out/red/0.png", "held_out/blue/1.png")
    }
    assert "images/.DS_Store" not in names


def test_what_is_wrong_with_a_file_that_was_sent_is_said_of_where_it_lies(
    tmp_path: Path, write_task: Callable[..., Path]
) -> None:
    path = write_task()
    (tmp_path / "images").rename(tmp_path / "train")
    path.write_text("name: colors\nimages: train\n")
    task = task_to_send(path, adapter=None, default="main")
    said = "the image images/red/0.png cannot be read: images/red/9.png is none of it"
    with pytest.raises(InputError) as caught, task.packed(lambda *_: None):
        raise InputError(said)
    told = caught.value.message
    assert told == said.replace("images/red/0.png", f"{tmp_path}/train/red/0.png")


def test_images_in_a_store_are_left_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("name: far\nimages: s3://bucket/images\nadapter: main\n")
    task = task_to_send(path, adapter="birds", default="main")
    assert task.files == {}
    assert json.loads(task.content)["images"] == "s3://bucket/images"
    assert json.loads(task.content)["adapter"] == "birds"


def test_a_list_that_leads_elsewhere_is_told_before_anything_is_sent(
    tmp_path: Path, write_task: Callable[..., Path]
) -> None:
    path = write_task()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.csv").write_text("path,label\n../images/red/0.png,red\n")
    path.write_text("name: colors\nimages: lists/list.csv\nimage: x\n")
    with pytest.raises(InputError, match=r"found '\.\./images/red/0\.png' in it") as refused:
        task_to_send(path, adapter=None, default="main")
    assert "unknown key 'image'" in str(refused.value)


def test_a_version_is_carried_from_one_system_to_another(
    remote: RemoteClient, tmp_path: Path
) -> None:
    file = tmp_path / "two.tar"
    exported = remote.export("2", file)
    assert (exported.adapter, exported.version, exported.file) == ("main", 2, str(file))
    with pytest.raises(InputError, match="exists already"):
        remote.export("2", file)
    imported = remote.import_(file, adapter="copy", aliases=("head", "production"))
    assert (imported.is_new, imported.version, imported.file) == (True, 1, str(file))
    with pytest.raises(NotFoundError, match="expected an exported version at"):
        remote.import_(tmp_path / "gone.tar")
    with pytest.raises(NotFoundError):
        remote.export("9", tmp_path / "nine.tar")
    assert not (tmp_path / "nine.tar").exists()


class Odd:
    """A server that answers as no nacre does, and what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.app = FastAPI()

        @self.app.api_route("/{path:path}", methods=["GET", "POST", "DELETE", "PUT"])
        async def answer(request: Request) -> Response:
            self.asked.append(f"{request.method} {request.url.path}")
            self.tokens.append(request.headers.get("authorization", ""))
            return self.answers.pop(0)


@pytest.fixture
def odd() -> Odd:
    return Odd()


@pytest.fixture
def lost(odd: Odd, token: Path) -> Iterator[RemoteClient]:
    with (
        served(odd.app) as url,
        RemoteClient(Config(), url=f"{url}/behind", token_file=token) as it,
    ):
        yield it


def test_a_system_behind_a_path_is_asked_there(lost: RemoteClient, odd: Odd) -> None:
    odd.answers.append(PlainTextResponse("[]"))
    assert lost.versions() == []
    assert odd.asked == ["GET /behind/v1/adapters/main/versions"]
    assert odd.tokens == [f"Bearer {SECRET}"]


def test_a_token_is_not_sent_on(lost: RemoteClient, odd: Odd) -> None:
    other = Odd()
    with served(other.app) as elsewhere:
        for _ in range(2):
            odd.answers.append(RedirectResponse(f"{elsewhere}/v1/adapters"))
        for call in (lost.versions, lambda: lost.rollback(1)):
            with pytest.raises(InputError, match="which is not followed") as refused:
                call()
            assert SECRET not in str(refused.value)
    assert other.asked == []


def test_a_change_that_a_proxy_lost_is_sent_once(lost: RemoteClient, odd: Odd) -> None:
    odd.answers.append(PlainTextResponse("bad gateway", 502))
    with pytest.raises(UnknownOutcomeError, match="look with `nacre history` or `nacre status`"):
        lost.rollback(1)
    assert odd.asked == ["POST /behind/v1/adapters/main/rollback"]


def test_a_look_that_a_proxy_lost_is_sent_again(lost: RemoteClient, odd: Odd) -> None:
    odd.answers += [PlainTextResponse("bad gateway", 502), PlainTextResponse("[]")]
    assert lost.history() == []
    assert len(odd.asked) == 2


def test_a_file_that_comes_in_part_or_damaged_is_not_kept(
    lost: RemoteClient, odd: Odd, tmp_path: Path
) -> None:
    content = b"x" * 1000
    digest = b64encode(hashlib.sha256(b"other").digest()).decode()
    headers = {
        "Content-Disposition": 'attachment; filename="main-2.tar"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Length": "1000",
    }
    odd.answers.append(Response(content, headers=headers))
    file = tmp_path / "two.tar"
    with pytest.raises(UnavailableError, match="has broken off; ask again"):
        lost.export(2, file)
    assert not file.exists()


def test_lines_that_break_off_leave_a_change_unknown(lost: RemoteClient, odd: Odd) -> None:
    begun = [b'{"progress": {"what": "", "done": 1, "total": 9}}\n']
    odd.answers += [StreamingResponse(iter(begun)), StreamingResponse(iter(begun))]
    with pytest.raises(UnknownOutcomeError, match="was answered in part"):
        lost.purge("digits")
    with pytest.raises(UnavailableError, match="has broken off"):
        lost.gc()


class Asked:
    """Notes which paths are asked for, and may refuse those that end in a word.

    Attributes:
        paths: In their order.
    """

    def __init__(self, app: ASGIApp, *, refused: str = "") -> None:
        self.paths: list[str] = []
        self._app, self._refused = app, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        if self._refused and scope["path"].endswith(self._refused):
            await Response("busy", status_code=429)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@pytest.mark.parametrize("refused", ["", "/watch"])
def test_a_submission_is_followed_by_what_the_service_says_or_else_by_asking(
    client: Client, write_task: Callable[..., Path], refused: str
) -> None:
    name = client.submit(write_task()).submission.submission_id
    asked = Asked(routes_of(client).app, refused=refused)
    with served(asked) as url, RemoteClient(Config(), url=url) as remote:
        stages = []
        for state in remote.watch(name, poll_s=0.01):
            stages.append(state.stage)
            set_ticket(client.store, name, stage=Stage.FAILED)
        assert (stages[0], stages[-1]) == ("accepted", "failed")
        with pytest.raises(NotFoundError):
            list(remote.watch("nobody"))
    looks = [path for path in asked.paths if path == f"/v1/tasks/{name}"]
    assert bool(looks) == bool(refused)


def test_whoever_follows_for_too_short_a_time_is_told_that_it_goes_on(
    remote: RemoteClient, client: Client, write_task: Callable[..., Path]
) -> None:
    name = client.submit(write_task()).submission.submission_id
    with pytest.raises(UnavailableError, match="has not ended after 0 s; it goes on"):
        list(remote.watch(name, timeout_s=0.0))
