"""The minio client as this project uses it: no silent repeats, and puts that have conditions."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio

from cluster.stores.flows.flow import Flow
from cluster.stores.flows.sockets import flowing_pools
from cluster.stores.s3_answers import strong_etag
from cluster.stores.s3_settings import S3Settings

CONNECT_TIMEOUT_S = 3.0
"""Of the connection and of the greeting of TLS, each as a whole; a packet that was lost once is
sent again within it."""
CONNECTIONS = 32
Headers = dict[str, str | list[str] | tuple[str]]
WRITE_ID = "x-amz-meta-nacre-write-id"
logger = logging.getLogger("nacre.store")


@dataclass(frozen=True, slots=True)
class Found:
    """What lies under a key: its etag, and the id of the write that put it there."""

    etag: str
    write_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """The etag that must be found; None for an object that must be absent."""

    etag: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {"If-None-Match": "*"} if self.etag is None else {"If-Match": f'"{self.etag}"'}

    def holds(self, found: Found | None) -> bool:
        return (found.etag if found else None) == self.etag


def put_if(
    client: Minio, bucket: str, name: str, data: bytes, condition: Condition, write_id: str
) -> str:
    """Put one object under a condition and return its etag; without one it may have been put.

    The public `put_object` of minio 7.2.20 has no conditions: it turns `If-None-Match` given as
    metadata into `x-amz-meta-if-none-match`, which holds nobody back. The private method below
    signs and sends the headers as they are.
    """
    headers: Headers = {
        "Content-Type": "application/json",
        WRITE_ID: write_id,
        **condition.headers,
    }
    answer = client._put_object(bucket, name, data, headers)
    return strong_etag(answer.http_headers)


class WaitTeller:
    """Says in the log, and so to a person at a command, that a store is waited for.

    Args:
        settings: Of the store.
        clock: Gives seconds that never go back.
    """

    # Owns: when it was said last; requests of many threads may wait at once.

    def __init__(
        self, settings: S3Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._said_at = -math.inf

    def __call__(self) -> None:
        """Say it, unless it was said a moment ago: one line for all attempts of an operation."""
        limits, now = self._settings.limits, self._clock()
        with self._lock:
            if now - self._said_at < limits.in_vain_s + limits.silent_s:
                return
            self._said_at = now
        logger.warning(
            "waiting for the object store at %s, which has not answered for %.0f s; it is given up "
            "after %.0f s",
            self._settings.endpoint,
            limits.told_s,
            limits.in_vain_s,
        )


def new_client(settings: S3Settings) -> Minio:
    """Return a client that sends every request once, waits no longer than its flow permits, and
    checks certificates.
    """
    endpoint = urlsplit(settings.endpoint)
    limits, teller = settings.limits, WaitTeller(settings)
    return Minio(
        endpoint.netloc,
        credentials=settings.credentials.provider,
        secure=endpoint.scheme == "https",
        region=settings.region,
        http_client=flowing_pools(
            lambda: Flow(limits, tell=teller),
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S),
            retries=False,
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        ),
    )
