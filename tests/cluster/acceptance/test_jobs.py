"""As platform teams do it: a Ray that somebody else started, and tasks in `ray job submit`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.drivers.learning import small_task
from tests.support.drivers.ray_nodes import RAY, RayNode, new_head
from tests.support.drivers.s3_server import free_port
from tests.support.scenes.vision import random_clip

TIMEOUT_S = 240

pytestmark = pytest.mark.ray


@dataclass(frozen=True, kw_only=True)
class Site:
    """A Ray with nacre on it.

    Attributes:
        head: The Ray.
        folder: Of configuration, store and home.
        environment: Of commands.
    """

    head: RayNode
    folder: Path
    environment: dict[str, str]

    def run(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def nacre(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", "cluster.cli", *arguments)

    def job(self, working_dir: Path, *entrypoint: str) -> "subprocess.CompletedProcess[str]":
        address = f"http://127.0.0.1:{self.head.dashboard}"
        where = ("--address", address, "--working-dir", working_dir)
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            ended = self.run(RAY, "job", "submit", *where, "--", *entrypoint)
            # A head answers before the agent is there that runs its jobs.
            if "No available agent" not in ended.stderr or time.monotonic() > deadline:
                return ended


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("jobs")
    config = {
        "store": f"file://{folder / 'store'}",
        "serve": {"port": free_port(), "adapters": ["main", "changed"]},
        "encoder": {"model": str(random_clip(folder / "clip"))},
        "adapters": {"changed": {"method": "cl_lora"}},
    }
    (folder / "nacre.yaml").write_text(yaml.safe_dump(config))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": programs, "NACRE_HOME": str(folder / "home")}
    head = new_head(own, dashboard=free_port()).start()
    environment = {**os.environ, **head.environment}
    environment.pop("NACRE_CONFIG", None)
    site = Site(head=head, folder=folder, environment=environment)
    try:
        started = site.nacre("up", "--address", head.address)
        assert started.returncode == 0, started.stderr
        yield site
    finally:
        head.die()


def test_a_task_that_a_job_submits_is_learnt_by_the_system_around_it(
    site: Site, examples: Path, tmp_path: Path
) -> None:
    task = small_task(examples, tmp_path, "fashion")
    submitted = site.job(task.parent, "nacre", "submit", "task.yaml", "--wait")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "fashion: published as main@1" in submitted.stdout
    again = site.nacre("submit", task)
    assert again.stdout.startswith("submitted before: fashion-")
    status = json.loads(site.nacre("status", "--output", "json").stdout)
    assert status["coordinator"]["alive"] is True
    assert [entry["stage"] for entry in status["submissions"]] == ["published"]


def test_a_job_submits_a_task_that_changes_the_tower_just_so(
    site: Site, examples: Path, tmp_path: Path
) -> None:
    task = small_task(examples, tmp_path, "clip-art")
    content = yaml.safe_load(task.read_text())
    content |= {"adapter": "changed", "settings": {"rank": 2, "epochs": 2}}
    task.write_text(yaml.safe_dump(content))
    submitted = site.job(task.parent, "nacre", "submit", "task.yaml", "--wait")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "clip-art: published as changed@1" in submitted.stdout
    adapter = ("--adapter", "changed", "--output", "json")
    assert json.loads(site.nacre("show", "1", *adapter).stdout)["shared"] is not None
    asked = site.nacre("predict", next(task.parent.glob("test/*/*")), *adapter)
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["version"] == "changed@1"
    assert len(answer["results"]) == 1


def test_images_that_ray_has_left_out_are_an_error_that_says_why(
    site: Site, examples: Path, tmp_path: Path
) -> None:
    task = small_task(examples, tmp_path, "digits")
    (task.parent / ".gitignore").write_text("train/\n")
    refused = site.job(task.parent, "nacre", "submit", "task.yaml")
    assert refused.returncode != 0
    said = " ".join((refused.stdout + refused.stderr).split())
    for words in (".gitignore", "512 MiB", "RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1", "s3://"):
        assert words in said


def test_the_system_is_stopped_and_started_again_on_the_same_ray(site: Site) -> None:
    assert site.nacre("down", "--address", site.head.address).returncode == 0
    nothing = site.nacre("down", "--address", site.head.address)
    assert nothing.returncode == 2
    assert "nothing to stop" in nothing.stderr
    assert site.nacre("up", "--address", site.head.address).returncode == 0
    assert "main@1" in site.nacre("doctor", "--address", site.head.address).stdout
