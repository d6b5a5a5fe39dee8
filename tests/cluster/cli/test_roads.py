"""The same commands over both roads: on the store, and over HTTP with a token and no store."""

import getpass
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import click
import pytest

from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.cli.main import cli
from cluster.client.client import Client
from cluster.config import Config, EventsConfig, ServeConfig
from docs.roads import ELSEWHERE as HERE_ALONE
from tests.support.drivers.command import Command, Ended
from tests.support.drivers.served import served
from tests.support.scenes.registry import answers_about, learn, with_answers
from tests.support.scenes.routes import routes_of
from tests.support.scenes.tickets import write_tickets
from workers.queue.progress import read_queue
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import FileStore

TOKEN = "nobody-else-knows-this-one"
BROKEN = "name: broken\nimage: images\n"
SHOWN = 300
"""Characters of what differs, around the first that does."""
NOBODY_S = "s3://nobody-may-read-this?endpoint=http://127.0.0.1:1"
WAITING = [
    *("versions", "versions --limit 2", "versions --limit 1 --before 3", "versions --before 1"),
    *("history", "history --limit 1", "history --limit 0", "show production"),
    *("show 9", "show head --adapter mian", "diff 1 production", "diff 1 9"),
    *("mistakes production", "mistakes 3 --task flowers --limit 1", "mistakes 3 --task nothing"),
    *("mistakes 1", "mistakes 9", "mistakes 3 --of flowers/0", "mistakes 3 --as flowers/7"),
    "promote 2 --why reviewed",
    "promote head --alias head",
    "rollback 1 --why mislabelled",
    "rollback 3 --serving-only",
    *("relearn main --encoder tiny-vit --dry-run", "relearn main --encoder tiny-vit"),
    *("relearn main --encoder tiny-vit --as head", "relearn mian --encoder tiny-vit"),
    *("alias q3 2", "alias q3 2 --why again", "alias q3 --remove", "alias 7 1"),
    *("versions --adapter mian", "history --adapter a..b"),
    *("submit task.yaml", "submit gone.yaml", "submit broken.yaml task.yaml"),
    "submit absolute.yaml listed.yaml",
    "submit task.yaml --adapter other",
    *("submit squares", "submit squares --adapter bare", "submit list.csv --adapter listed"),
    *("logs colors", "logs colours", "logs colors --worker", "logs colours --worker"),
    *("cancel listed", "cancel listed", "retry listed", "cancel nobody-has-this"),
    *("cancel colors listed absolute colors", "retry colors"),
    *("pause", "pause --all", "pause other", "pause other --all", "resume"),
    *("resume *", "resume --all", "resume other", "pause mian"),
]
"""Commands in their order, on submissions that wait; each is run as text and as JSON."""
ENDED = [
    *("watch", "watch listed", "logs listed --follow", "retry listed"),
    *("drop digits --promote --why sold", "drop digits", "drop nothing"),
    *("export 2 two.tar", "export 2 two.tar", "export 9 nine.tar", "import two.tar --alias berlin"),
    *("import two.tar", "import two.tar --adapter third --alias production"),
    "alias berlin --remove",
    *("verify", "verify --adapter other", "settle --why tried", "settle"),
    *("gc", "gc --delete --grace 0", "gc --blobs"),
    *("purge digits --yes", "purge digits --yes", "purge nothing --yes"),
    "versions",
    "token create ci --role operator --adapter other --expires 30d",
    "token create ci --role viewer",
    "token create bad/name --role viewer",
    *("token list", "token revoke ci", "token revoke ci"),
    *("session list", "session end oidc:ann", "session end nobody"),
    *("audit", "audit --adapter main --limit 5", "audit --days 1 --limit 500"),
    "import gone.tar",
    "webhook add chat https://hooks.example.com/nacre --kind submission.failed",
    "webhook add chat https://elsewhere.example.com/",
    *("webhook list", "webhook show chat", "webhook rotate chat --overlap-hours 1"),
    *("webhook test chat", "webhook resume chat", "webhook remove chat", "webhook remove chat"),
]
"""The same, on submissions that have failed."""
ELSEWHERE = {
    "evaluate": "needs an encoder: below",
    "inspect": "measures how long it takes: tests/cluster/cli/test_inspect.py",
    "predict": "asks a replica over both roads: tests/cluster/client/test_client.py",
    "status": "says over HTTP how the replica is that answers: below",
    **HERE_ALONE,
}


@dataclass(frozen=True, kw_only=True)
class Road:
    """A way to a system of one's own.

    Attributes:
        folder: What the commands work in.
        words: Come before the verb.
        store: Of the system.
        is_remote: Whether the commands know nothing of that.
    """

    folder: Path
    words: tuple[str, ...]
    store: str
    is_remote: bool


@pytest.fixture
def files(tmp_path: Path, write_task: Callable[..., Path]) -> Path:
    """Return a folder with task files, their images, a configuration and a store."""
    folder = tmp_path / "files"
    write_task()
    folder.mkdir()
    shutil.move(tmp_path / "images", folder / "images")
    shutil.move(tmp_path / "task.yaml", folder / "task.yaml")
    shutil.copytree(folder / "images", folder / "squares")
    (folder / "broken.yaml").write_text(BROKEN)
    (folder / "absolute.yaml").write_text(
        f"name: absolute\nimages: {folder}/images\nshared_names: keep\n"
    )
    rows = [f"{path.relative_to(folder)},blue" for path in folder.glob("images/blue/*.png")]
    rows += [f"{path.relative_to(folder)},red" for path in folder.glob("images/red/*.png")]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]))
    (folder / "listed.yaml").write_text("name: listed\nimages: list.csv\nshared_names: keep\n")
    (folder / "token").write_text(f"{TOKEN}\n")
    (folder / "token").chmod(0o600)
    main = Registry(FileStore(tmp_path / "store")).create("main")
    learn(main, "digits", "fashion")
    with_answers(main, "flowers", answers_about("flowers"))
    return folder


@pytest.fixture
def roads(tmp_path: Path, files: Path) -> Iterator[tuple[Road, Road]]:
    """Give the two roads, each to a store with the same in it."""
    stores = [shutil.copytree(tmp_path / "store", tmp_path / name) for name in ("one", "two")]
    here, there = (shutil.copytree(files, tmp_path / name) for name in ("here", "there"))
    events = EventsConfig(allow=("https://hooks.example.com/",))
    (there / "nacre.yaml").write_text("adapter: main\n")
    (here / "nacre.yaml").write_text("events: {allow: [https://hooks.example.com/]}\n")
    client = Client(
        Config(store=f"file://{stores[1]}", serve=ServeConfig(port=1), events=events),
        audience=Nobody(),
    )
    routes = routes_of(client, doors=Doors(access=Access(change_token=TOKEN)))
    with served(routes.app) as url:
        yield (
            Road(folder=here, words=(), store=f"file://{stores[0]}", is_remote=False),
            Road(folder=there, words=words(url), store=f"file://{stores[1]}", is_remote=True),
        )


def words(url: str) -> tuple[str, ...]:
    return ("--url", url, "--token-file", "token")


@pytest.fixture
def on(nacre: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Return a function that runs a command over a road."""

    def run(road: Road, *words: str) -> Ended:
        monkeypatch.chdir(road.folder)
        monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
        monkeypatch.setenv("NACRE_STORE", NOBODY_S if road.is_remote else road.store)
        return nacre(*road.words, *words)

    return run


UNLIKE = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?", "WHEN"),
    (r"\b1[6-9]\d{8}(\.\d+)?\b", "WHEN"),
    (r"nacre_[\w-]{43}", "SECRET"),
    (r"whsec_[\w+/=]+", "SECRET"),
    (rf"\b({re.escape(getpass.getuser())}|token:change)\b", "WHO"),
    (r'"road": "\w+"|\b(cli|http)\b', "ROAD"),
    (r'"request_id": "\w*"', "REQUEST"),
    (r"[0-9a-f]{64}", "DIGEST"),
    (r'"size_bytes": \d+|[\d.]+ kB', "SIZE"),
    (r"-+ *", "-"),
    (r" +", " "),
]
"""What is not the same: the time, secrets, and who asks by which road; and how long that is."""


def alike(ended: Ended, road: Road) -> str:
    """Return how a command ended and what it printed, as far as that is the same over any road."""
    text = f"{ended.code}\n{ended.out}\n{ended.err}"
    for told, word in ((str(road.folder), "FOLDER"), (road.store, "STORE")):
        text = text.replace(told, word)
    for pattern, word in UNLIKE:
        text = re.sub(pattern, word, text)
    return text


def test_every_verb_says_the_same_over_both_roads_and_ends_with_the_same_code(
    roads: tuple[Road, Road], on: Callable[..., Ended]
) -> None:
    different = []
    for command in (*WAITING, *ENDED):
        if command == ENDED[0]:
            for road in roads:
                fail_all(FileStore(road.store.removeprefix("file://")))
        for output in ("text", "json"):
            here, there = (
                alike(on(road, *command.split(), "--output", output), road) for road in roads
            )
            if here != there:
                alike_so_far = takewhile(
                    lambda pair: pair[0] == pair[1], zip(here, there, strict=False)
                )
                since = max(0, sum(1 for _ in alike_so_far) - SHOWN // 2)
                shown = (here[since : since + SHOWN], there[since : since + SHOWN])
                different.append((command, output, *shown))
    assert different == []


def fail_all(store: FileStore) -> None:
    """Let all submissions have failed, as a coordinator would say."""
    states = read_queue(store).states
    tickets = [replace(state.ticket, stage=Stage.FAILED, note="tried") for state in states]
    write_tickets(store, tickets)


def test_every_verb_is_tried_over_both_roads_or_says_where() -> None:
    tried = {command.split()[0] for command in (*WAITING, *ENDED)}
    assert tried | ELSEWHERE.keys() == set(cli.list_commands(click.Context(cli)))
    assert not tried & ELSEWHERE.keys()


# `init` and `config` ask nobody, and `ready` asks whom it is told to.
@pytest.mark.parametrize("verb", sorted(HERE_ALONE.keys() - {"init", "config", "ready"}))
def test_what_is_of_this_machine_alone_says_so(nacre: Command, verb: str) -> None:
    words = [verb, "xtail", "suite.yaml"] if verb == "bench" else [verb]
    ended = nacre("--url", "https://nacre.example.com", *words)
    assert (ended.code, ended.out) == (2, "")
    assert "works on this machine alone, found the remote system" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_name_is_not_given_where_the_token_says_who_asks(
    roads: tuple[Road, Road], on: Callable[..., Ended]
) -> None:
    ended = on(roads[1], "rollback", "1", "--by", "anna")
    assert ended.code == 2
    assert "over HTTP the token says who asks, found --by 'anna' too" in ended.err


def test_the_address_comes_from_the_environment_or_the_configuration_too(
    roads: tuple[Road, Road], on: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = roads[1]
    url, bare = remote.words[1], replace(remote, words=())
    monkeypatch.setenv("NACRE_URL", url)
    assert "expected a valid token" in on(bare, "versions").err
    monkeypatch.setenv("NACRE_TOKEN", TOKEN)
    assert on(bare, "versions").code == 0
    monkeypatch.delenv("NACRE_TOKEN")
    monkeypatch.setenv("NACRE_TOKEN_FILE", "token")
    assert on(bare, "versions").code == 0
    for name in ("NACRE_URL", "NACRE_TOKEN_FILE"):
        monkeypatch.delenv(name)
    (remote.folder / "nacre.yaml").write_text(f"remote: {{url: '{url}', token_file: token}}\n")
    assert "main@3" not in on(bare, "versions").err
    assert on(bare, "show", "production").out.startswith("main@3, published")


def test_a_token_that_others_can_read_is_told_and_one_that_is_wrong_is_not(
    roads: tuple[Road, Road], on: Callable[..., Ended]
) -> None:
    remote = roads[1]
    (remote.folder / "token").chmod(0o644)
    ended = on(remote, "versions")
    assert ended.code == 0
    assert ended.err == "note: others can read token, which holds a token: `chmod 600 token`\n"
    assert on(remote, "versions", "--output", "json").err == ""
    (remote.folder / "token").write_text("one-secret another-secret")
    ended = on(remote, "versions")
    assert ended.code == 2
    assert "expected one token in token" in ended.err
    assert "secret" not in ended.err.replace("secrets", "")


def test_completion_knows_the_names_of_a_remote_system(
    roads: tuple[Road, Road], monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.shell_completion import ShellComplete

    remote = roads[1]
    monkeypatch.chdir(remote.folder)
    completing = ShellComplete(cli, {}, "nacre", "_NACRE_COMPLETE")
    asked = [*remote.words, "rollback"]
    found = [each.value for each in completing.get_completions(asked, "")]
    assert found == ["1", "2", "3", "head", "production"]
    (remote.folder / "token").write_text("another-token")
    assert completing.get_completions(asked, "") == []


def test_an_error_of_json_is_one_document_over_both_roads(
    roads: tuple[Road, Road], on: Callable[..., Ended]
) -> None:
    said = [json.loads(on(road, "rollback", "9", "--output", "json").err) for road in roads]
    assert said[0] == said[1]
    assert os.linesep not in said[0]["detail"]
