"""The console on Ray Serve: one process of its own, with the pages that `nacre console` serves.

As with the other roles, what computes is imported where it runs.
"""

import os
from typing import Any

from ray import serve

from cluster.config import Config
from cluster.runtime.logs import log_as_json
from cluster.traces.tracing import begin_tracing

MOST_OPEN = 1200
"""Requests at once: more than the pages that may be open, each of which listens with one."""


@serve.deployment(name="console")
@serve.ingress()
class ConsoleRole:
    """The console.

    Args:
        config: Of the system.
    """

    # Owns: the console.

    def __init__(self, config: Config) -> None:
        log_as_json()
        begin_tracing(config.traces, "nacre-console")
        self._config = config

    def __serve_build_asgi_app__(self) -> Any:
        from cluster.api.access.requesters import Access
        from cluster.client.client import Client
        from cluster.client.requester import CONSOLE
        from cluster.console.app import Identity, build_console

        access = Access.of(os.environ, timeout_s=self._config.serve.timeout_s, says_id=False)
        return build_console(Client(self._config, road=CONSOLE), Identity(access=access))
