"""Commands about the configuration: config, serve-config, and ready, by which a container asks."""

from pathlib import Path

import click

from adapters.errors import UnavailableError
from cluster.cli.clients import here_alone
from cluster.cli.terminal.output import output_option, print_json, say, stdout, warn
from cluster.client.joined import configured
from cluster.config import Config, config_file, told_variables
from cluster.running_config import everything
from cluster.wire.outputs.system import ReadySystem, ServeDocument, ShownConfig


@click.command(short_help="Show the configuration in effect.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of the file instead.")
@output_option
@click.pass_obj
def config(path: Path | None, output: str, *, schema: bool) -> None:
    """Show the configuration in effect, every key of it, as YAML.

    Variables of the environment go before the file: `NACRE_SERVE__PORT` is `serve: port`. Options
    of the command line go before both. A variable that begins with `NACRE_` and is no key is named
    on stderr and not heeded.

    \b
    Examples:
      nacre config
      NACRE_SERVE__PORT=9000 nacre config --output json
      nacre config --schema > nacre.schema.json
    """
    if schema:
        from cluster.system.config_schema import config_schema

        print_json(config_schema())
        return
    found, file, unknown = configured(path), config_file(path), told_variables()
    keys = everything(found)
    if output == "json":
        print_json(
            ShownConfig(
                configuration=dict(keys), file=str(file.absolute()) if file else None, notes=unknown
            )
        )
        return
    warn(*unknown)
    _print_yaml(dict(keys))


@click.command("serve-config", short_help="Print the system as Ray Serve's YAML.")
@output_option
@click.pass_obj
def serve_config(path: Path | None, output: str) -> None:
    """Print the document that `serve deploy` and `serveConfigV2` of a RayService take.

    It is what `nacre up --address` declares: an application for each role, with the keys of the
    configuration that the role reads. Nothing is asked and nothing changed.

    \b
    Examples:
      nacre serve-config > serve.yaml
      nacre --config cluster.yaml serve-config
      serve deploy serve.yaml
    """
    from cluster.system.declaration import document

    found: Config = here_alone(configured(path))
    if output == "json":
        print_json(ServeDocument.model_validate(document(found)))
        return
    warn(*told_variables())
    _print_yaml(document(found))


@click.command(short_help="Ask whether this machine answers.")
@click.option(
    "--url",
    metavar="URL",
    help="Where to ask, as http://127.0.0.1:8000.  [default: where `nacre up` of this home "
    "answers, then NACRE_SERVE__PORT of this machine, then port 8000]",
)
@output_option
def ready(url: str | None, output: str) -> None:
    """Ask whether the system of this machine can answer requests, for a container's HEALTHCHECK.

    It is ready before the first version is published. The configuration file is not read, and
    nothing else is imported, so that asking every few seconds costs little. The exit code is 4
    where it is not ready.

    \b
    Examples:
      nacre ready
      nacre ready --url http://127.0.0.1:9000
    """
    from cluster.ready import address_here, why_unready

    named = click.get_current_context().find_root().params.get("url")
    asked = url or named or address_here()
    reason = why_unready(asked)
    if reason is not None:
        raise UnavailableError(reason, url=asked)
    if output == "json":
        print_json(ReadySystem(endpoint=asked))
    else:
        say(f"ready at {asked}")


VERBS = (config, serve_config, ready)


def _print_yaml(value: object) -> None:
    import yaml

    stdout().print(
        yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip(),
        highlight=False,
        soft_wrap=True,
    )
