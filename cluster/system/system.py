"""Start and stop of the whole system on one Ray: roles, coordinator and replicas."""

import contextlib
import io
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.config import AutoscalingConfig
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ProxyStatus

from adapters.errors import SettingsError, UnavailableError, reason_of
from adapters.methods import method_named
from cluster.client.tasks import tower_here
from cluster.config import LOCAL, PREDICT_TOKEN, TOKEN, Config
from cluster.runtime.actors import STOP_TIMEOUT_S, CoordinatorActor, running_coordinator
from cluster.runtime.deployments import MORE, broken, deployed_at, reason_in
from cluster.runtime.names import API, COORDINATOR, NAMESPACE, application
from cluster.runtime.roles import (
    DecoderRole,
    MixtureFitterRole,
    PublisherRole,
    ShardEncoderRole,
    TrainerRole,
)
from cluster.stores.known import open_known_store
from cluster.stores.versions import open_versions
from cluster.system.ingress import prepare_ingress, remove_ingress_files
from cluster.system.replica import Replica
from cluster.system.session import begun_here, remove_session
from workers.coordination.coordinator import STARTING, Waiting
from workers.encoding.encoder import Encoder
from workers.encoding.known_encoders import read_encoder

START_TIMEOUT_S = 300
POLL_S = 0.2
SHUTDOWN_S = 30
LOGGING = {"enable_access_log": False, "log_level": "WARNING"}
"""Of Serve's own processes and of replicas: nacre logs each request, and once is enough."""
# Small shares let everything fit on two cores; the operating system shares them out.
CPU_SHARE = 0.1
GPU_SHARE = 0.25


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
            f"expected a running Ray at {config.ray!r}, found none ({error}); start one with `ray "
            "start --head`, or leave out `ray:` to start one on this machine",
            address=config.ray,
        ) from error
    return None


def start(config: Config, *, encoder: type[Encoder] = Encoder) -> None:
    """Start everything on the Ray that this process has joined, and wait until it answers.

    Started again with another configuration it is changed in place.

    Args:
        config: How.
        encoder: What embeds; another class than the usual one only to measure the rest.
    """
    start_serve(config)
    targets = {**_workers(config, encoder), API: _replicas(config, encoder)}
    handles = _deployed(targets)
    try:
        fingerprint = handles["publisher"].fingerprint.remote().result(timeout_s=START_TIMEOUT_S)
    except (RayError, RayServeException, TimeoutError) as error:
        raise UnavailableError(f"the publisher does not answer: {reason_of(error)}") from error
    check_encoder(config, fingerprint)
    start_coordinator(config)


def start_api(config: Config, *, encoder: type[Encoder] = Encoder) -> None:
    """Start the HTTP API alone, without workers, and wait until it answers."""
    start_serve(config)
    _deployed({API: _replicas(config, encoder)})


def stop() -> None:
    """Stop everything on the Ray that this process has joined; it can be started again."""
    _stop_coordinator()
    serve.shutdown()


def waits_for() -> str | None:
    """Return why the system on this Ray does not coordinate; None where it does."""
    running = running_coordinator()
    if running is None:
        return "nothing runs on this Ray"
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while True:
        found: Waiting | None = ray.get(running.waits_for.remote(), timeout=START_TIMEOUT_S)
        if found != Waiting(reason=STARTING) or time.monotonic() > deadline:
            return None if found is None else str(found)
        time.sleep(POLL_S)


def check_encoder(config: Config, fingerprint: str) -> None:
    """Raise EncoderMismatchError if the adapter's head was learnt with an encoder unknown here.

    One that an adapter was learnt anew under, or from which it was, is known: the store says how
    it is loaded.
    """
    versions = open_versions(config)
    head = versions.resolve(config.adapter, "head")
    if head is None:
        return
    wanted = versions.registry.adapter(config.adapter).manifest(head).encoder
    if wanted == fingerprint or read_encoder(versions.registry.store, wanted) is None:
        versions.check_encoder(config.adapter, head, fingerprint)


def check_token(config: Config) -> None:
    """Raise SettingsError where a token is missing that others need, or whom it would not stop."""
    if os.environ.get(PREDICT_TOKEN) and not os.environ.get(TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} beside the one in {PREDICT_TOKEN}, found none: without "
            "it everybody may do everything"
        )
    if config.access.oidc is not None and not os.environ.get(TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} beside `access: oidc:` in the configuration, found none: "
            "commands of this machine ask the replicas with it, which nobody else may do then "
            "without a token"
        )
    if not is_loopback(config.serve.host) and not os.environ.get(TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} to serve on {config.serve.host}, found none; set one, or "
            "bind to 127.0.0.1",
            host=config.serve.host,
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


def _deployed(targets: Mapping[str, Any]) -> dict[str, Any]:
    """Deploy what is to run, wait until all of it does, and return its handles by name.

    Serve tries a replica that does not start again and again before it says so, for minutes. Whose
    own error says that this is of no use ends the wait at once.

    Raises:
        NacreError: something does not start; the error that its constructor ended with.
    """
    before = deployed_at(serve.status())
    deploying: Future[list[Any]] = Future()
    # Not of a pool, whose threads the interpreter waits for: this one may wait for Serve for long.
    threading.Thread(target=_deploy, args=(targets, deploying), daemon=True).start()
    while not deploying.done():
        for found in broken(serve.status(), since=before):
            if found.is_final:
                raise found.error()
        wait([deploying], timeout=1.0)
    error = deploying.exception()
    if error is not None:
        reasons = broken(serve.status(), since=before)
        raise (
            reasons[0].error()
            if reasons
            else UnavailableError(f"the system does not start: {reason_of(error)}. {MORE}")
        ) from error
    return dict(zip(targets, deploying.result(), strict=True))


def _deploy(targets: Mapping[str, Any], deploying: "Future[list[Any]]") -> None:
    wanted = [
        serve.RunTarget(target, name=application(role), route_prefix="/" if role == API else None)
        for role, target in targets.items()
    ]
    try:
        deploying.set_result(serve.run_many(wanted))
    except Exception as error:  # noqa: BLE001 - whoever waits is told
        deploying.set_exception(error)


def _workers(config: Config, encoder: type[Encoder]) -> dict[str, Any]:
    """Return the roles as Serve is to run them, by name."""
    workers, gpus = config.workers, _gpu_share()
    encoder_gpus = gpus if workers.encoders.gpus is None else workers.encoders.gpus
    trainer_gpus = gpus if workers.trainer_gpus is None else workers.trainer_gpus
    decoders = _role(DecoderRole, least=1, most=workers.decoders, cpus=1, at_once=2)
    encoders = _role(
        ShardEncoderRole,
        least=workers.encoders.min,
        most=workers.encoders.max,
        gpus=encoder_gpus,
        at_once=2,
        idle_s=workers.encoders.idle_s,
    )
    trainers = _role(TrainerRole, least=workers.trainers, most=workers.trainers, gpus=trainer_gpus)
    mixtures = _role(MixtureFitterRole, most=workers.mixtures, at_once=2)
    publishers = _role(PublisherRole, most=1, at_once=8)
    return {
        # Encoders on GPUs have others decode for them; those without decode beside their forward.
        "shard_encoder": encoders.bind(
            config, encoder, *([decoders.bind()] if encoder_gpus else [])
        ),
        "trainer": trainers.bind(config, encoder),
        "mixture_fitter": mixtures.bind(config),
        "publisher": publishers.bind(config, encoder),
    }


def _replicas(config: Config, encoder: type[Encoder]) -> Any:
    """Return the API as Serve is to run it."""
    asked, replicas = config.serve, config.serve.replicas
    sized = _sized(
        Replica, least=replicas.min, most=replicas.max, busy=replicas.busy, idle_s=replicas.idle_s
    )
    return sized.options(
        max_ongoing_requests=asked.max_ongoing,
        max_queued_requests=asked.max_queued,
        backpressure_config={"status_code": 429, "retry_after_s": 1},
        ray_actor_options={
            "num_cpus": CPU_SHARE,
            "num_gpus": _gpu_share() if asked.gpus is None else asked.gpus,
        },
        health_check_period_s=2,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
    ).bind(config, encoder)


def _role(
    deployment: Any,
    *,
    least: int = 1,
    most: int,
    cpus: float = CPU_SHARE,
    gpus: float = 0,
    at_once: int = 1,
    idle_s: float = 60.0,
) -> Any:
    """Return a role's deployment; each of its processes works on `at_once` calls."""
    # As many calls per process as it works on at once: more than that is a backlog.
    sized = _sized(deployment, least=least, most=most, busy=at_once, idle_s=idle_s)
    return sized.options(
        max_ongoing_requests=at_once,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        health_check_period_s=2,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
    )


def _sized(deployment: Any, *, least: int, most: int, busy: float, idle_s: float) -> Any:
    """Return a deployment of a fixed size, or of one that follows the calls under way."""
    deployment = deployment.options(logging_config=LOGGING)
    if least >= most:
        return deployment.options(num_replicas=most)
    return deployment.options(
        autoscaling_config=AutoscalingConfig(
            min_replicas=least,
            max_replicas=most,
            target_ongoing_requests=busy,
            upscale_delay_s=2,
            downscale_delay_s=idle_s,
            metrics_interval_s=1,
            look_back_period_s=3,
        )
    )


def _gpu_share() -> float:
    return GPU_SHARE if ray.cluster_resources().get("GPU") else 0


def _stop_coordinator() -> None:
    running = running_coordinator()
    if running is not None:
        # One that does not answer is killed all the same: its lead runs out by itself.
        with contextlib.suppress(ray.exceptions.RayError, TimeoutError):
            ray.get(running.stop.remote(), timeout=STOP_TIMEOUT_S)
        ray.kill(running)


def start_coordinator(config: Config) -> None:
    """Start the coordinator, in the place of one that was started with other settings."""
    _stop_coordinator()
    started = CoordinatorActor.options(  # type: ignore[attr-defined]
        name=COORDINATOR, namespace=NAMESPACE, lifetime="detached"
    ).remote(config, uuid.uuid4().hex)
    try:
        ray.get(started.alive.remote(), timeout=START_TIMEOUT_S)
    except RayError as error:
        raise UnavailableError(
            f"the coordinator does not start: {reason_in(str(error))[1]}. {MORE}"
        ) from error
