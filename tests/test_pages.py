"""The pages: every block is done or says why not, and what sentences name is there."""

import builtins
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from adapters import errors
from adapters.methods import method_named
from cluster.cli.main import MODULES, cli
from cluster.config import Config
from tests.support.drivers.pages import (
    ELSEWHERE,
    NOTES,
    PAGES,
    ROOT,
    SHELL,
    Block,
    blocks_of,
    inline_code,
)
from tests.test_docs import documents
from workers.formats.yaml_settings import settings_of
from workers.tasks.task import TaskFile

NO_BLOCKS = (
    *("CHANGELOG.md", "GLOSSARY.md", "tests/fixtures/README.md"),
    "deploy/docker/wheels/README.md",
)
ENDS = ("not run", "held by", "file", "read as")
FOREIGN = {"--no-binary", "--working-dir", "--write", "--against", "--help", "--head"}
FOREIGN |= {"--build-arg", "--secret", "--shm-size", "--read-only", "--user", "--gpus", "--scale"}
FOREIGN |= {"--env-file", "--ulimit", "--without-ray"}
"""Options of pip, of Ray, of the proofs, of every verb, of Docker, and of what makes pictures."""
ROUTE = re.compile(r"/v1/[\w/{}@]*[\w}](?![\w/{}@])")
METRIC = re.compile(r"\bnacre_(?:request|batch|forward)\w+")
VARIABLE = re.compile(r"\b(?:NACRE|AWS|RAY)_[A-Z0-9_]*[A-Z0-9]")
CLICKS = {
    "NACRE_COMPLETE",
    "RAY_RUNTIME_ENV_IGNORE_GITIGNORE",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S",
}
"""What click and Ray read, and nacre does not."""
every_page = pytest.mark.parametrize("page", PAGES)


def test_every_document_is_a_page_or_is_held_elsewhere() -> None:
    there = {str(path.relative_to(ROOT)) for path in documents()}
    assert {*PAGES, *ELSEWHERE, *NO_BLOCKS} == there


@every_page
def test_every_block_is_done_or_says_why_not(page: str) -> None:
    for block in blocks_of(page):
        assert set(block.notes) <= set(NOTES), f"{block.where}: {block.notes}"
        said = [word for word in ENDS if word in block.notes]
        assert len(said) + block.is_run == 1, f"{block.where}: say what is done with it, or why not"
        held_by = block.notes.get("held by")
        assert held_by is None or (ROOT / held_by).is_file(), f"{block.where}: {held_by}"


def test_a_block_that_says_nothing_and_one_that_nobody_knows_are_found() -> None:
    text = (
        "```yaml\na: 1\n```\n\n    indented\n\n<!-- not run: no -->\n```sh\nx\n```\n```sh\ny\n```\n"
    )
    blocks = blocks_of("README.md", text)
    assert [bool(block.is_run or block.notes) for block in blocks] == [False, False, True, True]


def read_as(kind: str) -> Iterator[Block]:
    for block in (block for page in PAGES for block in blocks_of(page)):
        if block.notes.get("read as", "").startswith(kind):
            yield block


def test_every_configuration_on_a_page_can_be_read() -> None:
    blocks = list(read_as("nacre.yaml"))
    assert len(blocks) >= 5
    for block in blocks:
        settings_of(Config, block.text.encode(), block.where)


def test_every_task_on_a_page_can_be_read() -> None:
    """Parts of one lack what the page has shown already."""
    for block in read_as("task.yaml"):
        lacking = [f"{key}: x" for key in ("name", "images") if f"{key}:" not in block.text]
        task = settings_of(TaskFile, "\n".join([block.text, *lacking]).encode(), block.where)
        method = block.notes["read as"].partition(", ")[2] or "lada"
        method_named(method).check_settings(task.settings)


def commands_on(page: str) -> Iterator[str]:
    """Yield what begins with `nacre` and a verb, in sentences and in shell blocks."""
    yield from (code for code in inline_code(page) if re.match(r"nacre [a-z-]", code))
    for block in blocks_of(page):
        if block.language == SHELL:
            lines = block.text.replace("\\\n", " ").splitlines()
            yield from (line for line in lines if line.startswith("nacre "))


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {name for each in command.params for name in each.opts if name.startswith("--")}
    return own.union(*map(options_of, inner))


@every_page
def test_every_command_on_a_page_is_one_that_nacre_takes(page: str) -> None:
    for text in commands_on(page):
        words = shlex.split(text, comments=True)[1:]
        try:
            parsed(words)
        except (click.BadParameter, click.BadOptionUsage, click.exceptions.Exit):
            continue  # an argument that a sentence leaves out; or a version or help is printed
        except click.UsageError as error:
            pytest.fail(f"{page}: {text}: {error.message}")


def test_the_list_of_verbs_cuts_no_sentence_off() -> None:
    shown = cli.get_help(click.Context(cli, terminal_width=80))
    assert [line for line in shown.splitlines() if line.endswith("...")][1:] == []


@pytest.mark.parametrize("verb", sorted(verb for names in MODULES.values() for verb in names))
def test_every_example_in_a_help_is_one_that_nacre_takes(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    examples = re.findall(r"^ +(nacre .*?)(?:  .*)?$", command.help or "", re.MULTILINE)
    assert examples
    for example in examples:
        parsed(shlex.split(example)[1:])


def parsed(words: list[str]) -> None:
    """Let the verb in `words` parse what follows it, but a redirection; VERB stands for any."""
    words = words[: words.index(">")] if ">" in words else words
    command: click.Command | None = cli
    while isinstance(command, click.Group) and words and words[0] != "VERB":
        if words[0].startswith("-"):
            command.make_context("nacre", [*words[:2], "status"] if len(words) > 1 else words)
            words = words[2 if words[0] in ("--config", "--token-file", "--url") else 1 :]
            continue
        name, *words = words
        command = command.get_command(click.Context(command), name)
        if command is None:
            raise click.UsageError(f"there is no verb {name!r}")
    if command is not None and not isinstance(command, click.Group):
        command.make_context("verb", [word for word in words if not word.startswith("[")])


@every_page
def test_every_option_on_a_page_is_one_of_some_verb(page: str) -> None:
    known = options_of(cli).union(FOREIGN)
    for names in MODULES.values():
        known |= {
            o for n in names for o in options_of(cli.get_command(click.Context(cli), n) or cli)
        }
    named = {code.split()[0].split("=")[0] for code in inline_code(page) if code.startswith("--")}
    assert named <= known


@every_page
def test_errors_routes_metrics_and_variables_on_a_page_exist(page: str) -> None:
    """Those that exist are in the reference, which is made from the code."""
    text, reference = (ROOT / page).read_text(), (ROOT / "docs" / "reference.md").read_text()
    assert set(re.findall(r"`([A-Z]\w+Error)`", text)) <= {*vars(errors), *vars(builtins)}
    named = {re.sub(r"main(@3)?", "{adapter}", route) for route in ROUTE.findall(text)}
    routes = {re.sub(r"/versions/production", "/versions/{version}", route) for route in named}
    assert routes <= set(ROUTE.findall(reference))
    for kind in (METRIC, VARIABLE):
        assert set(kind.findall(text)) - CLICKS <= set(kind.findall(reference))


def test_every_test_that_a_page_names_is_there() -> None:
    for page in PAGES:
        for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / page).read_text()):
            assert f"def {name}(" in (ROOT / path).read_text(), f"{page}: {path}::{name}"


def test_every_key_of_a_task_file_is_on_its_page() -> None:
    text = Path(ROOT / "docs" / "tasks.md").read_text()
    assert [key for key in TaskFile.__dataclass_fields__ if f"| `{key}` |" not in text] == []
