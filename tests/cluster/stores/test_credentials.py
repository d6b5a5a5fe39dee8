"""Credentials that expire, before a real S3 server: given, renewed, refused, and away."""

import json
import logging
import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from minio.credentials.credentials import Credentials

from adapters.errors import NacreError, SettingsError, StoreRefusedError, UnavailableError
from cluster.config import Config
from cluster.stores.credentials import shared as sharing
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.renewed import Renewed
from cluster.stores.credentials.sources import source_of
from cluster.stores.open import open_store
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.drivers.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, free_port
from tests.support.fakes.expiring_s3 import (
    CONTAINER,
    ROLE,
    TOKEN,
    ExpiringS3,
    expiring_s3,
    sts_answer,
    sts_error,
)
from tests.support.fakes.s3_proxy import Fate, S3Proxy
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.metrics import Tally
from workers.metrics.families import CREDENTIAL_ANSWERS, CREDENTIALS_LEFT, CREDENTIALS_TROUBLE
from workers.queue.ticket import Stage
from workers.store import ObjectStore

pytestmark = pytest.mark.slow


@dataclass
class Scene:
    """A store behind a server that takes what it has given alone.

    Attributes:
        server: The server.
        token: The file with the token that it gives credentials for.
        environment: What opens the store.
    """

    server: ExpiringS3
    token: Path
    environment: dict[str, str]

    def open(self, **more: str) -> ObjectStore:
        """Return the store, in a process that has just begun."""
        sharing._SHARED.clear()
        url = f"s3://{BUCKET}/expiring?endpoint={self.server.address}"
        return open_store(url, environment={**self.environment, **more})


@pytest.fixture
def scene(s3_server: S3Server, tmp_path: Path) -> Iterator[Scene]:
    keys = Credentials(ACCESS_KEY, SECRET_KEY)
    with expiring_s3(s3_server.port, keys, lasts_s=60.0) as server:
        token = tmp_path / "token"
        token.write_text(f"{TOKEN}\n")
        environment = {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ENDPOINT_URL_STS": server.address,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(tmp_path),
        }
        yield Scene(server, token, environment)
    sharing._SHARED.clear()


def test_credentials_that_live_for_two_seconds_are_renewed_while_many_write(scene: Scene) -> None:
    scene.server.lasts_s = 2.0
    store = scene.open()
    ends = time.monotonic() + 5.0

    def written(thread: int) -> int:
        number = 0
        while time.monotonic() < ends:
            number += 1
            store.put(f"{thread}/{number % 5}", b"%d" % number)
            assert store.get(f"{thread}/{number % 5}").data == b"%d" % number
        return number

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(written, range(8)))
    assert min(counts) > 1
    # Three quarters of their time: nobody was refused, and nobody asked beside another.
    assert scene.server.refused == []
    assert 3 <= scene.server.asked <= 6


def test_a_task_is_learnt_while_credentials_end_again_and_again(
    scene: Scene, examples: Path, tmp_path: Path
) -> None:
    scene.server.lasts_s = 1.0
    store = scene.open()
    task = small_task(examples, tmp_path, "digits", classes=2, images=4, settings={"steps": 4})
    submission = submitted(store, task)
    asked = scene.server.asked
    (state,) = carried_out(store, Encoder(EncoderSettings()), submission)
    assert state.ticket.stage is Stage.PUBLISHED
    assert (state.ticket.attempts, state.ticket.losses) == (0, 0)
    assert scene.server.asked - asked >= 2


def test_what_the_store_refuses_is_asked_for_once_more_and_by_one(scene: Scene) -> None:
    scene.server.lasts_s = 2.0
    store = scene.open()
    store.put("a", b"1")
    scene.server.end_all()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.get("a").data, range(16)))
    assert found == [b"1"] * 16
    assert scene.server.asked == 2
    assert set(scene.server.refused) == {"ExpiredToken"}
    time.sleep(0.6)  # so soon no others are asked for
    scene.server.end_all()  # and within conditional writes and listings
    assert store.create("once", b"1")
    time.sleep(0.6)
    scene.server.end_all()
    assert "once" in [each.key for each in store.list("")]
    store.delete("once")


def test_a_server_that_gives_none_is_waited_for_and_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.server.lasts_s = 2.0
    store = scene.open()
    store.put("a", b"1")
    scene.server.gives = lambda: (503, "text/plain", b"later")
    with caplog.at_level(logging.WARNING, "nacre.store"):
        time.sleep(1.6)
        assert store.get("a").data == b"1"  # what is held counts still
        while not caplog.records:
            time.sleep(0.01)
        time.sleep(0.6)
        with pytest.raises(UnavailableError, match="gives no credentials: it answers 503"):
            store.get("a")
    (said,) = (each.getMessage() for each in caplog.records)
    assert said.startswith(f"no new credentials: {scene.server.address} gives no credentials")
    scene.server.gives = None
    ends = time.monotonic() + 180.0
    while not _is_read(store):  # it is asked again after a rest
        assert time.monotonic() < ends


def _is_read(store: ObjectStore) -> bool:
    try:
        return store.get("a").data == b"1"
    except UnavailableError:
        return False


def _answering(status: int, content: bytes, kind: str = "text/xml") -> Callable[[], object]:
    return lambda: (status, kind, content)


KEYS = Credentials("ASIAPLANTED", "planted/secret", "planted-session")
SPLITTING = Credentials("ASIAPLANTED", "planted/secret", "planted\r\nX-Header: of its own")


@pytest.mark.parametrize(
    ("gives", "kind", "sentence"),
    [
        (_answering(200, b"<html><body>log in"), UnavailableError, "and not with credentials"),
        (_answering(200, b""), UnavailableError, "and not with credentials"),
        (_answering(200, b"\xff\xfe\x00"), UnavailableError, "and not with credentials"),
        (_answering(200, b"x" * 2**19), UnavailableError, "more than 262144 bytes"),
        (
            _answering(200, sts_answer(KEYS, "tomorrow")),
            UnavailableError,
            "and not with credentials",
        ),
        (
            _answering(200, sts_answer(SPLITTING, "2099-01-01T00:00:00Z")),
            UnavailableError,
            "and not with credentials",
        ),
        (_answering(302, b"elsewhere"), StoreRefusedError, "it answers 302"),
        (
            _answering(400, sts_error("InvalidIdentityToken")),
            StoreRefusedError,
            "400 InvalidIdentityToken; let the role trust who shows the token",
        ),
        (_answering(400, sts_error("ExpiredTokenException")), StoreRefusedError, "written anew"),
        (_answering(400, sts_error("IDPCommunicationError")), UnavailableError, "try again later"),
        (_answering(429, b""), UnavailableError, "it answers 429; try again later"),
    ],
)
def test_what_is_no_answer_with_credentials_is_one_sentence(
    scene: Scene, gives: Callable[[], object], kind: type[NacreError], sentence: str
) -> None:
    scene.server.gives = gives  # type: ignore[assignment]
    with pytest.raises(NacreError, match=sentence) as caught:
        scene.open()
    assert type(caught.value) is kind
    _has_no_secret(str(caught.value))


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_clocks_an_hour_apart_make_nobody_ask_again_and_again(scene: Scene, ahead_s: float) -> None:
    """The store itself refuses whoever is so far off, so only who gives credentials is."""
    scene.server.clock_ahead_s = ahead_s
    provider = Renewed(source_of(scene.environment))
    for _ in range(50):
        provider.retrieve()
    assert scene.server.asked == 1
    assert provider.held is not None and provider.held.lasts_s is not None
    assert 55 <= provider.held.lasts_s <= 60


def test_credentials_that_ended_before_they_came_are_tried_and_told(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.server.says_date = False  # so that nobody can know whose clock is wrong
    scene.server.clock_ahead_s = -3600.0
    provider = Renewed(source_of(scene.environment))
    with caplog.at_level(logging.WARNING, "nacre.store"):
        for _ in range(50):
            provider.retrieve()
    assert scene.server.asked == 1
    (said,) = (each.getMessage() for each in caplog.records)
    assert "ended 35" in said and "look at its clock" in said


def test_a_clock_that_is_wrong_is_said_of_the_store(scene: Scene) -> None:
    scene.server.clock_ahead_s = 3600.0
    with pytest.raises(StoreRefusedError, match="the clock of this machine differs too much"):
        scene.open()


def test_a_token_that_is_written_anew_or_vanishes(scene: Scene) -> None:
    scene.server.lasts_s = 2.0
    store = scene.open()
    store.put("a", b"1")
    other = scene.server.token = "another.token"
    scene.token.write_text(other)
    scene.server.end_all()
    assert store.get("a").data == b"1"
    scene.token.unlink()
    time.sleep(2.1)
    with pytest.raises(StoreRefusedError, match="found no such file; see that it is written"):
        store.get("a")
    scene.token.write_bytes(b"\xff\x00 no token")
    sentence = "expected text in .*token, found other bytes"
    with pytest.raises(StoreRefusedError, match=sentence):
        scene.open()
    scene.token.write_text("")
    with pytest.raises(StoreRefusedError, match=r"printable ASCII in .*token, found nothing"):
        scene.open()
    scene.token.write_text(f"{other}\r\n")
    assert scene.open().get("a").data == b"1"


@pytest.mark.parametrize(
    ("fate", "sentence"),
    [(Fate.HANG, "does not answer in time"), (Fate.DRIP, "does not answer in time")],
)
def test_who_is_silent_is_given_up_soon(scene: Scene, fate: Fate, sentence: str) -> None:
    with S3Proxy(scene.server.port, lambda _: fate, drip_s=0.3) as proxy:
        scene.environment["AWS_ENDPOINT_URL_STS"] = f"http://127.0.0.1:{proxy.port}"
        with pytest.raises(NotGivenError, match=sentence):
            Renewed(replace(source_of(scene.environment), silent_s=0.2)).retrieve()
    scene.environment["AWS_ENDPOINT_URL_STS"] = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match="cannot be reached: check that it runs"):
        scene.open()


def test_who_hangs_is_given_up_and_blocks_nobody(scene: Scene) -> None:
    over = threading.Event()
    scene.server.gives = lambda: (over.wait(30), (503, "text/plain", b""))[1]
    provider = Renewed(source_of(scene.environment), wait_s=0.5)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        for failed in pool.map(lambda _: _error_of(provider), range(8)):
            assert "have not come within" in failed
    assert scene.server.asked == 1
    assert time.monotonic() - began < 20  # not eight times after each other
    over.set()


def _error_of(provider: Renewed) -> str:
    with pytest.raises(Exception, match="credentials") as caught:
        provider.retrieve()
    return str(caught.value)


def test_the_container_and_the_machine_give_credentials(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"HOME": scene.environment["HOME"]}
    for name in scene.environment:
        monkeypatch.delenv(name, raising=False)
    scene.environment = here
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{scene.server.address}{CONTAINER}")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(scene.token))
    scene.token.write_text(TOKEN)
    of_container = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{scene.server.address}{CONTAINER}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(scene.token),
    }
    store = scene.open(**of_container)
    store.put("a", b"1")
    scene.server.token = "another.token"
    scene.token.write_text("another.token")  # as the node writes it anew
    scene.server.end_all()
    assert store.get("a").data == b"1"
    scene.token.write_text("another.token\n")
    with pytest.raises(StoreRefusedError, match=r"expected a token alone in .*token, found white"):
        scene.open(**of_container)
    scene.token.unlink()
    with pytest.raises(StoreRefusedError, match="found no such file"):
        scene.open(**of_container)
    for name in of_container:
        monkeypatch.delenv(name)
    store = scene.open(AWS_EC2_METADATA_SERVICE_ENDPOINT=scene.server.address)
    scene.server.end_all()
    assert store.get("a").data == b"1"


def test_what_is_sent_to_ray_has_no_credentials(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cloudpickle  # type: ignore[import-untyped]

    from cluster.app import Arguments, trainer
    from cluster.system.declaration import document

    monkeypatch.setenv("NACRE_S3_ACCESS_KEY", "planted-access")
    monkeypatch.setenv("NACRE_S3_SECRET_KEY", "planted-secret")
    store = scene.open()
    store.put("a", b"1")
    config = Config(store=f"s3://{BUCKET}/expiring?endpoint={scene.server.address}")
    sent = [
        cloudpickle.dumps(store),
        cloudpickle.dumps(trainer(Arguments(config=config))),
        json.dumps(document(config)).encode(),
    ]
    given = [each.keys for each in scene.server.given.values()]
    secrets = [SECRET_KEY, TOKEN, "planted-access", "planted-secret"]
    secrets += [part for keys in given for part in (keys.secret_key, keys.session_token or "")]
    for each in sent:
        assert not [secret for secret in secrets if secret.encode() in each]
    with pytest.raises(TypeError, match="credentials are not pickled"):
        pickle.dumps(Renewed(source_of(scene.environment)))


def test_the_doctor_says_who_gave_them_and_until_when(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cluster.system.doctor import _store

    for name, value in scene.environment.items():
        monkeypatch.setenv(name, value)
    sharing._SHARED.clear()
    config = Config(store=f"s3://{BUCKET}/expiring?endpoint={scene.server.address}")
    found = {each.check: each for each in _store(config)}
    said = found["credentials"].found
    assert said.startswith(f"of the role {ROLE}, which {scene.server.address} gives")
    assert "they count until 20" in said and said.endswith("UTC")
    _has_no_secret(said)


def test_of_a_role_no_token_is_in_an_address(scene: Scene) -> None:
    scene.open(AWS_ROLE_SESSION_NAME="nacre@cluster-1")
    (sent,) = scene.server.sent
    assert (sent["path"], sent["RoleSessionName"]) == ("/", "nacre@cluster-1")
    for name in ("x", "a b", "a" * 65, "ä-b", "a\n"):
        with pytest.raises(SettingsError, match="2 to 64 letters"):
            scene.open(AWS_ROLE_SESSION_NAME=name)


def test_named_credentials_of_a_source_may_be_a_role_or_a_profile(scene: Scene) -> None:
    role = dict(scene.environment)
    role["NACRE_S3_NAME_ROLE_ARN"] = role.pop("AWS_ROLE_ARN")
    role["NACRE_S3_NAME_WEB_IDENTITY_TOKEN_FILE"] = role.pop("AWS_WEB_IDENTITY_TOKEN_FILE")
    sharing._SHARED.clear()
    url = f"s3://{BUCKET}/expiring?endpoint={scene.server.address}&credentials=name"
    store = open_store(url, environment=role)
    store.put("lab", b"1")
    scene.server.end_all()
    assert store.get("lab").data == b"1"
    with pytest.raises(SettingsError, match="S3 credentials 'other' in NACRE_"):
        open_store(url.replace("=name", "=other"), environment=role)


def test_a_profile_that_is_written_anew_counts_at_once(scene: Scene) -> None:
    file = Path(scene.environment["HOME"]) / ".aws" / "credentials"
    file.parent.mkdir()

    def write(keys: Credentials) -> None:
        file.write_text(
            f"[default]\naws_access_key_id = {keys.access_key}\n"
            f"aws_secret_access_key = {keys.secret_key}\naws_session_token={keys.session_token}\n"
        )

    scene.environment = {"HOME": scene.environment["HOME"]}
    write(scene.server.new()[0])
    store = scene.open()
    store.put("a", b"1")
    scene.server.end_all()
    with pytest.raises(
        StoreRefusedError, match=r"token of profile 'default' of .* has expired; wr"
    ):
        store.get("a")
    write(scene.server.new()[0])
    assert store.get("a").data == b"1"
    file.write_text("[default\naws_secret_access_key = planted/secret")
    assert store.get("a").data == b"1"  # what was read before counts, while it is written


def _measured(meter: Tally) -> dict[tuple[str, str], float]:
    """Return what is told of credentials, by what it is and where they come from."""
    sharing.measure(meter, "a")
    return {
        (point.labels[1] if point.family is CREDENTIAL_ANSWERS else point.name, point.labels[0]): (
            point.value
        )
        for point in meter.points()
    }


LEFT, TROUBLE = CREDENTIALS_LEFT.name, CREDENTIALS_TROUBLE.name


def _awaited(
    meter: Tally, key: tuple[str, str], holds: Callable[[float], bool]
) -> dict[tuple[str, str], float]:
    deadline = time.monotonic() + 180.0
    while not holds((found := _measured(meter)).get(key, math.nan)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_how_credentials_stand_is_told_while_nobody_sends_a_request(scene: Scene) -> None:
    scene.server.lasts_s = 6.0
    scene.open().put("a", b"1")
    meter = Tally()
    found = _measured(meter)
    assert 0 < found[LEFT, "role"] <= 6 and found[TROUBLE, "role"] == 0
    assert (found["given", "role"], found["refused", "role"]) == (1, 0)
    # An idle process has them renewed before they end.
    found = _awaited(meter, ("given", "role"), lambda value: value == 2)
    assert found[LEFT, "role"] > 1.5 and found[TROUBLE, "role"] == 0
    # Where none are given, that is told while those that are held count; and that they have ended.
    scene.server.gives = lambda: (400, "text/xml", sts_error("AccessDenied"))
    found = _awaited(meter, (TROUBLE, "role"), lambda value: value > 0)
    assert found[LEFT, "role"] > 0 and found["refused", "role"] == 1
    found = _awaited(meter, (LEFT, "role"), lambda value: value == 0)
    # It ends by itself, without a request and without a new process.
    scene.server.gives = None
    found = _awaited(meter, (TROUBLE, "role"), lambda value: value == 0)
    assert found[LEFT, "role"] > 0 and found["given", "role"] == 3
    assert scene.server.refused == []


def test_trouble_with_credentials_that_nobody_uses_is_not_told(scene: Scene) -> None:
    now = 1000.0
    provider = Renewed(source_of(scene.environment), clock=lambda: now)
    assert provider.keep() is None  # it has not been used yet
    provider.retrieve()
    now += 3500.0
    scene.server.gives = lambda: (503, "text/plain", b"")
    assert provider.keep() is not None
    with provider._changed:
        assert provider._changed.wait_for(lambda: not provider._is_asking, 30)
    now += 50.0
    standing = provider.keep()
    assert standing is not None and standing.trouble_s == 50.0 and standing.left_s == 0.0
    now += 100.0
    assert provider.keep() is None


def test_no_machine_that_gives_credentials_is_no_trouble_of_a_store_elsewhere(
    tmp_path: Path,
) -> None:
    """Whoever names a bucket in a task, where nobody has any keys, makes nobody get up."""
    silent = f"http://127.0.0.1:{free_port()}"
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": silent, "HOME": str(tmp_path)}
    sharing._SHARED.clear()
    with pytest.raises(NacreError):
        open_store("s3://bucket/of-a-tenant?endpoint=http://127.0.0.1:1", environment=environment)
    meter = Tally()
    assert _measured(meter).get((TROUBLE, "machine"), 0.0) == 0.0


def test_credentials_that_have_ended_when_they_come_are_trouble(scene: Scene) -> None:
    """A machine's metadata may hand out the same ones until long after their end."""
    scene.open().put("a", b"1")
    keys, _ = scene.server.new()
    ended = sts_answer(keys, "2020-01-01T00:00:00Z")
    scene.server.gives = lambda: (200, "text/xml", ended)
    scene.server.end_all()
    with pytest.raises(NacreError):
        scene.open().put("a", b"2")
    found = _awaited(Tally(), (TROUBLE, "role"), lambda value: value > 0)
    assert found["ended", "role"] >= 1 and found[LEFT, "role"] == 0


def _has_no_secret(text: str) -> None:
    for secret in (SECRET_KEY, TOKEN, "planted"):
        assert secret not in text
