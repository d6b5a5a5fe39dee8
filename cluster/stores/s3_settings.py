"""Settings of a bucket on an S3 server: endpoint, region, credentials."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from adapters.errors import SettingsError
from cluster.stores.flow import SILENT_S, FlowLimits
from workers.store.base import check_key

DEFAULT_ENDPOINT = "https://s3.amazonaws.com"
DEFAULT_REGION = "us-east-1"
ENDPOINTS = ("NACRE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
SILENT = "NACRE_S3_SILENT_S"
LONGEST_SILENT_S = 3600.0
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_NAMED = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Settings:
    """Where a bucket is, and how to get in.

    Attributes:
        endpoint: `http://HOST:PORT` or `https://HOST:PORT`; https checks the certificate.
        bucket: The bucket, which must exist.
        prefix: All keys lie below it; empty, or ends with a slash.
        region: The region that requests are signed for.
        access_key: Names the account.
        secret_key: Signs requests; never shown, never stored.
        session_token: Of temporary credentials; empty for others.
        silent_s: A request that the server is silent to for so long is given up, in seconds.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = DEFAULT_REGION
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False, default="")
    silent_s: float = SILENT_S

    @classmethod
    def from_url(cls, url: str, environment: Mapping[str, str]) -> Self:
        """Return the settings of `s3://BUCKET/PREFIX?endpoint=...&region=...`.

        The endpoint comes from the URL, NACRE_S3_ENDPOINT, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL,
        or is Amazon's; the region from the URL, AWS_REGION or AWS_DEFAULT_REGION. Credentials come
        from NACRE_S3_ACCESS_KEY and NACRE_S3_SECRET_KEY, or AWS_ACCESS_KEY_ID and
        AWS_SECRET_ACCESS_KEY, never from the URL; with `credentials=NAME` in the URL they come from
        NACRE_S3_NAME_ACCESS_KEY and NACRE_S3_NAME_SECRET_KEY instead. How long
        silence is borne is NACRE_S3_SILENT_S.

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
        access_key, secret_key, token = _credentials(environment, query.get("credentials"))
        return cls(
            endpoint=_checked_endpoint(endpoint),
            bucket=_checked_bucket(parts.netloc),
            prefix=_checked_prefix(parts.path),
            region=query.get("region") or _first(environment, REGIONS) or DEFAULT_REGION,
            access_key=access_key,
            secret_key=secret_key,
            session_token=token,
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


def _credentials(environment: Mapping[str, str], named: str | None) -> tuple[str, str, str]:
    variables = _VARIABLES if named is None else (_variables_of(named),)
    for access, secret, token in variables:
        if environment.get(access) and environment.get(secret):
            for name in (access, secret, token):
                _check_sendable(name, environment.get(name, ""))
            return environment[access], environment[secret], environment.get(token, "")
    if named is not None:
        access, secret, _ = variables[0]
        raise SettingsError(
            f"expected the S3 credentials {named!r} in {access} and {secret}, found none; set both",
            variable=access,
        )
    raise SettingsError(
        "expected S3 credentials in NACRE_S3_ACCESS_KEY and NACRE_S3_SECRET_KEY (or "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), found none; set both"
    )


_VARIABLES = (
    ("NACRE_S3_ACCESS_KEY", "NACRE_S3_SECRET_KEY", "NACRE_S3_SESSION_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_OF_NAME = ("NACRE_S3_NAME_ACCESS_KEY", "NACRE_S3_NAME_SECRET_KEY", "NACRE_S3_NAME_SESSION_TOKEN")


def _variables_of(named: str) -> tuple[str, str, str]:
    """Return the variables that hold named credentials."""
    if not _NAMED.fullmatch(named):
        raise SettingsError(
            "expected the name of credentials, at most 40 letters, digits, dashes and underscores, "
            f"behind `credentials=`, found {named[:40]!r}; the credentials themselves belong into "
            "the environment"
        )
    access, secret, token = (
        name.replace("NAME", named.upper().replace("-", "_")) for name in _OF_NAME
    )
    return access, secret, token


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


def _check_sendable(name: str, value: str) -> None:
    """Raise where `value` cannot stand in a header; what it is, is not told: it is a secret."""
    if not (value.isascii() and value.isprintable()):
        raise SettingsError(
            f"expected printable ASCII in {name}, found other characters; set it anew",
            variable=name,
        )


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
