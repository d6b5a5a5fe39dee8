"""Whatever each role sends: what it may not do changes nothing, and is written down."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.core.result import Ok

from cluster.api.access.requesters import Access
from cluster.api.access.routes import NEEDS
from cluster.client.client import Client
from cluster.config import EventsConfig
from cluster.wire.problems import Problem
from tests.cluster.api.conftest import Scene
from tests.cluster.api.test_roles import LEAST, OF_ALL, ROLES
from tests.support.drivers.api_server import ApiServer
from workers.access.audit import Outcome

pytestmark = pytest.mark.slow

EXAMPLES = 2
TIMEOUT_S = 180.0
NOBODY = "none"
CHANGE = "who-may-change-everything"
HOOK = "https://hooks.example.com/a-secret-path"
OPEN = ("/v1/health/live", "/v1/health/ready")


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """An API that has a token of each role on `main`, and a webhook.

    Attributes:
        server: Answers.
        client: Works on its store.
        tokens: The secret of each role's token; an empty one of nobody.
        secrets: What no answer may have.
        root: The folder of the store.
    """

    server: ApiServer
    client: Client
    tokens: dict[str, str]
    secrets: tuple[str, ...]
    root: Path

    def stored(self) -> dict[str, tuple[int, ...]]:
        """Return which file holds what is stored, but for the audit log: each write makes one."""
        audit = self.root / "audit"
        tops = (each for each in self.root.iterdir() if each != audit and each.name[0] != ".")
        files = [path for top in tops for path in top.rglob("*") if path.is_file()]
        of = {str(path): path.stat() for path in files}
        return {name: (each.st_ino, each.st_mtime_ns, each.st_size) for name, each in of.items()}

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened, which is done beside the requests."""
        deadline = time.monotonic() + TIMEOUT_S
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"

    def denied(self, who: str) -> set[str]:
        """Return which verbs the audit log says were denied to somebody."""
        found = (each for each in self.client.audit() if each.outcome is Outcome.DENIED)
        return {each.verb for each in found if each.who == who}


@pytest.fixture(scope="module")
def guarded(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    root = tmp_path_factory.mktemp("roles") / "store"
    shutil.copytree(scene.config.store.removeprefix("file://"), root)
    events = EventsConfig(allow=("https://hooks.example.com/",))
    config = replace(scene.config, store=f"file://{root}", events=events)
    client = Client(config, by="anna")
    tokens = {role: client.create_token(f"a-{role}", role=role).secret for role in ROLES}
    hook = client.add_webhook("there", HOOK)
    with ApiServer(config, access=Access(change_token=CHANGE)) as server:
        yield Guarded(
            server=server,
            client=client,
            tokens={**tokens, NOBODY: ""},
            secrets=(*tokens.values(), CHANGE, "a-secret-path", hook.secrets[0].value),
            root=root,
        )


@pytest.fixture(scope="module")
def operations(guarded: Guarded) -> dict[str, SearchStrategy[Any]]:
    """Return what makes requests for each route, by its name."""
    schema = schemathesis.openapi.from_url(f"{guarded.server.url}/openapi.json")
    found = {}
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        found[f"{operation.method.upper()} {operation.path}"] = operation.as_strategy()
    return found


def is_enough(role: str, route: str) -> bool:
    """Return whether a role on one adapter may be enough for a route."""
    least, where = LEAST[route]
    return role != NOBODY and where != OF_ALL and ROLES.index(role) >= ROLES.index(least)


def verbs_of(routes: Iterable[str]) -> set[str]:
    """Return what is asked for with routes, as the audit log calls it."""
    needs = {f"{method} {path}": need for (method, path), need in NEEDS.items()}
    return {needs[route].verb for route in routes}


def try_each(cases: SearchStrategy[Any], ask: Callable[[Any], None]) -> None:
    """Ask with a few requests, the same every time."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: Any) -> None:
        ask(case)

    check()


@pytest.mark.parametrize("role", [NOBODY, *ROLES])
def test_whatever_a_role_sends_it_does_only_what_it_may_and_hears_no_secret(
    guarded: Guarded, operations: dict[str, SearchStrategy[Any]], role: str
) -> None:
    token, codes = guarded.tokens[role], Counter[int]()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    denied: set[str] = set()
    before = guarded.stored()

    def asked(case: Any, route: str) -> None:
        nonlocal before
        case.headers = {}
        response = case.call(headers=headers, timeout=TIMEOUT_S)
        codes[response.status_code] += 1
        assert response.status_code < 500 or response.status_code in (503, 504), response.text
        said = f"{response.headers} {response.text}"
        assert not [secret for secret in guarded.secrets if secret in said], route
        if route.split()[1] in OPEN:
            return
        enough = is_enough(role, route)
        assert enough or response.status_code == (401 if role == NOBODY else 403), route
        now = guarded.stored()
        if response.status_code in (401, 403):
            problem = Problem.model_validate_json(response.content)
            assert problem.title in ("UnauthorizedError", "ForbiddenError")
            assert now == before, route
        if not enough:
            denied.add(route)
        before = now

    for route, cases in operations.items():
        try_each(cases, partial(asked, route=route))
    assert {route for route in LEAST if not is_enough(role, route)} == denied
    assert codes[200] or role == NOBODY
    who = "unknown" if role == NOBODY else f"token:a-{role}"
    guarded.until(lambda: verbs_of(denied) <= guarded.denied(who))
