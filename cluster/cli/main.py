"""The command `nacre`: its verbs, and the mapping of errors to sentences and exit codes."""

import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from adapters.errors import NacreError
from cluster.cli.terminal.failures import show_error, show_interrupt, show_usage_error
from cluster.cli.terminal.interrupts import EXIT_INTERRUPTED, INTERRUPTED, Interrupted
from cluster.cli.terminal.nearest import NearestGroup
from cluster.cli.terminal.output import stdout
from cluster.cli.terminal.streams import written_streams
from cluster.version import this_build

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
MODULES = {
    "serving": ("up", "down", "predict"),
    "submission": ("submit", "init"),
    "inspect": ("inspect",),
    "status": ("status",),
    "progress": ("watch", "logs"),
    "requests": ("cancel", "retry", "pause", "resume"),
    "registry": (
        *("versions", "history", "show", "diff"),
        *("promote", "rollback", "alias", "drop"),
    ),
    "mistakes": ("mistakes",),
    "relearning": ("relearn",),
    "maintenance": ("export", "import", "verify", "settle", "purge", "gc"),
    "access": ("token", "session", "audit"),
    "bench": ("bench", "advise"),
    "configuration": ("config", "serve-config", "ready"),
    "console": ("console",),
    "evaluate": ("evaluate",),
    "doctor": ("doctor", "support-bundle"),
    "demo": ("demo",),
    "webhook": ("webhook",),
}


class Verbs(NearestGroup):
    """The verbs of all modules; only the one that is used is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all verbs."""
        return sorted(verb for verbs in MODULES.values() for verb in verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the verb of a name; None where there is none."""
        for module, verbs in MODULES.items():
            if cmd_name in verbs:
                known: tuple[click.Command, ...] = import_module(f"cluster.cli.{module}").VERBS
                return next(verb for verb in known if verb.name == cmd_name)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; an option of all verbs that stands behind it is told where it belongs."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            name = error.option_name
            if not any(name in each.opts for each in self.params):
                raise
            verb = ctx.invoked_subcommand
            raise click.UsageError(
                f"{name} is for all verbs and stands before them: `nacre {name} … {verb} …`",
                ctx=error.ctx,
            ) from error


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        stdout().print(f"nacre, version {this_build()}")
        context.exit()


@click.group(cls=Verbs, context_settings=CONTEXT)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file. [default: NACRE_CONFIG, then ./nacre.yaml, then built in]",
)
@click.option(
    "--url",
    metavar="URL",
    help="Act on the system at this address over HTTP.  [default: NACRE_URL, then the "
    "configuration, then this machine and its store]",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="With --url: file with the token to send.  [default: NACRE_TOKEN_FILE, then NACRE_TOKEN]",
)
@click.option(
    "--insecure", is_flag=True, help="Send the token over plain http:// to another machine, too."
)
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and the commit, and exit.",
)
@click.pass_context
def cli(context: click.Context, /, config: Path | None, debug: bool, **remote: object) -> None:
    """Continual learning as a service: an ever-growing, versioned CLIP adapter.

    \b
    Examples:
      nacre up                       start everything
      nacre submit task.yaml --wait  learn a new domain
      nacre predict photo.jpg        ask what an image shows
      nacre versions                 what has been published
      nacre rollback 3               serve version 3 again
      nacre console                  the same on pages, for a browser
      nacre --url https://nacre.example.com --token-file token rollback 3

    Exit codes: 0 done, 1 failed, 2 the request must be changed, 3 somebody else was first, 4 try
    again later, 5 the outcome is unknown, 6 stored bytes are damaged, 7 the gate has rejected a
    task, 130 interrupted.

    A command whose output cannot be written ends with 1. It prints no error where the reader has
    closed the pipe.

    Every verb has --output json; an error is then one JSON object on stderr (docs/json.md). bash,
    zsh and fish can complete verbs, options and names (docs/shell.md).
    """
    del remote  # read where the client of a command is made
    context.obj = config
    context.meta["debug"] = debug


def main() -> None:
    """Run the command line, and end this process with its exit code."""
    code = run()
    if code == EXIT_INTERRUPTED and _threads_work():
        # They may wait for a store that hangs, and the interpreter would wait for them.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run() -> int:
    """Run the command line and return its exit code."""
    with written_streams():
        return _run()


def _threads_work() -> bool:
    main_thread = threading.main_thread()
    return any(not one.daemon and one is not main_thread for one in threading.enumerate())


def _run() -> int:
    try:
        cli.main(standalone_mode=False)
    except Interrupted as interrupted:
        show_interrupt(interrupted.format_message())
        return EXIT_INTERRUPTED
    except click.Abort:
        show_interrupt(INTERRUPTED)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        show_usage_error(error)
        return error.exit_code
    except NacreError as error:
        if "--debug" in sys.argv or os.environ.get("NACRE_DEBUG"):
            raise
        show_error(error)
        return error.exit_code
    return 0
