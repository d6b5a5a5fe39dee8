"""`--output json`: every verb prints what its schema promises; errors are problem documents."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from fastapi.testclient import TestClient

from cluster.cli.main import cli
from cluster.client.client import Client
from cluster.config import load_config
from cluster.wire.outputs.schemas import SCHEMAS
from cluster.wire.problems import Problem
from tests.support.drivers.command import Command, Ended
from tests.support.drivers.printed import as_promised
from tests.support.scenes.registry import answers_about, learn, publish, with_answers
from tests.support.scenes.routes import routes_of
from tests.support.scenes.tickets import set_ticket
from tests.support.scenes.work_logs import wrote
from workers.queue import inbox
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import FileStore

Printing = Callable[..., Any]


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Yield every command by what is typed."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        found = cli.get_command(context, name)
        if isinstance(found, click.Group):
            yield from ((f"{name} {inner}", command) for inner, command in found.commands.items())
        else:
            assert found is not None
            yield name, found


VERBS = dict(verbs())
OF_WEBHOOKS = ("add", "list", "remove", "resume", "rotate", "show", "test")
ELSEWHERE = {
    "advise": "tests/cluster/cli/test_advise.py",
    "bench xtail": "tests/harness/test_xtail.py",
    "console": "tests/cluster/cli/test_console.py",
    "demo": "tests/test_wheel.py",
    "doctor --store": "tests/cluster/cli/test_cli.py",
    "down": "tests/cluster/cli/test_running.py",
    "evaluate": "tests/cluster/evaluation/conftest.py",
    "inspect": "tests/cluster/cli/test_inspect.py",
    "predict": "tests/cluster/acceptance/test_acceptance.py",
    "ready": "tests/cluster/acceptance/test_acceptance.py",
    "relearn": "tests/cluster/cli/test_relearn.py",
    "support-bundle": "tests/cluster/cli/test_support.py",
    "submit --check": "tests/cluster/cli/test_inspect.py",
    "up": "tests/cluster/acceptance/test_acceptance.py",
    "up while it runs": "tests/cluster/acceptance/test_acceptance.py",
    "session end": "tests/cluster/cli/test_access.py",
    **{f"webhook {verb}": "tests/cluster/cli/test_webhook.py" for verb in OF_WEBHOOKS},
}
"""Verbs that need more than a store: where what they print is held against their schema."""


def test_every_verb_prints_json_by_a_schema() -> None:
    for name, command in VERBS.items():
        assert name in SCHEMAS
        assert "--output" in {option for each in command.params for option in each.opts}
    assert SCHEMAS.keys() - VERBS.keys() == {
        *("doctor --store", "logs --worker", "submit --check", "up while it runs")
    }


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def printing(nacre: Command, store: FileStore, write_task: Callable[..., Path]) -> Printing:
    """Return a function that runs a verb, and checks what it prints; three versions are there."""
    main = Registry(store).create("main")
    learn(main, "digits", "fashion")
    with_answers(main, "flowers", answers_about("flowers"))
    nacre("submit", write_task())
    (ticket,) = inbox.announced(store)
    wrote(store, ticket.submission_id)

    def run(verb: str, *arguments: str, code: int = 0) -> Any:
        ended = nacre(*verb.split(), *arguments, "--output", "json")
        assert ended.code == code, ended.err
        assert ended.err == "" or code
        return as_promised(verb, ended.out)

    return run


CALLS = [
    ("init", "images", "-o", "drafted.yaml"),
    ("versions",),
    ("history",),
    ("show", "2"),
    ("diff", "3", "1"),
    ("mistakes", "3"),
    ("promote", "2"),
    ("rollback", "1"),
    ("alias", "reviewed", "2"),
    ("drop", "digits"),
    ("export", "2", "two.tar"),
    ("verify",),
    ("settle", "--why", "tried"),
    ("gc",),
    ("status",),
    ("logs", "colors"),
    ("logs --worker", "colors"),
    ("cancel", "colors"),
    ("retry", "colors"),
    ("pause", "main"),
    ("resume", "--all"),
    ("token create", "ci", "--role", "operator"),
    ("token list",),
    ("session list",),
    ("audit",),
    ("config",),
    ("serve-config",),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_a_verb_prints_what_its_schema_promises(printing: Printing, call: tuple[str, ...]) -> None:
    printing(*call)


def test_every_schema_is_held_against_its_verb() -> None:
    here = {
        "watch",
        "submit",
        "purge",
        "import",
        "doctor",
        "token revoke",
        *(call[0] for call in CALLS),
    }
    assert here | ELSEWHERE.keys() == SCHEMAS.keys()
    root = Path(__file__).parents[3]
    assert all((root / path).is_file() for path in ELSEWHERE.values())
    assert [
        path for path in ELSEWHERE.values() if "as_promised" not in (root / path).read_text()
    ] == []


def test_verbs_that_need_others_before_print_it_too(
    printing: Printing, write_task: Callable[..., Path], store: FileStore
) -> None:
    made = printing("token create", "ci", "--role", "viewer", "--adapter", "*")
    assert (made["state"], made["roles"], made["token"][:6]) == ("valid", {"*": "viewer"}, "nacre_")
    assert printing("token revoke", "ci")["state"] == "revoked"
    printing("export", "2", "two.tar")
    imported = printing("import", "two.tar", "--alias", "berlin")
    assert (imported["is_new"], imported["version"], imported["moved"]) == (False, 2, ["berlin"])
    assert printing("alias", "berlin", "--remove")["version"] == 2
    printing("drop", "digits", "--promote")
    assert printing("purge", "digits", "--yes")["versions"] == [1, 2, 3]
    assert printing("versions")[-1]["purged"] == ["digits"]
    (state,) = printing("submit", str(write_task()))
    assert (state["is_new"], state["classes"]) == (False, 2)
    assert state["images_by_split"] == {"train": 10, "held_out": 2}
    set_ticket(store, state["submission_id"], stage=Stage.FAILED)
    assert printing("watch", "colors")["stage"] == "failed"
    assert printing("retry", "colors")[0]["outcome"] == "asked"


@pytest.mark.slow
def test_the_doctor_prints_it_too(nacre: Command) -> None:
    ended = nacre("doctor", "--output", "json")
    assert ended.code in (0, 4), ended.err  # on a machine that lacks something
    as_promised("doctor", ended.out)


def test_moves_say_what_they_have_moved(printing: Printing) -> None:
    found = printing("rollback", "1")
    assert found["aliases"] == {"head": 1, "production": 1}
    assert (found["version"], found["moved"]) == (1, ["head", "production"])
    assert printing("promote", "3")["moved"] == ["production"]


def test_what_was_accepted_before_an_error_is_printed(
    nacre: Command, write_task: Callable[..., Path]
) -> None:
    files = with_one_that_is_broken(write_task)
    ended = nacre("submit", *files, "--output", "json")
    assert ended.code == 2
    (accepted,) = as_promised("submit", ended.out)
    assert accepted["task"] == "colors"
    assert problem(ended)["title"] == "InputError"
    told = nacre("submit", *files)
    assert told.out.startswith("submitted before: colors-")
    stays = "note: colors stays submitted (`nacre cancel colors` takes that back); not submitted: "
    assert f"{stays}{files[1]} {files[2]}. Mend what is wrong, then submit the same" in told.err


def with_one_that_is_broken(write_task: Callable[..., Path]) -> tuple[Path, Path, Path]:
    """Return three task files; the second one's images are found to be broken as they are read."""
    first = write_task()
    broken, third = (first.with_name(f"{name}.yaml") for name in ("broken", "third"))
    broken.write_text("name: broken\nimages: torn\n")
    third.write_text("name: third\nimages: images\nshared_names: keep\n")
    for color in ("red", "blue"):
        folder = first.parent / "torn" / color
        folder.mkdir(parents=True)
        (folder / "0.png").write_bytes(b"torn")
    return first, broken, third


def test_where_a_file_of_several_is_wrong_nothing_is_submitted_and_all_of_them_are_told(
    nacre: Command, write_task: Callable[..., Path]
) -> None:
    task = write_task()
    typo = task.with_name("typo.yaml")
    typo.write_text("name: typo\nimage: images\n")
    ended = nacre("submit", task, typo, "gone.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("note: nothing was submitted\nerror: ")
    assert "did you mean 'images'?" in ended.err
    assert "gone.yaml" in ended.err
    assert Client(load_config()).queue().states == ()


def test_what_has_ended_stays_and_is_said_to(
    nacre: Command, write_task: Callable[..., Path], store: FileStore
) -> None:
    nacre("submit", write_task())
    (state,) = Client(load_config()).queue().states
    set_ticket(store, state.ticket.submission_id, stage=Stage.PUBLISHED, version=1)
    publish(store, "colors", submission=state.ticket.submission_id)
    ended = nacre("cancel", "colors")
    assert ended.code == 3
    assert "published as main@1 and stays; `nacre drop colors`" in ended.out
    ended = nacre("cancel", "colors", "--output", "json")
    assert as_promised("cancel", ended.out)[0]["outcome"] == "ended"
    assert problem(ended)["status"] == 409
    refused = nacre("retry", "colors")
    assert refused.code == 3
    assert refused.err == f"error: {state.ticket.submission_id} was not changed\n"


def test_the_way_to_drop_what_is_published_in_another_adapter_names_the_adapter(
    nacre: Command, write_task: Callable[..., Path], store: FileStore
) -> None:
    nacre("submit", write_task(), "--adapter", "other")
    (state,) = Client(load_config()).queue().states
    set_ticket(store, state.ticket.submission_id, stage=Stage.PUBLISHED, version=1)
    assert "nacre drop" not in nacre("cancel", "colors").out  # `head` does not hold it
    publish(store, "colors", submission=state.ticket.submission_id, of="other")
    assert "`nacre drop colors --adapter other`" in nacre("cancel", "colors").out


def problem(ended: Ended) -> Any:
    """Return the error of a command, the only thing on stderr; it has the keys of HTTP."""
    assert len(ended.err.splitlines()) == 1
    found = json.loads(ended.err)
    assert list(found) == list(Problem.model_fields)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_a_problem_document(nacre: Command, verb: str) -> None:
    ended = nacre(*verb.split(), "--no-such-option", "--output", "json")
    assert (ended.code, ended.out) == (2, "")
    assert problem(ended)["status"] == 400


FAILING = [
    (["show", "9"], 2, "NotFoundError", 404),
    (["alias", "7", "1"], 2, "InputError", 422),
    (["versions", "--adapter", "mian"], 2, "NotFoundError", 404),
    (["logs", "colours"], 2, "NotFoundError", 404),
    (["down"], 2, "NotFoundError", 404),
    (["predict", "gone.png"], 2, "NotFoundError", 404),
    (["sumbit"], 2, "UsageError", 400),
]


@pytest.mark.parametrize(("arguments", "code", "title", "status"), FAILING)
@pytest.mark.usefixtures("printing")
def test_an_error_has_the_keys_of_the_http_api(
    nacre: Command, arguments: list[str], code: int, title: str, status: int
) -> None:
    ended = nacre(*arguments, "--output", "json")
    assert (ended.code, ended.out) == (code, "")
    found = problem(ended)
    assert (found["title"], found["status"]) == (title, status)


@pytest.fixture
def http(printing: Printing) -> TestClient:
    """Return the HTTP API's routes over the same store."""
    del printing
    client = Client(load_config(), audience=Nobody())
    return routes_of(client)


def test_over_http_the_same_is_said_with_the_same_keys(
    printing: Printing, http: TestClient
) -> None:
    assert http.get("/v1/adapters/main/versions").json() == printing("versions")
    queue, status = http.get("/v1/tasks").json(), printing("status")
    assert queue == {key: status[key] for key in queue}
    assert status.keys() - queue.keys() == {"behind", "configuration", "service", "troubles"}
    assert http.get("/v1/tasks/colors").json() == status["submissions"][0]
    assert http.get("/v1/tasks/colors/events").json() == printing("logs", "colors")
    assert http.get("/v1/tasks/colors/logs").json() == printing("logs --worker", "colors")
    assert http.get("/v1/adapters/main/history").json() == printing("history")
    assert http.get("/v1/adapters/main/versions/production").json() == printing("show", "3")
    diff = http.get("/v1/adapters/main/diff?before=1&after=production").json()
    assert diff == printing("diff", "1", "3")
    named = http.put("/v1/adapters/main/aliases/q3", json={"version": 2, "why": "x"}).json()
    assert named == printing("alias", "q3", "2")
    removed = http.delete("/v1/adapters/main/aliases/q3?why=x").json()
    assert printing("alias", "q3", "2")["aliases"] == {**removed["aliases"], "q3": 2}
    assert (removed["version"], removed["moved"]) == (2, ["q3"])
    assert http.get("/v1/adapters").json()[0]["aliases"]["q3"] == 2
    for adapter in ("main", "*"):
        for verb in ("pause", "resume"):
            asked = http.post(f"/v1/adapters/{adapter}/{verb}").json()
            assert asked == printing(verb, adapter)
    moved = http.post("/v1/adapters/main/rollback", json={"version": 2}).json()
    assert moved == printing("rollback", "2")
    assert http.post("/v1/tasks/colors/cancel").json() == printing("cancel", "colors")[0]


def test_an_error_over_http_is_the_same(
    printing: Printing, http: TestClient, nacre: Command
) -> None:
    del printing
    said = http.post("/v1/adapters/main/rollback", json={"version": 9}).json()
    assert said == problem(nacre("rollback", "9", "--output", "json"))


class Impatient(io.StringIO):
    """Text with a reader who presses Ctrl-C as soon as a task is named, once."""

    pressed = False

    def write(self, text: str, /) -> int:
        written = super().write(text)
        if "colors" in text and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        return written


WAITING = [
    # a verb, and the stream on which it names the task that it waits for
    (["submit", "TASK", "--wait"], "stdout"),
    (["watch", "colors"], "stderr"),
    (["watch", "colors", "--output", "json"], "stdout"),
    (["logs", "colors", "--follow"], "stdout"),
]


@pytest.mark.parametrize(("arguments", "stream"), WAITING)
@pytest.mark.usefixtures("printing")
def test_an_interrupt_says_what_goes_on_and_how_to_take_it_back(
    nacre: Command,
    arguments: list[str],
    stream: str,
    write_task: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = [str(write_task()) if each == "TASK" else each for each in arguments]
    streams = {"stdout": io.StringIO(), "stderr": io.StringIO()} | {stream: Impatient(newline="")}
    for name, replaced in streams.items():
        monkeypatch.setattr(sys, name, replaced)
    assert nacre(*named).code == 130
    said = streams["stderr"].getvalue()
    assert "interrupted: the task goes on; `nacre status colors`, `nacre cancel colors`" in said
    assert ('"status": 499' in said) == ("json" in arguments)
