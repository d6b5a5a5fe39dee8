"""Groups of commands whose error about one that does not exist names the nearest."""

import click

from adapters.contract.nearest import did_you_mean


class NearestGroup(click.Group):
    """A group of commands that says what somebody may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            hint = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"No such command {args[0]!r}{hint or '.'}")
        return super().resolve_command(ctx, args)
