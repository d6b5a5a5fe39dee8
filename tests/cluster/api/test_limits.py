"""Limits of bodies: said before anything is read, and held where nothing is said."""

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx
import pytest

from cluster.api.limits import KIB, LIMITS, MIB, limit_of
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer

FORM = "multipart/form-data; boundary=x"
JSON = "application/json"
LIMITED = [
    ("/v1/predict", FORM, 128 * MIB),
    ("/v1/predict", JSON, 128 * MIB),
    ("/v1/adapters/main/predict", JSON, 128 * MIB),
    ("/v1/adapters/main@3/predict", FORM, 128 * MIB),
    ("/v1/embed", FORM, 128 * MIB),
    ("/v1/tasks", FORM, 2048 * MIB),
    ("/v1/tasks", "application/yaml", MIB),
    ("/v1/tasks/digits/cancel", JSON, 64 * KIB),
    ("/v1/tasks/digits/retry", JSON, 64 * KIB),
    ("/v1/tasks/inspect", FORM, 2048 * MIB),
    ("/v1/tasks/inspect", JSON, MIB),
    ("/v1/adapters/main/promote", JSON, 64 * KIB),
    ("/v1/adapters/main/rollback", JSON, 64 * KIB),
    ("/v1/adapters/main/relearn", JSON, 64 * KIB),
    ("/v1/adapters/main/drop", JSON, 64 * KIB),
    ("/v1/adapters/main/prepare", JSON, 64 * KIB),
    ("/v1/adapters/main/follow", JSON, 64 * KIB),
    ("/v1/adapters/main/pause", JSON, 64 * KIB),
    ("/v1/adapters/main/resume", JSON, 64 * KIB),
    ("/v1/adapters/main/evaluate", JSON, 64 * KIB),
    ("/v1/adapters/main/import", FORM, 2048 * MIB),
    ("/v1/adapters/main/import", JSON, 64 * KIB),
    ("/v1/adapters/main/settle", JSON, 64 * KIB),
    ("/v1/adapters/main/purge", JSON, 64 * KIB),
    ("/v1/adapters/main/gc", JSON, 64 * KIB),
    ("/v1/sessions/end", JSON, 64 * KIB),
    ("/v1/tokens", JSON, 64 * KIB),
    ("/v1/tokens/digits/revoke", JSON, 64 * KIB),
    ("/v1/webhooks", JSON, 64 * KIB),
    ("/v1/webhooks/digits/remove", JSON, 64 * KIB),
    ("/v1/webhooks/digits/resume", JSON, 64 * KIB),
    ("/v1/webhooks/digits/rotate", JSON, 64 * KIB),
    ("/v1/webhooks/digits/test", JSON, 64 * KIB),
    # no route at all
    ("/v1/elsewhere", JSON, 64 * KIB),
    ("/v1/tasks/predict", FORM, 64 * KIB),
]
CHUNK = b"x" * 2**16
TIMEOUT_S = 180.0


def begun(url: str, path: str, kind: str, length: str) -> socket.socket:
    """Return a connection on which a request was begun: its head has been sent, no body."""
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), TIMEOUT_S)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def status_of(connection: socket.socket) -> tuple[int, str]:
    """Return status and text of the answer that comes on a connection."""
    with connection.makefile("rb") as answer:
        status = int(answer.readline().split()[1])
        length = 0
        while (line := answer.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, answer.read(length).decode()


def sent_until_answered(connection: socket.socket, chunk: bytes) -> None:
    """Send `chunk` again and again, until an answer comes."""
    left = chunk
    while True:
        readable, writable, _ = select.select([connection], [connection], [], TIMEOUT_S)
        assert readable or writable, "neither answered nor read"
        if readable:
            return
        left = left[connection.send(left) :] or chunk


def test_every_route_that_takes_a_body_is_in_the_table(api: httpx.Client) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    posts = {path for path, item in paths.items() if "post" in item}
    filled = {path.format(adapter="main", name="digits") for path in posts}
    assert filled <= {path for path, _, _ in LIMITED}
    assert len({limit_of(path).hint for path, _, _ in LIMITED}) == len(LIMITS)


@pytest.mark.parametrize(("path", "kind", "most"), LIMITED)
def test_a_length_over_the_limit_is_refused_before_anything_is_sent(
    server: ApiServer, path: str, kind: str, most: int
) -> None:
    with begun(server.url, path, kind, f"Content-Length: {most + 1}") as connection:
        status, text = status_of(connection)
    assert status == 413
    assert f"at most {most} bytes" in text


@dataclass(frozen=True)
class Limited:
    """A service in a process with little memory."""

    url: str
    asked: IO[str]
    said: IO[str]

    def peak(self) -> int:
        """Return the most bytes that it has needed since the last time."""
        self.asked.write("\n")
        self.asked.flush()
        return int(self.said.readline())


@pytest.fixture(scope="module")
def limited(scene: Scene) -> Iterator[Limited]:
    command = [sys.executable, "-m", "tests.support.drivers.limited_serving", scene.config.store]
    with subprocess.Popen(
        [*command, str(1024 * MIB)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdin
        assert process.stdout
        yield Limited(process.stdout.readline().strip(), process.stdin, process.stdout)
        process.stdin.close()


IMAGES = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
FIELD = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
TASK = b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\n'
ENDLESS = [
    # path, type, how it begins, what goes on for ever, status, most memory in MiB
    ("/v1/predict", JSON, b'{"images": [{"data": "', CHUNK, 413, 200),
    ("/v1/embed", JSON, b"[" * 2**16, b"[" * 2**16, 413, 200),
    ("/v1/predict", FORM, IMAGES, CHUNK, 413, 32),
    ("/v1/predict", FORM, FIELD, CHUNK, 400, 32),
    ("/v1/predict", FORM, b"--x\r\n", CHUNK, 400, 32),
    ("/v1/predict", FORM, b"--x\r\nA: ", CHUNK, 400, 32),
    ("/v1/predict", FORM, b"", IMAGES.replace(b"images", b"more") + b"1\r\n", 400, 32),
    ("/v1/tasks", FORM, TASK, CHUNK, 400, 32),
    ("/v1/tasks", "application/yaml", b"name: ", CHUNK, 413, 32),
    ("/v1/adapters/main/promote", JSON, b"[", b"[" * 2**10, 413, 32),
    ("/v1/adapters/main/follow", JSON, b"{", CHUNK, 204, 32),
    ("/v1/tasks/nobody/cancel", JSON, b"{", CHUNK, 404, 32),
]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "kind", "start", "more", "status", "most"), ENDLESS)
def test_a_body_without_an_end_is_refused_at_the_limit_and_costs_no_more(
    limited: Limited, path: str, kind: str, start: bytes, more: bytes, status: int, most: int
) -> None:
    limited.peak()
    with begun(limited.url, path, kind, "Transfer-Encoding: chunked") as connection:
        connection.sendall(b"%x\r\n%s\r\n" % (len(start), start) if start else b"")
        chunk = b"%x\r\n%s\r\n" % (len(more), more)
        sent_until_answered(connection, chunk)
        assert status_of(connection)[0] == status
    assert limited.peak() < most * MIB
    assert httpx.get(f"{limited.url}/v1/health/live", timeout=TIMEOUT_S).status_code == 200
