"""Single sign-on over the whole API: with a real OpenID provider, and in a real browser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cluster.api.access.requesters import Access
from cluster.config import AccessConfig, Config, LoginConfig, OidcConfig
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.browser import text_shown
from tests.support.drivers.providing import Handler, provider
from tests.support.drivers.real_provider import RealProvider, real_provider
from tests.support.drivers.s3_server import free_port

pytestmark = pytest.mark.slow
CLIENT = "nacre-login"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


def serving(issuer: str, folder: Path, *, host: str) -> ApiServer:
    """Return a service on an empty store that knows the provider of that name."""
    port = free_port()
    oidc = OidcConfig(
        issuer=issuer,
        audience=CLIENT,
        groups={"ml": {"main": "operator"}},
        login=LoginConfig(client=CLIENT, url=f"http://{host}:{port}"),
    )
    config = Config(store=f"file://{folder}/store", access=AccessConfig(oidc=oidc))
    return ApiServer(config, access=Access(change_token="all", provider_secret="s"), port=port)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A service, and a real provider."""

    server: ApiServer
    provider: RealProvider

    def token(self, name: str) -> str:
        """Return a token that the provider signs for somebody, as a program would get it."""
        back = "http://localhost/back"
        asked = httpx.URL(
            f"{self.provider.url}/oauth2/authorize",
            params={
                "response_type": "code",
                "client_id": CLIENT,
                "redirect_uri": back,
                "scope": "openid",
                "nonce": "n",
            },
        )
        code = httpx.URL(self.provider.lets_in(name, str(asked))).params["code"]
        answer = httpx.post(
            f"{self.provider.url}/oauth2/token",
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": back},
            auth=(CLIENT, "s"),
            trust_env=False,
            timeout=180,
        )
        return str(answer.json()["id_token"])

    def asks(self, token: str) -> httpx.Response:
        """Return what somebody is answered who may look."""
        return httpx.get(
            f"{self.server.url}/v1/adapters/main/aliases",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=180,
        )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with (
        real_provider(free_port()) as found,
        serving(found.url, tmp_path, host="127.0.0.1") as server,
    ):
        found.knows("ann", groups=["ml", "others"])
        yield Running(server=server, provider=found)


def test_signed_tokens_count_while_keys_rotate_and_the_provider_comes_and_goes(
    running: Running,
) -> None:
    token = running.token("ann")
    assert running.asks(token).status_code == 404  # there is no such adapter; but who asks is known
    stranger = running.asks(running.token("ben"))
    assert stranger.status_code == 403
    assert "'oidc:ben' is without a role" in stranger.json()["detail"]
    running.provider.stop()
    assert running.asks(token).status_code == 404
    running.provider.start()  # with new keys
    running.provider.knows("ann", groups=["ml"])
    new = running.token("ann")
    while (status := running.asks(new).status_code) != 404:  # until keys are asked for again
        assert status in (401, 503)
    assert running.asks(new).status_code == 404
    assert running.asks(token).status_code == 401


def test_people_log_in_and_out(running: Running) -> None:
    with running.server.client(**FROM_HERE) as browser:
        page = browser.get("/login")
        (link,) = re.findall(r'href="(/login/provider[^"]*)"', page.text)
        asked = browser.get(link)
        assert asked.status_code == 303
        back = running.provider.lets_in("ann", asked.headers["location"])
        answer = browser.get(back)
        assert answer.status_code == 200, answer.text
        assert "logged in as <b>oidc:ann</b>" in answer.text
        assert browser.get("/v1/adapters").json() == []
        paused = browser.post("/v1/adapters/main/pause", json={"reason": "cleaning"})
        assert paused.status_code == 200, paused.text
        assert browser.get(back).status_code == 401  # a code counts once, and in one login
        assert browser.post("/logout").status_code == 303
        assert browser.get("/v1/adapters").status_code == 401
    admin = {"Authorization": "Bearer all"}
    with running.server.client(**admin) as client:
        audit = client.get("/v1/audit").json()
    found = [(each["who"], each["verb"], each["outcome"]) for each in audit if each["verb"] != "?"]
    assert ("oidc:ann", "pause", "unknown") in found
    assert ("oidc:ann", "login", "done") in found
    assert ("oidc:ann", "logout", "done") in found


def test_in_a_browser_who_comes_from_the_site_of_the_provider_is_logged_in(
    tmp_path: Path,
) -> None:
    """The provider is another site, whose page leads back: what it begins has no strict cookie."""
    with (
        provider() as found,
        serving(found.url, tmp_path, host="localhost") as server,
    ):

        def lets_in(handler: Handler) -> None:
            asked = httpx.URL(f"{found.url}{handler.path}").params
            found.codes["c"] = {"aud": CLIENT, "nonce": asked["nonce"], "groups": ["ml"]}
            back = httpx.URL(asked["redirect_uri"], params={"code": "c", "state": asked["state"]})
            page = f'<script>location.href = "{back}"</script>'
            handler.page(page)

        found.answering["/authorize"] = lets_in
        begun = f"{server.url.replace('127.0.0.1', 'localhost')}/login/provider?next=/login"
        assert "logged in as <b>oidc:ann</b>" in text_shown(begun, tmp_path / "browser")
        # By another name of this machine, too: it begins again where it will come back to.
        begun = f"{server.url}/login/provider?next=/login"
        assert "logged in as <b>oidc:ann</b>" in text_shown(begun, tmp_path / "another")
