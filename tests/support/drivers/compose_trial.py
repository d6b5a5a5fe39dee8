"""The composition, brought up for real: a dead head, and a second cluster beside the first."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from benchmarks.table import Row
from tests.support.drivers.asker import Asker
from tests.support.drivers.container_memory import watched
from tests.support.drivers.containers import BASE, Containers, from_outside, wait_until_ready
from tests.support.drivers.image_trial import (
    CLIP_ART,
    EXAMPLES,
    NEW,
    OLD,
    ROOT,
    SKETCHES,
    checked_out,
    commits,
    keep_token,
)
from tests.support.drivers.s3_server import free_port

FILE = ROOT / "deploy" / "compose" / "compose.yaml"
STORE = "localhost/seaweedfs"
DIGITS = EXAMPLES / "digits" / "task.yaml"
LONGEST_S = 900.0
FASHION = EXAMPLES / "fashion" / "task.yaml"


def composed(own: Containers) -> Iterator[Row]:
    """Bring up a cluster of the older image, go over to one of today's, kill that one's head."""
    _make_store_image(own)
    old = _composition_of(own, commits()[OLD])
    ports = {"nacre": free_port(), "green": free_port()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    token_file = own.folder / "token"
    print("a head, two workers and an S3 server, of the older image", flush=True)
    first = {"NACRE_IMAGE": OLD, "NACRE_PORT": str(ports["nacre"]), "SEAWEEDFS_IMAGE": STORE}
    _compose(own, first, "up", "-d", "--scale", "worker=2", file=old)
    yield Row(
        figure="head, two workers, S3: ready after", value=wait_until_ready(urls["nacre"]), unit="s"
    )
    keep_token(
        token_file, own.podman("exec", "nacre-head", "cat", "/var/lib/nacre-keys/NACRE_TOKEN")
    )
    yield _addresses(own, 4)
    from_outside(urls["nacre"], token_file, "submit", str(CLIP_ART[0]), "--wait")
    images = sorted(CLIP_ART[1].iterdir())
    asker = Asker(url=urls["nacre"], token=token_file.read_text(), images=images)
    thread = threading.Thread(target=asker.ask, daemon=True)
    thread.start()
    try:
        yield from _gone_over(own, ports, urls, token_file, asker)
        yield from _head_killed(own, urls["green"], token_file, asker)
    finally:
        asker.end()
        thread.join(timeout=70.0)
    for name, file in (("green", FILE), ("nacre", old)):
        begun = time.monotonic()
        _compose(own, {"COMPOSE_PROJECT_NAME": name}, "down", "--timeout", "60", file=file)
        yield Row(figure=f"`down` of {name}", value=time.monotonic() - begun, unit="s")


def _head_killed(own: Containers, url: str, token_file: Path, asker: Asker) -> Iterator[Row]:
    print("the head is killed while it learns", flush=True)
    from_outside(url, token_file, "submit", str(SKETCHES))
    head, killed = own.pid("green-head"), time.monotonic()
    os.kill(head, signal.SIGKILL)
    own.wait_until_started_again("green-head", head)
    wait_until_ready(url)
    yield Row(figure="head killed: ready again after", value=time.monotonic() - killed, unit="s")
    from_outside(url, token_file, "submit", str(SKETCHES), "--wait")
    yield Row(
        figure="what was submitted before, published after",
        value=time.monotonic() - killed,
        unit="s",
    )
    # Requests that were under way may fail; from here on none may.
    asker.wait_until_answered(timeout_s=LONGEST_S)
    lost = len(asker.failed)
    yield Row(figure="requests that failed around it, of one client", value=lost)
    asker.failed.clear()
    from_outside(url, token_file, "submit", str(FASHION), "--wait")
    yield Row(
        figure="requests that failed after that, while one more task was learnt",
        value=", ".join(how for _, how in asker.failed) or "none",
        bar="none",
        holds=not asker.failed,
    )


def _gone_over(
    own: Containers,
    ports: Mapping[str, int],
    urls: Mapping[str, str],
    token_file: Path,
    asker: Asker,
) -> Iterator[Row]:
    print("a second cluster of the new image, beside the first on its store", flush=True)
    second = {
        "COMPOSE_PROJECT_NAME": "green",
        "COMPOSE_PROFILES": "none",
        "NACRE_IMAGE": NEW,
        "NACRE_PORT": str(ports["green"]),
    }
    _compose(own, second, "up", "-d")
    with watched(own, _of(own, "green")) as seen:
        yield Row(
            figure="second cluster: ready after", value=wait_until_ready(urls["green"]), unit="s"
        )
        yield _addresses(own, 7)
        asker.url = urls["green"]
        # Of these the first may still be what was asked of the first cluster.
        asker.wait_until_answered(timeout_s=LONGEST_S)
        begun = time.monotonic()
        running = _of(own, "nacre")
        own.podman("stop", "--time", "300", *running)
        codes = {name: own.ended_with(name) for name in running}
        yield Row(
            figure="first cluster stopped by itself; after",
            value=f"{set(codes.values())}; {time.monotonic() - begun:.1f} s",
            bar="all with code 0",
            holds=set(codes.values()) == {0},
        )
        begun = time.monotonic()
        from_outside(urls["green"], token_file, "submit", str(DIGITS), "--wait")
        yield Row(
            figure="the second takes the lead and publishes after",
            value=time.monotonic() - begun,
            unit="s",
        )
    for name, most in sorted(seen.most.items()):
        yield Row(figure=f"memory of {name} at its highest", value=most / 1e6, unit="MB")
    yield Row(figure="requests answered by both", value=asker.answered)
    told = Counter(how for _, how in asker.failed)
    yield Row(
        figure="requests lost while going over",
        value=", ".join(f"{count} of {how}" for how, count in told.items()) or "none",
        bar="none",
        holds=not asker.failed,
    )


def _of(own: Containers, project: str) -> list[str]:
    names = own.podman("ps", "--format", "{{.Names}}").split()
    found = [n for n in names if n == f"{project}-head" or n.startswith(f"{project}_worker")]
    if f"{project}-head" not in found:
        states = own.podman("ps", "--all", "--format", "{{.Names}} {{.Status}}")
        logs = own.logs(f"{project}-head")[-1500:]
        raise RuntimeError(f"expected a running {project}-head, found {states}; its log: {logs}")
    return found


def _composition_of(own: Containers, commit: str) -> Path:
    """Return the file of the composition as it was in a commit, with what lies beside it.

    Without dependencies: podman starts nothing again whose dependency has ended, which the first
    composition did not know.
    """
    folder = own.folder / f"composition-{commit}"
    shutil.rmtree(folder, ignore_errors=True)
    checked_out(folder, commit, "deploy/compose")
    file = folder / "deploy" / "compose" / "compose.yaml"
    written = yaml.safe_load(file.read_text())
    for service in written["services"].values():
        service.pop("depends_on", None)
    file.write_text(yaml.safe_dump(written))
    return file


def _addresses(own: Containers, expected: int) -> Row:
    """Return how many addresses the running containers have, once there are as many of these."""
    deadline = time.monotonic() + LONGEST_S
    while True:
        names = own.podman("ps", "--format", "{{.Names}}").split()
        found = {_address(own, name) for name in names} - {""}
        # A worker that came before its head is just being started again.
        if len(found) == expected or time.monotonic() > deadline:
            break
        time.sleep(1.0)
    return Row(
        figure="containers with addresses of their own",
        value=len(found),
        bar=str(expected),
        holds=len(found) == len(names) == expected,
    )


def _address(own: Containers, name: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return own.podman("inspect", "--format", form, name).strip()


def _make_store_image(own: Containers) -> None:
    folder = own.folder / "store"
    folder.mkdir(exist_ok=True)
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if weed is None:
        raise RuntimeError("expected `weed` beside this Python (`make install`), found none")
    shutil.copy(weed, folder / "weed")
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY weed /usr/bin/weed\n")
    own.run("buildah", "build", "--isolation=chroot", "--pull-never", "-t", STORE, folder)
    shutil.rmtree(folder)


def _compose(
    own: Containers, environment: Mapping[str, str], *words: str, file: Path = FILE
) -> None:
    program = Path(sys.executable).parent / "podman-compose"
    found = str(program) if program.exists() else shutil.which("podman-compose")
    if found is None:
        raise RuntimeError(
            "expected podman-compose beside this Python (`make install`), found none"
        )
    done = subprocess.run(
        [found, "-f", str(file), *words],
        env={**own.environment, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"podman-compose {words[0]} ended with {done.returncode}: {done.stderr[-3000:]}"
        )
