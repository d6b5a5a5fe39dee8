"""A process with little memory that answers over HTTP, and says how much it has needed.

    python -m tests.support.drivers.limited_serving STORE BYTES

It prints its address, and for each line that it reads the peak since the line before, in bytes.
"""

import resource
import sys

from cluster.config import Config, ServeConfig
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.own_memory import forget_peak, status_bytes


def main(store: str, most: int) -> None:
    """Answer until nobody asks for the peak any more."""
    config = Config(store=store, serve=ServeConfig(poll_s=60.0, stale_s=3600.0))
    with ApiServer(config) as server:
        allowed = status_bytes("VmSize") + most
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        before = forget_peak()
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            sys.stdout.write(f"{status_bytes('VmHWM') - before}\n")
            sys.stdout.flush()
            before = forget_peak()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
