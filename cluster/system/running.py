"""A system that runs: joined from another process, and changed as far as that can be done live."""

import logging
from dataclasses import dataclass

import ray
from ray.exceptions import RayError

from adapters.errors import ConflictError, UnavailableError, reason_of
from cluster.config import Config
from cluster.running_config import differing, everything, is_live, with_live
from cluster.runtime.actors import STOP_TIMEOUT_S, running_coordinator
from cluster.runtime.names import NAMESPACE
from cluster.system.system import start_coordinator


def join(address: str) -> None:
    """Join the Ray at `address`, on which a system of this machine runs.

    Raises:
        UnavailableError: it does not let this process in, or is gone.
    """
    options = {"namespace": NAMESPACE, "logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"expected the Ray at {address}, on which the system of this home runs, to let this "
            f"process in, found {reason_of(error)}; `nacre down`, then `nacre up` starts it with "
            "what is configured now",
            address=address,
        ) from error


def address_of_ray() -> str:
    """Return the address of the Ray that this process has joined."""
    return str(ray.get_runtime_context().gcs_address)


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What became of a changed configuration.

    Attributes:
        live: Keys that the running system follows from now on.
        restart: Keys in which it stays as it was started.
    """

    live: tuple[str, ...]
    restart: tuple[str, ...]


def apply(config: Config) -> Applied:
    """Change the running system to `config` as far as that can be done while it runs.

    The coordinator is replaced: what it was carrying out is found in the store and goes on there,
    a training from its checkpoint. Workers and replicas do not notice.

    Raises:
        UnavailableError: there is no system, or it does not answer.
    """
    running = running_config()
    keys = differing(everything(running), everything(config))
    live = tuple(key for key in keys if is_live(key))
    if live:
        start_coordinator(with_live(running, config))
    return Applied(live=live, restart=tuple(key for key in keys if not is_live(key)))


def running_config() -> Config:
    """Return the configuration of the system on this Ray.

    Raises:
        UnavailableError: there is none, or it does not answer.
    """
    coordinator = running_coordinator()
    try:
        found: Config | None = coordinator and ray.get(
            coordinator.config.remote(), timeout=STOP_TIMEOUT_S
        )
    except (RayError, TimeoutError) as error:
        raise UnavailableError(f"the coordinator does not answer: {reason_of(error)}") from error
    if found is None:
        raise UnavailableError("no coordinator runs on this Ray; start it with `nacre up`")
    return found


def check_listens_there(config: Config) -> None:
    """Raise ConflictError where a system on this Ray listens elsewhere: Serve cannot change that.

    Where none runs there is nothing to change.
    """
    if running_coordinator() is None:
        return
    running = running_config().serve
    if (running.host, running.port) != (config.serve.host, config.serve.port):
        raise ConflictError(
            f"the running system listens on {running.host}:{running.port}, and `serve: host:` and "
            f"`port:` cannot be changed while it runs; expected {config.serve.host}:"
            f"{config.serve.port}: `nacre down --address {config.ray}`, then `nacre up`"
        )
