"""Notification of remote replicas over HTTP: an audience of the registry."""

from adapters.errors import SettingsError
from cluster.client.http_api import connected, headers
from cluster.config import Config
from cluster.runtime.replicas import FOLLOW_TIMEOUT_S, PREPARE_TIMEOUT_S
from workers.registry import VersionRef


class DistantReplicas:
    """All replicas of the API at the configured endpoint, if there is one.

    Args:
        config: Where it is.
    """

    # Owns: whether the endpoint has answered; it is not asked again in vain.

    def __init__(self, config: Config) -> None:
        self._config = config
        self._answers = True

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Audience`."""
        stored = version.manifest
        name = {
            "number": version.number,
            "sha256": stored.sha256,
            "size": stored.size,
            "area": stored.area,
        }
        self._ask(f"/v1/adapters/{adapter}/prepare", PREPARE_TIMEOUT_S, name)

    def follow(self, adapter: str, serial: int) -> None:
        """See `Audience`."""
        self._ask(f"/v1/adapters/{adapter}/follow?serial={serial}", FOLLOW_TIMEOUT_S, None)

    def _ask(self, path: str, timeout_s: float, content: object) -> None:
        if not self._answers:
            return
        import httpx

        try:
            with connected(httpx.Client, self._config.endpoint) as client:
                client.post(path, json=content, headers=headers(), timeout=timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, SettingsError):
            self._answers = False  # nothing runs there; what does elsewhere looks for itself
