"""What `helm test` does, done to a system in this process: without Ray, behind a real server."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.api.access.requesters import Access
from cluster.config import AdapterConfig, Config, ServeConfig
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.running import Running, play
from tests.support.kubernetes.manifests import CHART
from workers.coordination.settings import AdapterRules, Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.learning.gate import Gate
from workers.learning.local_crew import LocalCrew
from workers.store import FileStore, ObjectStore

ADAPTER, METHOD, TOKEN = "chart-test", "nearest_mean", "operator-0123456789abcdef"
LONGEST_S = 120.0
PACE = Intervals(poll_s=0.2, report_s=1.0)


@pytest.mark.slow
def test_a_task_is_learnt_asked_for_and_rolled_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    config = Config(
        store=f"file://{tmp_path / 'store'}",
        adapters={"*": AdapterConfig(method=METHOD)},
        serve=ServeConfig(adapters=(ADAPTER,)),
    )
    rules = AdapterRules(method=METHOD, gate=Gate())
    encoder = Encoder(EncoderSettings())

    def setup(seen: ObjectStore) -> Setup:
        crew = LocalCrew(encoder, seen)
        return Setup(
            store=seen, crew=crew, clock=time.time, intervals=PACE, rules=lambda _adapter: rules
        )

    def check(url: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"NACRE_URL": url, "NACRE_TOKEN": TOKEN, "CHECKED_ADAPTER": ADAPTER}
        program = [sys.executable, str(CHART / "files" / "check.py")]
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False)

    async def scene() -> None:
        with ApiServer(config, access=Access(change_token=TOKEN)) as server:
            async with Running(store, setup, owner="tests"):
                found = await asyncio.to_thread(check, server.url)
        assert found.returncode == 0, found.stdout + found.stderr
        answers = [line for line in found.stdout.splitlines() if line.startswith(f"{ADAPTER}@")]
        assert [line.split(":")[0] for line in answers] == [f"{ADAPTER}@{n}" for n in (1, 2, 1)]

    play(scene, timeout_s=LONGEST_S)
