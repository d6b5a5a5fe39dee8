"""The command that serves the console: pages on the store, for people with a browser."""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import click

from adapters.errors import SettingsError, UnavailableError
from adapters.guidance import Section
from cluster.cli.clients import here_alone
from cluster.cli.terminal.interrupts import interruptible
from cluster.cli.terminal.output import output_option, print_json, say
from cluster.client.joined import configured
from cluster.config import LOOPBACK, TOKEN, Config, token_in
from cluster.wire.outputs.system import StartedConsole

PORT = 8001


@click.command(short_help="Serve pages that show and do all this.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@output_option
@click.pass_obj
def console(path: Path | None, host: str, port: int, output: str) -> None:
    """Serve the console: pages for a browser, on the store alone.

    It needs no running system. What is learnt, served and measured is shown also when nothing runs,
    and a rollback works then as well. Only what asks replicas needs `nacre up`.

    Where NACRE_TOKEN is set, or a provider is configured, people log in, with a named token or with
    the provider. Otherwise whoever can use this machine may do everything, in your name; so an
    address other than this machine's needs NACRE_TOKEN.

    \b
    Examples:
      nacre console                     http://127.0.0.1:8001/console until Ctrl-C
      nacre console --port 0            on a free port
      nacre --config prod.yaml console  on the store of that configuration
    """
    config = here_alone(configured(path))
    login = bool(token_in(os.environ, TOKEN)) or config.access.oidc is not None
    if host not in LOOPBACK and not login:
        raise SettingsError(
            f"expected a token in {TOKEN} to serve the console on {host}, found none; set one, or "
            "bind to 127.0.0.1",
            host=host,
            help=Section.NOT_STARTED,
        )
    with _listening(host, port) as listening:
        number = listening.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        started = StartedConsole(
            url=f"http://{name}:{number}/console", store=config.store, pid=os.getpid(), login=login
        )
        with interruptible("nothing was changed by that; `nacre console` serves it again"):
            _serve(config, listening, started, output)


VERBS = (console,)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; UnavailableError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UnavailableError(
            f"expected port {port} on {host} to be free, but it cannot be bound "
            f"({error.strerror}); stop what uses it, or choose another with --port",
            host=host,
            port=port,
            help=Section.NOT_STARTED,
        ) from error
    listening.listen()
    return listening


def _serve(config: Config, listening: socket.socket, started: StartedConsole, output: str) -> None:
    # Loaded when they are needed, as by every verb: a wrong option is told at once.
    from cluster.api.access.requesters import Access
    from cluster.client.client import Client
    from cluster.client.requester import CONSOLE, requester_of
    from cluster.console.app import ConsoleServer, Identity

    client = Client(config, road=CONSOLE)
    client.adapters()  # a store that cannot be read is told before the console says it is ready
    access = Access.of(os.environ, timeout_s=config.serve.timeout_s)
    unnamed = replace(requester_of(None), road=CONSOLE)
    server = ConsoleServer(client, Identity(access=access, unnamed=unnamed))
    if output == "json":
        print_json(started)
    else:
        say(f"ready at {started.url}; stop with Ctrl-C")
    signal.signal(signal.SIGTERM, lambda *_: None)  # after its own end the server raises it again
    server.run(sockets=[listening])
