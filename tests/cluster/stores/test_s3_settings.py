"""Where a bucket is, from a URL and the environment."""

import pytest

from adapters.errors import InputError, SettingsError
from cluster.stores.open import open_store
from cluster.stores.s3_settings import S3Settings

KEYS = {"NACRE_S3_ACCESS_KEY": "a", "NACRE_S3_SECRET_KEY": "s"}


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("s3://b", {}, ("https://s3.amazonaws.com", "b", "")),  # Amazon's, unless told otherwise
        ("s3://b/", {"NACRE_S3_ENDPOINT": "http://h:9000"}, ("http://h:9000", "b", "")),
        ("s3://b/p/q", {"NACRE_S3_ENDPOINT": "http://h"}, ("http://h", "b", "p/q/")),
        # What the URL says comes first.
        (
            "s3://b/p?endpoint=https://u/",
            {"NACRE_S3_ENDPOINT": "http://h"},
            ("https://u", "b", "p/"),
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
    settings = S3Settings.from_url("s3://b", environment)
    assert (settings.access_key, settings.secret_key) == expected


@pytest.mark.parametrize(
    ("url", "environment", "sentence"),
    [
        ("s3://b", {}, "expected S3 credentials in NACRE_S3_ACCESS_KEY"),
        ("s3://", KEYS, "expected s3://BUCKET/PREFIX"),
        ("s3://key:secret@b", KEYS, "credentials belong into the environment"),
        ("s3://b?acess_key=x", KEYS, "expected s3://BUCKET/PREFIX"),
        ("s3://b?endpoint=host:9000", KEYS, "expected an S3 endpoint like http://HOST:PORT"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    url: str, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        S3Settings.from_url(url, environment)
    assert "secret@" not in str(caught.value)


def test_a_url_of_no_store_is_refused() -> None:
    with pytest.raises(InputError, match=r"memory://NAME, file:///FOLDER or s3://BUCKET/PREFIX"):
        open_store("gs://bucket")
