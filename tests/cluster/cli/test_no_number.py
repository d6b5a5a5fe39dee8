"""Options that take a number take none that is called `nan`."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cluster.cli.main import cli
from cluster.cli.terminal.numbers import NumberRange


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


def test_numbers_are_taken_as_before() -> None:
    assert NumberRange(min=0).convert("0.5", None, None) == 0.5
    with pytest.raises(click.BadParameter, match="not in the range"):
        NumberRange(min=0).convert("-1", None, None)
