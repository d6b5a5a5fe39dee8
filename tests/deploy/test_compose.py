"""The composition: as the schema of compose files has it, with what nacre is started with."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.config import Config
from cluster.system.system import is_loopback
from tests.deploy.test_image import DOCKER, program
from workers.formats.yaml_settings import settings_of

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
FILE = COMPOSE / "compose.yaml"


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def test_it_is_as_the_schema_of_compose_files_says_and_a_misspelt_key_is_found(
    tmp_path: Path,
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text().replace("stop_grace_period:", "stop_grace_periode:"))
    schema = ("--builtin-schema", "vendor.compose-spec", "--output-format", "json")
    done = subprocess.run(
        [program("check-jsonschema"), *schema, str(FILE), str(wrong)],
        capture_output=True,
        text=True,
        check=False,
    )
    errors = json.loads(done.stdout)["errors"]
    assert {error["filename"] for error in errors} == {str(wrong)}
    assert any("stop_grace_periode" in error["message"] for error in errors)


def test_its_configuration_can_be_read_and_listens_on_all_interfaces_of_the_container() -> None:
    config = settings_of(Config, (COMPOSE / "nacre.yaml").read_bytes(), "nacre.yaml")
    assert not is_loopback(config.serve.host)
    assert services()["head"]["ports"] == [f"${{NACRE_PORT:-8000}}:{config.serve.port}"]


def test_everything_of_nacre_runs_without_rights_and_without_a_writable_root() -> None:
    ours = [each for each in services().values() if each["image"] == "${NACRE_IMAGE:-nacre}"]
    assert len(ours) == 2
    for each in ours:
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])
        assert each["security_opt"] == ["no-new-privileges:true"]


def test_one_s3_server_of_those_that_there_are_is_chosen_and_answers_by_one_name() -> None:
    servers = {name: each for name, each in services().items() if "profiles" in each}
    assert {name: each["profiles"] for name, each in servers.items()} == {
        "seaweedfs": ["seaweedfs"],
        "minio": ["minio"],
    }
    for each in servers.values():
        assert each["networks"] == {"default": {"aliases": ["store"]}}
    assert "COMPOSE_PROFILES=seaweedfs\n" in (COMPOSE / ".env").read_text()


def test_what_is_started_again_depends_on_nothing_that_ends() -> None:
    """Podman starts nothing again whose dependency has ended; what comes too early waits."""
    assert [name for name, each in services().items() if "depends_on" in each] == []
    assert {each["restart"] for each in services().values()} == {"unless-stopped"}


def test_there_are_two_workers_for_docker_and_for_podman() -> None:
    assert services()["worker"]["deploy"] == {"mode": "replicated", "replicas": 2}


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Return the program of a node, among ones that write down how they are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("node", "make-keys"):
        shutil.copy(DOCKER / "bin" / name, folder)
    said = tmp_path / "said"
    for name in ("make-bucket", "nacre", "ray"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {said}\n')
        (folder / name).chmod(0o755)
    # A raylet runs until somebody has started nacre, or none, whatever else runs on this machine.
    (folder / "grep").write_text(
        f'#!/bin/sh\n[ -e {folder / "nacre-is-there"} ] && ! /bin/grep -q "nacre up" {said}\n'
    )
    (folder / "grep").chmod(0o755)
    return folder / "node"


def begun(node: Path, *options: str) -> "subprocess.Popen[str]":
    home = node.parents[1] / "home"
    kept = {"PATH": f"{node.parent}{os.pathsep}{os.defpath}", "NACRE_HOME": str(home)}
    return subprocess.Popen([node, *options], env=kept, stderr=subprocess.PIPE, text=True)


def test_a_head_has_tokens_and_a_bucket_before_ray_starts(node: Path) -> None:
    (node.parent / "nacre-is-there").write_text("")
    process = begun(node, "--head", "--port=6379")
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Ray has ended on this node" in told
    assert (node.parents[1] / "said").read_text().splitlines() == [
        "make-bucket ",
        "ray start --disable-usage-stats --head --port=6379",
        "nacre up --address auto",
    ]
    assert {path.name for path in (node.parents[1] / "home" / "keys").iterdir()} == {
        "NACRE_TOKEN",
        "RAY_AUTH_TOKEN",
    }


def test_a_head_ends_when_ray_does_though_nacre_still_starts(node: Path) -> None:
    """It would wait for minutes for a Ray that is gone, and nobody would start it again."""
    (node.parent / "nacre-is-there").write_text("")
    said, waits = node.parents[1] / "said", node.parents[1] / "waits"
    written = f'#!/bin/sh\necho $$ > {waits}\necho "nacre $*" >> {said}\nexec sleep 600\n'
    (node.parent / "nacre").write_text(written)
    with begun(node, "--head") as process:
        process.wait(timeout=60)
        os.kill(int(waits.read_text()), signal.SIGKILL)  # as a container does with all in it
    assert process.returncode == 1


def test_a_head_ends_where_nacre_cannot_start(node: Path) -> None:
    (node.parent / "grep").write_text("#!/bin/sh\nexit 0\n")
    (node.parent / "nacre").write_text("#!/bin/sh\nexit 4\n")
    process = begun(node, "--head")
    process.communicate(timeout=60)
    assert process.returncode == 4


def test_a_worker_that_comes_before_the_token_waits_for_it(node: Path) -> None:
    keys = node.parents[1] / "home" / "keys"
    process = begun(node, "--address=head:6379")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    assert not (node.parents[1] / "said").exists()
    keys.mkdir(parents=True)
    (keys / "RAY_AUTH_TOKEN").write_text("secret")
    process.communicate(timeout=30)
    assert (node.parents[1] / "said").read_text().splitlines() == [
        "ray start --disable-usage-stats --address=head:6379"
    ]
