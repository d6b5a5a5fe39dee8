"""The command line: each verb explains itself, and each error is one sentence and one code."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO

import click
import pytest

from adapters.errors import NotFoundError
from cluster.cli.main import MODULES, cli
from cluster.client.client import Client
from cluster.config import load_config
from cluster.running_config import RunningConfig, published
from cluster.version import this_build
from tests.support.drivers.command import Command, Ended
from tests.support.drivers.printed import as_promised
from tests.support.scenes.registry import learn, publish
from tests.support.scenes.tickets import set_ticket, write_tickets
from workers.queue.leadership import take_leadership
from workers.queue.ticket import Cause, Failure, Stage
from workers.registry import Registry
from workers.store import FileStore

WriteTask = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


VERBS = cli.list_commands(click.Context(cli))


def test_the_verbs_of_every_day_are_there() -> None:
    every_day = {"up", "submit", "status", "predict", "versions", "rollback", "down", "demo"}
    assert every_day <= set(VERBS)


def test_every_verb_of_a_module_is_listed() -> None:
    modules = [import_module(f"cluster.cli.{name}") for name in MODULES]
    assert sorted(verb.name for module in modules for verb in module.VERBS) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_how_to_call_a_verb(nacre: Command, verb: str) -> None:
    ended = nacre(verb, "--help")
    assert ended.code == 0
    examples = ended.out.partition("Examples:")[2]
    assert f"nacre {verb}" in examples


def test_the_command_and_the_module_are_the_same() -> None:
    command = [sys.executable, "-m", "cluster.cli", "-h"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert found.stderr == ""
    assert "Exit codes: 0 done" in found.stdout
    assert all(verb in found.stdout for verb in VERBS)


def test_the_version_is_told_with_the_commit(nacre: Command) -> None:
    ended = nacre("--version")
    assert (ended.code, ended.out) == (0, f"nacre, version {this_build()}\n")


def test_a_task_is_submitted_once_and_found_again(nacre: Command, write_task: WriteTask) -> None:
    first, again = nacre("submit", write_task()), nacre("submit", write_task())
    assert (first.code, again.code) == (0, 0)
    assert first.out.startswith("accepted: colors-")
    assert "(2 classes, 10 training images, 2 test images)" in first.out
    assert (
        "2 of the training images, a tenth of each class, were drawn as the test split" in first.out
    )
    assert again.out.startswith("submitted before: colors-")


def test_pictures_that_are_passed_over_are_told_to_people_and_machines(
    nacre: Command, write_task: WriteTask
) -> None:
    path = write_task(images=4)
    (path.parent / "images/red/drawing.svg").write_text("<svg/>")
    said = "training images: 9 files seen, 1 passed over: 1 picture in formats that are not read"
    assert f"  {said} (1 SVG: red/drawing.svg)" in nacre("submit", path).out
    (entry,) = json.loads(nacre("submit", path, "--output", "json").out)
    assert entry["is_new"] is False
    assert entry["notes"] == [f"{said} (1 SVG: red/drawing.svg)"]
    assert entry["sources"]["images"] == {
        "things": "files",
        "seen": 9,
        "used": 8,
        "refused": 0,
        "copies": 0,
        "passed_over": [
            {
                "reason": "pictures in formats that are not read",
                "pictures": True,
                "count": 1,
                "kinds": {"SVG": 1},
                "examples": ["red/drawing.svg"],
            }
        ],
    }


def test_submissions_are_read_by_machines(nacre: Command, write_task: WriteTask) -> None:
    submitted = json.loads(nacre("submit", write_task(), "--output", "json").out)
    status = json.loads(nacre("status", "--output", "json").out)
    (entry,) = status["submissions"]
    assert [each["submission_id"] for each in submitted] == [entry["submission_id"]]
    assert status["coordinator"] is None
    assert (entry["task"], entry["adapter"], entry["stage"]) == ("colors", "main", "accepted")


def ended_as(store: FileStore, stage: Stage, error: str | None = None) -> None:
    """Write down that the one submission has ended, as a coordinator would."""
    state = next(iter(Client(load_config()).queue().states))
    if stage is Stage.PUBLISHED:
        publish(store, state.ticket.task, submission=state.ticket.submission_id)
    failure = Failure(stage=Stage.TRAINING, cause=Cause.FAULT, error=str(error), at=2.0)
    set_ticket(
        store,
        state.ticket.submission_id,
        stage=stage,
        version=1 if stage is Stage.PUBLISHED else None,
        failures=(failure,) if error else (),
    )


def test_waiting_for_what_is_published(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    nacre("submit", write_task())
    ended_as(store, Stage.PUBLISHED)
    ended = nacre("submit", write_task(), "--wait")
    assert ended.code == 0
    assert "colors: published as main@1" in ended.out


def test_waiting_prints_nothing_but_json_for_machines(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    nacre("submit", write_task())
    ended_as(store, Stage.PUBLISHED)
    (entry,) = json.loads(nacre("submit", write_task(), "--wait", "--output", "json").out)
    assert (entry["stage"], entry["version"]) == ("published", 1)


def test_waiting_for_what_fails_says_why_and_fails(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    def fail_once_it_is_there() -> None:
        while not Client(load_config()).queue().states:
            time.sleep(0.01)
        ended_as(store, Stage.FAILED, "a feature is not finite")

    failing = threading.Thread(target=fail_once_it_is_there)
    failing.start()
    ended = nacre("submit", write_task(), "--wait")
    failing.join()
    assert ended.code != 0
    assert ended.err.rpartition("error: colors-")[2].endswith(
        " has failed: a feature is not finite\n"
    )
    assert "a feature is not finite" in nacre("status").out


def test_what_the_gate_has_rejected_is_not_called_published_and_ends_with_a_code_of_its_own(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    def reject_once_it_is_there() -> None:
        while not Client(load_config()).queue().states:
            time.sleep(0.01)
        (state,) = Client(load_config()).queue().states
        set_ticket(
            store, state.ticket.submission_id, stage=Stage.REJECTED, version=2, note="it forgets"
        )

    rejecting = threading.Thread(target=reject_once_it_is_there)
    rejecting.start()
    ended = nacre("submit", write_task(), "--wait")
    rejecting.join()
    assert ended.code == 7
    assert "published" not in ended.out
    assert "colors: rejected, kept as main@2" in ended.out
    assert "was rejected by the gate: it forgets" in ended.err


def test_whoever_submits_and_looks_hears_that_the_system_has_another_configuration(
    nacre: Command, write_task: WriteTask, store: FileStore, tmp_path: Path
) -> None:
    said = published(load_config())
    take_leadership(store, owner="ray", host="a", ttl_s=3e3, now=time.time(), configuration=said)
    (tmp_path / "nacre.yaml").write_text("retention: {days: 3}")
    text = nacre("submit", write_task())
    assert "another configuration than this one" in text.err
    assert "they differ in retention.days;" in text.err
    assert "another configuration" not in text.out
    assert "differ in retention.days" in nacre("status").err
    expected = {"digest": RunningConfig(published=said).digest, "differs": ["retention.days"]}
    twice = nacre("submit", write_task(), write_task()).err
    assert twice.count("another configuration") == 1  # of several tasks it is said once
    (entry,) = json.loads(nacre("submit", write_task(), "--output", "json").out)
    status = json.loads(nacre("status", "--output", "json").out)
    assert (entry["configuration"], status["configuration"]) == (expected, expected)


def test_promoting_what_no_replica_serves_is_not_silent(nacre: Command, store: FileStore) -> None:
    learn(Registry(store).create("am"), "fashion")
    ended = nacre("promote", "1", "--adapter", "am")
    assert (ended.code, ended.out) == (0, "production now at version 1\n")
    assert "no replica serves adapter 'am' (served: main)" in ended.err
    assert nacre("promote", "1", "--adapter", "am", "--alias", "canary").err == ""


def test_a_mean_names_over_what_it_is(nacre: Command, store: FileStore) -> None:
    adapter = Registry(store).create("main")
    learn(adapter, "fashion")
    learn(adapter, "digits")
    assert "90.0% (1 of 2 tasks)" in nacre("versions").out
    assert "not measured" in nacre("show", "2").out
    newest, first = json.loads(nacre("versions", "--output", "json").out)
    assert (newest["not_measured"], first["not_measured"]) == (["fashion"], [])
    assert newest["mean_accuracy"] == first["mean_accuracy"] == 0.9


def test_what_happens_to_a_submission_is_told_by_its_task_or_its_id(
    nacre: Command, write_task: WriteTask
) -> None:
    (entry,) = json.loads(nacre("submit", write_task(), "--output", "json").out)
    for name in ("colors", entry["submission_id"]):
        assert f"{entry['submission_id']} accepted" in nacre("logs", name).out
        assert json.loads(nacre("logs", name, "--output", "json").out) == []
    ended = nacre("logs", "shapes")
    assert ended.code == 2
    assert "name of a task in the queue, found 'shapes'" in ended.err


WISHES = [
    (["cancel", "colors"], "asked for: colors-"),
    (["retry", "colors"], "tried again: colors-"),
    (["pause", "--all"], "everything will be paused as soon as a system runs"),
    (["resume", "main"], "adapter main will be resumed as soon as a system runs"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WISHES)
def test_a_wish_is_kept_until_somebody_coordinates(
    nacre: Command, write_task: WriteTask, store: FileStore, arguments: list[str], sentence: str
) -> None:
    nacre("submit", write_task())
    before = {listed.key for listed in store.list("queue/inbox/")}
    ended = nacre(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(sentence)
    assert len({listed.key for listed in store.list("queue/inbox/")} - before) == 1


NO_TEXT = "caf\udce9"  # how Python keeps a byte that is no UTF-8


@pytest.mark.parametrize(
    "arguments",
    [
        *(["cancel"], ["retry"], ["logs"], ["watch"], ["pause"], ["resume"], ["show"], ["drop"]),
        *(["rollback"], ["promote"], ["purge"], ["import"], ["submit"], ["versions", "--adapter"]),
        *(["history", "--adapter"], ["verify", "--adapter"]),
    ],
)
def test_a_name_that_is_no_text_is_refused_with_a_sentence(
    nacre: Command, arguments: list[str]
) -> None:
    ended = nacre(*arguments, NO_TEXT)
    assert ended.code == 2
    assert ended.err.strip().startswith("error: ")
    assert "Traceback" not in ended.err


def test_a_cancelled_submission_is_told_to_be(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    nacre("submit", write_task())
    ended_as(store, Stage.CANCELLED)
    for _ in range(2):  # a script that is not sure of the first time asks again
        again = nacre("cancel", "colors")
        assert again.out.startswith("cancelled: colors-")
        assert (again.code, again.err) == (0, "")
    assert "colors-" in nacre("watch", "colors").out
    assert nacre("watch").out == "nothing is open\n"


def test_of_very_many_submissions_the_first_open_ones_are_shown(
    nacre: Command, write_task: WriteTask, store: FileStore
) -> None:
    nacre("submit", write_task())
    (state,) = Client(load_config()).queue().states
    tickets = [
        replace(state.ticket, submission_id=f"colors-{number:03}", accepted_at=float(number))
        for number in range(100)
    ]
    write_tickets(store, tickets)
    shown = nacre("status").out
    assert "colors-059" in shown
    assert "colors-060" not in shown
    assert "41 more (in all: 101 accepted); --all shows them" in shown
    assert "colors-099" in nacre("status", "--all").out


HEAVY = {"torch", "ray", "fastapi"}
OF_IMAGES = {"numpy", "PIL", "ftfy"}
"""What only a command needs that reads images."""


@pytest.mark.parametrize(
    ("arguments", "ends_with"),
    [
        (["--help"], 0),
        (["status"], 0),
        (["versions"], 0),
        (["history"], 2),
        (["cancel", "nobody"], 2),
        (["pause", "--all"], 0),
        (["submit", "none.yaml"], 2),
        (["submit", "no-images.yaml", "typo.yaml"], 2),
    ],
)
def test_help_what_reads_the_store_alone_and_wrong_files_need_neither_torch_nor_ray(
    arguments: list[str], ends_with: int, tmp_path: Path
) -> None:
    (tmp_path / "no-images.yaml").write_text("name: birds\nimages: nowhere\n")
    (tmp_path / "typo.yaml").write_text("name: birds\nimage: nowhere\n")
    spared = HEAVY if arguments[0] == "submit" else HEAVY | OF_IMAGES
    code = (
        f"import sys; from cluster.cli.main import run; sys.argv[1:] = {arguments!r}\n"
        f"print(run(), {spared!r} & sys.modules.keys(), file=sys.stderr)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "NACRE_STORE": f"file://{tmp_path}/store",
            "NACRE_HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert found.stderr.endswith(f"{ends_with} set()\n")


EMPTY = [
    (["status"], "no submissions"),
    (["versions"], "no versions yet"),
    # the configured adapter, named, before anything was learnt
    (["versions", "--adapter", "main"], "no versions yet"),
]


@pytest.mark.parametrize(("arguments", "sentence"), EMPTY)
def test_where_nothing_is_yet_the_next_step_is_named(
    nacre: Command, arguments: list[str], sentence: str
) -> None:
    ended = nacre(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert sentence in ended.out
    assert "nacre submit" in ended.out
    found = json.loads(nacre(*arguments, "--output", "json").out)
    assert (found["submissions"] if arguments == ["status"] else found) == []


@pytest.fixture
def three_versions(store: FileStore) -> None:
    learn(Registry(store).create("main"), "fashion", "digits", "letters")


@pytest.mark.usefixtures("three_versions")
def test_versions_are_listed_for_people_and_for_machines(nacre: Command) -> None:
    text = nacre("versions").out
    assert "head, production" in text
    assert "1970-01-01 00:16:40 UTC" in text
    listed = json.loads(nacre("versions", "--output", "json").out)
    assert [entry["number"] for entry in listed] == [3, 2, 1]
    assert listed[0]["aliases"] == ["head", "production"]
    assert (listed[0]["parent"], listed[2]["parent"]) == (2, None)
    assert [task["task"] for task in listed[1]["tasks"]] == ["fashion", "digits"]
    assert listed[2]["accuracies"] == {"fashion": 0.9}


def aliases(nacre: Command) -> dict[str, int]:
    listed = json.loads(nacre("versions", "--output", "json").out)
    return {alias: entry["number"] for entry in listed for alias in entry["aliases"]}


@pytest.mark.usefixtures("three_versions")
def test_after_a_rollback_the_status_says_that_a_newer_version_is_there(nacre: Command) -> None:
    assert "the newest is" not in nacre("status").out
    nacre("rollback", "1")
    found = nacre("status")
    assert "production of main is version 1, the newest is 3: `nacre history" in found.out
    behind = json.loads(nacre("status", "--output", "json").out)["behind"]
    assert behind == [{"adapter": "main", "production": 1, "newest": 3}]
    nacre("promote", "3", "--adapter", "main")
    assert "the newest is" not in nacre("status").out


@pytest.mark.usefixtures("three_versions")
def test_the_status_names_no_newer_version_that_could_not_be_served(nacre: Command) -> None:
    nacre("rollback", "2")
    nacre("purge", "letters", "--yes")  # only version 3 held it
    assert nacre("promote", "3").code == 2
    assert "the newest is" not in nacre("status").out
    nacre("rollback", "1")
    assert "production of main is version 1, the newest is 2: " in nacre("status").out


@pytest.mark.usefixtures("three_versions")
def test_a_rollback_says_what_it_moved(nacre: Command) -> None:
    ended = nacre("rollback", "2", "--serving-only", "--why", "slow")
    assert ended.out == "production now at version 2\n"
    assert aliases(nacre) == {"head": 3, "production": 2}
    assert nacre("rollback", "1").out == "production and head now at version 1\n"
    assert aliases(nacre) == {"head": 1, "production": 1}


ERRORS: list[tuple[Sequence[str], int, str]] = [
    # arguments, exit code, what the sentence says
    (["submit", "gone.yaml"], 2, "gone.yaml"),
    (["rollback", "7"], 2, "no version 7|adapter 'main'"),
    (["rollback", "7", "--adapter", "a/b"], 2, "cannot name an adapter"),
    (["predict", "gone.png"], 2, "gone.png"),
    (["down"], 2, "nothing to stop"),
    (["demo", "--examples", "nowhere"], 2, "expected the example tasks in nowhere"),
    (["--config", "gone.yaml", "status"], 2, "gone.yaml"),
    # usage, as click says it
    (["predict"], 2, "Missing argument"),
    (["doctor", "--seconds", "3"], 2, "belong to --store"),
    (["doctor", "--store", "file:///x", "--address", "auto"], 2, "--address is about a Ray"),
    (["doctor", "--store", "memory://x"], 2, "several cannot race for it"),
    (["status", "--output", "xml"], 2, "'xml' is not one of"),
    (["sumbit", "task.yaml"], 2, "No such command 'sumbit'; did you mean 'submit'?"),
    (["up", "--config", "nacre.yaml"], 2, "stands before them: `nacre --config … up …`"),
    (["bench", "xtial"], 2, "No such command 'xtial'; did you mean 'xtail'?"),
    (["versions", "--adaptr", "main"], 2, "Did you mean '--adapter'?"),
    *(
        ([*verb, "--adapter", "mian"], 2, "found 'mian'; did you mean 'main'?")
        for verb in (
            *(["versions"], ["history"], ["status"], ["verify"], ["settle"], ["gc"], ["evaluate"]),
            *(["show", "1"], ["diff", "1", "2"], ["promote", "1"], ["rollback", "1"]),
            *(["drop", "digits"], ["purge", "digits"], ["export", "1", "x.tar"]),
            *(["alias", "x", "1"], ["alias", "x", "--remove"]),
        )
    ),
    (["pause", "mian"], 2, "did you mean 'main'?"),
    (["resume", "mian"], 2, "did you mean 'main'?"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), ERRORS)
def test_an_error_is_one_sentence_and_a_code(
    nacre: Command, arguments: Sequence[str], code: int, sentence: str
) -> None:
    ended = nacre(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert any(part in ended.err for part in sentence.split("|"))
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_when_nothing_answers_trying_later_may_help(nacre: Command, tmp_path: Path) -> None:
    (tmp_path / "nacre.yaml").write_text("serve: {port: 1}")  # nobody ever listens there
    (tmp_path / "bag.png").write_bytes(b"a bag")
    ended = nacre("predict", "bag.png")
    assert ended.code == 4
    assert ended.err.startswith("error: nothing answers at http://127.0.0.1:1")


STORES = [
    # of no known kind, and in a folder that is a file
    ("ftp://somewhere", 2),
    ("file:///dev/null/store", None),
]


@pytest.mark.parametrize(("url", "code"), STORES)
def test_a_store_that_cannot_be_is_one_sentence_too(
    nacre: Command, monkeypatch: pytest.MonkeyPatch, url: str, code: int | None
) -> None:
    monkeypatch.setenv("NACRE_STORE", url)
    ended = nacre("status")
    assert ended.code == code or (code is None and ended.code > 1)
    assert ended.err.startswith("error: ")


def test_a_damaged_version_calls_for_a_person(nacre: Command, store: FileStore) -> None:
    learn(Registry(store).create("main"), "fashion")
    for entry in list(store.list("adapters/")):
        store.put(entry.key, b"burnt")
    ended = nacre("versions")
    assert ended.code == 6
    assert "is damaged" in ended.err


def test_with_debug_the_traceback_is_shown(nacre: Command) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.yaml"):
        nacre("--debug", "submit", "gone.yaml")


PRINTING = [
    ["versions"],
    ["versions", "--output", "json"],
    ["status"],
    ["--help"],
    ["submit", "--help"],
    ["--version"],
]


def printed_to(out: IO[bytes] | int, *arguments: str, err: Path | None = None) -> Ended:
    """Run a command whose output goes to a file or pipe that cannot be written."""
    command = [sys.executable, "-m", "cluster.cli", *arguments]
    with (err or Path(os.devnull)).open("wb") as full:
        errors = full if err else subprocess.PIPE
        ended = subprocess.run(command, stdout=out, stderr=errors, timeout=300, check=False)
    return Ended(code=ended.returncode, out="", err=(ended.stderr or b"").decode())


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
@pytest.mark.usefixtures("nacre")
def test_output_that_cannot_be_written_is_one_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = printed_to(full, *arguments)
    assert ended.code == 1
    sentence = "the output cannot be written (No space left on device)"
    began = '"detail": "' if "json" in arguments else "error: "
    assert f"{began}{sentence}" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
@pytest.mark.usefixtures("nacre")
def test_a_reader_that_has_gone_away_ends_a_command_quietly(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert printed_to(writer, *arguments) == Ended(code=1, out="", err="")
    finally:
        os.close(writer)


@pytest.mark.usefixtures("nacre")
def test_notes_that_cannot_be_written_change_nothing(write_task: WriteTask) -> None:
    full = Path("/dev/full")
    assert printed_to(subprocess.DEVNULL, "submit", str(write_task()), err=full).code == 0
    assert printed_to(subprocess.DEVNULL, "rollback", "9", err=full).code == 2
    assert printed_to(subprocess.DEVNULL, "no-such-verb", err=full).code == 2


@pytest.mark.slow
def test_the_doctor_of_a_store_says_that_it_is_fit(nacre: Command, tmp_path: Path) -> None:
    url = (tmp_path / "other").as_uri()
    asked = ("doctor", "--store", url, "--seconds", "3", "--processes", "2")
    ended = nacre(*asked, "--output", "json")
    found = as_promised("doctor --store", ended.out)
    assert (ended.code, found["fit"]) in ((0, True), (4, None))  # on a slow machine
    assert found["store"] == [url]
    assert found["won_by_several"] == 0
    assert found["races"] == sum(each.get("made", 0) for each in found["conditions"])


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_all_adapters_are_meant_by_whoever_says_so_and_by_nobody_else(
    nacre: Command, store: FileStore, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    learn(Registry(store).create("birds"), "digits")
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    before = list(store.list("queue/inbox/"))
    ended = nacre(verb)
    assert (ended.code, ended.out) == (2, "")
    told = "nothing was changed; name an adapter, or say `--all` for all adapters (birds)"
    assert told in " ".join(ended.err.split())
    both = nacre(verb, "birds", "--all")
    assert both.code == 2
    assert "found 'birds' and `--all`" in both.err
    assert list(store.list("queue/inbox/")) == before
    assert nacre(verb, "--all").out.startswith("everything (birds) will be")
    assert nacre(verb, "*").code == 0
    assert len(list(store.list("queue/inbox/"))) == len(before) + 2


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_where_an_output_is_closed_nothing_is_said_there(
    nacre: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    expected = nacre(*arguments)
    monkeypatch.setattr("sys.stderr", None)  # as Python has it after `nacre versions 2>&-`
    assert nacre(*arguments).code == expected.code
    monkeypatch.setattr("sys.stdout", None)
    assert nacre(*arguments).code == expected.code
    assert nacre("show", "nowhere").code == 2


@pytest.mark.parametrize("arguments", [("pause",), ("purge", "letters")])
def test_where_standard_input_is_closed_nobody_is_asked(
    nacre: Command, store: FileStore, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    learn(Registry(store).create("main"), "digits", "letters")
    nacre("rollback", "1")
    monkeypatch.setattr("sys.stdin", None)  # as Python has it after `nacre pause <&-`
    ended = nacre(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "expected an answer on standard input, found it closed: " in ended.err


@pytest.mark.parametrize(("answer", "code", "asked"), [("y", 0, 1), ("n", 1, 0)])
def test_whoever_names_no_adapter_is_asked_whether_all_are_meant(
    nacre: Command,
    store: FileStore,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    asked: int,
) -> None:
    learn(Registry(store).create("birds"), "digits")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    ended = nacre("pause")
    assert ended.code == code
    assert "Pause all adapters (birds)?" in ended.err
    assert len(list(store.list("queue/inbox/"))) == asked


def test_images_without_a_task_file_are_submitted_with_the_one_that_says_the_same(
    nacre: Command, write_task: Callable[..., Path], tmp_path: Path
) -> None:
    write_task()
    (tmp_path / "images").rename(tmp_path / "birds")
    written = nacre("init", "birds", "-o", "birds.yaml")
    assert (written.code, written.err) == (0, "")
    assert (
        "name: birds\nimages: birds\nprompt: a photo of a {}.\n" in Path("birds.yaml").read_text()
    )
    again = nacre("init", "birds", "-o", "birds.yaml")
    assert again.code == 2
    assert "expected no file at birds.yaml, found one, which stays as it is" in again.err
    assert nacre("init", "birds", "-o", "birds.yaml", "--force").code == 0
    bare = nacre("submit", "./birds")
    assert bare.code == 0
    assert "\nname: birds\nimages: birds\nprompt: a photo of a {}.\n" in bare.out
    assert "accepted: birds-" in bare.out
    same = nacre("submit", "birds.yaml")
    assert "submitted before: birds-" in same.out
    (found,) = json.loads(nacre("submit", "birds", "--output", "json").out)
    assert found["task_file"].startswith("name: birds\n")
    assert "found the task file birds.yaml" in nacre("init", "birds.yaml").err
    assert "at gone, found nothing; correct the path" in nacre("init", "gone").err
    Path("1.jpg").write_bytes(b"")
    assert "found the file 1.jpg, which is none of these" in nacre("init", "1.jpg").err


AT_ONCE = """
import sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "click":
            raise KeyboardInterrupt

from cluster.cli.__main__ import main
sys.meta_path.insert(0, Interrupting())
sys.argv = ["nacre", "versions"]
main()
"""


def test_a_command_that_is_interrupted_while_it_is_loaded_prints_no_trace() -> None:
    command = [sys.executable, "-c", AT_ONCE]
    ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
