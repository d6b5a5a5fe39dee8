"""What people see: on narrow and wide terminals, in pipes and logs; no word is broken."""

import io
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import click
import pytest

from cluster.cli.main import cli
from cluster.cli.terminal.matrix import MatrixTable
from cluster.cli.terminal.output import bars, say, waiting
from cluster.cli.terminal.tables import LEAST_PROSE, laid_out
from tests.support.drivers.command import Command
from tests.support.drivers.screen import Screen
from tests.support.scenes.registry import ANNA, learn
from tests.support.scenes.tickets import set_ticket
from workers.queue.ticket import Cause, Failure, Stage
from workers.registry import Registry
from workers.store import FileStore

ESCAPE = "\x1b"
WHY = "the pictures of the second camera were mislabelled, see medical-images-0123456789ab"
WIDTHS = (60, 120)

LISTING = [
    ["versions"],
    ["history"],
    ["show", "production"],
    ["diff", "1", "2026-q3-after-review"],
    ["status"],
    ["logs", "colors"],
    ["verify"],
    ["gc"],
    ["settle", "--why", WHY],
]


@pytest.fixture
def scene(nacre: Command, tmp_path: Path, write_task: Callable[..., Path]) -> Command:
    """Return the command, with versions of long names and a submission that has failed."""
    store = FileStore(tmp_path / "store")
    adapter = Registry(store).create("main")
    learn(adapter, "digits", "flowers-of-the-northern-countries", "medical-images")
    adapter.alias("2026-q3-after-review", 2, by=replace(ANNA, why=WHY))
    nacre("submit", write_task())
    failure = Failure(stage=Stage.TRAINING, cause=Cause.FAULT, error=WHY, at=2.0)
    (entry,) = json.loads(nacre("status", "--output", "json").out)["submissions"]
    set_ticket(store, entry["submission_id"], stage=Stage.FAILED, failures=(failure,))
    return nacre


@pytest.fixture
def screen(scene: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Return a function that runs the command on a terminal: what is on stdout and stderr."""

    def run(*arguments: str, width: int, **environment: str) -> tuple[str, str]:
        with monkeypatch.context() as terminal:
            terminal.setenv("COLUMNS", str(width))
            terminal.setenv("TERM", "xterm-256color")
            for name, value in environment.items():
                terminal.setenv(name, value)
            out, err = Screen(), Screen()
            terminal.setattr(sys, "stdout", out)
            terminal.setattr(sys, "stderr", err)
            scene(*arguments)
        return out.getvalue(), err.getvalue()

    return run


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def words(text: str) -> set[str]:
    return set(plain(text).split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("arguments", LISTING, ids=" ".join)
def test_on_a_terminal_no_word_is_broken_and_nothing_is_lost(
    scene: Command, screen: Callable[..., tuple[str, str]], arguments: list[str], width: int
) -> None:
    shown, _ = screen(*arguments, width=width)
    # A block names its columns in every row, a table once; all else is the same.
    assert words(scene(*arguments).out) == words(shown)
    too_long = [line for line in plain(shown).splitlines() if len(line.rstrip()) > width]
    assert all(len(line.split()[-1]) > LEAST_PROSE for line in too_long)


def test_a_sentence_is_wrapped_between_words_and_a_command_in_it_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = "`nacre drop patterns-of-nature --adapter birds --relearn`"
    sentence = f"  the task stays where it is; {command} takes it away again and keeps the others"

    def shown(width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        out = Screen()
        with redirect_stdout(out):
            say(sentence)
        return plain(out.getvalue()).splitlines()

    for width in WIDTHS:
        lines = shown(width)
        assert " ".join(line.strip() for line in lines) == sentence.strip()
        assert [line for line in lines if command in line]
        assert all(len(line) <= width and line.startswith("  ") for line in lines)
    out = io.StringIO()
    with redirect_stdout(out):
        say(sentence)
    assert out.getvalue() == f"{sentence}\n"


@pytest.mark.parametrize("arguments", LISTING, ids=" ".join)
def test_in_a_pipe_a_row_is_a_line_of_plain_text(scene: Command, arguments: list[str]) -> None:
    ended = scene(*arguments)
    assert ended.err == ""
    assert ESCAPE not in ended.out
    assert not [line for line in ended.out.splitlines() if line != line.rstrip()]


ROWS = [(["versions"], 3), (["history"], 4)]


@pytest.mark.parametrize(("arguments", "count"), ROWS)
def test_in_a_pipe_there_is_one_line_per_row(
    scene: Command, arguments: list[str], count: int
) -> None:
    assert len(scene(*arguments).out.splitlines()) == 1 + count


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("arguments", LISTING, ids=" ".join)
def test_nothing_but_text_where_no_colour_is_wanted(
    screen: Callable[..., tuple[str, str]], arguments: list[str], environment: dict[str, str]
) -> None:
    out, err = screen(*arguments, width=80, **environment)
    assert ESCAPE not in out
    assert environment != {"TERM": "dumb"} or err == ""


def test_columns_without_content_are_left_out(scene: Command) -> None:
    heading = scene("status").out.splitlines()[0].split()
    assert heading == ["submission", "adapter", "stage", "note", "or", "last", "error"]


def test_a_waiting_command_writes_a_line_per_stage_into_logs(scene: Command) -> None:
    assert scene("watch", "colors").err == "colors: failed\n"
    assert scene("watch", "colors", "--output", "json").err == ""


class Log(io.StringIO):
    """A log that says when something was written to it for the second time."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        if "so far" in text:
            self.goes_on.set()
        return super().write(text)


def test_whoever_waits_for_long_tells_a_log_at_once_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    monkeypatch.setattr("sys.stderr", log)
    with waiting("starting", every_s=0.001):
        assert log.getvalue().startswith("starting\n")
        assert log.goes_on.wait(60)
    assert re.fullmatch(r"starting\n(starting: \d+ s so far\n)+", log.getvalue())


def test_a_bar_says_what_its_times_are(screen: Callable[..., tuple[str, str]]) -> None:
    _, shown = screen("verify", width=120)
    assert re.search(r"checking.*elapsed 0:00:0\d left", plain(shown))


TABLE = (
    ("id", "nothing", "why"),
    [("a-1", None, "one two three four five six seven eight nine"), ("b-2", "", "no")],
)


def test_sentences_give_way_and_everything_else_stays_whole() -> None:
    columns, rows = TABLE
    wide = laid_out(columns, rows, prose=("why",), width=None)
    assert wide.head == "id   why"
    assert wide.lines[1] == "b-2  no"
    narrow = laid_out(columns, rows, prose=("why",), width=32)
    assert narrow.lines == (
        "a-1  one two three four five six",
        "     seven eight nine",
        "b-2  no",
    )


def test_what_does_not_fit_side_by_side_is_a_block_per_row() -> None:
    columns, rows = TABLE
    found = laid_out(columns, rows, prose=(), width=30)
    assert found.head is None
    assert found.lines == (
        *("id a-1", "  why  one two three four five", "       six seven eight nine"),
        *("id b-2", "  why  no"),
    )


@pytest.mark.parametrize("width", [*WIDTHS, 20])
def test_a_matrix_has_the_whole_names_of_tasks_and_as_many_side_by_side_as_fit(width: int) -> None:
    tasks = ("flowers-of-the-northern-countries", "medical-images-2026", "birds", "digits")
    row = (1.0, 0.5, 0.25, 0.0)
    table = MatrixTable(tasks=tasks)
    lines = list(table.lines({"zero-shot": row, "main@1": row}, width=width))
    headers = [line for line in lines if line.startswith("accuracy")]
    assert [name for line in headers for name in line.split()[3:]] == list(tasks)
    assert all(len(line) <= width for line in lines) or width == 20
    first = [line.split()[1:] for line in lines if line.startswith("main@1")]
    assert [cell for cells in first for cell in cells] == ["100.0", "50.0", "25.0", "0.0"]
    assert len(headers) == {120: 1, 60: 2, 20: 4}[width]


@pytest.mark.parametrize("width", WIDTHS)
def test_of_a_bar_the_name_alone_gives_way_and_what_nobody_knows_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    screen = Screen()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", screen)
    with bars() as progress:
        progress.add_task("encoding flowers-of-the-northern-countries", total=2500, completed=1999)
        progress.add_task("starting", total=None)
        progress.refresh()
    shown = plain(screen.getvalue())
    assert re.search(r"encoding flowers-of.* 1999/2500 +elapsed 0:00:0\d left --:--", shown)
    assert re.search(r"starting\D* elapsed 0:00:0\d left", shown)
    assert "?" not in shown


def commands() -> Iterator[click.Command]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        found = cli.get_command(context, name)
        assert found is not None
        yield found
        if isinstance(found, click.Group):
            yield from found.commands.values()


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_the_summary_of_a_verb_fits_into_a_narrow_terminal(command: click.Command) -> None:
    assert command.short_help
    assert len(command.short_help) <= 45
    assert command.short_help.endswith(".")


def test_no_summary_is_cut_off(nacre: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert "..." not in nacre("--help").out.partition("Commands:")[2]


NAME = "root:x:0 :bag: [bold]red[/] (c) \N{SMILING FACE WITH OPEN MOUTH}"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_name_is_printed_as_it_is_whatever_stands_between_its_colons(
    nacre: Command,
    screen: Callable[..., tuple[str, str]],
    tmp_path: Path,
    *,
    is_terminal: bool,
) -> None:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits", "fashion")
    assert nacre("alias", "canary", "1", "--why", NAME).code == 0
    words = ("history", "--limit", "1")
    printed = screen(*words, width=200)[0] if is_terminal else nacre(*words).out
    assert NAME in printed
    assert NAME in nacre("show", NAME).err
    assert NAME in nacre("settle", "--why", NAME, "--adapter", NAME).err


def test_no_sentence_sends_a_terminal_what_moves_it(nacre: Command, tmp_path: Path) -> None:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits")
    ended = nacre("export", "head", tmp_path / "a\x1b[31m\udcff.tar")
    assert ended.code == 0
    assert "\x1b" not in ended.out and "\udcff" not in ended.out
    assert r"a\x1b[31m\xff.tar" in ended.out


@pytest.mark.parametrize("columns", ["0", "00", "-5", "many", ""])
def test_where_no_width_is_known_everything_is_printed_all_the_same(
    scene: Command, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    expected = scene("history").out
    assert "commit" in expected
    monkeypatch.setenv("COLUMNS", columns)
    assert scene("history").out == expected
    assert "no alias 'nowhere'" in scene("show", "nowhere").err
