"""Sources of credentials: which one counts for a process, by what its environment says.

The first that is configured is asked, and if it gives nothing that is said: who has set a role does
not want the keys of the machine instead. Only the machine's own need no word.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from minio.credentials.providers import (
    IamAwsProvider,
    Provider,
    StaticProvider,
    WebIdentityProvider,
)

from adapters.errors import SettingsError
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.files import (
    ProfileProvider,
    is_sendable,
    profiles_of,
    read_text,
    token_of,
)
from cluster.stores.credentials.naming import REGIONS, variables_of
from cluster.stores.credentials.requests import Asking

ENDPOINTS = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
"""The server that gives credentials for a token, where it is not Amazon's."""
INSTANCE, CONTAINER = "http://169.254.169.254", "http://169.254.170.2"
INSTANCE_S = 1.0
"""How long a machine may be silent that is asked whether it has credentials, in seconds."""
FILE_S = 30.0
"""How old what was read of a file may be, in seconds: others write it anew."""
LONGEST_S = 12 * 3600.0
"""After so long credentials are asked for anew, however long they are said to count."""

_PAIRS = (
    ("NACRE_S3_ACCESS_KEY", "NACRE_S3_SECRET_KEY", "NACRE_S3_SESSION_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_ROLE, _TOKEN_FILE = "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"
_SESSION = "AWS_ROLE_SESSION_NAME"
_RELATIVE, _FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_CONTAINER_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_TRUE = frozenset({"true", "1", "yes"})

GIVER = "whoever gives its credentials"
NONE = (
    "expected S3 credentials in NACRE_S3_ACCESS_KEY and NACRE_S3_SECRET_KEY (or AWS_ACCESS_KEY_ID "
    "and AWS_SECRET_ACCESS_KEY), found none, and none of a role, a profile or this machine; set "
    "both"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where credentials come from.

    Attributes:
        said: What it is, for people.
        kind: `variables`, `role`, `profile`, `container` or `machine`.
        build: Makes a provider, which asks once.
        renews: Whether it may give others the next time.
        file_s: Of a file, how old what was read may be, in seconds; 0 for others.
        silent_s: How long whoever is asked may be silent, in seconds.
        is_guess: Whether nobody has configured it, so that it may well have nothing.
        places: Addresses, files and names in what is said of it, which whoever asks over HTTP has
            no business with; each with what stands for it.
    """

    said: str
    kind: str
    build: Callable[[Asking], Provider] = field(compare=False, repr=False)
    renews: bool = True
    file_s: float = 0.0
    silent_s: float | None = None
    is_guess: bool = False
    places: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def source_of(environment: Mapping[str, str], named: str = "") -> Source:
    """Return the source that counts.

    Args:
        environment: The variables.
        named: Which credentials of several; those of the store where empty.

    Raises:
        SettingsError: what is said of it is half or impossible, or nothing is.
    """
    if named:
        return _of_name(environment, named)
    for names in _PAIRS:
        if found := _of_variables(environment, names):
            return found
    return (
        _of_role(environment, _ROLE, _TOKEN_FILE)
        or _of_file(environment, environment.get("AWS_PROFILE", ""))
        or _of_container(environment)
        or _of_instance(environment)
    )


def _of_name(environment: Mapping[str, str], named: str) -> Source:
    access, secret, token, role, file, profile = variables_of(named)
    # One token is shown for several roles, unless there is another one.
    known = {file: environment.get(_TOKEN_FILE, ""), **environment}
    found = (
        _of_variables(environment, (access, secret, token))
        or (_of_role(known, role, file) if environment.get(role) else None)
        or (_of_file(environment, environment[profile]) if environment.get(profile) else None)
    )
    if found is None:
        raise SettingsError(
            f"expected the S3 credentials {named!r} in {access} and {secret}, found none; set both "
            f"(or {role}, or {profile})",
            variable=access,
        )
    return found


def _of_variables(environment: Mapping[str, str], names: tuple[str, str, str]) -> Source | None:
    # A Secret that was made of a file has the line break at its end.
    access, secret, token = (environment.get(name, "").rstrip("\r\n") for name in names)
    if not (access and secret):
        return None
    for name, value in zip(names, (access, secret, token), strict=True):
        if not is_sendable(value):
            raise SettingsError(
                f"expected printable ASCII in {name}, found other characters; set it anew",
                variable=name,
            )
    return Source(
        said=f"the variables {names[0]} and {names[1]}",
        kind="variables",
        build=lambda _: StaticProvider(access, secret, token or None),
        renews=False,
    )


def _of_role(environment: Mapping[str, str], role: str, file: str) -> Source | None:
    """Return the source that shows a token for a role, as a service account of Kubernetes does."""
    arn, path = environment.get(role), environment.get(file)
    if not (arn or path):
        return None
    if not (arn and path):
        lacks, has = (role, file) if path else (file, role)
        raise SettingsError(
            f"expected {lacks} beside {has}, found none; set both, or neither", variable=lacks
        )
    address, name = _sts(environment), _session(environment)
    where = Path(path)

    def build(asking: Asking) -> Provider:
        return WebIdentityProvider(
            jwt_provider_func=lambda: {"access_token": token_of(where), "expires_in": "0"},
            sts_endpoint=address,
            role_arn=arn,
            role_session_name=name,
            http_client=asking,  # type: ignore[arg-type]  # all of it that is called
        )

    return Source(
        said=f"the role {arn}, which {address} gives for the token in {path}",
        kind="role",
        build=build,
        places=((address, GIVER), (path, "its file"), (arn, "its role")),
    )


def _sts(environment: Mapping[str, str]) -> str:
    for name in ENDPOINTS:
        if address := environment.get(name):
            return checked_address(address, name)
    region = next((environment[name] for name in REGIONS if environment.get(name)), "")
    if region and not _REGION.fullmatch(region):
        raise SettingsError(
            f"expected a region like eu-central-1 in {' or '.join(REGIONS)}, found {region[:40]!r}",
            variable=REGIONS[0],
        )
    place = f"sts.{region}" if region else "sts"
    return f"https://{place}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _session(environment: Mapping[str, str]) -> str:
    given = environment.get(_SESSION)
    if given and not _SESSION_NAME.fullmatch(given):
        raise SettingsError(
            f"expected 2 to 64 letters, digits and _+=,.@- in {_SESSION}, found {given[:70]!r}; "
            "choose another name",
            variable=_SESSION,
        )
    return given or re.sub(r"[^\w.-]", "-", f"nacre-{socket.gethostname()}", flags=re.ASCII)[:64]


def _of_file(environment: Mapping[str, str], profile: str) -> Source | None:
    named = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    file = Path(named) if named else Path(environment.get("HOME") or "/") / _FILE
    wanted = profile or "default"
    if not (profile or named):
        try:
            if not file.is_file() or wanted not in profiles_of(file):
                return None
        except (NotGivenError, OSError):  # nobody has said that it is to be read
            return None
    return Source(
        said=f"profile {wanted!r} of {file}",
        kind="profile",
        build=lambda _: ProfileProvider(file, wanted),
        file_s=FILE_S,
        places=((str(file), "its file"),),
    )


_FILE = Path(".aws") / "credentials"


def _of_container(environment: Mapping[str, str]) -> Source | None:
    relative, full = environment.get(_RELATIVE), environment.get(_FULL)
    if not (relative or full):
        return None
    token_file = environment.get(_CONTAINER_FILE)
    address = f"{CONTAINER}/{(relative or '').lstrip('/')}"
    if full and not relative:
        address = checked_address(full, _FULL, path=True)
        if not token_file and not _is_here(address):
            raise SettingsError(
                f"expected an address of this machine in {_FULL}, or a token in {_CONTAINER_FILE}, "
                f"found {address} alone; set the file",
                variable=_FULL,
            )

    def build(asking: Asking) -> Provider:
        if token_file and not relative:
            _check_alone(Path(token_file))
        return IamAwsProvider(http_client=asking)  # type: ignore[arg-type]

    places = [(address, GIVER), (_origin(address), GIVER)]
    places += [(token_file, "its file")] if token_file else []
    said = f"the container, which asks {address}"
    return Source(said=said, kind="container", build=build, places=tuple(places))


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _check_alone(file: Path) -> None:
    """Raise NotGivenError where minio would send more than a token, and say in an error which."""
    if token_of(file) != read_text(file):
        raise NotGivenError(
            f"expected a token alone in {file}, found white space around it; write it without",
            passes=False,
        )


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _of_instance(environment: Mapping[str, str]) -> Source:
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() in _TRUE:
        raise SettingsError(NONE)
    given = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    name = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    address = checked_address(given, name) if given else INSTANCE
    return Source(
        said=f"this machine, which asks {address}",
        kind="machine",
        build=lambda asking: IamAwsProvider(
            custom_endpoint=address,
            http_client=asking,  # type: ignore[arg-type]
        ),
        silent_s=INSTANCE_S,
        is_guess=True,
        places=((address, GIVER),),
    )


def checked_address(address: str, variable: str, *, path: bool = False) -> str:
    """Return an address of a server.

    Args:
        address: As it was given.
        variable: What it was given in.
        path: Whether it may lead to a place on the server.

    Raises:
        SettingsError: it is none.
    """
    parts = urlsplit(address)
    more = "" if path else parts.path.strip("/") or parts.query
    whole = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    if not whole or more or parts.fragment or not is_sendable(address):
        raise SettingsError(
            f"expected an address like https://HOST in {variable}, found another text; correct it",
            variable=variable,
        )
    return address if path else _origin(address)
