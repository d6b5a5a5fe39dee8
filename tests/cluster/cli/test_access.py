"""Tokens and the audit log over every road: the client, the command line and HTTP."""

import io
import json
import re
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import ForbiddenError, InputError, NotFoundError
from cluster.api.access.known_tokens import KnownTokens
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import IN_RAY_JOB, load_config
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised
from tests.support.scenes.registry import learn
from tests.support.scenes.routes import routes_of
from tests.support.scenes.tickets import write_tickets
from workers.access.audit import AuditEntry, Outcome
from workers.access.kept_sessions import keep_session
from workers.access.kept_tokens import read_tokens
from workers.access.roles import AccessRole, Grants
from workers.access.sessions import Session, new_secret, session_of_subject
from workers.access.subjects import Subject
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.audience import Nobody
from workers.store import FileStore

WriteTask = Callable[..., Path]
OPERATOR = Requester(name="token:ci", grants=Grants(roles={"birds": AccessRole.OPERATOR}))
GUARDED = Access(change_token="who-may-change", predict_token="who-may-ask")


@pytest.fixture
def client(tmp_path: Path, nacre: Command) -> Client:
    """Return a client of a store with two adapters of two versions; commands work on it, too."""
    del nacre
    store = FileStore(tmp_path / "store")
    for adapter in ("birds", "cats"):
        learn(Registry(store).create(adapter), "digits", "fashion")
    config = replace(load_config(), adapter="birds")
    return Client(config, store=store, audience=Nobody())


def audit(client: Client) -> list[AuditEntry]:
    return list(client.audit())


class Api:
    """The HTTP API over a client's store, as whoever has one token sees it."""

    def __init__(self, client: Client, token: str) -> None:
        doors = Doors(
            access=GUARDED,
            adapter="birds",
            known=KnownTokens(lambda: read_tokens(client.store)),
        )
        self._routes = routes_of(client, doors=doors, headers={"Authorization": f"Bearer {token}"})

    def get(self, path: str, *, code: int = 200) -> Any:
        response = self._routes.get(path)
        assert response.status_code == code, response.text
        return response.json()

    def send(self, task: str, archive: bytes, *, code: int) -> None:
        files = {"archive": ("task.tar", archive)}
        response = self._routes.post("/v1/tasks", data={"task": task}, files=files)
        assert response.status_code == code, response.text

    def post(self, path: str, content: object = None, *, code: int = 200, **more: Any) -> Any:
        response = self._routes.post(path, json=content, **more)
        assert response.status_code == code, response.text
        return response.json()


MOVES: list[tuple[str, Callable[[Client, Requester], object], str]] = [
    ("promote", lambda c, by: c.promote(1, by=by), "production: 1"),
    ("rollback", lambda c, by: c.rollback(1, by=by), "1"),
    ("alias", lambda c, by: c.alias("q3", 2, by=by), "q3: 2"),
    ("drop", lambda c, by: c.drop("digits", by=by), "digits"),
    ("pause", lambda c, by: c.pause("birds", by=by), ""),
    ("resume", lambda c, by: c.resume("birds", by=by), ""),
]


@pytest.mark.parametrize(("verb", "call", "target"), MOVES)
def test_a_change_is_in_the_audit_log_with_who_made_it(
    client: Client, verb: str, call: Callable[[Client, Requester], object], target: str
) -> None:
    call(client, OPERATOR)
    (entry,) = audit(client)
    assert (entry.who, entry.verb, entry.adapter, entry.target, entry.outcome) == (
        "token:ci",
        verb,
        "birds",
        target,
        Outcome.UNKNOWN if verb in ("pause", "resume") else Outcome.DONE,
    )


@pytest.mark.parametrize("call", [move[1] for move in MOVES])
def test_whoever_may_not_make_a_change_makes_none_and_it_is_written_down(
    client: Client, call: Callable[[Client, Requester], object]
) -> None:
    viewer = replace(OPERATOR, grants=Grants(roles={"birds": AccessRole.SUBMITTER}))
    before = client.aliases(), list(client.history())
    with pytest.raises(ForbiddenError, match="'token:ci' is submitter of 'birds'"):
        call(client, viewer)
    assert (client.aliases(), list(client.history())) == before
    (entry,) = audit(client)
    assert entry.outcome is Outcome.DENIED


def test_a_change_that_is_refused_for_another_reason_is_written_down_with_it(
    client: Client,
) -> None:
    with pytest.raises(NotFoundError):
        client.promote(9)
    (entry,) = audit(client)
    assert entry.outcome is Outcome.FAILED
    assert "no version 9" in entry.reason


def test_the_road_is_written_down(
    client: Client, nacre: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.promote(1, by="anna")
    assert nacre("promote", "1", "--adapter", "birds", "--by", "ben").code == 0
    Api(client, "who-may-change").post("/v1/adapters/birds/promote", {"version": 1})
    monkeypatch.setenv(IN_RAY_JOB, "{}")
    client.promote(1, by="carla")
    found = [(entry.road, entry.who) for entry in audit(client)]
    assert found == [
        ("job", "carla"),
        ("http", "token:change"),
        ("cli", "ben"),
        ("python", "anna"),
    ]


def test_the_id_of_a_request_is_written_down(client: Client) -> None:
    Api(client, "who-may-change").post(
        "/v1/adapters/birds/promote", {"version": 1}, headers={"X-Request-Id": "from-the-gateway"}
    )
    assert audit(client)[0].request_id == "from-the-gateway"


def test_a_token_made_on_the_command_line_counts_over_http_until_it_is_revoked(
    client: Client, nacre: Command
) -> None:
    made = nacre("token", "create", "ci", "--role", "operator", "--adapter", "birds")
    assert made.code == 0, made.err
    secret = made.out.strip()
    assert "token 'ci' is operator of 'birds' until" in made.err
    api = Api(client, secret)
    api.post("/v1/adapters/birds/rollback", {"version": 1, "why": "tried"})
    api.post("/v1/adapters/cats/rollback", {"version": 1}, code=403)
    assert next(client.history("birds")).author.who == "token:ci"
    assert client.aliases("cats")["production"] == 2
    assert nacre("token", "revoke", "ci").out == "revoked: ci\n"
    problem = Api(client, secret).get("/v1/adapters/birds/versions", code=401)
    assert problem["title"] == "UnauthorizedError"
    assert "'ci' was revoked by" in problem["detail"]
    listed = nacre("token", "list").out
    assert "ci" in listed and "revoked" in listed and "operator of 'birds'" in listed
    written = "".join(
        client.store.get(each.key).data.decode(errors="replace") for each in client.store.list("")
    )
    assert secret not in written and secret not in listed


def test_tokens_are_made_listed_and_revoked_over_http_as_on_the_command_line(
    client: Client, nacre: Command
) -> None:
    api = Api(client, "who-may-change")
    made = api.post("/v1/tokens", {"name": "ci", "role": "submitter", "adapters": ["cats"]})
    assert made["token"].startswith("nacre_")
    assert (made["roles"], made["created_by"]) == ({"cats": "submitter"}, "token:change")
    listed = api.get("/v1/tokens")
    assert listed == json.loads(nacre("token", "list", "--output", "json").out)
    assert "token" not in listed[0]
    again = api.post("/v1/tokens", {"name": "ci", "role": "viewer"}, code=409)
    assert "there is a token 'ci' already; revoke it first" in again["detail"]
    assert api.post("/v1/tokens/ci/revoke")["state"] == "revoked"
    api.post("/v1/tokens/ci/revoke", code=404)
    api.post("/v1/tokens", {"name": "ci", "role": "owner"}, code=422)


def test_a_token_is_given_before_the_first_task_of_its_adapter(
    nacre: Command, client: Client
) -> None:
    made = nacre("token", "create", "ci", "--role", "submitter", "--adapter", "catz")
    assert made.code == 0
    note = "note: there is no adapter 'catz' yet: its first task makes it; did you mean 'cats'?"
    assert note in made.err
    assert (
        "no adapter" not in nacre("token", "create", "b", "--role", "asker", "--adapter", "*").err
    )
    assert {token.name for token in client.tokens()} == {"ci", "b"}


def test_what_does_not_exist_is_paused_over_no_road(nacre: Command, client: Client) -> None:
    told, api = "found 'birdz'; did you mean 'birds'?", Api(client, "who-may-change")
    for verb in ("pause", "resume"):
        with pytest.raises(NotFoundError, match=re.escape(told)):
            getattr(client, verb)("birdz")
        assert told in api.post(f"/v1/adapters/birdz/{verb}", {}, code=404)["detail"]
        assert told in nacre(verb, "birdz").err
    entries = [(entry.adapter, entry.outcome) for entry in client.audit() if entry.adapter != "*"]
    assert set(entries) == {("birdz", "failed")}


def test_an_admin_of_one_adapter_gives_only_what_they_have_and_sees_no_more(
    client: Client,
) -> None:
    client.create_token("of-cats", role="viewer", adapters=["cats"], by="anna")
    made = client.create_token("boss", role="admin", adapters=["birds"], by="anna")
    api = Api(client, made.secret)
    api.post("/v1/tokens", {"name": "ours", "role": "admin", "adapters": ["birds"]})
    for adapters in (["cats"], ["birds", "cats"], ["*"]):
        wish = {"name": "more", "role": "viewer", "adapters": adapters}
        assert "needs admin of" in api.post("/v1/tokens", wish, code=403)["detail"]
    assert "'of-cats'" in api.post("/v1/tokens/of-cats/revoke", code=404)["detail"]
    assert [each["name"] for each in api.get("/v1/tokens")] == ["boss", "ours"]
    client.promote(1, adapter="cats")
    assert {each["adapter"] for each in api.get("/v1/audit")} == {"birds"}


def test_the_audit_log_is_the_same_over_http_and_on_the_command_line(
    client: Client, nacre: Command
) -> None:
    client.promote(1, by="anna")
    client.promote(1, adapter="cats", by="ben")
    api = Api(client, "who-may-change")
    assert api.get("/v1/audit") == json.loads(nacre("audit", "--output", "json").out)
    (of_cats,) = api.get("/v1/audit?adapter=cats&days=1&limit=5")
    assert (of_cats["who"], of_cats["outcome"]) == ("ben", "done")
    (of_anna,) = api.get("/v1/audit?who=anna")
    assert of_anna["adapter"] == "birds"
    said = nacre("audit", "--who", "anna").out
    assert "promote" in said and "production: 1" in said and "ben" not in said


@pytest.fixture
def submitted(client: Client, write_task: WriteTask) -> Client:
    """Return a client of a queue with a task of one name for each of two adapters."""
    task = write_task()
    for adapter in ("cats", "birds"):
        client.submit(task, adapter=adapter, by="anna")
    return client


def test_whoever_may_see_one_adapter_finds_the_tasks_of_no_other(submitted: Client) -> None:
    made = submitted.create_token("ours", role="submitter", adapters=["cats"], by="anna")
    ids = {state.ticket.adapter: state.ticket.submission_id for state in submitted.queue().states}
    api = Api(submitted, made.secret)
    assert [each["adapter"] for each in api.get("/v1/tasks")["submissions"]] == ["cats"]
    assert api.get("/v1/tasks/colors")["submission_id"] == ids["cats"]
    for path in ("", "/events", "/logs"):
        api.get(f"/v1/tasks/{ids['cats']}{path}")
        assert ids["cats"] not in api.get(f"/v1/tasks/{ids['birds']}{path}", code=404)["detail"]
    assert api.post("/v1/tasks/colors/cancel")["adapter"] == "cats"
    api.post(f"/v1/tasks/{ids['birds']}/cancel", code=404)


def test_whoever_may_only_look_cancels_nothing(submitted: Client) -> None:
    made = submitted.create_token("look", role="viewer", adapters=["cats"], by="anna")
    other = submitted.create_token("both", role="submitter", adapters=["birds"], by="anna")
    assert (
        "needs submitter"
        in Api(submitted, made.secret).post("/v1/tasks/colors/cancel", code=403)["detail"]
    )
    Api(submitted, other.secret).post("/v1/tasks/colors/cancel")


def test_a_task_is_submitted_to_ones_own_adapter_and_to_no_other(
    client: Client, write_task: WriteTask
) -> None:
    made = client.create_token("ours", role="submitter", adapters=["cats"], by="anna")
    path, api = write_task(), Api(client, made.secret)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(path.parent / "images", arcname="images")
    for adapter, code in (("birds", 403), ("cats", 202)):
        task = f"{path.read_text()}\nadapter: {adapter}\n"
        api.send(task, buffer.getvalue(), code=code)
    assert [state.ticket.adapter for state in client.queue().states] == ["cats"]
    denied = next(entry for entry in audit(client) if entry.outcome is Outcome.DENIED)
    assert (denied.who, denied.verb, denied.adapter) == ("token:ours", "submit", "birds")


def test_what_is_done_to_all_adapters_needs_a_role_on_all(client: Client) -> None:
    with pytest.raises(ForbiddenError, match="needs operator of all adapters"):
        client.pause("*", by=OPERATOR)


def test_a_role_that_does_not_exist_is_refused_and_the_others_are_named(client: Client) -> None:
    with pytest.raises(InputError, match="viewer, asker, submitter, operator, admin"):
        client.create_token("ci", role="owner")


def over_each_road(client: Client, nacre: Command) -> list[Callable[[str, str], object]]:
    """Return what asks for a change of a submission, over each road."""
    api = Api(client, "who-may-change")
    return [
        lambda verb, name: getattr(client, verb)(name),
        nacre,
        lambda verb, name: api._routes.post(f"/v1/tasks/{name}/{verb}"),
    ]


def test_what_becomes_of_a_wish_is_in_the_audit_log_over_every_road(
    submitted: Client, nacre: Command
) -> None:
    cats, birds = (state.ticket for state in submitted.queue().states)
    published = replace(cats, stage=Stage.PUBLISHED, version=3)
    write_tickets(submitted.store, [published, replace(birds, stage=Stage.CANCELLED)])
    for ask in over_each_road(submitted, nacre):
        for verb, name in (
            ("cancel", cats.submission_id),
            ("retry", cats.submission_id),
            ("cancel", birds.submission_id),
            ("retry", birds.submission_id),
            ("cancel", "nobody"),
        ):
            with suppress(NotFoundError):
                ask(verb, name)
        found = [(entry.verb, entry.outcome, entry.reason) for entry in audit(submitted)[:5]]
        assert [each[:2] for each in reversed(found)] == [
            ("cancel", Outcome.FAILED),
            ("retry", Outcome.FAILED),
            ("cancel", Outcome.DONE),
            ("retry", Outcome.UNKNOWN),
            ("cancel", Outcome.FAILED),
        ]
        assert found[-1][2] == "it was published before, and stays so"
        assert found[1][2].startswith("asked for, and not carried out yet")
        assert "found 'nobody'" in found[0][2]


@pytest.fixture
def logged_in(client: Client) -> tuple[Session, ...]:
    """Return the sessions of two people, of whom the first has logged in twice."""
    now = time.time()
    made = [
        session_of_subject(new_secret(), Subject(name=name), now=now + number)
        for number, name in enumerate(("ann", "ben", "ann"))
    ]
    for session in made:
        keep_session(client.store, session, now=now)
    return tuple(made)


def test_sessions_are_listed_and_ended_over_every_road_alike(
    client: Client, nacre: Command, logged_in: tuple[Session, ...]
) -> None:
    first, of_ben, last = logged_in
    api = Api(client, "who-may-change")
    listed = api.get("/v1/sessions")
    assert [each["id"] for each in listed] == [each.id for each in logged_in]
    assert listed == as_promised("session list", nacre("session", "list", "--output", "json").out)
    shown = nacre("session", "list").out
    assert first.sha256 not in f"{listed}{shown}" and "oidc:ben" in shown
    (ended,) = api.post("/v1/sessions/end", {"name": of_ben.id})
    assert ended["who"] == "oidc:ben"
    said = nacre("session", "end", "oidc:ann", "--output", "json", "--by", "anna")
    assert [each["id"] for each in as_promised("session end", said.out)] == [first.id, last.id]
    assert client.sessions() == []
    assert nacre("session", "list").out == "nobody has logged in\n"
    refused = api.post("/v1/sessions/end", {"name": "oidc:ann"}, code=404)
    assert "id of a session that counts, or whose it is, found 'oidc:ann'" in refused["detail"]
    found = [(entry.who, entry.target, entry.outcome) for entry in audit(client)]
    assert found == [
        ("token:change", "end oidc:ann", Outcome.FAILED),
        ("anna", "end oidc:ann", Outcome.DONE),
        ("token:change", f"end {of_ben.id}", Outcome.DONE),
    ]


def test_an_admin_of_one_adapter_sees_and_ends_no_sessions(
    client: Client, logged_in: tuple[Session, ...]
) -> None:
    made = client.create_token("boss", role="admin", adapters=["birds"], by="anna")
    api = Api(client, made.secret)
    assert "needs admin of all adapters" in api.get("/v1/sessions", code=403)["detail"]
    api.post("/v1/sessions/end", {"name": logged_in[0].id}, code=403)
    assert len(client.sessions()) == len(logged_in)
