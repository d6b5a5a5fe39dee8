"""Access as an attacker would try it: names, headers, paths, guesses, and forged lines."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from adapters.errors import ConflictError, InputError, NotFoundError
from cluster.api.access.known_tokens import KnownTokens
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.config import EventsConfig, load_config
from tests.support.drivers.command import Command
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from workers.access.audit import PREFIX, AuditEntry, Outcome
from workers.access.kept_tokens import read_tokens
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import FileStore

WriteTask = Callable[..., Path]
CHANGE = "who-may-change"
HOOK = "https://hooks.example.com/a-secret-path"


@pytest.fixture
def client(tmp_path: Path, nacre: Command) -> Client:
    """Return a client of a store with two adapters; commands work on it, too."""
    del nacre
    store = FileStore(tmp_path / "store")
    for adapter in ("birds", "cats"):
        learn(Registry(store).create(adapter), "digits", "fashion")
    events = EventsConfig(allow=("https://hooks.example.com/",))
    config = replace(load_config(), adapter="birds", events=events)
    return Client(config, store=store, audience=Nobody())


def api(client: Client, token: str = "") -> TestClient:
    known = KnownTokens(lambda: read_tokens(client.store))
    doors = Doors(access=Access(change_token=CHANGE), adapter="birds", known=known)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return routes_of(client, doors=doors, headers=headers)


def made(client: Client, role: str, *adapters: str, name: str = "tenant") -> str:
    token = client.create_token(name, role=role, adapters=adapters or ("birds",), by="anna")
    return token.secret


def failed(client: Client) -> list[AuditEntry]:
    return [each for each in client.audit() if each.outcome is Outcome.FAILED]


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a\n", "a\x1b[31m", "../a", ".a", "cí", "\u0430nna", "a" * 65, "change", "predict"],
)
def test_no_token_is_called_like_something_else(client: Client, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a token"):
        client.create_token(name, role="viewer")


@pytest.mark.parametrize(
    "lifetime", ["0d", "-1d", "100000w", "1e3d", "9" * 400 + "d", "\u0663d", "1d\n"]
)
def test_no_lifetime_is_read_as_another_one(client: Client, lifetime: str) -> None:
    with pytest.raises(InputError, match="expected a number of hours, days or weeks"):
        client.create_token("ci", role="viewer", lifetime=lifetime)


def test_the_longest_lifetime_can_be_kept_listed_and_sent(client: Client, nacre: Command) -> None:
    secret = client.create_token("ci", role="viewer", lifetime="99999w").secret
    assert api(client, secret).get("/v1/adapters/birds/versions").status_code == 200
    assert nacre("token", "list").code == 0


@pytest.mark.parametrize("key", ["expires", "expires_at", "by", "created_by", "roles", "token"])
def test_a_key_that_is_not_known_is_refused_and_not_passed_over(client: Client, key: str) -> None:
    wish = {"name": "ci", "role": "viewer", key: "never"}
    response = api(client, CHANGE).post("/v1/tokens", json=wish)
    assert response.status_code == 422
    assert f"unknown key {key!r}" in response.json()["detail"]
    move = api(client, CHANGE).post("/v1/adapters/birds/promote", json={"version": 1, "by": "anna"})
    assert move.status_code == 422


HEADERS = [
    [("Authorization", "Bearer {}"), ("Authorization", "Bearer who-may-change")],
    [("Authorization", "Bearer nobody"), ("Authorization", "Bearer {}")],
    [("Authorization", "Bearer\t{}")],
    [("Authorization", "{}")],
    [("Authorization", "Bearer {} {}")],
    [("Authorization", "Bearer {},")],
    [("Authorization", "Token {}")],
    [("Authorization", "Basic {}")],
    [("X-Authorization", "Bearer {}")],
    [("Cookie", "Authorization=Bearer {}")],
]


@pytest.mark.parametrize("headers", HEADERS)
def test_a_token_that_is_sent_in_another_way_lets_nobody_in(
    client: Client, headers: list[tuple[str, str]]
) -> None:
    secret = made(client, "admin")
    sent = [(name, value.replace("{}", secret)) for name, value in headers]
    response = api(client).get("/v1/adapters/birds/versions", headers=sent)
    assert response.status_code == 401
    assert secret not in response.text


PATHS = [
    "/v1/adapters/cats/versions",
    "/v1/adapters/birds/../cats/versions",
    "/v1/adapters/birds%2F..%2Fcats/versions",
    "/v1/adapters/birds%252F..%252Fcats/versions",
    "/v1/adapters/%2e%2e/cats/versions",
    "/v1//adapters/cats/versions",
    "//v1/adapters/cats/versions",
    "/v1/adapters//cats/versions",
    "/v1/adapters/cats/versions/",
    "/v1/adapters/cats/versions%0A",
    "/v1/adapters/cats%00/versions",
    "/v1/adapters/Cats/versions",
    "/v1/adapters/birds@cats/versions/../../cats/versions",
    "/v1/adapters/cats@birds/versions",
    "/v1/adapters/*/versions",
    "/V1/adapters/cats/versions",
    "/v1/adapters/cats/versions;birds",
    "/docs/../v1/adapters/cats/versions",
    "/v1/health/live/../../adapters/cats/versions",
]


VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH")


def test_no_way_of_writing_a_path_leads_to_another_adapter(client: Client) -> None:
    mine, nobody = api(client, made(client, "admin")), api(client)
    for path in PATHS:
        for verb in VERBS:
            response = mine.request(verb, path, follow_redirects=True)
            assert response.status_code in (403, 404, 405), (verb, path, response.text)
            assert "fashion" not in response.text
            assert nobody.request(verb, path).status_code in (401, 404), (verb, path)


def test_whose_tokens_there_are_is_not_told_to_admins_of_other_adapters(client: Client) -> None:
    made(client, "viewer", "cats", name="nightly-cats")
    mine = api(client, made(client, "admin"))
    other = mine.post("/v1/tokens/nightly-cats/revoke")
    none = mine.post("/v1/tokens/nightly-cows/revoke")
    assert (other.status_code, none.status_code) == (404, 404)
    assert other.json()["detail"] == none.json()["detail"].replace("cows", "cats")
    assert "nightly-cats" not in none.text
    assert read_tokens(client.store).tokens[0].revoked is None
    # Admins of that adapter see who tried.
    denied = next(client.audit(adapter="cats"))
    assert (denied.who, denied.outcome) == ("token:tenant", Outcome.DENIED)
    taken = mine.post("/v1/tokens", json={"name": "nightly-cats", "role": "viewer"})
    assert taken.status_code == 409
    assert "anna" not in taken.text


def test_what_is_asked_of_something_that_is_not_there_is_written_down(
    client: Client, nacre: Command
) -> None:
    mine = api(client, made(client, "admin"))
    for verb in ("cancel", "retry"):
        assert mine.post(f"/v1/tasks/no-such-task/{verb}").status_code == 404
    assert mine.post("/v1/tokens/nobody/revoke").status_code == 404
    found = [(each.who, each.verb, each.target) for each in failed(client)]
    assert found == [
        ("token:tenant", "token", "revoke nobody"),
        ("token:tenant", "retry", "no-such-task"),
        ("token:tenant", "cancel", "no-such-task"),
    ]
    assert nacre("cancel", "neither", "--by", "ben").code == 2
    assert failed(client)[0].who == "ben"


def test_no_line_of_the_audit_log_can_be_forged(client: Client, nacre: Command) -> None:
    mine = api(client, made(client, "submitter"))
    forged = "x\n2026-01-01 00:00  anna  http  purge\r\n\x1b[2K\x1b[31mdone"
    assert mine.post(f"/v1/tasks/{quote(forged)}/cancel").status_code == 404
    (entry,) = failed(client)
    assert "\x1b" not in entry.target and "\r" not in entry.target
    said = nacre("audit").out
    assert "\x1b" not in said
    assert not [line for line in said.splitlines() if line.startswith("2026-01-01")]
    (listed,) = (e for e in json.loads(nacre("audit", "--output", "json").out) if e["reason"])
    assert listed["who"] == "token:tenant"


def test_nobody_writes_into_the_log_of_an_adapter_that_is_not_theirs(client: Client) -> None:
    mine = api(client, made(client, "admin"))
    for adapter in ("cats/x", "../cats", "cats\n", "", "_all", "."):
        wish = {"name": "ci", "role": "viewer", "adapters": [adapter]}
        assert mine.post("/v1/tokens", json=wish).status_code == 422
    keys = [each.key.removeprefix(PREFIX) for each in client.store.list(PREFIX)]
    assert not [key for key in keys if "/cats" in key]
    assert all(key.count("/") == 2 for key in keys)


def test_an_address_that_is_refused_is_written_down_without_its_path(client: Client) -> None:
    admin = api(client, CHANGE)
    for url in ("https://evil.example.com/a-secret-path", "http://169.254.169.254/a-secret-path"):
        wish = {"name": "chat", "url": url}
        assert admin.post("/v1/webhooks", json=wish).status_code == 422
    assert len(failed(client)) == 2
    for entry in failed(client):
        assert (entry.verb, entry.target) == ("webhook", "add chat")
        assert "a-secret-path" not in entry.reason


def test_of_many_who_make_one_name_at_once_one_does(client: Client) -> None:
    ready = threading.Barrier(6)

    def make(number: int) -> bool:
        ready.wait()
        try:
            client.create_token("ci", role="viewer", by=f"maker-{number}")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(make, range(6))) == 1
    (token,) = read_tokens(client.store).tokens
    assert token.name == "ci"


def test_a_name_that_is_revoked_and_made_anew_at_once_never_counts_twice(client: Client) -> None:
    def turn(number: int) -> None:
        try:
            if number % 2:
                client.create_token("ci", role="viewer", by="anna")
            else:
                client.revoke_token("ci", by="anna")
        except (ConflictError, NotFoundError):
            pass

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(turn, range(30)))
    counting = [each for each in read_tokens(client.store).tokens if each.revoked is None]
    assert len(counting) <= 1


def test_ids_of_other_adapters_lead_to_nothing(client: Client, write_task: WriteTask) -> None:
    task = write_task()
    found = client.submit(task, adapter="cats", by="anna").submission.submission_id
    mine = api(client, made(client, "admin"))
    answers = [
        mine.request(verb, path.format(name))
        for verb, path in (
            ("GET", "/v1/tasks/{}"),
            ("GET", "/v1/tasks/{}/events"),
            ("GET", "/v1/tasks/{}/logs"),
            ("POST", "/v1/tasks/{}/cancel"),
            ("POST", "/v1/tasks/{}/retry"),
        )
        for name in (found, found[:-1] + "x")
    ]
    assert [each.status_code for each in answers] == [404] * len(answers)
    for there, not_there in zip(answers[::2], answers[1::2], strict=True):
        said = there.json()["detail"].replace(found, "ID")
        assert said == not_there.json()["detail"].replace(found[:-1] + "x", "ID")
    for path in ("/v1/webhooks", "/v1/webhooks/chat"):
        assert mine.get(path).status_code == 403
    assert mine.get("/v1/audit", params={"adapter": "cats"}).json() == []
