"""Settings of a bucket on an S3 server: endpoint, region, and which credentials."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from adapters.errors import SettingsError
from cluster.stores.credentials.naming import REGIONS, variables_of
from cluster.stores.credentials.shared import S3Credentials
from cluster.stores.flows.flow import SILENT_S, FlowLimits
from workers.store.base import check_key

DEFAULT_ENDPOINT = "https://s3.amazonaws.com"
DEFAULT_REGION = "us-east-1"
ENDPOINTS = ("NACRE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
SILENT = "NACRE_S3_SILENT_S"
LONGEST_SILENT_S = 3600.0
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Settings:
    """Where a bucket is, and how to get in.

    Attributes:
        endpoint: `http://HOST:PORT` or `https://HOST:PORT`; https checks the certificate.
        bucket: The bucket, which must exist.
        prefix: All keys lie below it; empty, or ends with a slash.
        region: The region that requests are signed for.
        credentials: Which ones requests are signed with; they are not in here.
        silent_s: A request that the server is silent to for so long is given up, in seconds.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = DEFAULT_REGION
    credentials: S3Credentials = field(default_factory=S3Credentials)
    silent_s: float = SILENT_S

    @classmethod
    def from_url(cls, url: str, environment: Mapping[str, str]) -> Self:
        """Return the settings of `s3://BUCKET/PREFIX?endpoint=...&region=...`.

        The endpoint comes from the URL, NACRE_S3_ENDPOINT, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL,
        or is Amazon's; the region from the URL, AWS_REGION or AWS_DEFAULT_REGION. Credentials never
        come from the URL, which may name them: `credentials=NAME`; `credentials.sources` has where
        they come from. How long silence is borne is NACRE_S3_SILENT_S.

        Raises:
            SettingsError: Something is missing or impossible.
        """
        # A `#` is a part of the prefix like any other: keys may have it.
        parts = urlsplit(url, allow_fragments=False)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = sorted(set(query) - {"endpoint", "region", "credentials"})
        if unknown or "@" in parts.netloc or not parts.netloc:
            raise SettingsError(
                "expected s3://BUCKET/PREFIX with ?endpoint=, &region= and &credentials= at most; "
                "credentials belong into the environment",
                keys=tuple(unknown),
            )
        endpoint = query.get("endpoint") or _first(environment, ENDPOINTS) or DEFAULT_ENDPOINT
        named = query.get("credentials", "")
        if named or "credentials=" in parts.query:
            variables_of(named)
        return cls(
            endpoint=_checked_endpoint(endpoint),
            bucket=_checked_bucket(parts.netloc),
            prefix=_checked_prefix(parts.path),
            region=query.get("region") or _first(environment, REGIONS) or DEFAULT_REGION,
            credentials=S3Credentials(named, environment),
            silent_s=_silent_s(environment.get(SILENT, "")),
        )

    @property
    def limits(self) -> FlowLimits:
        """How long a request may wait."""
        return FlowLimits.of(self.silent_s)

    @property
    def url(self) -> str:
        """The URL that leads here again, without credentials."""
        query = urlencode({"endpoint": self.endpoint, "region": self.region}, safe=":/")
        return f"s3://{self.bucket}/{self.prefix}?{query}"


def _silent_s(text: str) -> float:
    if not text:
        return SILENT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= LONGEST_SILENT_S:
        raise SettingsError(
            f"expected seconds from 0.1 to {LONGEST_SILENT_S:.0f} in {SILENT}, found {text!r}; "
            f"remove it for {SILENT_S:.0f}",
            variable=SILENT,
        )
    return seconds


def _first(environment: Mapping[str, str], names: Sequence[str]) -> str | None:
    """Return the value of the first of `names` that is set to something."""
    return next((environment[name] for name in names if environment.get(name)), None)


def _checked_bucket(bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError(
            f"expected the name of a bucket, 3 to 63 letters, digits, dots and dashes, found "
            f"{bucket!r}; write s3://BUCKET/PREFIX",
            bucket=bucket,
        )
    return bucket


def _checked_endpoint(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    more = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    more = more or not endpoint.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or more:
        raise SettingsError(
            f"expected an S3 endpoint like http://HOST:PORT or https://HOST, found {endpoint!r}",
            endpoint=endpoint,
        )
    return f"{parts.scheme}://{parts.netloc}"


def _checked_prefix(path: str) -> str:
    prefix = path.strip("/")
    return f"{check_key(prefix)}/" if prefix else ""
