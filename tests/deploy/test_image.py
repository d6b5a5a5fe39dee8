"""The image: what it is built from, and the keys that it is started with."""

import os
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from runpy import run_path

import pytest

from cluster.config import TOKEN, Config
from cluster.system.system import is_loopback
from workers.formats.yaml_settings import settings_of

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
INSTALL = ROOT / "docs" / "install.md"
DOCKERFILE = DOCKER / "Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = run_path(str(DOCKER / "requirements.py"))["requirements"]
MISTAKE = run_path(str(DOCKER / "torch_build.py"))["mistake"]


def program(name: str) -> str:
    """Return a tool that is installed beside this Python, or anywhere on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = shutil.which(name, path=path)
    assert found is not None, f"expected {name} to be installed (`make install`), found none"
    return found


def linted(dockerfile: str) -> str:
    done = subprocess.run(
        [program("hadolint"), "--no-color", "-"],
        input=dockerfile,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    assert linted(DOCKERFILE.read_text()) == ""


def test_hadolint_finds_a_tag_that_moves() -> None:
    assert "DL3007" in linted(
        DOCKERFILE.read_text().replace("FROM $BASE AS runtime", "FROM x:latest")
    )


def test_the_label_has_the_version_of_the_project() -> None:
    assert f"ARG VERSION={PROJECT['version']}\n" in DOCKERFILE.read_text()


def test_it_listens_on_all_interfaces_of_the_container() -> None:
    config = settings_of(Config, (DOCKER / "nacre.yaml").read_bytes(), "nacre.yaml")
    assert not is_loopback(config.serve.host)
    assert f"EXPOSE {config.serve.port}\n" in DOCKERFILE.read_text()


def test_the_page_on_installing_names_the_console_where_it_is() -> None:
    config = settings_of(Config, (DOCKER / "nacre.yaml").read_bytes(), "nacre.yaml")
    assert config.serve.console
    assert f"<http://127.0.0.1:{config.serve.port}/console>" in INSTALL.read_text()


def test_it_has_the_dependencies_of_the_project_and_of_the_extras_that_are_asked_for() -> None:
    pyproject = ROOT / "pyproject.toml"
    assert REQUIREMENTS(pyproject, []) == PROJECT["dependencies"]
    heif = PROJECT["optional-dependencies"]["heif"]
    assert REQUIREMENTS(pyproject, ["heif"]) == [*PROJECT["dependencies"], *heif]
    with pytest.raises(SystemExit, match=r"expected extras of report, heif, .* found hief"):
        REQUIREMENTS(pyproject, ["hief"])


@pytest.mark.parametrize(("target", "cuda"), [("cpu", "13.0"), ("cuda", None)])
def test_a_torch_of_another_build_is_refused_with_what_to_do(
    tmp_path: Path, target: str, cuda: str | None
) -> None:
    package = tmp_path / "python3.11" / "site-packages" / "torch"
    package.mkdir(parents=True)
    (package / "version.py").write_text(f"__version__ = '2.13.0'\ncuda = {cuda!r}\n")
    assert MISTAKE("cuda" if target == "cpu" else "cpu", tmp_path) is None
    told = MISTAKE(target, tmp_path)
    assert told.startswith(f"expected a {target} build of torch, found 2.13.0: ")
    assert "--build-arg" in told


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with a `nacre` and a `ray` that print the keys in their environment."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("nacre", "ray"):
        (folder / name).write_text('#!/bin/sh\necho "$NACRE_TOKEN $RAY_AUTH_TOKEN $*"\n')
        (folder / name).chmod(0o755)
    return folder


def called(
    home: Path, programs: Path, *command: str, **given: str
) -> "subprocess.CompletedProcess[str]":
    kept = {"PATH": os.environ["PATH"], "NACRE_HOME": str(home), "NACRE_PROGRAMS": str(programs)}
    program, *arguments = command
    return subprocess.run(
        [DOCKER / "bin" / program, *arguments],
        env=kept | given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_whoever_starts_it_without_a_token_has_one_made_kept_and_shown_once(
    tmp_path: Path, programs: Path
) -> None:
    started = called(tmp_path / "home", programs, "nacre", "up")
    file = tmp_path / "home" / "keys" / TOKEN
    token = file.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert started.stderr.splitlines()[1] == token
    again = called(tmp_path / "home", programs, "nacre", "--debug", "up", "--output", "json")
    assert (again.stderr, again.stdout) == (
        "",
        started.stdout.replace("up", "--debug up --output json"),
    )
    assert started.stdout.startswith(f"{token} ")


def test_commands_in_the_container_have_the_same_keys_and_make_none(
    tmp_path: Path, programs: Path
) -> None:
    assert called(tmp_path / "home", programs, "nacre", "status").stdout == "  status\n"
    assert not (tmp_path / "home").exists()
    begun = called(tmp_path / "home", programs, "nacre", "up").stdout
    assert called(tmp_path / "home", programs, "ray", "up").stdout == begun


def test_a_token_that_is_given_goes_before_one_that_is_kept(tmp_path: Path, programs: Path) -> None:
    given = {TOKEN: "mine", "RAY_AUTH_TOKEN": "ours"}
    started = called(tmp_path / "home", programs, "nacre", "up", **given)
    assert (started.stdout, started.stderr) == ("mine ours up\n", "")
    assert not (tmp_path / "home").exists()
    called(tmp_path / "home", programs, "nacre", "up")
    assert called(tmp_path / "home", programs, "nacre", "x", **given).stdout == "mine ours x\n"


def test_a_folder_of_secrets_gives_every_variable_that_it_names(
    tmp_path: Path, programs: Path
) -> None:
    keys = tmp_path / "secrets"
    keys.mkdir()
    for name, value in {
        TOKEN: "a b'$c",
        "RAY_AUTH_TOKEN": "r",
        "PATH": "/gone",
        "..data": "",
    }.items():
        (keys / name).write_text(value)
    found = called(tmp_path / "home", programs, "nacre", "status", NACRE_KEYS=str(keys))
    assert found.stdout == "a b'$c r status\n"


def test_several_that_begin_at_once_have_one_token(tmp_path: Path, programs: Path) -> None:
    kept = {
        "PATH": os.environ["PATH"],
        "NACRE_HOME": str(tmp_path),
        "NACRE_PROGRAMS": str(programs),
    }
    begun = [
        subprocess.Popen(
            [DOCKER / "bin" / "nacre", "up"],
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    ended = [process.communicate() for process in begun]
    assert len({out for out, _ in ended}) == 1
    assert sum("was made" in err for _, err in ended) == 1
    assert sorted(file.name for file in (tmp_path / "keys").iterdir()) == [TOKEN, "RAY_AUTH_TOKEN"]


def test_where_no_token_can_be_kept_it_says_so(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "home").write_text("a file")
    refused = called(tmp_path / "home", programs, "nacre", "up")
    assert refused.returncode == 2
    assert "mount a volume of that user, or set NACRE_TOKEN" in refused.stderr
