"""The replicas as an audience of the registry: told on Ray, or over HTTP from elsewhere."""

import logging
from typing import Any

from cluster.config import Config
from workers.registry import VersionRef

PREPARE_TIMEOUT_S = 10.0
FOLLOW_TIMEOUT_S = 2.0
logger = logging.getLogger("nacre.serving")


class Replicas:
    """All replicas of the API on the Ray of this process.

    Args:
        api: Name of the API's Serve application.
    """

    # Owns: the handle, made when it is first needed: the API may start later than its caller.

    def __init__(self, api: str) -> None:
        self._api = api
        self._handle: Any = None

    def prepare(self, adapter: str, version: VersionRef) -> None:
        """See `Audience`."""
        self._tell(PREPARE_TIMEOUT_S, "prepare", adapter, version)

    def follow(self, adapter: str) -> None:
        """See `Audience`."""
        self._tell(FOLLOW_TIMEOUT_S, "follow", adapter)

    def _tell(self, timeout_s: float, method: str, *arguments: object) -> None:
        from ray import serve

        try:
            if self._handle is None:
                self._handle = serve.get_app_handle(self._api)
            self._handle.broadcast(method, *arguments).results(timeout_s=timeout_s)
        except Exception as error:  # noqa: BLE001 - replicas that are not told look for themselves
            logger.warning("replicas not told", extra={"what": method, "error": repr(error)})


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

    def follow(self, adapter: str) -> None:
        """See `Audience`."""
        self._ask(f"/v1/adapters/{adapter}/follow", FOLLOW_TIMEOUT_S, None)

    def _ask(self, path: str, timeout_s: float, content: object) -> None:
        if not self._answers:
            return
        import httpx

        from cluster.client.http_api import headers

        try:
            httpx.post(
                self._config.endpoint + path, json=content, headers=headers(), timeout=timeout_s
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            self._answers = False  # nothing runs there; what does elsewhere looks for itself
