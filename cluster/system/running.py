"""A system that runs: joined from another process, and changed as far as that can be done live."""

import logging
from dataclasses import dataclass

import ray
from ray.exceptions import RayError
from ray.serve.context import _get_global_client
from ray.serve.exceptions import RayServeException

from adapters.errors import ConflictError, UnavailableError, reason_of
from cluster.config import Config
from cluster.running_config import Published, differing, everything, is_live, with_live
from cluster.runtime.coordinator_role import ANSWER_S, running_coordinator
from cluster.runtime.names import NAMESPACE
from cluster.system.declaration import OF_CLIENTS, document
from cluster.system.system import declare


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
    a training from its checkpoint. So are the replicas, one by one, where they read what has
    changed; the other workers do not notice.

    Raises:
        UnavailableError: there is no system, or it does not answer.
    """
    running = running_config()
    keys = differing(_of_the_system(running), _of_the_system(config))
    live = tuple(key for key in keys if is_live(key))
    if live:
        declare(document(with_live(running, config)))
    return Applied(live=live, restart=tuple(key for key in keys if not is_live(key)))


def _of_the_system(config: Config) -> Published:
    return {key: value for key, value in everything(config).items() if key not in OF_CLIENTS}


def running_config() -> Config:
    """Return the configuration of the system on this Ray.

    Raises:
        UnavailableError: there is none, or it does not answer.
    """
    coordinator = running_coordinator()
    try:
        found: Config | None = coordinator and coordinator.config.remote().result(
            timeout_s=ANSWER_S
        )
    except (RayError, RayServeException, TimeoutError) as error:
        raise UnavailableError(f"the coordinator does not answer: {reason_of(error)}") from error
    if found is None:
        raise UnavailableError("no coordinator runs on this Ray; start it with `nacre up`")
    return found


def check_listens_there(config: Config) -> None:
    """Raise ConflictError where a system on this Ray listens elsewhere: Serve cannot change that.

    Where none runs there is nothing to change.
    """
    listens = listening()
    if listens is None:
        return
    if listens != (config.serve.host, config.serve.port):
        raise ConflictError(
            f"Ray Serve listens on {listens[0]}:{listens[1]}, and `serve: host:` and "
            f"`port:` cannot be changed while it runs; expected {config.serve.host}:"
            f"{config.serve.port}: `nacre down --address {config.ray}`, then `nacre up`"
        )


def listening() -> tuple[str, int] | None:
    """Return the host and port on which Serve listens on this Ray; None where it does not run."""
    client = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else (client.http_config.host, client.http_config.port)
