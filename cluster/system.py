"""The whole system on one Ray: actors, coordinator and replicas, started and stopped together."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import ray
from ray import serve

from adapters.errors import SettingsError, UnavailableError
from adapters.methods import method_named
from cluster.actors import (
    NAMESPACE,
    CoordinatorActor,
    EncoderActor,
    MixtureActor,
    RegistryActor,
    TrainerActor,
)
from cluster.config import TOKEN, Config
from cluster.serving import Replica
from cluster.stores import open_store
from cluster.versions import open_versions

APPLICATION = "nacre"
START_TIMEOUT_S = 300


@contextmanager
def running_system(config: Config) -> Iterator[None]:
    """Start Ray on this machine with everything on it; stop it all at the end.

    Raises:
        UnavailableError: the port is taken, or the store cannot be reached.
        SettingsError: the method is unknown, or a token is missing.
        EncoderMismatchError: the adapter was learnt with another encoder.
    """
    check_can_listen(config)
    method_named(config.method)
    open_store(config.store, probed=True)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            configure_logging=True,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        start_actors(config)
        start_replicas(config)
        yield
    finally:
        if ray.is_initialized():
            serve.shutdown()
        ray.shutdown()


def start_actors(config: Config) -> None:
    """Start the roles and the coordinator, and wait until they answer."""
    gpus = 0.25 if ray.cluster_resources().get("GPU") else 0
    names = [f"encoder-{index}" for index in range(config.workers.encoders)]
    encoders = [_start(EncoderActor, name, config, num_gpus=gpus) for name in names]
    _start(TrainerActor, "trainer", config, num_gpus=gpus)
    _start(RegistryActor, "registry", config)
    fingerprint: str = ray.get(encoders[0].fingerprint.remote(), timeout=START_TIMEOUT_S)
    check_encoder(config, fingerprint)
    _start(MixtureActor, "mixture", config, fingerprint)
    crew = ("trainer", "mixture", "registry", *names)
    coordinator = _start(CoordinatorActor, "coordinator", config, crew)
    ray.get(coordinator.alive.remote(), timeout=START_TIMEOUT_S)


def _start(kind: Any, name: str, *arguments: object, **options: float) -> Any:
    # Detached: an actor lives as long as the cluster, not as long as somebody holds its handle.
    return kind.options(
        name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, **options
    ).remote(*arguments)


def start_replicas(config: Config) -> None:
    """Start the HTTP API and wait until it answers."""
    serve.start(
        http_options={"host": config.serve.host, "port": config.serve.port},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    replica: Any = Replica  # a deployment, not the class that it was
    deployment = replica.options(
        num_replicas=config.serve.replicas,
        max_ongoing_requests=64,
        ray_actor_options={"num_cpus": 0.1},
    )
    serve.run(deployment.bind(config), name=APPLICATION, route_prefix="/")


def check_encoder(config: Config, fingerprint: str) -> None:
    """Raise EncoderMismatchError if the adapter's head was learnt with another encoder."""
    versions = open_versions(config)
    head = versions.resolve(config.adapter, "head")
    if head is not None:
        versions.check_encoder(config.adapter, head, fingerprint)


def check_can_listen(config: Config) -> None:
    """Raise InputError unless the port is free and the address is safe to bind."""
    host, port = config.serve.host, config.serve.port
    if not is_loopback(host) and not os.environ.get(TOKEN):
        raise SettingsError(
            f"expected a token in {TOKEN} to serve on {host}, found none; set one, or bind to "
            "127.0.0.1",
            host=host,
        )
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
