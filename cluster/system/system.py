"""Start and stop of the whole system on one Ray: roles, coordinator and replicas."""

import contextlib
import io
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ProxyStatus, ServeDeploySchema

from adapters.errors import SettingsError, UnavailableError, reason_of
from adapters.guidance import Section
from adapters.methods import method_named
from cluster.client.tasks import tower_here
from cluster.config import LOCAL, PREDICT_TOKEN, TOKEN, Config, token_in
from cluster.runtime.coordinator_role import ANSWER_S, running_coordinator
from cluster.runtime.deployments import MORE, broken, unfinished
from cluster.runtime.names import EVERY_ROLE, NAMESPACE, application
from cluster.stores.known import open_known_store
from cluster.system.declaration import LOGGING, document
from cluster.system.ingress import prepare_ingress, remove_ingress_files
from cluster.system.session import begun_here, remove_session
from workers.coordination.coordinator import STARTING, Waiting
from workers.encoding.encoder import Encoder

START_TIMEOUT_S = 300
POLL_S = 0.2


@contextmanager
def running_system(config: Config, *, encoder: type[Encoder] = Encoder) -> Iterator[None]:
    """Start Ray on this machine with everything on it; stop it all at the end.

    Args:
        config: How.
        encoder: See `start`.

    Raises:
        UnavailableError: the port is taken, or the store cannot be reached.
        SettingsError: the method is unknown, or a token is missing.
        EncoderMismatchError: the adapter was learnt with another encoder.
    """
    check_can_listen(config)
    check(config)
    session: Path | None = None
    try:
        session = connect(replace(config, ray=LOCAL))
        check_room(config)
        start(config, encoder=encoder)
        yield
    except Exception:
        session = None  # its logs are needed
        raise
    finally:
        # Ray prints on stdout that calls of Serve's controller, which has ended, go on for ever.
        with contextlib.redirect_stdout(io.StringIO()):
            if ray.is_initialized():
                stop()
            ray.shutdown()
        if session is not None:
            remove_session(session)
            remove_ingress_files()


def check(config: Config) -> None:
    """Raise an error unless `config` can be started: methods, address and store are as needed.

    A method is refused that can learn no task at all on the configured encoder.
    """
    for adapter in (config.adapter, *config.adapters):
        method = method_named(config.of_adapter(adapter).method)
        method.check_any_task(partial(tower_here, config.encoder))
    check_token(config)
    open_known_store(config.store, probed=True)


def connect(config: Config) -> Path | None:
    """Start a Ray on this machine, or join the one that is configured.

    Returns:
        The folder of the session where a Ray was started; None where one ran already.

    Raises:
        UnavailableError: there is none, or it does not start.
    """
    options = {"namespace": NAMESPACE, "logging_level": logging.ERROR, "log_to_driver": False}
    if config.ray == LOCAL:
        prepare_ingress(config)
        return begun_here(include_dashboard=False, **options)
    try:
        ray.init(address=config.ray, **options)
    except (ConnectionError, ValueError) as error:
        raise UnavailableError(
            f"expected this machine to be a node of a running Ray at {config.ray!r}, found that it "
            f"is none ({error}); start one with `ray start --head`, leave out `ray:` to start one "
            "on this machine, or call this on a node of that Ray, as `ray job submit --address "
            "http://HOST:8265 -- nacre up --address auto` does",
            address=config.ray,
        ) from error
    return None


def start(
    config: Config, *, encoder: type[Encoder] = Encoder, roles: Iterable[str] | None = None
) -> None:
    """Declare everything on the Ray that this process has joined, and wait until it runs.

    Declared again with another configuration, what reads what has changed is replaced in place.

    Args:
        config: How.
        encoder: What embeds; another class than the usual one only to measure the rest.
        roles: What is to run: all that is configured, but where one part is measured.

    Raises:
        NacreError: something does not start; the error that its constructor ended with.
    """
    start_serve(config)
    path = f"{encoder.__module__}:{encoder.__qualname__}"
    declare(document(config, roles=roles, encoder=path))


def check_room(config: Config) -> None:
    """Raise SettingsError where a role asks this machine's own Ray for what that will never have.

    On a cluster that is waited for: nodes may be added for it.
    """
    here = ray.cluster_resources()
    for role, needs in config.placement.of_roles():
        asked = {"CPU": needs.cpus or 0, "GPU": needs.gpus, **needs.resources}
        for resource, amount in asked.items():
            found = here.get(resource, 0)
            if amount > found:
                raise SettingsError(
                    f"{role} asks for {amount:g} {resource} (`placement:` in the configuration), "
                    f"and this machine has {found:g}; ask for less, or start on a cluster that has "
                    "it, with `--address`",
                    role=role,
                    resource=resource,
                )


def declare(wanted: Mapping[str, Any]) -> None:
    """Have Serve run what a document says, and wait until it does.

    What it does not name is ended. Serve tries a replica that does not start again and again before
    it says so, for minutes. Whose own error says that this is of no use ends the wait at once.

    Raises:
        NacreError: something does not start; the error that its constructor ended with.
        UnavailableError: not all of it runs; what does not is tried further.
    """
    _remove_broken()
    schema = ServeDeploySchema.model_validate(wanted)
    _get_global_client().deploy_apps(schema)
    names = {each.name for each in schema.applications}
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        status = serve.status()
        for found in broken(status):
            if found.is_final:
                raise found.error()
        waiting = unfinished(status, names)
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"not all of the system runs after {START_TIMEOUT_S} s: {'; '.join(waiting)}. Ray "
                f"Serve goes on trying. {MORE}"
            )
        time.sleep(POLL_S)


def _remove_broken() -> None:
    """Remove what Serve has given up: it would not try that again with the same arguments."""
    for found in broken(serve.status()):
        if found.is_final:
            with contextlib.suppress(RayError, RayServeException, TimeoutError):
                serve.delete(found.application)


def stop() -> None:
    """Stop everything on the Ray that this process has joined; it can be started again."""
    serve.shutdown()


def is_declared() -> bool:
    """Return whether a system was declared on this Ray, whether or not all of it runs."""
    return bool(serve.status().applications.keys() & set(map(application, EVERY_ROLE)))


def waits_for() -> str | None:
    """Return why the system on this Ray does not coordinate; None where it does."""
    running = running_coordinator()
    if running is None:
        return "nothing runs on this Ray"
    deadline = time.monotonic() + ANSWER_S
    while True:
        try:
            found: Waiting | None = running.waits_for.remote().result(timeout_s=ANSWER_S)
        except (RayError, RayServeException, TimeoutError) as error:
            return f"the coordinator does not answer: {reason_of(error)}"
        if found != Waiting(reason=STARTING) or time.monotonic() > deadline:
            return None if found is None else str(found)
        time.sleep(POLL_S)


def check_token(config: Config) -> None:
    """Raise SettingsError where a token is missing that others need, or whom it would not stop."""
    if token_in(os.environ, PREDICT_TOKEN) and not token_in(os.environ, TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} beside the one in {PREDICT_TOKEN}, found none: without "
            "it everybody may do everything",
            help=Section.NOT_STARTED,
        )
    if config.access.oidc is not None and not token_in(os.environ, TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} beside `access: oidc:` in the configuration, found none: "
            "commands of this machine ask the replicas with it, which nobody else may do then "
            "without a token",
            help=Section.NOT_STARTED,
        )
    if not is_loopback(config.serve.host) and not token_in(os.environ, TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} to serve on {config.serve.host}, found none; set one, or "
            "bind to 127.0.0.1",
            host=config.serve.host,
            help=Section.NOT_STARTED,
        )


def check_can_listen(config: Config) -> None:
    """Raise an error unless the port is free and the address is safe to bind."""
    check_token(config)
    host, port = config.serve.host, config.serve.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UnavailableError(
                f"expected port {port} on {host} to be free, but it cannot be bound "
                f"({error.strerror}); stop what uses it, or set another `serve: port:` in "
                "nacre.yaml",
                host=host,
                port=port,
                help=Section.NOT_STARTED,
            ) from error


def is_loopback(host: str) -> bool:
    """Return whether `host` is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def start_serve(config: Config) -> None:
    """Start Serve with what it listens with, and wait until that answers.

    Raises:
        UnavailableError: it does not answer.
    """
    # In this process Serve tells people at every start what it has told them with "ready".
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    # Serve kills a proxy that takes longer than 5 s to start, as on a busy machine, and gives the
    # next one more time; it waits for the first alone.
    with contextlib.suppress(RayActorError, TimeoutError):
        serve.start(
            proxy_location="EveryNode",
            http_options={"host": config.serve.host, "port": config.serve.port},
            logging_config=LOGGING,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while ProxyStatus.HEALTHY not in serve.status().proxies.values():
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"no proxy of Ray Serve answers on port {config.serve.port} after "
                f"{START_TIMEOUT_S} s; Serve's logs in the session's folder of Ray say why",
                port=config.serve.port,
            )
        time.sleep(POLL_S)
