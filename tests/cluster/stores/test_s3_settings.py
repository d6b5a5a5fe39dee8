"""Where a bucket is, from a URL and the environment."""

import pytest

from adapters.errors import InputError
from cluster.stores.open import open_store
from cluster.stores.s3_settings import S3Settings

NO_MACHINE = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
KEYS = {"NACRE_S3_ACCESS_KEY": "a", "NACRE_S3_SECRET_KEY": "s"}


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (
            "s3://bucket",
            {},
            ("https://s3.amazonaws.com", "bucket", ""),
        ),  # Amazon's, unless told otherwise
        ("s3://bucket/", {"NACRE_S3_ENDPOINT": "http://h:9000"}, ("http://h:9000", "bucket", "")),
        ("s3://bucket/p/q", {"NACRE_S3_ENDPOINT": "http://h"}, ("http://h", "bucket", "p/q/")),
        # What the URL says comes first.
        (
            "s3://bucket/p?endpoint=https://u/",
            {"NACRE_S3_ENDPOINT": "http://h"},
            ("https://u", "bucket", "p/"),
        ),
    ],
)
def test_the_endpoint_comes_from_the_url_or_the_environment(
    url: str, environment: dict[str, str], expected: tuple[str, str, str]
) -> None:
    settings = S3Settings.from_url(url, {**KEYS, **environment})
    assert (settings.endpoint, settings.bucket, settings.prefix) == expected
    assert S3Settings.from_url(settings.url, KEYS) == settings


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({**KEYS, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, ("a", "s")),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, ("x", "y")),
        # Half a pair is none.
        (
            {"NACRE_S3_ACCESS_KEY": "a", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"},
            ("x", "y"),
        ),
    ],
)
def test_credentials_come_from_the_environment_alone(
    environment: dict[str, str], expected: tuple[str, str]
) -> None:
    given = S3Settings.from_url("s3://bucket", environment).credentials.provider.retrieve()
    assert (given.access_key, given.secret_key) == expected


@pytest.mark.parametrize(
    ("url", "environment", "sentence"),
    [
        ("s3://bucket", {}, "expected S3 credentials in NACRE_S3_ACCESS_KEY"),
        ("s3://bucket?endpoint=https://user:pass@host", KEYS, "expected an S3 endpoint"),
        ("s3://ab/train", KEYS, "3 to 63 letters, digits, dots and dashes, found 'ab'"),
        ("s3://", KEYS, "expected s3://BUCKET/PREFIX"),
        ("s3://key:secret@b", KEYS, "credentials belong into the environment"),
        ("s3://b?acess_key=x", KEYS, "expected s3://BUCKET/PREFIX"),
        ("s3://bucket?endpoint=host:9000", KEYS, "expected an S3 endpoint like http://HOST:PORT"),
        ("s3://bucket?endpoint=http://ho\udcffst", KEYS, "expected an S3 endpoint like"),
        ("s3://bucket/caf\udce9", KEYS, "its parts must be printable"),
        (
            "s3://bucket",
            {"NACRE_S3_ACCESS_KEY": "anna", "NACRE_S3_SECRET_KEY": "secret@\udcff"},
            "printable ASCII in NACRE_S3_SECRET_KEY",
        ),
        (
            "s3://bucket",
            {"AWS_ACCESS_KEY_ID": "a\nb", "AWS_SECRET_ACCESS_KEY": "secret@"},
            "printable ASCII in AWS_ACCESS_KEY_ID",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    url: str, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        _ = S3Settings.from_url(url, {**NO_MACHINE, **environment}).credentials.provider.retrieve()
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environment", "endpoint", "region"),
    [
        ("s3://bucket/C#/train?endpoint=http://minio:9000", {}, "http://minio:9000", "us-east-1"),
        (
            "s3://bucket/C#/train",
            {"AWS_ENDPOINT_URL": "http://one:9", "AWS_DEFAULT_REGION": "eu-west-1"},
            "http://one:9",
            "eu-west-1",
        ),
        (
            "s3://bucket/C#/train",
            {"AWS_ENDPOINT_URL": "http://one:9", "AWS_ENDPOINT_URL_S3": "http://two:9"},
            "http://two:9",
            "us-east-1",
        ),
    ],
)
def test_no_part_of_an_address_is_dropped(
    url: str, environment: dict[str, str], endpoint: str, region: str
) -> None:
    found = S3Settings.from_url(url, {**KEYS, **environment})
    assert (found.endpoint, found.region, found.prefix) == (endpoint, region, "C#/train/")
    assert S3Settings.from_url(found.url, KEYS) == found


def test_a_url_of_no_store_is_refused() -> None:
    with pytest.raises(InputError, match=r"memory://NAME, file:///FOLDER or s3://BUCKET/PREFIX"):
        open_store("gs://bucket")


OF_LAB = {"NACRE_S3_NAME_ACCESS_KEY": "lab", "NACRE_S3_NAME_SECRET_KEY": "hidden"}


def test_an_address_may_name_credentials_that_are_not_those_of_the_store() -> None:
    url = "s3://bucket/p?credentials=name"
    settings = S3Settings.from_url(url, {**KEYS, **OF_LAB})
    given = settings.credentials.provider.retrieve()
    assert (given.access_key, given.secret_key, given.session_token) == ("lab", "hidden", None)
    assert "lab" not in settings.url
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("other", "'other' in NACRE_\\w+ and NACRE_\\w+, found none"),
        ("a key/with+slashes", "expected the name of credentials"),
        ("x" * 60, "expected the name of credentials"),
    ],
)
def test_credentials_that_are_not_there_are_named(named: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        url = f"s3://bucket?credentials={named}"
        _ = S3Settings.from_url(url, {**KEYS, **OF_LAB}).credentials.source
