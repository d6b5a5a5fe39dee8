"""The minio client as this project uses it: no silent repeats, and puts that have conditions."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio

from cluster.stores.s3_answers import strong_etag
from cluster.stores.s3_settings import S3Settings

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
CONNECTIONS = 32
Headers = dict[str, str | list[str] | tuple[str]]
WRITE_ID = "x-amz-meta-nacre-write-id"


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


def new_client(settings: S3Settings) -> Minio:
    """Return a client that sends every request once and checks certificates."""
    endpoint = urlsplit(settings.endpoint)
    return Minio(
        endpoint.netloc,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        session_token=settings.session_token or None,
        secure=endpoint.scheme == "https",
        region=settings.region,
        http_client=urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        ),
    )
