"""Roles over HTTP: each route with each role, on its adapter and on another."""

from collections.abc import Mapping
from typing import Any, get_args

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from cluster.api.access.requesters import Access
from cluster.api.access.routes import NEEDS, check_routes, describe_needs
from cluster.api.access.subjects import Subjects
from cluster.api.middleware import Doors, add_access
from cluster.api.problems import add_problems
from cluster.config import OidcConfig, Roles
from cluster.serving.metrics import Metrics
from cluster.wire.problems import Problem
from tests.support.fakes.tokens import HeldTokens, held
from tests.support.scenes.signing import AUDIENCE, ISSUER, Signer
from workers.access.audit import AuditEntry, Outcome
from workers.access.roles import AccessRole, RoleName

OWN, OF_ALL = "on the adapter", "on all adapters"
LEAST: Mapping[str, tuple[str, str]] = {
    "DELETE /v1/adapters/{adapter}/aliases/{alias}": ("operator", OWN),
    "GET /v1/adapters": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/accuracy": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/aliases": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/diff": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/versions/{version}/mistakes": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/held/{task}": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/history": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/verify": ("operator", OWN),
    "GET /v1/adapters/{adapter}/versions": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/versions/{version}": ("viewer", OWN),
    "GET /v1/adapters/{adapter}/versions/{version}/export": ("operator", OWN),
    "GET /v1/audit": ("admin", OWN),
    "GET /v1/behind": ("viewer", OWN),
    "GET /v1/encoders": ("viewer", OWN),
    "GET /v1/methods": ("viewer", OWN),
    "GET /v1/metrics": ("viewer", OF_ALL),
    "GET /v1/refusals": ("viewer", OWN),
    "GET /v1/sessions": ("admin", OF_ALL),
    "GET /v1/status": ("viewer", OWN),
    "GET /v1/tasks": ("viewer", OWN),
    "GET /v1/tasks/{name}": ("viewer", OWN),
    "GET /v1/tasks/{name}/events": ("viewer", OWN),
    "GET /v1/tasks/{name}/logs": ("submitter", OWN),
    "GET /v1/tasks/{name}/watch": ("viewer", OWN),
    "GET /v1/tokens": ("admin", OWN),
    "GET /v1/webhooks": ("admin", OF_ALL),
    "GET /v1/webhooks/{name}": ("admin", OF_ALL),
    "POST /v1/adapters/{adapter}/drop": ("operator", OWN),
    "POST /v1/adapters/{adapter}/evaluate": ("operator", OWN),
    "POST /v1/adapters/{adapter}/follow": ("operator", OWN),
    "POST /v1/adapters/{adapter}/gc": ("admin", OWN),
    "POST /v1/adapters/{adapter}/import": ("operator", OWN),
    "POST /v1/adapters/{adapter}/pause": ("operator", OWN),
    "POST /v1/adapters/{adapter}/predict": ("asker", OWN),
    "POST /v1/adapters/{adapter}/prepare": ("operator", OWN),
    "POST /v1/adapters/{adapter}/promote": ("operator", OWN),
    "POST /v1/adapters/{adapter}/purge": ("admin", OWN),
    "POST /v1/adapters/{adapter}/resume": ("operator", OWN),
    "POST /v1/adapters/{adapter}/rollback": ("operator", OWN),
    "POST /v1/adapters/{adapter}/relearn": ("operator", OWN),
    "POST /v1/adapters/{adapter}/settle": ("admin", OWN),
    "POST /v1/embed": ("asker", OWN),
    "POST /v1/predict": ("asker", OWN),
    "POST /v1/sessions/end": ("admin", OF_ALL),
    "POST /v1/tasks": ("submitter", OWN),
    "POST /v1/tasks/inspect": ("submitter", OWN),
    "POST /v1/tasks/{name}/cancel": ("submitter", OWN),
    "POST /v1/tasks/{name}/retry": ("submitter", OWN),
    "POST /v1/tokens": ("admin", OWN),
    "POST /v1/tokens/{name}/revoke": ("admin", OWN),
    "POST /v1/webhooks": ("admin", OF_ALL),
    "POST /v1/webhooks/{name}/remove": ("admin", OF_ALL),
    "POST /v1/webhooks/{name}/resume": ("admin", OF_ALL),
    "POST /v1/webhooks/{name}/rotate": ("admin", OF_ALL),
    "POST /v1/webhooks/{name}/test": ("admin", OF_ALL),
    "PUT /v1/adapters/{adapter}/aliases/{alias}": ("operator", OWN),
}
"""The least role that each route needs, written down once more by hand."""
ROLES = ("viewer", "asker", "submitter", "operator", "admin")
CELLS = [(route, role) for route in LEAST for role in ROLES]
MAPPED: dict[str, Roles] = {
    name: {adapter: role}
    for role in get_args(RoleName)
    for name, adapter in ((role, "birds"), (f"{role}-of-all", "*"))
}
"""The same roles of groups that a provider names."""


class Scene:
    """An API whose every route answers, and what was denied."""

    def __init__(self) -> None:
        self.denied: list[AuditEntry] = []
        signer = Signer()
        self.signed = {name: signer.token(sub=f"in-{name}", groups=[name]) for name in MAPPED}
        self.signed[""] = signer.token(sub="ann", groups=["others"])
        api = FastAPI()
        add_problems(api)
        doors = Doors(
            access=Access(change_token="all", predict_token="asking"),
            adapter="birds",
            known=HeldTokens(
                **{role: held(role, {"birds": AccessRole(role)}) for role in ROLES},
                **{f"{role}-of-all": held(role, {"*": AccessRole(role)}) for role in ROLES},
            ),
            subjects=Subjects(
                oidc=OidcConfig(issuer=ISSUER, audience=AUDIENCE, groups=MAPPED, contact="ben"),
                tokens=signer.tokens(),
            ),
            denied=self.denied.append,
        )
        add_access(api, doors, Metrics())

        @api.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
        def answer(request: Request) -> str:
            return str(request.state.requester.name)

        self.client = TestClient(api)

    def ask(self, route: str, token: str, *, adapter: str = "birds", signed: bool = False) -> int:
        verb, path = route.split()
        named = path.format(adapter=adapter, name="digits", task="digits", alias="q3", version="3")
        sent = self.signed[token] if signed else f"nacre_{token}"
        headers = {"Authorization": f"Bearer {sent}"} if token or signed else {}
        return self.client.request(verb, named, headers=headers).status_code


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_every_route_of_the_table_is_tried_here() -> None:
    assert {tuple(route.split()) for route in LEAST} == NEEDS.keys()


@pytest.mark.parametrize(("route", "role"), CELLS)
def test_a_role_permits_what_it_says_on_its_adapter(scene: Scene, route: str, role: str) -> None:
    least, where = LEAST[route]
    enough = ROLES.index(role) >= ROLES.index(least)
    for signed in (False, True):
        assert scene.ask(route, f"{role}-of-all", signed=signed) == (200 if enough else 403)
        own = 200 if enough and where == OWN else 403
        assert scene.ask(route, role, signed=signed) == own


@pytest.mark.parametrize("route", [route for route in LEAST if "{adapter}" in route])
def test_a_role_permits_nothing_on_another_adapter(scene: Scene, route: str) -> None:
    for signed in (False, True):
        for adapter in ("cats", "bird", "birdsx", "*", "cats@birds", "birds%0A"):
            assert scene.ask(route, "admin", adapter=adapter, signed=signed) == 403
        assert scene.ask(route, "admin", adapter="birds@3", signed=signed) == 200
        assert scene.ask(route, "admin-of-all", adapter="cats", signed=signed) == 200


@pytest.mark.parametrize("route", LEAST)
def test_a_subject_without_a_role_may_do_nothing(scene: Scene, route: str) -> None:
    assert scene.ask(route, "", signed=True) == 403


@pytest.mark.parametrize("route", LEAST)
def test_without_a_token_that_is_known_nobody_may_do_anything(scene: Scene, route: str) -> None:
    for token in ("", "guessed"):
        assert scene.ask(route, token) == 401


@pytest.mark.parametrize("path", ["/v1/tokens\n", "/v1/adapters/cats/versions\n"])
def test_a_path_that_the_router_would_take_for_a_route_needs_what_that_needs(path: str) -> None:
    scene = Scene()
    headers = {"Authorization": "Bearer nacre_viewer"}
    response = scene.client.get(path.replace("\n", "%0A"), headers=headers)
    assert response.status_code == 403


def test_whoever_is_denied_hears_who_they_are_what_it_needs_and_whom_to_ask(scene: Scene) -> None:
    response = scene.client.post(
        "/v1/adapters/birds/rollback", headers={"Authorization": "Bearer nacre_viewer"}
    )
    assert Problem.model_validate(response.json()).detail == (
        "'token:viewer' is viewer of 'birds', and `rollback` needs operator of 'birds'; ask anna, "
        "who made this token, or another admin for it"
    )
    response = scene.client.post("/v1/tasks", headers={"Authorization": "Bearer asking"})
    assert response.status_code == 403
    assert response.json()["detail"] == (
        "'token:predict' is asker of all adapters, and `submit` needs submitter of an adapter; ask "
        "whoever runs this service for it"
    )


def test_a_subject_without_a_role_hears_who_they_are_and_whom_to_ask() -> None:
    scene = Scene()
    response = scene.client.get(
        "/v1/tasks", headers={"Authorization": f"Bearer {scene.signed['']}"}
    )
    assert response.json()["detail"] == (
        "'oidc:ann' is without a role, and `status` needs viewer of an adapter; ask ben for it"
    )
    (denied,) = scene.denied
    assert (denied.who, denied.verb, denied.outcome) == ("oidc:ann", "status", Outcome.DENIED)
    assert scene.signed[""] not in str(scene.denied)


def test_what_was_denied_is_told_with_who_where_and_why() -> None:
    scene = Scene()
    scene.ask("POST /v1/adapters/{adapter}/rollback", "viewer", adapter="cats")
    scene.ask("POST /v1/tasks/{name}/cancel", "asker")
    scene.ask("POST /v1/adapters/{adapter}/rollback", "guessed", adapter="secret-name")
    role, task, unknown = scene.denied
    assert (role.who, role.road, role.verb, role.adapter) == (
        "token:viewer",
        "http",
        "rollback",
        "cats",
    )
    assert (role.outcome, bool(role.request_id)) == (Outcome.DENIED, True)
    assert "needs operator of 'cats'" in role.reason
    assert (task.verb, task.target) == ("cancel", "digits")
    # Whoever is not known names whatever they like, and a secret is in no log.
    assert (unknown.who, unknown.verb, unknown.adapter) == ("unknown", "rollback", "*")
    assert "guessed" not in str(scene.denied) and "secret-name" not in str(scene.denied)


def test_a_route_without_a_line_in_the_table_is_found() -> None:
    document: dict[str, Any] = {"paths": {path: {} for _, path in NEEDS}}
    for verb, path in NEEDS:
        document["paths"][path][verb.lower()] = {"description": ""}
    check_routes(document)
    with pytest.raises(LookupError, match="/v1/new"):
        check_routes({"paths": {**document["paths"], "/v1/new": {"post": {}}}})
    gone = {path: item for path, item in document["paths"].items() if path != "/v1/embed"}
    with pytest.raises(LookupError, match="/v1/embed"):
        check_routes({"paths": gone})


def test_the_description_says_how_a_token_is_sent_and_what_each_route_needs() -> None:
    api = FastAPI()

    @api.get("/v1/tokens")
    def tokens() -> str:
        """List them."""
        return ""

    @api.get("/v1/health/live")
    def live() -> str:
        """Live."""
        return ""

    describe_needs(api)
    document = api.openapi()
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    listed = document["paths"]["/v1/tokens"]["get"]
    assert listed["security"] == [{"token": []}]
    assert listed["description"].startswith("List them.\n\nNeeds a token that is admin of ")
    assert "security" not in document["paths"]["/v1/health/live"]["get"]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (["Bearer all", "Bearer all"], "found 2 headers of that name, of which one must be sent"),
        (["Bearer all, Bearer asking"], "found another one, or a part of one"),
        (["Basic YTpi"], "found none"),
        (
            [f"Bearer {'x' * 16385}"],
            "at most 16384 characters in the header `Authorization`, found",
        ),
    ],
)
def test_headers_that_do_not_say_who_asks_are_refused_with_what_is_wrong_with_them(
    scene: Scene, sent: list[str], found: str
) -> None:
    headers = [("Authorization", each) for each in sent]
    answer = scene.client.get("/v1/tasks", headers=headers)
    assert answer.status_code == 401
    assert found in Problem.model_validate(answer.json()).detail
