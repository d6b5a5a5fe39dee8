"""A load of HTTP requests that costs next to nothing: prepared bytes over open connections."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a load has given.

    Attributes:
        seconds: How long it lasted.
        latencies: Seconds from each request to the last byte of its answer, sorted.
        statuses: How often each status was answered; 0 for broken connections.
    """

    seconds: float
    latencies: list[float]
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Good answers per second."""
        return self.statuses[200] / self.seconds

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of the good answers stay below, in seconds."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request_bytes(url: str, *, body: bytes = b"", content_type: str = "") -> bytes:
    """Return one request, ready to be sent: POST where it has a body."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = [
        f"{'POST' if body else 'GET'} {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {len(body)}",
    ]
    head += [f"Content-Type: {content_type}"] if content_type else []
    return "\r\n".join([*head, "", ""]).encode() + body


def multipart(files: list[bytes], fields: dict[str, str]) -> tuple[bytes, str]:
    """Return a multipart body of `files` called `images`, and its content type."""
    boundary = "nacre-benchmark"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{index}.jpg"'
        "\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        + content
        + b"\r\n"
        for index, content in enumerate(files)
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    return b"".join(
        parts
    ) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def image_request(url: str, jpeg: bytes) -> bytes:
    """Return the request that asks what one image shows."""
    body, content_type = multipart([jpeg], {})
    return request_bytes(url, body=body, content_type=content_type)


def run_load(url: str, request: bytes, *, clients: int, seconds: float) -> Load:
    """Send `request` again and again over `clients` connections for `seconds`."""
    return asyncio.run(_run(url, request, clients, seconds))


def run_in_turns(url: str, request: bytes, work: Callable[[], object], *, turns: int) -> Load:
    """Do `work` and send `request`, in turns, over one connection; the latencies are the requests'.

    So what machines do to both is in both alike.
    """
    return asyncio.run(_run_in_turns(url, request, work, turns))


async def _run_in_turns(url: str, request: bytes, work: Callable[[], object], turns: int) -> Load:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    for _ in range(turns):
        work()
        asked = time.perf_counter()
        status, _ = await _asked(reader, writer, request)
        latencies.append(time.perf_counter() - asked)
        statuses[status] += 1
    seconds = time.perf_counter() - started
    writer.close()
    return Load(seconds=seconds, latencies=sorted(latencies), statuses=statuses)


async def _run(url: str, request: bytes, clients: int, seconds: float) -> Load:
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    until = started + seconds

    async def client() -> None:
        parts = urlsplit(url)
        connection = None
        while time.perf_counter() < until:
            try:
                if connection is None:
                    connection = await asyncio.open_connection(parts.hostname, parts.port)
                asked = time.perf_counter()
                status, closes = await _asked(*connection, request)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                statuses[0] += 1
                connection = None
                continue
            statuses[status] += 1
            if status == 200:
                latencies.append(time.perf_counter() - asked)
            if closes:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(
        seconds=time.perf_counter() - started, latencies=sorted(latencies), statuses=statuses
    )


async def _asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bool]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    length = head.partition("content-length:")[2].split("\r\n", 1)[0].strip()
    if length:
        await reader.readexactly(int(length))
    elif "transfer-encoding: chunked" in head:
        while (size := int((await reader.readline()).strip(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    return status, "connection: close" in head
