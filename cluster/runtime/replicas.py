"""Notification of the replicas on this process's Ray: an audience of the registry."""

import logging
from typing import Any

from adapters.errors import reason_of
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

    def follow(self, adapter: str, serial: int) -> None:
        """See `Audience`."""
        self._tell(FOLLOW_TIMEOUT_S, "follow", adapter, serial)

    def _tell(self, timeout_s: float, method: str, *arguments: object) -> None:
        from ray import serve

        try:
            if self._handle is None:
                self._handle = serve.get_app_handle(self._api)
            self._handle.broadcast(method, *arguments).results(timeout_s=timeout_s)
        except Exception as error:  # noqa: BLE001 - replicas that are not told look for themselves
            logger.warning("replicas not told", extra={"what": method, "error": reason_of(error)})
