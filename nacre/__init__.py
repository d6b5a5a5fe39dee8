"""nacre: submit new visual domains, keep all of them, and serve every version.

    >>> import nacre
    >>> client = nacre.Client()                # nacre.yaml says where everything is
    >>> intake = client.submit("task.yaml")    # durable when it returns
    >>> client.state(intake.submission).ticket.stage.value
    'accepted'
    >>> answer = client.predict(["photo.jpg"])
    >>> answer.version, answer.results[0].predictions[0].label
    ('main@3', 'Bag')
    >>> client.predict(["photo.jpg"], version=2).version
    'main@2'

Names are imported when they are first used, so that `import nacre` is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.errors import (
        ClassNameError,
        ConflictError,
        CorruptionError,
        DamagedFileError,
        EncoderMismatchError,
        FeatureError,
        ForbiddenError,
        ForkedError,
        ImageError,
        InputError,
        LimitError,
        MissingError,
        NacreError,
        NotFoundError,
        NothingPublishedError,
        RejectedError,
        SettingsError,
        StoreRefusedError,
        UnauthorizedError,
        UnavailableError,
        UnknownOutcomeError,
        WorkerLostError,
    )
    from cluster.client.async_client import AsyncClient
    from cluster.client.client import Client
    from cluster.client.loading import load_adapter
    from cluster.client.remote_client import RemoteClient
    from cluster.client.tasks import load_task
    from cluster.config import Config, load_config
    from workers.tasks.task import Task

_HOMES = {
    "AsyncClient": "cluster.client.async_client",
    "Client": "cluster.client.client",
    "Config": "cluster.config",
    "RemoteClient": "cluster.client.remote_client",
    "Task": "workers.tasks.task",
    "load_adapter": "cluster.client.loading",
    "load_config": "cluster.config",
    "load_task": "cluster.client.tasks",
}

__all__ = [
    "AsyncClient",
    "ClassNameError",
    "Client",
    "Config",
    "ConflictError",
    "CorruptionError",
    "DamagedFileError",
    "EncoderMismatchError",
    "FeatureError",
    "ForbiddenError",
    "ForkedError",
    "ImageError",
    "InputError",
    "LimitError",
    "MissingError",
    "NacreError",
    "NotFoundError",
    "NothingPublishedError",
    "RejectedError",
    "RemoteClient",
    "SettingsError",
    "StoreRefusedError",
    "Task",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownOutcomeError",
    "WorkerLostError",
    "load_adapter",
    "load_config",
    "load_task",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nacre' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "adapters.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
