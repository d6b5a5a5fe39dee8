"""A proxy of Serve that takes longer to start than Serve allows, as on a busy machine."""

import httpx
import pytest
import ray
from ray import serve

from cluster.config import Config, ServeConfig
from cluster.system import system
from tests.support.drivers.s3_server import free_port

pytestmark = pytest.mark.ray


def test_the_next_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # No proxy is that fast; each time, Serve gives the next one as much more.
    monkeypatch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "0.5")
    config = Config(serve=ServeConfig(port=free_port()))
    try:
        system.connect(config)
        system.start_serve(config)
        answer = httpx.get(f"{config.endpoint}/-/healthz", timeout=180)
        assert answer.headers["server"] == "uvicorn"
    finally:
        serve.shutdown()
        ray.shutdown()
