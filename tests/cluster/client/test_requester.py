"""Who asks: the author in history, submissions and queue, over Python, command line and HTTP."""

import getpass
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from adapters.errors import InputError
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.cli.main import cli
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import Config
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from workers.queue.inbox import read, waiting
from workers.registry import Author, Registry
from workers.registry.audience import Nobody
from workers.store import FileStore
from workers.tasks.submission import read_submission, submission_ids

WriteTask = Callable[..., Path]
TOKENS = Access(change_token="who-may-change", predict_token="who-may-ask")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A store with versions 1 to 3 of `main`, a task file, and an exported version."""

    store: FileStore
    config: Config
    task: Path
    exported: Path

    def client(self, *, by: str | None = None) -> Client:
        """Return a client that tells nobody."""
        return Client(self.config, by=by, store=self.store, audience=Nobody())

    def latest(self, adapter: str = "main") -> Author:
        """Return the author of the latest move."""
        return next(self.client().history(adapter)).author

    def submitters(self) -> list[str]:
        """Return who has submitted, by what the submissions say."""
        return [read_submission(self.store, name).author for name in submission_ids(self.store)]

    def askers(self) -> list[str]:
        """Return who has asked something of the queue, in order."""
        requests = read(self.store, waiting(self.store))
        return [request.who for request in requests if not isinstance(request, Exception)]


@pytest.fixture
def scene(tmp_path: Path, write_task: WriteTask, monkeypatch: pytest.MonkeyPatch) -> Scene:
    store = FileStore(tmp_path / "store")
    learn(Registry(store).create("main"), "digits", "fashion", "flowers")
    config = Config(store=store.url)
    monkeypatch.setenv("NACRE_STORE", store.url)
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    monkeypatch.setenv("LOGNAME", "the-user-of-this-process")
    monkeypatch.chdir(tmp_path)
    exported = tmp_path / "one.tar"
    Client(config, store=store, audience=Nobody()).export(1, exported)
    return Scene(store=store, config=config, task=write_task(), exported=exported)


Call = Callable[[Client, Scene], object]
MOVES: list[tuple[str, Call, tuple[str, ...]]] = [
    # the adapter, the call, the command
    ("main", lambda c, _: c.promote(1, by="anna", why="x"), ("promote", "1")),
    ("main", lambda c, _: c.rollback(1, by="anna", why="x"), ("rollback", "1")),
    ("main", lambda c, _: c.alias("q3", 2, by="anna", why="x"), ("alias", "q3", "2")),
    ("main", lambda c, _: c.remove_alias("old", by="anna", why="x"), ("alias", "old", "--remove")),
    ("main", lambda c, _: c.drop("digits", by="anna", why="x"), ("drop", "digits")),
    (
        "copy",
        lambda c, s: c.import_(s.exported, adapter="copy", by="anna", why="x"),
        ("import", "one.tar", "--adapter", "copy"),
    ),
    ("main", lambda c, _: c.purge("flowers", by="anna", why="x"), ("purge", "flowers", "--yes")),
]


@pytest.fixture
def movable(scene: Scene) -> Scene:
    """Return a scene with an alias to remove, and a task that may be purged."""
    client = scene.client(by="ben")
    client.alias("old", 2)
    client.rollback(2)
    return scene


@pytest.mark.parametrize(("adapter", "call"), [move[:2] for move in MOVES])
def test_the_author_of_a_call_is_the_author_in_history(
    movable: Scene, adapter: str, call: Call
) -> None:
    call(movable.client(by="ben"), movable)
    author = movable.latest(adapter)
    assert (author.who, author.why) == ("anna", "x")


@pytest.mark.parametrize(("adapter", "command"), [move[::2] for move in MOVES])
def test_the_author_of_a_command_is_the_author_in_history(
    movable: Scene, adapter: str, command: tuple[str, ...]
) -> None:
    done(*command, "--by", "anna", "--why", "x")
    author = movable.latest(adapter)
    assert (author.who, author.why) == ("anna", "x")


def done(*command: str | Path) -> None:
    result = CliRunner().invoke(cli, [str(each) for each in command])
    assert result.exit_code == 0, result.output + repr(result.exception)


def test_a_call_that_names_nobody_is_the_clients_or_the_users(scene: Scene) -> None:
    scene.client().promote(1)
    assert scene.latest().who == getpass.getuser() == "the-user-of-this-process"
    scene.client(by="ben").promote(2)
    assert scene.latest().who == "ben"
    done("promote", "3")
    assert scene.latest().who == "the-user-of-this-process"


def test_whoever_submits_is_the_author_of_the_submission(scene: Scene) -> None:
    scene.client().submit(scene.task, by="anna")
    done("submit", scene.task, "--adapter", "other", "--by", "ben")
    assert sorted(scene.submitters()) == ["anna", "ben"]
    assert scene.askers() == ["anna", "ben"]


def test_whoever_asks_something_of_the_queue_is_kept_beside_it(scene: Scene) -> None:
    client = scene.client()
    client.submit(scene.task, by="anna")
    client.cancel("colors", by="ben")
    client.retry("colors", by="carla")
    client.pause("main", by="dora")
    client.resume("main", by="emil")
    assert scene.askers() == ["anna", "ben", "carla", "dora", "emil"]
    for verb in ("cancel", "retry"):
        done(verb, "colors", "--by", f"frida-{verb}")
    for verb in ("pause", "resume"):
        done(verb, "--all", "--by", f"frida-{verb}")
    assert scene.askers()[5:] == [f"frida-{v}" for v in ("cancel", "retry", "pause", "resume")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Road:
    """How requests come in over HTTP, and what they are called then."""

    api: TestClient
    name: str


ROADS = [
    (Access(), {}, "http"),
    (TOKENS, {"Authorization": "Bearer who-may-change"}, "token:change"),
]


@pytest.fixture(params=ROADS, ids=["without tokens", "with the token"])
def road(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Road]:
    access, headers, name = request.param
    with routes_of(scene.client(), doors=Doors(access=access), headers=headers) as client:
        yield Road(api=client, name=name)


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_over_http_the_token_is_the_author_in_history(scene: Scene, road: Road, verb: str) -> None:
    asked = {"version": 1, "why": "slow"}
    assert road.api.post(f"/v1/adapters/main/{verb}", json=asked).status_code == 200
    author = scene.latest()
    assert (author.who, author.why) == (road.name, "slow")


def test_over_http_the_token_is_the_author_of_submissions_and_requests(
    scene: Scene, road: Road
) -> None:
    files = {"archive": ("task.tar", archive_of(scene.task.parent / "images"))}
    answer = road.api.post("/v1/tasks", data={"task": scene.task.read_text()}, files=files)
    assert answer.status_code == 202, answer.text
    for verb in ("cancel", "retry"):
        assert road.api.post(f"/v1/tasks/colors/{verb}").status_code == 200
    assert scene.submitters() == [road.name]
    assert scene.askers() == [road.name] * 3


def archive_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder, arcname=folder.name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 201, "\x1b[31m"])
def test_a_name_that_would_spoil_a_history_is_refused(scene: Scene, name: str) -> None:
    with pytest.raises(InputError, match="name of who asks"):
        Requester(name=name)
    with pytest.raises(InputError, match="name of who asks"):
        scene.client().promote(1, by=name)
    assert scene.client().aliases()["production"] == 3
