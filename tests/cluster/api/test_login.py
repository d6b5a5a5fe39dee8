"""Logins in a browser: with a token or with a provider, the cookie that they leave, and its end."""

import logging
import re
from collections.abc import Iterator
from functools import partial
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from cluster.api import login
from cluster.api.access.known_tokens import KnownSessions, KnownTokens
from cluster.api.access.requesters import Access
from cluster.api.access.subjects import Subjects
from cluster.api.login import Logins
from cluster.api.middleware import Doors, add_access
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.config import LoginConfig, OidcConfig
from cluster.provider.connecting import Connecting
from cluster.provider.known_provider import KnownProvider
from cluster.provider.login import ProviderLogin
from cluster.provider.provider import read_provider
from cluster.provider.signed_tokens import SignedTokens
from cluster.serving.metrics import Metrics
from tests.support.drivers.providing import LoopbackProvider, provider, with_status
from workers.access.audit import AuditEntry, Outcome, read_audit
from workers.access.kept_sessions import KEY, read_sessions
from workers.access.kept_tokens import create_token, read_tokens, revoke_token
from workers.access.roles import AccessRole
from workers.store import MemoryStore

HOST = "nacre.example.com"
SESSION, FROM_HERE = "__Host-nacre-session", {"Sec-Fetch-Site": "same-origin"}
NOW = 1_790_000_000.0


class Scene:
    """Two replicas on one store, and a provider."""

    def __init__(self, running: LoopbackProvider) -> None:
        self.provider, self.store = running, MemoryStore()
        self.denied: list[AuditEntry] = []
        self.oidc = OidcConfig(
            issuer=running.url,
            audience="nacre",
            groups={"ml": {"birds": "operator"}},
            contact="ben",
            login=LoginConfig(client="the-client", url=f"https://{HOST}"),
        )
        self.one, self.two = self.browser(), self.browser()
        self.token = create_token(
            self.store, "ci", {"birds": AccessRole.VIEWER}, by="anna", now=NOW, lifetime="never"
        ).secret

    def browser(self, url: str = f"https://{HOST}", *, with_provider: bool = True) -> TestClient:
        """Return a browser without cookies, at a replica of its own."""
        connecting = Connecting()
        known = KnownProvider(partial(read_provider, self.provider.url, connecting))
        tokens = SignedTokens(self.provider.url, known)
        sessions = KnownSessions(partial(read_sessions, self.store))
        doors = Doors(
            access=Access(change_token="all"),
            known=KnownTokens(partial(read_tokens, self.store)),
            sessions=sessions,
            subjects=Subjects(oidc=self.oidc, tokens=tokens),
            denied=self.denied.append,
        )
        assert self.oidc.login is not None
        found = ProviderLogin(
            self.oidc, self.oidc.login, tokens=tokens, known=known, connecting=connecting
        )
        api = FastAPI()
        add_problems(api)
        add_access(api, doors, Metrics())
        logins = Logins(
            store=self.store,
            known=sessions,
            doors=doors,
            threads=StoreThreads(),
            provider=found if with_provider else None,
        )
        api.include_router(login.routes(logins))

        @api.api_route("/v1/adapters/{adapter}/{what}", methods=["GET", "POST"])
        def who(request: Request) -> str:
            return str(request.state.requester.name)

        # One event loop for all of its requests, as a replica has.
        return TestClient(api, base_url=url, follow_redirects=False)

    def begun(self, browser: TestClient, onto: str = "/docs?x=1") -> dict[str, str]:
        """Begin a login with the provider, and return what this is asked."""
        answer = browser.get("/login/provider", params={"next": onto})
        assert answer.status_code == 303, answer.text
        asked = urlsplit(answer.headers["location"])
        assert f"{asked.scheme}://{asked.netloc}{asked.path}" == f"{self.provider.url}/authorize"
        return {name: values[0] for name, values in parse_qs(asked.query).items()}

    def back(self, browser: TestClient, asked: dict[str, str], **claims: object) -> Any:
        """Come back from the provider, which says `claims`."""
        self.provider.codes["c"] = {
            "aud": "the-client",
            "nonce": asked["nonce"],
            "groups": ["ml", "others"],
            **claims,
        }
        return browser.get("/login/callback", params={"code": "c", "state": asked["state"]})

    def with_token(self, browser: TestClient, token: str = "", onto: str = "/docs") -> Any:
        form = {"token": token or self.token, "next": onto}
        return browser.post("/login", data=form, headers=FROM_HERE)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with provider() as running:
        made = Scene(running)
        with made.one, made.two:
            yield made


def looks(browser: TestClient, cookie: str = "") -> Any:
    headers = {"Cookie": cookie} if cookie else {}
    return browser.get("/v1/adapters/birds/versions", headers=headers)


def test_who_has_logged_in_with_the_provider_is_known_to_every_replica(scene: Scene) -> None:
    assert looks(scene.one).status_code == 401
    answer = scene.back(scene.one, scene.begun(scene.one))
    assert answer.status_code == 200, answer.text
    assert looks(scene.one).json() == "oidc:ann"
    cookie = f"{SESSION}={scene.one.cookies[SESSION]}"
    assert looks(scene.two, cookie).json() == "oidc:ann"
    assert looks(scene.two).status_code == 401
    # The role is that of the mapping, on its adapter alone.
    for adapter, status in (("birds", 200), ("cats", 403)):
        asked = scene.one.post(f"/v1/adapters/{adapter}/rollback", headers=FROM_HERE)
        assert asked.status_code == status


def test_the_cookie_is_for_this_host_and_no_script_and_no_other_site(scene: Scene) -> None:
    answer = scene.back(scene.one, scene.begun(scene.one))
    cookies = answer.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith(SESSION)]
    parts = {part.strip().lower() for part in session.split(";")[1:]}
    assert parts == {"httponly", "secure", "samesite=strict", "path=/", "max-age=28800"}
    value = session.partition("=")[2].partition(";")[0]
    assert value.encode() not in scene.store.get(KEY).data
    (begun,) = [cookie for cookie in cookies if not cookie.startswith(SESSION)]
    assert "Max-Age=0" in begun


def test_who_comes_back_goes_on_by_a_page_of_ours_and_not_by_a_redirect_of_theirs(
    scene: Scene,
) -> None:
    """With what another site has begun, a redirect too, no strict cookie is sent."""
    answer = scene.back(scene.one, scene.begun(scene.one, "/docs?x=1#<b>"))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert '<meta http-equiv="refresh" content="0; url=/docs?x=1#&lt;b&gt;">' in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_what_a_login_was_begun_with_comes_back_from_another_site(scene: Scene) -> None:
    answer = scene.one.get("/login/provider")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-nacre-login-")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Max-Age=600"} <= {
        part.strip() for part in cookie.split(";")
    }


def test_the_provider_is_asked_as_it_should_be(scene: Scene) -> None:
    asked = scene.begun(scene.one)
    assert asked["redirect_uri"] == f"https://{HOST}/login/callback"
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert scene.begun(scene.one)["state"] != asked["state"]


def test_two_logins_of_one_browser_do_not_disturb_each_other(scene: Scene) -> None:
    first, second = scene.begun(scene.one), scene.begun(scene.one)
    assert scene.back(scene.one, first).status_code == 200
    assert scene.back(scene.one, second).status_code == 200


def test_another_browser_cannot_go_on_with_a_login(scene: Scene) -> None:
    """As whoever would have somebody log in as them wishes."""
    asked = scene.begun(scene.one)
    answer = scene.back(scene.two, asked)
    assert answer.status_code == 401
    assert "expected a login that this browser has begun" in answer.text
    assert SESSION not in scene.two.cookies
    assert [(each.who, each.verb) for each in scene.denied] == [("unknown", "login")]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"state": "x", "code": "c"}, "that this browser has begun"),
        ({"code": "c"}, "that this browser has begun"),
        ({}, "that this browser has begun"),
        ({"state": "", "code": "c", "error": "x"}, "that this browser has begun"),
    ],
)
def test_a_state_that_was_made_up_lets_nobody_in(
    scene: Scene, given: dict[str, str], why: str
) -> None:
    scene.begun(scene.one)
    answer = scene.one.get("/login/callback", params=given)
    assert (answer.status_code, why in answer.text) == (401, True)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"error": "access_denied<script>"}, "nobody in (access_denied&lt;script&gt;)"),
        ({"code": "c", "iss": "https://elsewhere.example.com"}, "of another provider"),
        ({"code": "wrong"}, "has not taken this login (invalid_grant)"),
    ],
)
def test_what_the_provider_refuses_is_said(scene: Scene, more: dict[str, str], why: str) -> None:
    asked = scene.begun(scene.one)
    answer = scene.one.get("/login/callback", params={"state": asked["state"], **more})
    assert answer.status_code == 401
    assert why in answer.text and "<script>" not in answer.text
    assert len(scene.denied) == 1


def test_who_has_no_role_hears_who_they_are_and_whom_to_ask(scene: Scene) -> None:
    answer = scene.back(scene.one, scene.begun(scene.one), groups=["others"])
    assert answer.status_code == 403
    assert "&#39;oidc:ann&#39; has no role here; ask ben for one" in answer.text
    assert SESSION not in scene.one.cookies
    (denied,) = scene.denied
    assert (denied.who, denied.verb, denied.outcome) == ("oidc:ann", "login", Outcome.DENIED)


def test_a_provider_that_is_away_is_no_fault_of_who_logs_in(scene: Scene) -> None:
    scene.provider.answering["/jwks"] = with_status(500)
    answer = scene.one.get("/login/provider")
    assert answer.status_code == 503
    assert "answered 500; try again later" in answer.text
    assert not scene.denied


def test_a_named_token_logs_in_too_and_leaves_a_session_of_its_own(scene: Scene) -> None:
    answer = scene.with_token(scene.one, onto="/docs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs")
    assert looks(scene.one).json() == "token:ci"
    assert scene.token not in str(scene.one.cookies)
    assert scene.token.encode() not in scene.store.get(KEY).data


def test_a_session_of_a_token_ends_when_that_is_revoked(scene: Scene) -> None:
    scene.with_token(scene.one)
    revoke_token(scene.store, "ci", by="ben", now=NOW)
    answer = looks(scene.browser(), f"{SESSION}={scene.one.cookies[SESSION]}")
    assert answer.status_code == 401
    assert "token 'ci' was revoked by ben" in answer.json()["detail"]


@pytest.mark.parametrize("token", ["", "nacre_guessed", "all", "x.y.z", "nacre_\xe9"])
def test_what_is_no_named_token_logs_nobody_in(scene: Scene, token: str) -> None:
    answer = scene.one.post("/login", data={"token": token}, headers=FROM_HERE)
    assert answer.status_code == 401
    assert "expected a named token that counts" in answer.text
    assert "guessed" not in answer.text
    assert [each.who for each in scene.denied] == ["unknown"]
    assert "guessed" not in str(scene.denied)


def test_the_page_shows_both_ways_and_loads_nothing(scene: Scene) -> None:
    answer = scene.one.get("/login", params={"next": "/docs?a=\"'<>&b"})
    assert answer.status_code == 200
    assert f"Log in with {scene.provider.url}" in answer.text
    assert 'type="password"' in answer.text
    assert re.findall(r'(?:src|href)="([^"]*)"', answer.text) == [
        "/login/provider?next=/docs%3Fa%3D%22%27%3C%3E%26b"
    ]
    assert "\"'<>" not in answer.text
    scene.with_token(scene.one)
    assert "logged in as <b>token:ci</b>" in scene.one.get("/login").text


def test_without_a_provider_there_is_the_other_way(scene: Scene) -> None:
    alone = scene.browser(with_provider=False)
    assert "Log in with" not in alone.get("/login").text
    for path in ("/login/provider", "/login/callback?code=c&state=s"):
        answer = alone.get(path)
        assert answer.status_code == 422
        assert "with a named token alone" in answer.text


ELSEWHERE = [
    "https://evil.example.com",
    "//evil.example.com",
    "/\\evil.example.com",
    "\\\\evil.example.com",
    "/\t/evil.example.com",
    "/\n/evil.example.com",
    "javascript:alert(1)",
    "evil.example.com",
    "",
    "/\u202e",
    "/" + "x" * 3000,
]


@pytest.mark.parametrize("onto", ELSEWHERE)
def test_nobody_is_led_elsewhere(scene: Scene, onto: str) -> None:
    for answer in (
        scene.one.get("/login", params={"next": onto}),
        scene.one.get("/login/provider", params={"next": onto}),
        scene.with_token(scene.one, onto=onto),
    ):
        assert answer.status_code == 422
        assert "expected a path of this service" in answer.text
        assert "location" not in answer.headers and "refresh" not in answer.text
    assert SESSION not in scene.one.cookies


def test_who_comes_by_another_name_begins_where_the_provider_sends_them_back_to(
    scene: Scene,
) -> None:
    browser = scene.browser("http://10.0.0.7:8000")
    answer = browser.get("/login/provider", params={"next": "/docs?x=1"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://{HOST}/login/provider?next=%2Fdocs%3Fx%3D1"
    assert "set-cookie" not in answer.headers


FOREIGN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": f"https://{HOST}"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example.com"},
    {"Origin": f"https://{HOST}.evil.example.com"},
    {"Origin": f"https://other.{HOST}"},
    {"Origin": "null"},
    {"Origin": ""},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_others_change_nothing_with_the_cookie(
    scene: Scene, headers: dict[str, str]
) -> None:
    scene.back(scene.one, scene.begun(scene.one))
    answer = scene.one.post("/v1/adapters/birds/rollback", headers=headers)
    assert answer.status_code == 403
    assert "expected a request from a page of this service" in answer.json()["detail"]
    assert [(each.who, each.verb) for each in scene.denied] == [("oidc:ann", "rollback")]
    # Nor do they log anybody in or out.
    for path in ("/login", "/logout"):
        form = {"token": scene.token}
        assert scene.one.post(path, data=form, headers=headers).status_code == 403
    assert looks(scene.one).json() == "oidc:ann"


@pytest.mark.parametrize("headers", [FROM_HERE, {"Origin": f"https://{HOST}"}])
def test_pages_of_this_host_change_what_the_role_permits(
    scene: Scene, headers: dict[str, str]
) -> None:
    scene.back(scene.one, scene.begun(scene.one))
    answer = scene.one.post("/v1/adapters/birds/rollback", headers=headers)
    assert answer.json() == "oidc:ann"


def test_a_token_in_the_header_goes_before_the_cookie(scene: Scene) -> None:
    scene.back(scene.one, scene.begun(scene.one))
    bearer = {"Authorization": f"Bearer {scene.token}"}
    found = scene.one.get("/v1/adapters/birds/versions", headers=bearer)
    assert found.json() == "token:ci"
    wrong = {"Authorization": "Bearer nacre_guessed"}
    assert scene.one.get("/v1/adapters/birds/versions", headers=wrong).status_code == 401
    # And comes from no page, so that it may come from anywhere.
    assert scene.one.post("/v1/adapters/birds/rollback", headers=bearer).status_code == 403


def test_who_has_logged_out_is_known_to_no_replica_any_more(scene: Scene) -> None:
    scene.back(scene.one, scene.begun(scene.one))
    cookie = f"{SESSION}={scene.one.cookies[SESSION]}"
    assert "logged in as <b>oidc:ann</b>" in scene.one.get("/logout").text
    answer = scene.one.post("/logout", headers=FROM_HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/logout")
    assert SESSION not in scene.one.cookies
    assert "not logged in" in scene.one.get("/logout").text
    for browser in (scene.one, scene.browser()):
        refused = looks(browser, cookie)
        assert refused.status_code == 401
        assert "log in again at /login" in refused.json()["detail"]
    assert scene.one.post("/logout", headers=FROM_HERE).status_code == 303


def test_who_logs_out_everywhere_is_out_in_all_browsers(scene: Scene) -> None:
    for browser in (scene.one, scene.two):
        scene.back(browser, scene.begun(browser))
    third = scene.browser()
    with third:
        scene.with_token(third)
        scene.one.post("/logout", data={"everywhere": "yes"}, headers=FROM_HERE)
        cookie = f"{SESSION}={scene.two.cookies[SESSION]}"
        assert looks(scene.browser(), cookie).status_code == 401
        assert looks(third).json() == "token:ci"


@pytest.mark.parametrize("value", ["", "x", "x" * 5000, "a=b", '"', "%00"])
def test_a_cookie_that_was_made_up_is_nobodys(scene: Scene, value: str) -> None:
    assert looks(scene.one, f"other=1; {SESSION}={value}; x=y").status_code == 401
    assert looks(scene.one, f"nacre-session={value}").status_code == 401


def test_logins_and_their_ends_are_in_the_audit_log(scene: Scene) -> None:
    scene.back(scene.one, scene.begun(scene.one))
    scene.one.post("/logout", headers=FROM_HERE)
    scene.with_token(scene.one)
    found = [
        (each.who, each.verb, each.outcome, bool(each.request_id))
        for each in read_audit(scene.store, now=time(), days=2)
    ]
    assert found == [
        ("token:ci", "login", Outcome.DONE, True),
        ("oidc:ann", "logout", Outcome.DONE, True),
        ("oidc:ann", "login", Outcome.DONE, True),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_on_this_machine_the_cookie_needs_no_tls(scene: Scene, host: str) -> None:
    browser = scene.browser(f"http://{host}")
    with browser:
        answer = scene.with_token(browser)
        assert answer.headers["set-cookie"].startswith("nacre-session-8000=")
        assert "Secure" not in answer.headers["set-cookie"]
        assert looks(browser).json() == "token:ci"
        # Another service on this machine has one of its own.
        value = browser.cookies["nacre-session-8000"]
        assert looks(browser, f"nacre-session-8001={value}").status_code == 401


def test_elsewhere_a_cookie_without_tls_does_not_count(scene: Scene) -> None:
    scene.with_token(scene.one)
    value = scene.one.cookies[SESSION]
    assert looks(scene.browser(), f"nacre-session-8000={value}").status_code == 401
    plain = scene.browser("http://nacre.example.com")
    assert "Secure" in scene.with_token(plain).headers["set-cookie"]


def test_no_secret_is_in_any_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        asked = scene.begun(scene.one)
        scene.back(scene.one, asked)
        scene.back(scene.two, asked)
        looks(scene.one)
        scene.with_token(scene.two)
        looks(scene.two, f"{SESSION}=guessed-by-somebody")
    said = " ".join(str(record.__dict__) for record in caplog.records if "nacre" in record.name)
    secrets = [scene.token, scene.one.cookies[SESSION], scene.two.cookies[SESSION]]
    secrets += [asked["nonce"], asked["state"], "guessed-by-somebody"]
    assert [secret for secret in secrets if secret in said] == []
    assert said
