"""Who comes in to the console, and what they may do there: the same people as over HTTP."""

import pytest
from fastapi.testclient import TestClient

from cluster.api.access.requesters import Access
from cluster.client.client import Client
from cluster.client.requester import CONSOLE
from cluster.console.app import Identity, build_console
from tests.support.scenes.console import FROM_HERE, HOST, Console, learnt
from workers.access.audit import Outcome, read_audit
from workers.access.kept_tokens import read_tokens
from workers.access.roles import AccessRole

ROLLBACK = "/adapters/main/rollback/1"
FILLED = {"why": "sketches were mislabelled", "typed": "1", "serving_only": "no"}


@pytest.fixture
def console() -> Console:
    return learnt("cars", "dogs")


def test_who_is_not_known_is_sent_to_the_login_and_back(console: Console) -> None:
    app = build_console(
        Client(console.config, store=console.store), Identity(access=Access(change_token="all"))
    )
    with TestClient(app, base_url=HOST, follow_redirects=False) as browser:
        answer = browser.get("/console/queue?stage=failed")
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/login?next=%2Fconsole%2Fqueue%3Fstage%3Dfailed"
        assert browser.get("/console/static/console.css").status_code == 200
        assert browser.post("/console/queue", headers=FROM_HERE).status_code == 401


def test_a_machine_may_look_with_its_token(console: Console) -> None:
    with console.visited(locked=True) as visitor:
        assert visitor.get(Authorization="Bearer everything").status_code == 200
        assert visitor.get(Authorization="Bearer another").status_code == 401


def test_who_may_not_roll_back_finds_no_button_and_is_refused_what_they_send(
    console: Console,
) -> None:
    with console.visited(role=AccessRole.SUBMITTER) as visitor:
        html = visitor.shown(ROLLBACK)
        assert "needs an operator of main" in html
        assert "Roll back to version 1</button>" not in html
        answer = visitor.send(ROLLBACK, form_of="/queue", seen="2", **FILLED)
        assert answer.status_code == 403
        assert "<code>rollback</code> needs operator" in answer.text
    assert console.client.aliases()["production"] == 2
    denied = [e for e in read_audit(console.store, now=2e9, days=40_000) if e.verb == "rollback"]
    assert [(entry.who, entry.outcome) for entry in denied] == [
        ("token:a-submitter", Outcome.DENIED)
    ]


def test_what_an_operator_does_is_in_history_and_audit_log_under_their_name(
    console: Console,
) -> None:
    with console.visited(role=AccessRole.OPERATOR) as visitor:
        answer = visitor.send(ROLLBACK, **FILLED)
        assert answer.status_code == 200
        assert "Version 1 of main is in production and is built on." in answer.text
    move = next(console.client.history())
    assert (move.author.who, move.author.why) == ("token:a-operator", FILLED["why"])
    entry = next(e for e in console.client.audit() if e.verb == "rollback")
    assert (entry.who, entry.road, entry.outcome) == ("token:a-operator", CONSOLE, Outcome.DONE)


def test_a_form_of_another_host_changes_nothing(console: Console) -> None:
    with console.visited(role=AccessRole.OPERATOR) as visitor:
        sent = {**FILLED, "seen": "2"}
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = visitor.browser.post(f"/console{ROLLBACK}", data=sent, headers=headers)
            assert answer.status_code == 403
    assert console.client.aliases()["production"] == 2


@pytest.mark.parametrize("role", [None, AccessRole.OPERATOR])
def test_a_form_without_its_token_changes_nothing(
    console: Console, role: AccessRole | None
) -> None:
    with console.visited(role=role) as visitor:
        for csrf in ({}, {"csrf": "0" * 64}):
            sent = {**FILLED, "seen": "2", **csrf}
            answer = visitor.browser.post(f"/console{ROLLBACK}", data=sent, headers=FROM_HERE)
            assert answer.status_code == 403
            assert "load its page again" in answer.text
    assert console.client.aliases()["production"] == 2


def test_without_tokens_only_this_machine_is_answered(console: Console) -> None:
    with console.visited(base="http://evil.example") as visitor:
        answer = visitor.get()
        assert answer.status_code == 403
        assert "127.0.0.1" in answer.text
    with console.visited(base="http://[::1]:8001") as visitor:
        assert visitor.get().status_code == 200


def test_a_session_that_was_ended_shows_nothing_more(console: Console) -> None:
    with console.visited(role=AccessRole.VIEWER) as visitor:
        assert visitor.get().status_code == 200
        visitor.browser.post("/logout", headers=FROM_HERE)
        visitor.browser.follow_redirects = False
        assert visitor.get().status_code == 303


def test_a_token_is_made_shown_once_and_revoked(console: Console) -> None:
    with console.visited() as visitor:
        made = visitor.send("/access", do="create", name="ci", role="asker", adapter="main")
        (token,) = read_tokens(console.store).tokens
        assert token.name == "ci"
        assert "nacre_" in made.text
        assert "nacre_" not in visitor.shown("/access")
        assert "counts no more" in visitor.send("/access", do="revoke", name="ci").text


def test_an_address_to_go_on_to_after_the_login_cannot_be_elsewhere(console: Console) -> None:
    with console.visited(role=AccessRole.VIEWER) as visitor:
        answer = visitor.browser.get("/login", params={"next": "https://evil.example"})
        assert answer.status_code == 422
