"""Which source of credentials counts, by what the environment says."""

import os
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.files import ProfileProvider, read_text
from cluster.stores.credentials.renewed import Renewed
from cluster.stores.credentials.sources import source_of

OWN = {"NACRE_S3_ACCESS_KEY": "a", "NACRE_S3_SECRET_KEY": "s"}
KEYS = {"AWS_ACCESS_KEY_ID": "b", "AWS_SECRET_ACCESS_KEY": "t", "AWS_SESSION_TOKEN": "u"}
ROLE = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token"}
PROFILE = {"AWS_PROFILE": "lab"}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({**OWN, **KEYS, **ROLE, **PROFILE, **CONTAINER}, "the variables NACRE_S3_ACCESS_KEY and"),
        ({**KEYS, **ROLE, **PROFILE, **CONTAINER}, "the variables AWS_ACCESS_KEY_ID and"),
        ({**ROLE, **PROFILE, **CONTAINER}, "the role arn:aws:iam::1:role/r, which"),
        ({**PROFILE, **CONTAINER}, "profile 'lab' of /nowhere/.aws/credentials"),
        ({**CONTAINER}, "the container, which asks http://169.254.170.2/v2/x"),
        ({}, "this machine, which asks http://169.254.169.254"),
    ],
)
def test_the_first_that_is_configured_counts(environment: dict[str, str], said: str) -> None:
    assert source_of({"HOME": "/nowhere", **environment}).said.startswith(said)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "https://sts.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "eu-central-1"}, "https://sts.eu-central-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "https://sts.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000"),
        ({"AWS_ENDPOINT_URL_STS": "https://sts.example.org"}, "https://sts.example.org"),
    ],
)
def test_who_gives_credentials_for_a_role(environment: dict[str, str], address: str) -> None:
    assert f", which {address} gives" in source_of({**ROLE, **environment}).said


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"AWS_ROLE_ARN": "r"}, "expected AWS_WEB_IDENTITY_TOKEN_FILE beside AWS_ROLE_ARN"),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "f"},
            "expected AWS_ROLE_ARN beside",
        ),
        ({**ROLE, "AWS_REGION": "evil.org/"}, "expected a region like eu-central-1"),
        ({**ROLE, "AWS_ENDPOINT_URL_STS": "https://u:secret@h"}, "expected an address like"),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://somewhere.org/x"},
            "expected an address of this machine in AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        ({"AWS_EC2_METADATA_DISABLED": "TRUE"}, "expected S3 credentials in NACRE_S3_ACCESS_KEY"),
    ],
)
def test_half_of_a_source_is_told(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        source_of({"HOME": "/nowhere", **environment})
    assert "secret@" not in str(caught.value)


def test_a_machine_without_credentials_is_one_sentence() -> None:
    environment = {"HOME": "/nowhere", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
    provider = Renewed(source_of(environment))
    with pytest.raises(SettingsError, match=r"found none, .*; set both \(http://127.0.0.1:9, wh"):
        provider.retrieve()


def _read(file: Path, profile: str = "default") -> tuple[str, str, str | None]:
    found = ProfileProvider(file, profile).retrieve()
    return found.access_key, found.secret_key, found.session_token


def test_a_profile_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "\ufeff# made by a tool\n[default]\naws_access_key_id=A\n"
        "aws_secret_access_key = 1%2(x)s$#\n"
        "[lab]\nAWS_ACCESS_KEY_ID = B\naws_secret_access_key = b\naws_session_token = t\n"
        "[lab]\naws_secret_access_key = c\n"
    )
    assert _read(file) == ("A", "1%2(x)s$#", None)
    assert _read(file, "lab") == ("B", "c", "t")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"planted-secret", "cannot be read as profiles"),
        (b"[default]\naws_access_key_id\nplanted-secret", "cannot be read as profiles"),
        (b"[default]\naws_access_key_id = A\n", "expected aws_secret_access_key in profile"),
        (b"[default]\nrole_arn = r\nsource_profile = s\n", "Roles, single sign-on and programs"),
        (
            b"[default]\naws_access_key_id = A\naws_secret_access_key = planted-secret\xc3\xa4",
            "expected printable ASCII as aws_secret_access_key",
        ),
        (
            b"[default]\naws_access_key_id = A\naws_secret_access_key = planted-\n  secret\n",
            "expected printable ASCII as aws_secret_access_key",
        ),
        (b"[default]\naws_access_key_id = A\xff\xfe\x00planted-secret", "found other bytes"),
        (b"[default]\x00", "found other bytes"),
        (b"x" * (2**20 + 1), "or more than 1048576"),
        (b"[other]\n", "found no such profile"),
        (b"", "found no such profile"),
    ],
)
def test_a_file_that_is_none_is_one_sentence_without_its_content(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(content)
    with pytest.raises(NotGivenError, match=sentence) as caught:
        _read(file)
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_would_be_waited_for_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(NotGivenError, match="expected credentials in the file"):
            read_text(odd)
