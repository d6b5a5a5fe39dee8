"""Real containers without Docker: buildah and podman on a storage of their own."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

PROGRAMS = {
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "ip": "iproute2",
}
"""What is called, and the package of Debian that has it."""
BESIDE = ("netavark", "aardvark-dns", "containernetworking-plugins", "catatonit")
BASE = "localhost/python:3.11-slim"
"""What stands for the public image of this name: no registry is asked."""
IN_BASE = "ca-certificates,python3,python3-venv,python-is-python3"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
HARDENED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    # As Docker has it, which makes no other folder writable by itself, and lets nothing run there.
    *("--read-only-tmpfs=false", "--tmpfs", "/tmp:rw,noexec,nosuid,nodev"),
    *("--shm-size", "512m"),
)
"""What a container of nacre needs none of, in options of podman."""
POLL_S = 0.25


class CannotRunError(Exception):
    """Containers cannot be built or run here; says why in a sentence."""


def check_can_run() -> None:
    """Install what is needed, from Debian's packages.

    Raises:
        CannotRunError: this is no Debian, or not root.
    """
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotRunError(
            "expected root on Debian 12 or newer, to install buildah and podman and to make "
            "networks, found another system or user; run it in such a machine"
        )
    isolated = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if isolated.returncode != 0:
        raise CannotRunError(
            "expected the right to make network namespaces, which containers and the machine "
            "without a network are, found none (`unshare --net true` fails); run it in a machine "
            "of its own, or in a container with all rights"
        )
    if all(map(shutil.which, PROGRAMS)):
        return
    print("installing buildah, podman and what they need", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("install", "-y", "-qq", "--no-install-recommends", *PROGRAMS.values(), *BESIDE)
    for arguments in (("update", "-qq"), install):
        done = subprocess.run(
            ["apt-get", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CannotRunError(
                f"expected apt-get {arguments[0]} to work, and it did not: {done.stderr[-500:]}"
            )


@dataclass(frozen=True, kw_only=True)
class Containers:
    """Podman and buildah on one storage.

    Attributes:
        folder: All that they keep.
        environment: Of every call.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(
        self, *command: str | Path, timeout_s: float = 1800.0, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Call a program, and return how it ended.

        Raises:
            RuntimeError: it failed; with what it printed last.
        """
        done = subprocess.run(
            list(map(str, command)),
            env=dict(self.environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            told = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            raise RuntimeError(
                f"{' '.join(map(str, command[:4]))} ended with {done.returncode}: {told}"
            )
        return done

    def podman(self, *arguments: str | Path, timeout_s: float = 900.0, check: bool = True) -> str:
        """Call podman, and return what it printed."""
        return self.run("podman", *arguments, timeout_s=timeout_s, check=check).stdout

    def make_base(self) -> bool:
        """Make an image with Python, out of Debian's packages; False where there is one already."""
        if self.has(BASE):
            return False
        print("making a base image of Debian's packages", flush=True)
        archive = self.folder / "base.tar"
        # As elsewhere on a machine whose mirror keeps a state of some time ago.
        lenient = [f'--aptopt=Acquire::Check-{what} "false"' for what in ("Valid-Until", "Date")]
        slim = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
        sources = [SOURCES] if SOURCES.is_file() else []
        options = ["--quiet", "--variant=minbase", f"--include={IN_BASE}", *lenient, *slim]
        self.run("mmdebstrap", *options, "bookworm", archive, *sources)
        self.podman("import", "--quiet", archive, BASE)
        archive.unlink()
        return True

    def build(self, context: Path, name: str, target: str, **arguments: str) -> None:
        """Build an image out of the Dockerfile in `context`; what is equal is not built again."""
        said = [f"--build-arg={key}={value}" for key, value in {"BASE": BASE, **arguments}.items()]
        options = [
            "--isolation=chroot",
            "--network=host",
            "--format=docker",
            "--layers",
            "--pull-never",
        ]
        file = context / "deploy" / "docker" / "Dockerfile"
        self.run(
            "buildah",
            "build",
            *options,
            f"--target={target}",
            *said,
            "-t",
            name,
            "-f",
            file,
            context,
        )

    def has(self, name: str) -> bool:
        """Return whether there is an image of this name."""
        return self.run("podman", "image", "exists", name, check=False).returncode == 0

    def size(self, name: str) -> int:
        """Return the bytes of an image, as its files are on a disk."""
        return int(self.podman("image", "inspect", "--format", "{{.Size}}", name))

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of an image."""
        found: dict[str, str] = json.loads(
            self.podman("image", "inspect", "--format", "{{json .Config.Labels}}", name)
        )
        return found

    def pid(self, name: str) -> int:
        """Return the process of a container as this machine sees it; 0 where it does not run."""
        return int(self.podman("inspect", "--format", "{{.State.Pid}}", name))

    def wait_until_started_again(self, name: str, before: int, *, timeout_s: float = 300.0) -> None:
        """Wait until a container runs in another process than `before`.

        Raises:
            TimeoutError: nobody starts it again; with what it printed last.
        """
        deadline = time.monotonic() + timeout_s
        while self.pid(name) in (0, before):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{name} was not started again after {timeout_s:g} s: {self.logs(name)[-1500:]}"
                )
            time.sleep(POLL_S)

    def ended_with(self, name: str) -> int:
        """Return the exit code of a container that has ended."""
        return int(self.podman("inspect", "--format", "{{.State.ExitCode}}", name))

    def logs(self, name: str) -> str:
        """Return all that a container has printed."""
        done = self.run("podman", "logs", name)
        return done.stdout + done.stderr


@contextmanager
def containers(kept: Path | None = None) -> Iterator[Containers]:
    """Give containers on a storage of their own; all of it is removed, also when cut short.

    Args:
        kept: A folder whose images and files of an earlier run are used again, and stay; its
            containers and networks go all the same.
    """
    check_can_run()
    # A short one, for the sockets in it; not in /tmp, which may lie in memory.
    folder = kept or Path(tempfile.mkdtemp(prefix="nacre-", dir="/var/tmp"))
    folder.mkdir(parents=True, exist_ok=True)
    own = Containers(folder=folder, environment=_configured(folder))
    try:
        yield own
    finally:
        print("removing containers" if kept else "removing containers and images", flush=True)
        for command in (
            ("podman", "rm", "--all", "--force", "--time", "0", "--volumes"),
            ("podman", "volume", "prune", "--force"),
            ("podman", "network", "prune", "--force"),
            ("buildah", "rm", "--all"),
            *([] if kept else [("podman", "rmi", "--all", "--force")]),
        ):
            with suppress(subprocess.TimeoutExpired):
                own.run(*command, timeout_s=300, check=False)
        for mount in sorted(_mounts_below(folder), key=len, reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def _configured(folder: Path) -> dict[str, str]:
    """Return an environment in which podman and buildah keep everything in `folder`."""
    for name in ("tmp", "networks"):
        (folder / name).mkdir(exist_ok=True)
    # By default they ask for more than a machine inside of another may give; podman has itself some
    # 32,000 processes and gives no more. What is said here counts at once, since processes and
    # threads of one user are counted over all containers together.
    files, processes = resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC
    most = [
        f'"{name}={(least := most if hard < 0 else min(hard, most))}:{least}"'
        for name, hard, most in (
            ("nofile", resource.getrlimit(files)[1], 65_536),
            ("nproc", resource.getrlimit(processes)[1], 30_000),
        )
    ]
    (folder / "containers.conf").write_text(
        f"[containers]\ndefault_ulimits=[{', '.join(most)}]\n"
        f'[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
        f'tmp_dir="{folder}/tmp/libpod"\n'
        f'[network]\nnetwork_backend="netavark"\nnetwork_config_dir="{folder}/networks"\n'
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver="overlay"\ngraphroot="{folder}/storage"\nrunroot="{folder}/run"\n'
    )
    return {
        **os.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "TMPDIR": str(folder / "tmp"),
    }


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [
        place for place in (line.split()[1] for line in lines) if place.startswith(f"{folder}/")
    ]


def wait_until_ready(url: str, *, timeout_s: float = 900.0) -> float:
    """Return after how many seconds a system answers that it is ready.

    Raises:
        TimeoutError: it does not.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < timeout_s:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/v1/health/ready", timeout=5.0).status_code == 200:
                return time.monotonic() - begun
        time.sleep(POLL_S)
    raise TimeoutError(f"{url} is not ready after {timeout_s:g} s")


def from_outside(url: str, token_file: Path, *words: str, timeout_s: float = 900.0) -> str:
    """Call `nacre` of this checkout on a system elsewhere, and return what it printed."""
    import sys

    command = [sys.executable, "-m", "cluster.cli", "--url", url, "--token-file", str(token_file)]
    done = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"nacre {words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout


def lines_with(text: str, word: str) -> Sequence[str]:
    """Return the lines that have a word in them."""
    return [line for line in text.splitlines() if word in line]
