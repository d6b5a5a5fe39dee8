"""The common ground of the calls: the adapter that is meant where none is named."""

from cluster.client.remote.call import path_to


class CallPart:
    """Makes the calls of one noun.

    Args:
        adapter: Which adapter is meant where a call names none.
    """

    def __init__(self, adapter: str) -> None:
        self._default = adapter

    def _of(self, adapter: str | None, *parts: str) -> str:
        """Return a path below that of an adapter."""
        return path_to("adapters", adapter or self._default, *parts)
