"""Requests to real receivers on loopback: signatures, refusals and whatever answers may be."""

import asyncio
import json
import logging
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook as Verifying
from standardwebhooks import WebhookVerificationError

from cluster.config import EventsConfig
from cluster.webhooks.permitted import Permitted
from cluster.webhooks.sending import HttpSender, new_secret
from tests.support.drivers import receiving
from tests.support.drivers.receiving import Answering, receiver, with_status, yes
from workers.webhooks.milestone import Kind, Milestone
from workers.webhooks.sender import Answer, Parcel
from workers.webhooks.webhook import Secret

FAILED = Milestone(
    id="evt_0123456789abcdef0123456789abcdef",
    kind=Kind.FAILED,
    adapter="main",
    at=1_790_000_000.5,
    submission="birds-0123456789ab",
    task="birds",
    round=1,
    reason="training broke (fault): ValueError: no “good” images; failed for good",
    order=(3, 1),
)
OLD, NEW = Secret(value=new_secret()), Secret(value=new_secret())
LOOPBACK = "127.0.0.0/8"
SOON_S = 0.3


def parcel(url: str, *secrets: Secret, milestone: Milestone = FAILED) -> Parcel:
    return Parcel(
        url=url, milestone=milestone, sequence=41, secrets=secrets or (NEW,), now=time.time()
    )


def sent(
    url: str, *secrets: Secret, allow: str = "", inner: str = LOOPBACK, timeout_s: float = 10.0
) -> Answer:
    events = EventsConfig(allow=(allow or url,), inner=(inner,) if inner else ())
    sender = HttpSender(Permitted(events=events), timeout_s=timeout_s)
    return asyncio.run(sender.send(parcel(url, *secrets)))


def answered(answering: Answering, *, timeout_s: float = 10.0) -> Answer:
    with receiver(answering) as running:
        return sent(running.url, timeout_s=timeout_s)


def test_a_receiver_verifies_what_it_gets_with_the_library_of_the_standard() -> None:
    with receiver(yes) as running:
        answer = sent(running.url)
    assert answer == Answer(said="it answered 204", status=204, delivered=True)
    (request,) = running.requests
    event = Verifying(NEW.value).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == FAILED.id == event["id"]
    assert request.headers["content-type"] == "application/json"
    assert event["type"] == "submission.failed"
    assert event["schema"] == 1
    assert event["timestamp"] == "2026-09-21T14:13:20.500000Z"
    assert event["data"]["sequence"] == 41
    assert event["data"]["reason"] == FAILED.reason


def test_while_a_secret_is_rotated_both_verify_and_no_third_one_does() -> None:
    with receiver(yes) as running:
        sent(running.url, NEW, OLD)
    (request,) = running.requests
    for secret in (NEW, OLD):
        Verifying(secret.value).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Verifying(new_secret()).verify(request.body, request.headers)


def test_a_changed_body_is_not_verified() -> None:
    with receiver(yes) as running:
        sent(running.url)
    (request,) = running.requests
    forged = json.dumps({**json.loads(request.body), "type": "submission.published"})
    with pytest.raises(WebhookVerificationError):
        Verifying(NEW.value).verify(forged, request.headers)


@pytest.mark.parametrize(
    ("answering", "said"),
    [
        (with_status(500), "it answered 500"),
        (with_status(410), "it answered 410 Gone: it wants no more events"),
        (
            with_status(302, Location="http://127.0.0.1:1/"),
            "it answered 302, a redirect, which is not followed: register the new address",
        ),
        (with_status(307, Location="/other"), "it answered 307, a redirect"),
        (receiving.nonsense, "it answered something that is no HTTP"),
        (receiving.silent, "it answered something that is no HTTP"),
    ],
)
def test_what_is_no_yes_is_one_sentence(answering: Answering, said: str) -> None:
    answer = answered(answering)
    assert answer.said.startswith(said)
    assert not answer.delivered


@pytest.mark.parametrize("answering", [receiving.hanging, receiving.dripping])
def test_an_answer_that_does_not_come_is_given_up(answering: Answering) -> None:
    answer = answered(answering, timeout_s=SOON_S)
    assert answer == Answer(said="it did not answer within 0.3 s")


def test_a_receiver_that_says_yes_without_an_end_is_not_listened_to() -> None:
    assert answered(receiving.endless).delivered


def test_no_redirect_is_followed() -> None:
    with receiver(yes) as other, receiver(with_status(301, Location=other.url)) as running:
        assert sent(running.url, allow="http://127.0.0.1/").delivered is False
        assert other.requests == []


def test_a_receiver_that_wants_to_be_left_alone_is() -> None:
    assert answered(with_status(503, Retry_After="120")).wait_s == 120.0
    assert answered(with_status(429, Retry_After="-1")).wait_s == 0.0
    assert answered(with_status(429, Retry_After="9" * 40)).wait_s == 0.0


def test_nobody_there_is_one_sentence() -> None:
    with receiver(yes) as running:
        gone = running.url
    assert sent(gone).said == "it cannot be reached: the connection is refused"


def test_a_name_that_leads_nowhere_is_one_sentence() -> None:
    url = "http://nowhere.invalid/hook"
    assert sent(url, timeout_s=30.0).said == "the name of its host cannot be resolved"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Return the side of a server whose certificate no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.now(UTC) - timedelta(days=1),
        not_valid_after=datetime.now(UTC) + timedelta(days=1),
    )
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(loopback, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    self_signed: ssl.SSLContext,
) -> None:
    with receiver(yes, tls=self_signed) as running:
        answer = sent(running.url)
    assert answer.said.startswith("its certificate is not accepted: ")
    assert running.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/hook",
        "http://localhost:{port}/hook",
        "http://2130706433:{port}/hook",  # 127.0.0.1 as one number
        "http://0x7f.1:{port}/hook",
        "http://0:{port}/hook",
        "http://[::ffff:127.0.0.1]:{port}/hook",
        "http://[::1]:{port}/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fd00::1]/",
    ],
)
def test_an_inner_address_is_refused_even_where_its_url_is_allowed(url: str) -> None:
    with receiver(yes) as running:
        port = running.url.split(":")[2].split("/")[0]
        answer = sent(url.format(port=port), inner="", timeout_s=30.0)
        assert running.requests == []
    assert "which is not permitted: name its network under `events: inner:`" in answer.said or (
        "cannot be resolved" in answer.said
    )


def test_what_was_permitted_once_is_permitted_no_more_when_the_configuration_says_so() -> None:
    answer = sent("https://hooks.example.com/a-secret", allow="https://other.example.com/")
    assert "may not be sent to https://hooks.example.com/…: expected an address" in answer.said
    assert "a-secret" not in answer.said


def test_no_representation_shows_a_secret_or_the_path_of_an_address() -> None:
    shown = repr(parcel("https://hooks.example.com/a-secret-path"))
    assert NEW.value not in shown
    assert "a-secret-path" not in shown


def test_a_public_name_that_leads_inside_is_refused_when_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved = socket.getaddrinfo

    def leading_inside(host: str, *more: Any) -> Any:
        return resolved("127.0.0.1" if host == "hooks.example.com" else host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", leading_inside)
    with receiver(yes) as running:
        port = running.url.split(":")[2].split("/")[0]
        answer = sent(f"http://hooks.example.com:{port}/hook", inner="")
        assert running.requests == []
    assert "its host has the inner address 127.0.0.1, which is not permitted" in answer.said


@pytest.mark.parametrize(
    ("status", "refused"),
    [(302, True), (400, True), (401, True), (404, True), (500, True), (429, False), (503, False)],
)
def test_a_refusal_is_told_from_a_receiver_that_can_take_nothing_now(
    status: int, refused: bool
) -> None:
    assert answered(with_status(status)).refused is refused


def test_no_log_has_a_secret_the_path_of_an_address_or_a_signature(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), receiver(yes) as running:
        url = f"{running.url}/a-secret-path"
        assert sent(url, allow=running.url).delivered
        (request,) = running.requests
    for secret in ("a-secret-path", NEW.value, request.headers["webhook-signature"]):
        assert secret not in caplog.text
