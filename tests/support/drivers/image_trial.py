"""The image, built for real and run for real: what `make prove-deploy` finds of one container."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.table import Row
from tests.support.drivers.containers import (
    HARDENED,
    Containers,
    from_outside,
    lines_with,
    wait_until_ready,
)
from tests.support.drivers.s3_server import free_port

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "cluster" / "examples"
PROGRAM = "deploy/docker/bin/nacre"
"""What every image begins with; the older image is of the commit that changed it last."""
REVISION = "org.opencontainers.image.revision"
NOT_IN_IMAGES = (
    *(":!tests", ":!docs", ":!benchmarks", ":!training", ":!*.md"),
    *(f":!deploy/{folder}" for folder in ("airgap", "compose", "helm", "observe", "suites")),
)
NEW, OLD = "localhost/nacre:new", "localhost/nacre:old"
MOST_BYTES = 1_800_000_000
STOP_S = 30.0
TOKEN = re.compile(r"^[0-9a-f]{64}$", re.MULTILINE)
CLIP_ART = (EXAMPLES / "clip-art" / "task.yaml", EXAMPLES / "clip-art" / "test" / "bird")
SKETCHES = EXAMPLES / "sketched-things" / "task.yaml"


def git(*arguments: str) -> str:
    """Return what git says of this checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def checked_out(folder: Path, commit: str, *paths: str) -> None:
    """Make a folder of the sources of `commit`: all of them, or what is named."""
    folder.mkdir()
    archive = subprocess.Popen(
        ["git", "-C", str(ROOT), "archive", commit, *paths], stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
    archive.wait()


def context(folder: Path, commit: str, wheels: Path) -> Path:
    """Return a folder to build from: the sources of `commit`, and wheels in the place for them."""
    checked_out(folder, commit)
    for wheel in wheels.glob("*.whl"):
        if not wheel.name.startswith("nacre-"):
            os.link(wheel, folder / "deploy" / "docker" / "wheels" / wheel.name)
    return folder


def commits() -> dict[str, str]:
    """Return the commits that images are built of; each image is built as its sources say.

    Raises:
        RuntimeError: this checkout has no earlier ones.
    """
    try:
        found = {
            NEW: git("rev-parse", "--short=12", "HEAD"),
            OLD: git("log", "-1", "--format=%h", "--abbrev=12", "--", PROGRAM),
        }
    except (subprocess.CalledProcessError, OSError) as error:
        raise RuntimeError(f"expected a checkout of git, found none in {ROOT}") from error
    if len(set(found.values())) < len(found):
        raise RuntimeError(
            f"expected a commit after the one that changed {PROGRAM}, to build an older image of, "
            f"found none in {ROOT}; fetch its whole history (git fetch --unshallow)"
        )
    return found


def _is_of(revision: str, commit: str) -> bool:
    """Return whether an image of `revision` is what one of `commit` would be."""
    if revision == commit:
        return True
    try:
        git("diff", "--quiet", revision, commit, "--", ".", *NOT_IN_IMAGES)
    except subprocess.CalledProcessError:
        return False
    return True


def build(own: Containers, name: str, commit: str, wheels: Path, *, target: str) -> Row:
    """Build a target of the Dockerfile of `commit` from wheels alone, and say how long it took."""
    folder = own.folder / f"context-{target}-{commit}"
    shutil.rmtree(folder, ignore_errors=True)
    context(folder, commit, wheels)
    print(f"building {name} of {commit}", flush=True)
    begun = time.monotonic()
    own.build(folder, name, target, COMMIT=commit, PIP_NO_INDEX="1")
    took_s = time.monotonic() - begun
    shutil.rmtree(folder)
    return Row(figure=f"built {name}", value=took_s, unit="s")


def size_of(own: Containers, name: str, *, figure: str, most_bytes: int) -> Row:
    """Say how large an image is."""
    size = own.size(name)
    bar = f"at most {most_bytes / 1e6:.0f}"
    return Row(figure=figure, value=size / 1e6, unit="MB", bar=bar, holds=size <= most_bytes)


def built(own: Containers, wheels: Path) -> Iterator[Row]:
    """Build the image of today and an older one, and say what they are."""
    wanted = commits()
    for name, commit in wanted.items():
        if own.has(name) and _is_of(own.labels(name).get(REVISION, ""), commit):
            wanted[name] = own.labels(name)[REVISION]
            continue
        yield build(own, name, commit, wheels, target="cpu")
    yield size_of(own, NEW, figure="size of the CPU image", most_bytes=MOST_BYTES)
    labels = own.labels(NEW)
    revision = labels[REVISION]
    yield Row(
        figure="revision in its labels",
        value=revision,
        bar=wanted[NEW],
        holds=revision == wanted[NEW],
    )
    inside = ("run", "--rm", *HARDENED, "--network", "none", "--entrypoint")
    found = own.podman(
        *inside, "sh", NEW, "-c", "for p in pip pip3 gcc cc; do command -v $p; done; true"
    )
    yield Row(
        figure="installers and compilers inside",
        value=found.strip() or "none",
        bar="none",
        holds=not found.strip(),
    )
    user = own.podman(*inside, "id", NEW, "-u").strip()
    yield Row(
        figure="its user", value=user, bar="a number but 0", holds=user.isdecimal() and user != "0"
    )
    needed = own.podman(
        *inside, "sh", NEW, "-c", "for p in ray bash wget grep; do command -v $p; done"
    ).split()
    yield Row(figure="what KubeRay calls", value=len(needed), bar="4", holds=len(needed) == 4)
    bill = json.loads(own.podman(*inside, "cat", NEW, "/opt/nacre/sbom.cdx.json"))
    names = {component["name"] for component in bill["components"]}
    yield Row(
        figure="components in its bill of materials",
        value=len(names),
        bar="torch and ray among them",
        holds={"torch", "ray"} <= names,
    )
    version = own.podman("run", "--rm", *HARDENED, NEW, "--version").strip()
    yield Row(
        figure="`nacre --version` inside",
        value=version,
        bar=wanted[NEW],
        holds=version.endswith(wanted[NEW]),
    )


def one_container(own: Containers) -> Iterator[Row]:
    """Run one container on a volume: from an older image, killed, upgraded, stopped."""
    port = free_port()
    url, token_file = f"http://127.0.0.1:{port}", own.folder / "token"
    options = _on(port, "nacre")
    print("one container of the older image", flush=True)
    own.podman("run", *options, "--name", "old", OLD)
    yield Row(figure="older image: ready after", value=wait_until_ready(url), unit="s")
    shown = TOKEN.findall(own.logs("old"))
    keep_token(token_file, shown[0] if shown else "")
    kept = own.podman("exec", "old", "stat", "-c", "%a", "/var/lib/nacre/keys/NACRE_TOKEN").strip()
    yield Row(
        figure="times that its token was printed; mode of its file",
        value=f"{len(shown)}; {kept}",
        bar="1; 600",
        holds=(len(shown), kept) == (1, "600"),
    )
    asked = httpx.get(f"{url}/v1/status").status_code
    yield Row(
        figure="asked from outside without the token", value=asked, bar="401", holds=asked == 401
    )
    begun = time.monotonic()
    from_outside(url, token_file, "submit", str(CLIP_ART[0]), "--wait")
    yield Row(
        figure="a task submitted from outside, published after",
        value=time.monotonic() - begun,
        unit="s",
    )
    first = answer(url, token_file)
    yield Row(
        figure="predicted from outside by",
        value=first["version"],
        bar="main@1",
        holds=first["version"] == "main@1",
    )
    inside = own.podman("exec", "old", "nacre", "status", "--output", "json")
    yield Row(
        figure="a command inside, without a token given",
        value="answers",
        bar="answers",
        holds=bool(json.loads(inside)),
    )

    os.kill(own.pid("old"), signal.SIGKILL)
    _wait_until_ended(own, "old")
    own.podman("start", "old")
    yield Row(figure="after kill -9 and start: ready after", value=wait_until_ready(url), unit="s")
    yield _answers_alike(url, token_file, first)
    yield from _stopped(own, "old", "older image")

    print("the same volume under the new image", flush=True)
    own.podman("run", *options, "--name", "new", NEW)
    yield Row(figure="upgraded: ready after", value=wait_until_ready(url), unit="s")
    yield _answers_alike(url, token_file, first)
    anew = lines_with(own.logs("new"), "was made")
    yield Row(figure="times that a token was made anew", value=len(anew), bar="0", holds=not anew)
    from_outside(url, token_file, "submit", str(SKETCHES), "--wait")
    last = answer(url, token_file)
    found = last["version"]
    yield Row(
        figure="learnt further, answered by", value=found, bar="main@2", holds=found == "main@2"
    )
    console = httpx.get(f"{url}/console", follow_redirects=True)
    yield Row(
        figure="the console, from outside",
        value=console.status_code,
        bar="200, a login",
        holds=console.status_code == 200 and "<form" in console.text,
    )
    healthy = own.run("podman", "healthcheck", "run", "new", check=False).returncode
    yield Row(figure="its health check ends with", value=healthy, bar="0", holds=healthy == 0)
    yield from _stopped(own, "new", "new image")
    own.podman("rm", "--force", "old", "new")

    print("a copy of the volume in another one", flush=True)
    _copy_volume(own, "nacre", "copy")
    own.podman("run", *_on(port, "copy"), "--name", "restored", NEW)
    yield Row(figure="restored: ready after", value=wait_until_ready(url), unit="s")
    said = own.run("podman", "exec", "restored", "nacre", "verify", check=False)
    yield Row(
        figure="`nacre verify` of the restored volume ends with",
        value=f"{said.returncode}" if said.returncode == 0 else f"{said.stdout}{said.stderr}",
        bar="0",
        holds=said.returncode == 0,
    )
    yield _answers_alike(url, token_file, last)
    own.podman("rm", "--force", "restored")


def as_another_user(own: Containers) -> Iterator[Row]:
    """Run the demo as a user that no image knows, without a network."""
    print("the demo as another user", flush=True)
    begun = time.monotonic()
    options = ("run", "--rm", *HARDENED, "--user", "23456", "--network", "none")
    said = own.podman(*options, NEW, "demo", "--output", "json")
    shown = json.loads(said[said.index("{") :])
    value = f"{len(shown['accuracy'])} tasks, back at version {shown['rolled_back_to']}"
    yield Row(
        figure="the demo inside, as user 23456, read-only, without a network",
        value=value,
        bar="5 tasks, back at version 3",
        holds=value == "5 tasks, back at version 3",
    )
    yield Row(figure="it took", value=time.monotonic() - begun, unit="s")


def keep_token(file: Path, token: str) -> None:
    """Write a token into a file that its owner alone can read."""
    file.touch(mode=0o600)
    file.write_text(token)


def _on(port: int, volume: str) -> tuple[str, ...]:
    """Return options for a container that answers on a port and keeps everything in a volume."""
    return (*HARDENED, "-d", "-p", f"127.0.0.1:{port}:8000", "-v", f"{volume}:/var/lib/nacre")


def _copy_volume(own: Containers, one: str, other: str) -> None:
    """Copy a volume by way of a file, as docs/install.md does it."""
    backup, inside = own.folder / "backup", ("run", "--rm", "--user", "0", "--entrypoint", "tar")
    backup.mkdir(exist_ok=True)
    kept = "/backup/nacre.tar"
    for volume, mode, words in (
        (f"{one}:/var/lib/nacre:ro", "rw", ("-cf", kept, ".")),
        (f"{other}:/var/lib/nacre", "ro", ("-xpf", kept)),
    ):
        mounts = ("-v", volume, "-v", f"{backup}:/backup:{mode}")
        own.podman(*inside, *mounts, NEW, "-C", "/var/lib/nacre", *words)
    shutil.rmtree(backup)


def answer(url: str, token_file: Path) -> dict[str, Any]:
    """Return who answers for an image of the first task, and what, as version 1 sees it."""
    images = sorted(map(str, CLIP_ART[1].iterdir()))[:2]
    said = from_outside(url, token_file, "predict", *images, "--output", "json")
    found: dict[str, Any] = json.loads(said)
    found.pop("request_id", None)
    return found


def _answers_alike(url: str, token_file: Path, first: Mapping[str, Any]) -> Row:
    same = answer(url, token_file)
    return Row(
        figure="its answer is the same",
        value="yes" if same == first else str(same),
        bar="yes",
        holds=same == first,
    )


def _wait_until_ended(own: Containers, name: str) -> None:
    while own.podman("inspect", "--format", "{{.State.Status}}", name).strip() == "running":
        time.sleep(0.2)


def _stopped(own: Containers, name: str, words: str) -> Iterator[Row]:
    begun = time.monotonic()
    own.podman("stop", "--time", "120", name)
    took, code = time.monotonic() - begun, own.ended_with(name)
    yield Row(
        figure=f"{words}: stopped after",
        value=took,
        unit="s",
        bar=f"at most {STOP_S:g}, with code 0",
        holds=took <= STOP_S and code == 0,
    )
