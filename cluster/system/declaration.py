"""The document that a whole system is: what `serve deploy`, RayService and `nacre up` declare.

Each application of Ray Serve is named with its builder and its arguments (`cluster.app`). It gets
of the configuration what its role reads, and is not replaced when the rest changes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cluster.config import Config
from cluster.running_config import everything
from cluster.runtime.names import API, CONSOLE, COORDINATOR, EVERY_ROLE, ROUTES, application
from cluster.version import this_build

ENCODER = "workers.encoding.encoder:Encoder"
LOGGING = {"enable_access_log": False, "log_level": "WARNING", "encoding": "JSON"}
"""Of Serve's own processes and of replicas: nacre logs each request, and once is enough."""
OF_CLIENTS = ("ray", "remote")
"""Keys by which commands reach a system; the system itself has no use for them."""
LEARNS = ("store", "cache_bytes", "encoder", "workers.threads", "traces")
READS: Mapping[str, tuple[str, ...]] = {
    "shard_encoder": (
        *("store", "encoder", "workers.threads", "workers.encoders", "workers.decoders"),
        "traces",
        *("placement.shard_encoder", "placement.decoder"),
    ),
    "trainer": (
        *(*LEARNS, "workers.trainers", "workers.least_trainers", "workers.trainer_idle_s"),
        "placement.trainer",
    ),
    "mixture_fitter": (
        *("store", "workers.threads", "workers.mixtures", "traces"),
        "placement.mixture_fitter",
    ),
    "publisher": (*LEARNS, "adapter", "placement.publisher"),
}
"""Keys of the configuration that a role reads; all that are not here read nearly all."""
OF_LEARNING = (
    *("workers.attempts", "workers.encode_at_once", "workers.encode_at_once_per_adapter"),
    *("workers.poll_s", "workers.encoders", "workers.decoders", "workers.mixtures"),
    *("workers.trainers", "workers.least_trainers", "workers.trainer_idle_s"),
    *(f"placement.{role}" for role in ("decoder", *EVERY_ROLE) if role != API),
)
NOT_READ: Mapping[str, tuple[str, ...]] = {
    COORDINATOR: OF_CLIENTS,
    API: (*OF_CLIENTS, *OF_LEARNING, "serve.console", "placement.console"),
    CONSOLE: (*OF_CLIENTS, *OF_LEARNING, "serve.replicas", "placement.api"),
}


def document(
    config: Config, *, roles: Iterable[str] | None = None, encoder: str = ENCODER
) -> dict[str, Any]:
    """Return the document, as JSON and YAML have it, of a system that is configured so.

    Args:
        config: How.
        roles: What is to run; all that is configured where nothing is said.
        encoder: See `cluster.app.Arguments`.
    """
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": config.serve.host, "port": config.serve.port},
        "logging_config": dict(LOGGING),
        "applications": [
            {
                "name": application(role),
                "import_path": f"cluster.app:{role}",
                "route_prefix": ROUTES.get(role),
                "args": {
                    "config": read_by(role, config),
                    "release": str(this_build()),
                    **({} if encoder == ENCODER else {"encoder_class": encoder}),
                },
            }
            for role in (roles_of(config) if roles is None else roles)
        ],
    }


def roles_of(config: Config) -> tuple[str, ...]:
    """Return what is to run of a system that is configured so."""
    return (*EVERY_ROLE, CONSOLE) if config.serve.console else EVERY_ROLE


def read_by(role: str, config: Config) -> dict[str, Any]:
    """Return the keys of the configuration that a role reads, where they are not the default.

    The store is always said: its default is of the home folder of whoever says nothing.
    """
    chosen = _but_defaults(everything(config), everything(Config()))
    chosen["store"] = config.store
    if role in READS:
        return _picked(chosen, READS[role])
    return _without(chosen, NOT_READ[role])


def _but_defaults(keys: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in keys.items():
        default = defaults.get(key, _NOTHING)
        if value == default:
            continue
        both = isinstance(value, Mapping) and isinstance(default, Mapping)
        # What has keys of people's own choice is said whole.
        found[key] = _but_defaults(value, default) if both and default else value
    return found


def _picked(keys: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in wanted:
        first, _, rest = name.partition(".")
        if first not in keys:
            continue
        if not rest:
            found[first] = keys[first]
        elif inner := _picked(keys[first], [rest]):
            found[first] = {**found.get(first, {}), **inner}
    return found


def _without(keys: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    left = dict(keys)
    for name in names:
        first, _, rest = name.partition(".")
        if first not in left:
            continue
        inner = _without(left[first], [rest]) if rest else {}
        left[first] = inner
        if not inner:
            del left[first]
    return left


_NOTHING = object()
