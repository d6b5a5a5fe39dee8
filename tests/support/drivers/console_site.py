"""A whole console in this process, behind a real server: what `nacre console` serves."""

from cluster.api.access.requesters import Access
from cluster.client.client import Client
from cluster.client.requester import CONSOLE, Requester
from cluster.config import Config
from cluster.console.app import ConsoleServer, Identity
from tests.support.drivers.served_here import ServedHere
from workers.store import ObjectStore


class ConsoleSite(ServedHere):
    """Answers on a free port of this machine between entering and leaving.

    Args:
        config: Of the system.
        access: The tokens of the environment; none where None.
        unnamed: Who somebody is where there is no token.
        store: The store of `config`, where it is open already.

    Attributes:
        url: Where its pages are.
    """

    def __init__(
        self,
        config: Config,
        *,
        access: Access | None = None,
        unnamed: str = "anna",
        store: ObjectStore | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._identity = Identity(
            access=access or Access(), unnamed=Requester(name=unnamed, road=CONSOLE)
        )
        self._store = store
        self.url = f"{self.origin}/console"

    async def built(self) -> ConsoleServer:
        """Return the console's own server."""
        client = Client(self._config, road=CONSOLE, store=self._store)
        return ConsoleServer(client, self._identity)
