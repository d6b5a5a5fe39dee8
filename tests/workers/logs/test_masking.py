"""What is masked: secrets wherever they stand, bytes of images, and nothing else."""

import base64
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.logs.masking import Masking

MASKED = Masking()
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq9\nabcd1234\n-----END RSA PRIVATE KEY-----"
)
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLW9mLWl0"

SECRETS = [
    ("https://anna:s3cr3t-w0rd@store.example.com/x", "s3cr3t-w0rd"),
    ("s3://b/p?X-Amz-Credential=AK%2F1&X-Amz-Signature=0a1b2c3d4e&x=1", "0a1b2c3d4e"),
    ("X-Amz-Security-Token=FwoGZXIvYXdzEJr", "FwoGZXIvYXdzEJr"),
    ("sent Authorization: Bearer abc.def-123", "abc.def-123"),
    ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
    ("Cookie: nacre_session=abcdef; other=1", "abcdef"),
    ("password=hunter22", "hunter22"),
    ("secret_key = 'kept from all'", "kept from all"),
    ('{"token": "abcdefgh"}', "abcdefgh"),
    (r'"{\"api_key\": \"abcdefgh\"}"', "abcdefgh"),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    ("with nacre_" + "Ab3-" * 8, "Ab3-Ab3-"),
    ("signed by whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8G"),
    (f"sent {JWT} there", "eyJzdWIi"),
    ("with AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    (f"found\n{PEM}\nthere", "MIIEpAIB"),
    (PEM.partition("abcd")[0], "MIIEpAIB"),  # its end was cut off
    (PEM.partition("KEY")[2], "abcd1234"),  # its beginning was
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_masked_in_whatever_form_it_comes(text: str, secret: str) -> None:
    assert secret not in MASKED(text)
    assert "***" in MASKED(text)


def test_the_values_of_variables_that_are_secret_are_masked_wherever_they_stand() -> None:
    masked = Masking.of(
        {
            "NACRE_TOKEN": "correct-horse",
            "NACRE_S3_SECRET_KEY": "battery-staple",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=violets-are-blue,x-b=2",
            "NACRE_TOKEN_FILE": "/etc/nacre/token",
            "NACRE_STORE": "file:///somewhere",
            "MY_PASSWORD": "short",
        }
    )
    said = "correct-horse battery-staple violets-are-blue /etc/nacre/token file:///somewhere short"
    assert masked(said) == "*** *** *** /etc/nacre/token file:///somewhere short"


def test_of_two_secrets_of_which_one_begins_as_the_other_does_nothing_stays() -> None:
    assert Masking(["abcdefgh", "abcdefghijkl"])("abcdefghijkl") == "***"


IMAGE = random.Random(3).randbytes(3000)


@pytest.mark.parametrize(
    "text",
    [
        f"read {IMAGE!r}",
        f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}",
        base64.b64encode(IMAGE).decode(),
        base64.encodebytes(IMAGE).decode(),
        IMAGE.hex(),
    ],
)
def test_bytes_of_images_are_no_text_for_anybody(text: str) -> None:
    assert len(MASKED(text)) < 200
    assert "‹bytes›" in MASKED(text)


NAMES = [
    "token",
    "password",
    "aws_secret_access_key",
    "Authorization",
    "Cookie",
    "apiKey",
    "b",
    "note",
    "at",
]
PARTS = [
    *(text for text, _ in SECRETS),
    *("a", " ", ", ", "\n", '"', "'", "\\", "{", "}", ":", "=", "\\n", "é"),
    *(
        "b'" + "x" * 70,
        'b"' + "x" * 70 + '"',
        r"\x89" * 40,
        "A" * 70,
        "QUJD" * 60,
        "--token ",
        "://",
    ),
    *(
        'Cookie: a="b"; c=',
        'Authorization: Digest user="anna"',
        "password=",
        'password="',
        "password='",
        "token",
        "b'",
    ),
]
VALUES = st.recursive(
    st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
    | st.integers()
    | st.lists(st.floats(allow_nan=False), max_size=9)
    | st.none(),
    lambda inside: (
        st.dictionaries(st.sampled_from(NAMES), inside, max_size=3)
        | st.lists(inside, max_size=3)
        | inside.map(json.dumps)  # JSON within a string of JSON
    ),
    max_leaves=8,
)


def _like(found: object, document: object) -> bool:
    """Return whether what was masked has the same names and lists, in strings too."""
    if isinstance(document, dict):
        return isinstance(found, dict) and all(
            name in found and _like(found[name], inside) for name, inside in document.items()
        )
    if isinstance(document, list):
        return isinstance(found, list) and all(map(_like, found, document))
    # What is a number may be a secret, too.
    return isinstance(found, str) if isinstance(document, str) else found in (document, "***")


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), st.sampled_from([None, 1]))
@settings(max_examples=300)
def test_json_stays_json(document: dict[str, object], indent: int | None) -> None:
    assert _like(json.loads(MASKED(json.dumps(document, indent=indent))), document)
    inner = json.dumps({"message": json.dumps(document)})
    within = json.loads(MASKED(inner))["message"]
    assert _like(json.loads(within), document)
    lines = MASKED(f"{inner}\n{inner}").splitlines()
    assert [json.loads(line).keys() for line in lines] == [{"message"}, {"message"}]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_masked_in_json_and_in_json_within_json(text: str, secret: str) -> None:
    for _ in range(2):
        text = json.dumps({"message": text, "after": 1})
        masked = MASKED(text)
        assert secret not in masked
        assert json.loads(masked)["after"] == 1


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('{"password": "abc\\"def-secret"}', "def-secret"),
        (r'{"m": "{\"password\": \"abc\\\"def-secret\"}"}', "def-secret"),
        ('Cookie: a="b"; c=def-secret', "def-secret"),
        ('Authorization: Digest username="anna", response="def-secret"', "def-secret"),
        ('("authorization", "Bearer def-secret")', "def-secret"),
        ("nacre --token def-secret up", "def-secret"),
        ("GET https://hooks.example.com/services/def-secret", "def-secret"),
        ("postgres://admin:def@secret@db/x", "def@secret"),
        ("github_pat_11ABCDEFG0defsecret", "defsecret"),
        ("amqp://guest:def/secret@queue:5672/x", "def/secret"),
        ("s3://AK1:wJal/K7M+def/secret@bucket/way", "secret"),
        ('{"store": "s3://AK1:wJal/def-secret@bucket"}', "def-secret"),
        ("sessionid=def-secret", "def-secret"),
        ("with AIzaSyD-" + "def-secret_" * 3, "def-secret"),
        ('--token "def-secret" up', "def-secret"),
        (json.dumps({"m": '--token "def-secret" up'}), "def-secret"),
        ("curl -s -u anna:def-secret http://x", "def-secret"),
        ('{"password": 12345678, "n": 1}', "12345678"),
        ("DefaultEndpointsProtocol=https;AccountKey=def-secret==;x", "def-secret"),
        (str(PEM.splitlines(keepends=True)), "abcd1234"),
        (json.dumps({"key": PEM.splitlines()}), "abcd1234"),
        ("AWS4-HMAC-SHA256 Credential=AK/1, Signature=def-secret", "def-secret"),
    ],
)
def test_no_rest_of_a_secret_stays(text: str, secret: str) -> None:
    assert secret not in MASKED(text)


SENTENCES = [
    "learns on version 3 with lada on cpu, from step 200 of 500",
    "embedded shard 0a1b2c3d4e5f on cpu: 256 images in 2 views, 3.1 s",
    "the secret key is wrong; set NACRE_S3_SECRET_KEY to the right one",
    'File "/usr/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1511, in _call',
    "expected a basic understanding of tokens, found none",
    "https://store.example.com:9000/bucket/shards/ab/abcdef?versionId=3",
    "GET http://store.example.com:9000/?mail=anna@example.com and http://[::1]:80/a@b",
    "file:///srv/a:b/c@d and oci://registry.example.com:5000/nacre@sha256",
    "digest sha256 " + "ab" * 32,
    "\n".join(["ab" * 32] * 9),
    'nacre_requests_total{route="/v1/predict",code="200"} 3',
    "nacre_coordinator_trouble_seconds 0.0",
    '{"b": [0.12345678, 0.12345678, 0.12345678, 0.12345678, 0.12345678, 0.12345678], "c": "d"}',
]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_without_a_secret_stays_as_it_is(text: str) -> None:
    assert MASKED(text) == text


@given(st.text(max_size=300))
def test_whatever_is_written_around_it_a_planted_secret_is_gone(text: str) -> None:
    planted = "Zx9-planted-Zx9"
    assert planted not in Masking([planted])(f"{text}{planted}{text}")


@pytest.mark.parametrize(
    "unit",
    [
        *("secret", "a.", "token=", "b'", 'b"', "x://", "eyJ-", "-----BEGIN ", "\\x0", "a\n"),
        *("data:a/", "basic+", '-----BEGIN PRIVATE KEY-----"', "cookie:=", "\\", 'sig="', "nacre_"),
        *("--token ", "token='a\"", 'token\\"', "token',\"", 'cookie:a="', "-----END PRIVATE KEY"),
    ],
)
def test_no_text_makes_it_take_long(unit: str) -> None:
    """Each form looks at a character so often and no more: forty times the text, not 1600 times."""

    def took(size: int) -> float:
        text = (unit * size)[:size]
        times = []
        for _ in range(3):
            began = time.process_time()
            MASKED(text)
            times.append(time.process_time() - began)
        return min(times)

    assert took(40_000) < 400 * max(took(1_000), 0.0005)
