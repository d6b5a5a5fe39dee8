"""Names that somebody may have meant, for errors about those that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

import click

ALIKE = 0.6
"""How alike two names are, 0 to 1, before one is named for the other."""
MOST = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names what is nearest to `name`; empty where nothing is."""
    found = get_close_matches(name, sorted(set(known)), n=MOST, cutoff=ALIKE)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


class NearestGroup(click.Group):
    """A group of commands whose error about one that does not exist names the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            hint = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"No such command {args[0]!r}{hint or '.'}")
        return super().resolve_command(ctx, args)
