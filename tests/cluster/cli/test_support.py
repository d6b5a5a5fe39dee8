"""`nacre support-bundle`: what is in it, what never is, and where it cannot be made whole."""

import base64
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from cluster.system.latest_logs import MOST_OF_FILE, latest_logs
from cluster.wire.outputs.system import SupportBundle
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised
from tests.support.drivers.s3_server import free_port
from tests.support.drivers.served import served
from tests.support.scenes.registry import learn
from tests.support.scenes.webhooks import webhook
from workers.logs.masking import Masking
from workers.logs.secrets import secrets_of
from workers.registry import Registry
from workers.store import FileStore
from workers.webhooks.webhook import Secret, change

IN_VARIABLES = {
    "NACRE_TOKEN": "planted-change-token",
    "NACRE_PREDICT_TOKEN": "planted-predict-token",
    "NACRE_OIDC_SECRET": "planted/oidc+secret=",
    "NACRE_S3_ACCESS_KEY": "PLANTEDACCESSKEY",
    "NACRE_S3_SECRET_KEY": 'planted"s3\\secret',
    "NACRE_S3_NAME_SECRET_KEY": "planted-lab-secret",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "RAY_AUTH_TOKEN": "planted-ray-token",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=planted-header",
    "SOME_DATABASE_PASSWORD": "planted password with spaces",
    "HTTPS_PROXY": "http://planteduser:plantedpassword@proxy:3128",
}
NAMED = f"nacre_{'Planted_'.ljust(43, 'x')}"
SIGNED = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.UGxhbnRlZFNpZ25hdHVyZQ"
HOOK = "https://example.org/services/T0/planted-path-of-a-hook"
OF_HOOK = "whsec_UGxhbnRlZFdlYmhvb2tTZWNyZXQ="
PEM = "\n".join(
    ("-----BEGIN PRIVATE KEY-----", "UGxhbnRlZFByaXZhdGVLZXk" * 3, "-----END PRIVATE KEY-----")
)
SHAPES = (
    f"Authorization: Bearer {SIGNED}",
    "headers {'Authorization': 'Basic cGxhbnRlZDpwbGFudGVk'}",
    'said {"authorization": "Bearer planted-of-somebody-else"}',
    r'{"message": "sent {\"api_key\": \"planted-escaped\", \"apiKey\": \"planted-camel\"}"}',
    "GET /x?X-Amz-Signature=planted-signature&X-Amz-Security-Token=planted-presigned&a=1",
    "connecting to postgres://admin:planted-database@db/x and https://planted-alone@host/",
    f"a token {NAMED} and a secret {OF_HOOK}",
    "password: planted-in-yaml",
    "export CLIENT_SECRET=planted-exported",
    "Cookie: nacre-session=planted-cookie; other=1",
    "key AKIAPLANTED0000000XX",
    PEM,
    f"line of a key\n{'UGxhbnRlZExvbmdMaW5l' * 4}",
    "nacre --token planted-argument up",
)
PLANTED = [
    *(value for name, value in IN_VARIABLES.items() if name != "HTTPS_PROXY"),
    *("planteduser", "plantedpassword", NAMED, SIGNED, OF_HOOK, "planted-path-of-a-hook"),
    *("UGxhbnRlZFByaXZhdGVLZXk", "UGxhbnRlZExvbmdMaW5l", "cGxhbnRlZDpwbGFudGVk"),
    "planted",
]
"""The last of them is in nearly all."""


def _forms(secret: str) -> set[bytes]:
    quoted = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return {form.encode() for form in quoted} | {base64.b64encode(secret.encode())}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nacre: Command) -> FileStore:
    """Plant a secret of every kind, and return the store."""
    del nacre  # its home and store are meant
    for name, value in IN_VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NACRE_SERVE__PORT", str(free_port()))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NACRE_EVENTS__ALLOW", f"[{HOOK}]")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = PLANTEDPROFILE\naws_secret_access_key = planted-profile\n"
    )
    (tmp_path / "token").write_text("planted-token-of-a-file\n")
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(tmp_path / "token"))
    (tmp_path / "home" / "keys").mkdir(parents=True)
    (tmp_path / "home" / "keys" / "NACRE_TOKEN").write_text("planted-kept-token\n")
    (tmp_path / "home" / "keys" / "NACRE_SERVE__HOST").write_text("the first\n")
    known = [
        *IN_VARIABLES.values(),
        "planted-profile",
        "planted-token-of-a-file",
        HOOK,
        "planted-kept-token",
    ]
    lines = [*SHAPES, *(f"somebody has said {each}, {quote(each, safe='')}" for each in known)]
    lines += [json.dumps({"at": time.time(), "message": f"it was {each}"}) for each in known]
    lines += [base64.b64encode(each.encode()).decode() for each in known]
    for folder in (tmp_path / "home" / "logs", tmp_path / "ray" / "session_latest" / "logs"):
        folder.mkdir(parents=True)
        (folder / "worker.log").write_text("the first line\n" + "\n".join(lines) + "\nthe last\n")
    store = FileStore(tmp_path / "store")
    learn(Registry(store).create("main"), "digits")
    hook = webhook(store, url=HOOK)
    change(store, hook.name, lambda held: replace(held, secrets=(Secret(value=OF_HOOK),)))
    return store


def _unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        members = {each.name.partition("/")[2]: each for each in archive.getmembers()}
        assert all(each.isreg() and each.mode == 0o600 for each in members.values())
        read = {name: archive.extractfile(each) for name, each in members.items()}
        return {name: found.read() for name, found in read.items() if found}


def test_nothing_secret_is_in_a_bundle(planted: FileStore, nacre: Command, tmp_path: Path) -> None:
    ended = nacre("support-bundle", "bundle.tar.gz", "--output", "json")
    assert (ended.code, ended.err) == (0, "")
    made = SupportBundle.model_validate(as_promised("support-bundle", ended.out))
    file = tmp_path / "bundle.tar.gz"
    assert (made.size_bytes, file.stat().st_mode & 0o777) == (file.stat().st_size, 0o600)
    found = _unpacked(file)
    whole = gzip.decompress(file.read_bytes()) + ended.out.encode()
    for secret in PLANTED:
        for form in _forms(secret):
            assert form not in whole, [name for name, data in found.items() if form in data]
    assert b"planted" not in whole.lower()
    # And yet it is of use.
    assert {each.part for each in made.parts if each.missing} == {"status", "metrics"}
    log = found["logs/nacre/worker.log"].decode()
    assert log.startswith("the first line\n") and log.endswith("the last\n")
    assert b"***" in found["logs/ray/worker.log"] and b"a=1" in found["logs/ray/worker.log"]
    assert b"NACRE_TOKEN is set\n" in found["environment.txt"]
    assert json.loads(found["configuration.json"])["store"] == planted.url
    assert json.loads(found["configuration.json"])["events"]["allow"] == ["https://example.org/…"]
    assert json.loads(found["verify/main.json"])["clean"] is True
    assert "minio" in json.loads(found["versions.json"])["packages"]
    assert {"store", "encoder"} <= {each["check"] for each in json.loads(found["doctor.json"])}
    assert b"does not answer" in found["README.txt"]


def test_what_a_service_says_is_in_it(
    nacre: Command, planted: FileStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def status(request: Request) -> JSONResponse:
        return JSONResponse({"asked_with": request.headers["authorization"], "adapters": {}})

    async def metrics(_: Request) -> PlainTextResponse:
        return PlainTextResponse(f'nacre_x{{url="{HOOK}"}} 1\n' + "nacre_y 2\n" * 1_000_000)

    routes = [Route("/v1/status", status), Route("/v1/metrics", metrics)]
    with served(Starlette(routes=routes)) as address:
        monkeypatch.setenv("NACRE_SERVE__PORT", address.rpartition(":")[2])
        assert nacre("support-bundle", "b.tar.gz", "--no-verify").code == 0
    found = _unpacked(tmp_path / "b.tar.gz")
    assert json.loads(found["service.json"])["asked_with"].endswith("***")
    assert len(found["metrics.txt"]) < 9 * 2**20
    assert found["metrics.txt"].rstrip().endswith(b"characters")
    assert b"planted" not in b"".join(found.values()).lower()
    assert b"verify: it was left out, with --no-verify" in found["README.txt"]
    del planted


def test_it_is_made_where_nothing_works(
    nacre: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_STORE", f"s3://gone?endpoint=http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NACRE_S3_ACCESS_KEY", "someone")
    monkeypatch.setenv("NACRE_S3_SECRET_KEY", "something-secret")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    ended = nacre("support-bundle", "away.tar.gz", "--output", "json")
    assert ended.code == 0
    made = SupportBundle.model_validate(as_promised("support-bundle", ended.out))
    missing = {each.part: each.missing for each in made.parts if each.missing}
    assert missing.keys() == {"status", "journal", "metrics", "logs", "verify"}
    assert "cannot be reached" in (missing["verify"] or "")
    (tmp_path / "wrong.yaml").write_text("sevre: {port: 1}\n")
    ended = nacre("--config", "wrong.yaml", "support-bundle", "wrong.tar.gz")
    assert ended.code == 0
    found = _unpacked(tmp_path / "wrong.tar.gz")
    assert b"configuration: unknown key 'sevre'" in found["README.txt"]
    assert "versions.json" in found and "environment.txt" in found


def test_nothing_is_written_over_or_through(nacre: Command, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for name in ("there", "link", "loop", "pipe"):
        ended = nacre("support-bundle", name)
        assert ended.code == 2 and f"{name} exists already" in ended.err
    assert (tmp_path / "there").read_text() == "kept"
    assert not (tmp_path / "elsewhere").exists()
    for name in ("absent/b.tar.gz", "there/b.tar.gz", "."):
        ended = nacre("support-bundle", name)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)


def test_of_a_bundle_that_does_not_fit_nothing_is_left(nacre: Command, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "logs"
    folder.mkdir(parents=True)
    words = (base64.b32encode(os.urandom(20)).decode() for _ in range(15_000))
    (folder / "a.log").write_text("\n".join(words))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        ended = nacre("support-bundle", "full.tar.gz", "--no-verify")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert ended.code == 4
    assert "cannot be written (File too large); nothing of it is left" in ended.err
    assert not (tmp_path / "full.tar.gz").exists()


def test_of_a_bundle_that_is_interrupted_nothing_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "NACRE_HOME": str(tmp_path / "home"), "RAY_TMPDIR": str(tmp_path)}
    environment["NACRE_STORE"] = f"file://{tmp_path}/store"
    command = [sys.executable, "-m", "cluster.cli", "support-bundle", str(tmp_path / "b.tar.gz")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "b.tar.gz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "nothing of the bundle is left" in said
    assert not (tmp_path / "b.tar.gz").exists()


def test_logs_are_of_the_last_hour_and_of_this_user_and_bounded(tmp_path: Path) -> None:
    now = time.time()
    logs = tmp_path / "logs"
    logs.mkdir()
    outside = tmp_path / "outside.log"
    outside.write_text("not to be read\n")
    (logs / "link.log").symlink_to(outside)
    (logs / "folder").symlink_to(tmp_path)
    os.mkfifo(logs / "pipe.log")
    (logs / "old.log").write_text("old\n")
    os.utime(logs / "old.log", (now - 7200, now - 7200))
    early, late = (
        json.dumps({"at": now - ago, "message": name}) for ago, name in ((9000, "a"), (9, "b"))
    )
    (logs / "mixed.log").write_text(f"{early}\n  of a\n{late}\n  of b\n2020-01-01 00:00:00 c\n")
    (logs / "long.log").write_text("x y " * 2**17 + "\n" + "last\n" * (MOST_OF_FILE // 5))
    (logs / "wide.log").write_text("token=secret " * 20_000)
    (logs / "picture.png").write_bytes(b"no log")
    found = {each.name: each.text for each in latest_logs([("ray", logs)], now=now)}
    assert found.keys() == {"ray/mixed.log", "ray/long.log", "ray/wide.log"}
    assert found["ray/mixed.log"] == f"{late}\n  of b\n"
    assert len(found["ray/long.log"]) <= MOST_OF_FILE and found["ray/long.log"].endswith("last\n")
    assert len(found["ray/wide.log"]) < 20_000


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 400_000, "a." * 200_000, 'token="' * 60_000, "token=" * 60_000, "://" * 100_000),
        *("a:" * 200_000 + "@", "-----BEGIN PRIVATE KEY-----" * 9_000, " \n" * 200_000),
        *("\\" * 400_000, "eyJaaaa." * 40_000, "?token" * 60_000, "http://hook." * 30_000),
    ],
)
def test_what_strangers_make_others_log_is_looked_through_in_time(text: str) -> None:
    """Four times as much takes some four times as long, and not sixteen times."""
    masked = Masking(["something-secret"])

    def spent_s(part: str) -> float:
        began = time.process_time()
        masked(part)
        return time.process_time() - began

    shorter = min(spent_s(text[: len(text) // 4]) for _ in range(3))
    assert spent_s(text) < 0.2 + 10 * shorter


def test_a_word_that_names_a_key_leaves_the_text_readable() -> None:
    """So is the composition's access key called."""
    known = secrets_of({"NACRE_S3_ACCESS_KEY": "nacre", "NACRE_S3_SECRET_KEY": "only-inside-it"})
    assert Masking(known)("nacre has only-inside-it") == "nacre has ***"


def test_ordinary_text_stays() -> None:
    text = (
        "submission digits-28924d9a0764 of anna was published as main@5\n"
        f"digest {'0123456789abcdef' * 4}\n{'0123456789abcdef' * 4}\n"
        "GET /v1/tasks?after=3 200; https://example.org:8000/console, s3://bucket/prefix\n"
        'nacre_requests_total{route="/v1/predict",code="200"} 3\n'
        "batch_size: 16, tokens: 4, AWS_WEB_IDENTITY_TOKEN_FILE is set\n"
    )
    masked = Masking(["something-secret", "true", "1"], shortest=4)
    assert masked(text) == text
