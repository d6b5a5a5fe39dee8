"""Options that take a number take none that is called `nan` or `inf`, and bear large ones."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cluster.cli.main import cli
from cluster.cli.terminal.numbers import NumberRange
from tests.support.drivers.command import Command, Ended
from tests.support.scenes.registry import learn
from workers.registry import Registry
from workers.store import FileStore


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command of a group with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, *path, name)
        else:
            yield (*path, name), found


RANGES = [
    (path, option.opts[0])
    for path, command in commands(cli)
    for option in command.params
    if isinstance(option.type, click.FloatRange)
]


def test_there_are_such_options() -> None:
    assert (("gc",), "--grace") in RANGES
    assert (("evaluate",), "--reject") in RANGES


@pytest.mark.parametrize(("path", "option"), RANGES)
@pytest.mark.parametrize("written", ["nan", "NaN", "-nan"])
def test_nan_is_no_number(path: tuple[str, ...], option: str, written: str) -> None:
    ended = CliRunner().invoke(cli, [*path, f"{option}={written}"])
    assert ended.exit_code == 2, ended.output
    assert f"expected a number, found '{written}'" in ended.output


@pytest.mark.parametrize(("path", "option"), RANGES)
@pytest.mark.parametrize("written", ["inf", "-inf", "1e400"])
def test_nothing_is_infinite(path: tuple[str, ...], option: str, written: str) -> None:
    ended = CliRunner().invoke(cli, [*path, f"{option}={written}"])
    assert ended.exit_code == 2, ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize("limit", [2**63, 10**30])
def test_a_limit_may_be_larger_than_any_list(nacre: Command, tmp_path: Path, limit: int) -> None:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "digits", "fashion")
    for verb in ("versions", "history", "audit"):
        ended = nacre(verb, "--limit", str(limit))
        assert (ended.code, ended.err) == (0, ""), verb
    assert nacre("versions", "--before", str(limit)).code == 0


@pytest.mark.parametrize("option", ["--tasks", "--classes", "--images"])
def test_there_is_advice_for_as_much_as_anybody_has(nacre: Command, option: str) -> None:
    said = {"--tasks": "4", "--classes": "4", "--images": "4"}

    def advised(number: int) -> Ended:
        return nacre("advise", *chain.from_iterable((said | {option: str(number)}).items()))

    assert advised(10**9).code == 0
    ended = advised(10**400)
    assert ended.code == 2
    assert "not in the range" in ended.err


def test_numbers_are_taken_as_before() -> None:
    assert NumberRange(min=0).convert("0.5", None, None) == 0.5
    with pytest.raises(click.BadParameter, match="not in the range"):
        NumberRange(min=0).convert("-1", None, None)
