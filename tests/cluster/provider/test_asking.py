"""A provider asked over real connections: well, away, and hostile."""

import asyncio
from collections.abc import Iterator

import pytest

from adapters.errors import UnauthorizedError, UnavailableError
from cluster.config import LoginConfig, OidcConfig
from cluster.provider.connecting import MOST_BYTES, Connecting
from cluster.provider.known_provider import KnownProvider
from cluster.provider.login import LoginAttempt, ProviderLogin
from cluster.provider.provider import Provider, read_provider
from cluster.provider.signed_tokens import SignedTokens
from tests.support.drivers.providing import (
    DISCOVERY,
    Answering,
    LoopbackProvider,
    dripping,
    endless,
    hanging,
    leading_to,
    provider,
    saying,
    with_status,
)
from workers.access.subjects import Subject

SERVICE = "http://127.0.0.1:8000"


@pytest.fixture
def running() -> Iterator[LoopbackProvider]:
    with provider() as found:
        yield found


def read(running: LoopbackProvider, *, timeout_s: float = 30.0) -> Provider:
    return asyncio.run(read_provider(running.url, Connecting(timeout_s=timeout_s)))


def test_a_provider_says_its_addresses_and_its_keys(running: LoopbackProvider) -> None:
    found = read(running)
    assert found.login_url == f"{running.url}/authorize"
    assert set(found.keys) == {running.signer.keys[-1].kid}
    assert running.asked == {DISCOVERY: 1, "/jwks": 1}


INNER = "http://169.254.169.254/latest/meta-data/"
AWAY: list[tuple[Answering, str]] = [
    (with_status(500), "answered 500"),
    (with_status(404), "answered 404"),
    (saying(b"<html>"), "answered what is no JSON"),
    (saying(b"[]"), "answered what is no JSON object"),
    (saying(b'{"keys": [], "keys": []}'), "answered what is no JSON"),
    (saying(b"{" * 1000), "answered what is no JSON"),
    (saying(b'{"keys": "' + b"x" * MOST_BYTES + b'"}'), f"answered more than {MOST_BYTES} bytes"),
    (leading_to(INNER), "answered 302, a redirect, which is not followed"),
    (leading_to(INNER, 308), "answered 308, a redirect, which is not followed"),
    (endless, f"answered more than {MOST_BYTES} bytes"),
]


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks"])
@pytest.mark.parametrize(("answering", "why"), AWAY)
def test_what_cannot_be_used_is_said_in_one_sentence(
    running: LoopbackProvider, path: str, answering: Answering, why: str
) -> None:
    running.answering[path] = answering
    with pytest.raises(UnavailableError, match=why) as raised:
        read(running)
    assert raised.value.message.startswith(f"{running.url}{path}")


@pytest.mark.parametrize("answering", [hanging, dripping])
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks"])
def test_a_provider_that_hangs_is_given_up(
    running: LoopbackProvider, path: str, answering: Answering
) -> None:
    running.answering[path] = answering
    with pytest.raises(UnavailableError, match=r"did not answer within 0.3 s"):
        read(running, timeout_s=0.3)


def test_a_provider_that_is_not_there_is_away() -> None:
    with provider() as gone:
        pass
    with pytest.raises(UnavailableError, match="cannot be asked"):
        read(gone)


@pytest.mark.parametrize("said", ["https://id.example.com", "", None, ["x"]])
def test_a_provider_that_calls_itself_otherwise_says_so(
    running: LoopbackProvider, said: object
) -> None:
    running.described["issuer"] = said
    with pytest.raises(UnavailableError, match=r"calls itself .*: write that, to the letter"):
        read(running)


def test_an_issuer_with_a_slash_at_its_end_is_asked_as_one_without(
    running: LoopbackProvider,
) -> None:
    running.described["issuer"] = f"{running.url}/"
    found = asyncio.run(read_provider(f"{running.url}/", Connecting()))
    assert found.issuer == f"{running.url}/"


@pytest.mark.parametrize("url", ["http://id.example.com/jwks", "file:///etc/passwd", "", "ftp://x"])
def test_keys_come_over_tls_alone(running: LoopbackProvider, url: str) -> None:
    running.described["jwks_uri"] = url
    with pytest.raises(UnavailableError, match="is no https:// address, and nothing else is asked"):
        read(running)


@pytest.mark.parametrize("keys", [[], {}, None, "x", [5, None], [{"kty": "oct", "k": "c2VjcmV0"}]])
def test_a_provider_without_keys_is_away(running: LoopbackProvider, keys: object) -> None:
    running.answering["/jwks"] = lambda handler: handler.json({"keys": keys})
    with pytest.raises(UnavailableError, match="has no key that can be used here"):
        read(running)


def test_a_key_that_cannot_be_read_leaves_the_others(running: LoopbackProvider) -> None:
    odd = [
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "odd"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC"},
        {**running.signer.key_set["keys"][0], "kid": "encrypts", "use": "enc"},
    ]
    there = {"keys": [*odd, *running.signer.key_set["keys"]]}
    running.answering["/jwks"] = lambda handler: handler.json(there)
    assert set(read(running).keys) == {running.signer.keys[-1].kid}


def logged_in(
    running: LoopbackProvider,
    attempt: LoginAttempt,
    code: str = "c",
    *,
    secret: str = "",
) -> Subject:
    async def login() -> Subject:
        connecting = Connecting()
        known = KnownProvider(lambda: read_provider(running.url, connecting))
        found = ProviderLogin(
            OidcConfig(issuer=running.url, audience="nacre"),
            LoginConfig(client="the client", url=SERVICE),
            tokens=SignedTokens(running.url, known),
            known=known,
            connecting=connecting,
            secret=secret,
        )
        return await found.subject(attempt, code)

    return asyncio.run(login())


def test_a_code_is_exchanged_with_the_proof_of_who_has_begun(running: LoopbackProvider) -> None:
    attempt = LoginAttempt.begin()
    running.codes["c"] = {"aud": "the client", "nonce": attempt.nonce, "groups": ["ml"]}
    assert logged_in(running, attempt) == Subject(name="ann", groups=("ml",))
    assert running.exchanged == [
        {
            "grant_type": "authorization_code",
            "code": "c",
            "redirect_uri": f"{SERVICE}/login/callback",
            "code_verifier": attempt.verifier,
            "client_id": "the client",
        }
    ]
    assert 43 <= len(attempt.verifier) <= 128 and attempt.challenge != attempt.verifier


def test_the_secret_of_the_service_goes_where_the_provider_takes_it(
    running: LoopbackProvider,
) -> None:
    attempt = LoginAttempt.begin()
    claims = {"aud": "the client", "nonce": attempt.nonce}
    running.codes |= {"c": claims, "d": claims}
    logged_in(running, attempt, secret="a secret:%")
    assert running.exchanged[-1]["basic"] == "the%20client:a%20secret%3A%25"
    assert "client_secret" not in running.exchanged[-1]
    running.described["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    logged_in(running, attempt, "d", secret="a secret:%")
    assert running.exchanged[-1]["client_secret"] == "a secret:%"
    assert "basic" not in running.exchanged[-1]


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "of another login"}, "for this very login"),
        ({"nonce": None}, "for this very login"),
        ({"nonce": 5}, "for this very login"),
        ({"aud": "nacre"}, "'aud' is 'the client', found 'nacre'"),
        ({"azp": "another"}, "was given to another"),
        ({"exp": 5}, "has not expired"),
        ({"sub": ""}, "whose claim 'sub' names who sends it"),
    ],
)
def test_a_token_for_another_login_lets_nobody_in(
    running: LoopbackProvider, claims: dict[str, object], why: str
) -> None:
    attempt = LoginAttempt.begin()
    running.codes["c"] = {"aud": "the client", "nonce": attempt.nonce, **claims}
    with pytest.raises(UnauthorizedError, match=why):
        logged_in(running, attempt)


def test_a_code_counts_once(running: LoopbackProvider) -> None:
    attempt = LoginAttempt.begin()
    running.codes["c"] = {"aud": "the client", "nonce": attempt.nonce}
    logged_in(running, attempt)
    with pytest.raises(UnauthorizedError, match=r"has not taken this login \(invalid_grant\)"):
        logged_in(running, attempt)


def test_a_provider_that_breaks_meanwhile_is_away(running: LoopbackProvider) -> None:
    running.answering["/token"] = with_status(502)
    with pytest.raises(UnavailableError, match="the provider answered status 502; begin again"):
        logged_in(running, LoginAttempt.begin())
    running.answering["/token"] = leading_to(INNER, 307)
    with pytest.raises(UnavailableError, match="a redirect, which is not followed"):
        logged_in(running, LoginAttempt.begin())


def test_two_logins_have_nothing_in_common() -> None:
    one, other = LoginAttempt.begin(), LoginAttempt.begin()
    derived = [
        value
        for each in (one, other)
        for value in (each.secret, each.state, each.nonce, each.verifier, each.challenge)
    ]
    assert len(set(derived)) == 10
