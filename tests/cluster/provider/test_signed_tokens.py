"""Signed tokens: the right ones count, and of every wrong one is said why."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from adapters.errors import UnauthorizedError
from cluster.provider.known_provider import KnownProvider
from cluster.provider.provider import Provider, usable_keys
from cluster.provider.signed_tokens import LEEWAY_S, SignedTokens
from cluster.wire.headers import LONGEST_TOKEN
from tests.support.scenes.signing import AUDIENCE, HOUR, ISSUER, Signer, forged

NOW = int(time.time())
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + HOUR}


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def claims(signer: Signer, token: str) -> Mapping[str, Any]:
    return asyncio.run(signer.tokens().claims(token, audience=AUDIENCE))


def refused(signer: Signer, token: str, why: str) -> None:
    with pytest.raises(UnauthorizedError, match=why) as raised:
        claims(signer, token)
    assert raised.value.message.startswith(f"expected a token of {ISSUER} ")
    assert raised.value.message.endswith("; get a new one there, for this service")
    assert not token or token not in raised.value.message


def test_a_token_of_the_provider_for_this_service_counts(signer: Signer) -> None:
    found = claims(signer, signer.token(sub="ann", groups=["ml"]))
    assert (found["sub"], found["groups"]) == ("ann", ["ml"])
    assert claims(signer, signer.token(aud=["other", AUDIENCE]))["sub"] == "ann"
    # What a header says besides is not our business.
    assert claims(signer, signer.token(header={"typ": "at+jwt", "x-trace": "1"}))["sub"] == "ann"


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        (lambda: RSAKey.generate_key(2048, auto_kid=True), "RS256"),
        (lambda: ECKey.generate_key("P-384", auto_kid=True), "ES384"),
        (lambda: OKPKey.generate_key("Ed25519", auto_kid=True), "Ed25519"),
    ],
)
def test_keys_of_every_asymmetric_kind_count(kind: Any, algorithm: str) -> None:
    signer = Signer()
    signer.rotate(kind())
    assert claims(signer, signer.token(header={"alg": algorithm}))["sub"] == "ann"


def test_a_token_without_a_key_id_counts_by_whichever_key_has_signed_it() -> None:
    signer = Signer()
    keys = [signer.rotate(), signer.rotate(RSAKey.generate_key(2048, auto_kid=True))]
    signer.keys = keys
    for key in keys:
        assert claims(signer, signer.token(key=key, header={"kid": ""}))["sub"] == "ann"
    refused(signer, signer.token(key=Signer().keys[-1], header={"kid": ""}), "one that is not")


def test_nobody_signs_by_saying_that_nothing_is_signed(signer: Signer) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        refused(signer, forged({"alg": algorithm}, CLAIMS), "signed by one of RS256")
        refused(signer, forged({"alg": algorithm}, CLAIMS, b"x"), "signed by one of RS256")


def test_the_public_half_of_a_key_is_no_secret_to_sign_with(signer: Signer) -> None:
    key = signer.keys[-1]
    assert isinstance(key, ECKey)
    for public in (key.as_pem(private=False), key.as_der(private=False)):
        for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            header = {"alg": algorithm, "kid": key.kid}
            head, _, _ = forged(header, CLAIMS).rpartition(".")
            signature = hmac.new(public, head.encode(), digest).digest()
            refused(signer, forged(header, CLAIMS, signature), "signed by one of RS256")


def test_a_secret_among_the_keys_checks_nothing() -> None:
    secret = OctKey.generate_key(256, auto_kid=True)
    signer = Signer()

    async def read() -> Provider:
        there = [*signer.key_set["keys"], secret.as_dict()]
        keys = usable_keys({"keys": there})
        assert len(keys) == 1
        return Provider(issuer=ISSUER, login_url="", token_url="", takes_basic=True, keys=keys)

    tokens = SignedTokens(ISSUER, KnownProvider(read))
    header = {"alg": "ES256", "kid": secret.kid}
    with pytest.raises(UnauthorizedError, match="found one that is not"):
        asyncio.run(tokens.claims(forged(header, CLAIMS, b"x" * 64), audience=AUDIENCE))


def test_another_key_of_the_same_id_is_another_key(signer: Signer) -> None:
    other = ECKey.generate_key("P-256", {"kid": str(signer.keys[-1].kid)})
    refused(
        signer, signer.token(key=other), "signed with a key of this provider, found one that is not"
    )


def test_a_key_of_another_kind_checks_nothing(signer: Signer) -> None:
    header = {"alg": "RS256", "kid": signer.keys[-1].kid}
    refused(signer, forged(header, CLAIMS, b"x" * 256), "signed with a key of this provider")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"iss": "https://id.example.com/"}, "'iss' is 'https://id.example.com', found 'https://"),
        ({"iss": None}, "'iss' is 'https://id.example.com', found none"),
        ({"iss": [ISSUER]}, "'iss' is"),
        ({"aud": "another"}, "'aud' is 'nacre', found 'another'"),
        ({"aud": []}, "'aud' is 'nacre'"),
        ({"aud": None}, "'aud' is 'nacre', found none"),
        ({"exp": NOW - LEEWAY_S - 30}, "has not expired, found one that expired [0-9]+ s ago"),
        ({"exp": None}, "'exp' is 'a time', found none"),
        ({"exp": "tomorrow"}, "'exp' is 'a time', found 'tomorrow'"),
        ({"nbf": NOW + HOUR}, "that counts by now.*compare the clocks"),
        ({"iat": NOW + HOUR}, "that counts by now.*compare the clocks"),
        ({"nbf": "x"}, "'nbf' is 'a time'"),
    ],
)
def test_a_signature_is_not_enough(signer: Signer, wrong: dict[str, Any], why: str) -> None:
    refused(signer, signer.token(**wrong), why)


def test_clocks_may_be_a_minute_apart(signer: Signer) -> None:
    token = signer.token(exp=NOW + HOUR, nbf=NOW, iat=NOW)

    async def read(now: float) -> object:
        tokens = SignedTokens(ISSUER, KnownProvider(signer.read), clock=lambda: now)
        return await tokens.claims(token, audience=AUDIENCE)

    for now in (NOW - LEEWAY_S, NOW, NOW + HOUR + LEEWAY_S - 1):
        assert asyncio.run(read(now))
    for now in (NOW - LEEWAY_S - 1, NOW + HOUR + LEEWAY_S + 1):
        with pytest.raises(UnauthorizedError):
            asyncio.run(read(now))


@pytest.mark.parametrize("content", ['{"sub": "a", "sub": "b"}', '{"exp": NaN}', "[]", "{", "1"])
def test_claims_have_one_meaning(signer: Signer, content: str) -> None:
    header = {"alg": "ES256", "kid": signer.keys[-1].kid}
    token = jws.serialize_compact(header, content.encode(), signer.keys[-1])
    refused(signer, token, "whose claims are")


def test_a_huge_token_is_not_looked_at(signer: Signer) -> None:
    refused(signer, signer.token(groups=["x" * LONGEST_TOKEN]), "of at most 16384 characters")
    assert claims(signer, signer.token(groups=["g" * 40] * 200))  # somebody in many groups


@pytest.mark.parametrize(
    "token", ["a.b.c", "..", "a.b.", "{}.{}.{}", "é.b.c", "a b.c.d", "\x00.b.c"]
)
def test_what_is_no_token_is_refused(signer: Signer, token: str) -> None:
    refused(signer, token, "three parts in base64url|header can be read")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256", "crit": ["exp"], "exp": 1},
        {"alg": "ES256", "b64": False, "crit": ["b64"]},
        {"alg": ["ES256"]},
        {"alg": {"x": 1}},
        {"alg": "ES256", "kid": {"x": 1}},
        {"alg": "ES256", "kid": 5},
        {},
        {"alg": None},
    ],
)
def test_headers_that_nobody_means_are_refused(signer: Signer, header: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError):
        claims(signer, forged(header, CLAIMS, b"x" * 64))


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_a_token_with_one_character_changed_counts_no_more(signer: Signer, data: Any) -> None:
    token = signer.token()
    # The last character of a signature has bits that mean nothing.
    at = data.draw(st.integers(0, len(token) - 2))
    # Every signature is another one: what is drawn must not depend on it.
    others = [character for character in "abcXYZ012-_." if character != token[at]]
    other = others[data.draw(st.integers(0, 10))]
    with pytest.raises(UnauthorizedError):
        claims(signer, f"{token[:at]}{other}{token[at + 1 :]}")
