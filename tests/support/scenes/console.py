"""A console on a store in memory: an adapter with three versions, and what has happened to it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

from fastapi.testclient import TestClient

from adapters.mistakes import SetAnswers
from cluster.api.access.requesters import Access
from cluster.client.client import Client
from cluster.client.requester import CONSOLE, Requester
from cluster.config import Config, ServeConfig
from cluster.console.app import Identity, build_console
from tests.support.scenes.registry import adapter, learn, with_answers
from tests.support.scenes.submissions import HELD_OUT, TRAIN, submission, written
from tests.support.scenes.tickets import write_tickets
from workers.access.kept_tokens import create_token
from workers.access.roles import AccessRole
from workers.queue.progress import ticket_of
from workers.queue.ticket import Ticket
from workers.registry import AnsweredTask, AnswerSheet
from workers.store import MemoryStore, ObjectStore

FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
HOST = "http://127.0.0.1:8001"


class _Forms(HTMLParser):
    """Collects the hidden fields of a page, the last of each name."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.hidden[found.get("name") or ""] = found.get("value") or ""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody with a browser, without scripts.

    Attributes:
        browser: Their browser.
    """

    browser: TestClient

    def get(self, path: str = "", **headers: str) -> Any:
        """Return a page."""
        return self.browser.get(f"/console{path}", headers=headers)

    def shown(self, path: str = "") -> str:
        """Return the HTML of a page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def send(self, path: str, *, form_of: str = "", **fields: str | list[str]) -> Any:
        """Fill in the form of a page, or of another one, and send it."""
        return self._sent(path, form_of or path, fields)

    def upload(self, path: str, files: Mapping[str, tuple[str, bytes]], **fields: str) -> Any:
        """Fill in the form of a page, and send it with files, each with its name."""
        return self._sent(path, path, fields, files)

    def _sent(
        self,
        path: str,
        form_of: str,
        fields: Mapping[str, str | list[str]],
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Any:
        forms = _Forms()
        forms.feed(self.get(form_of).text)
        kept: dict[str, Any] = {
            name: forms.hidden[name] for name in ("csrf", "seen") if name in forms.hidden
        }
        return self.browser.post(
            f"/console{path}", data={**kept, **fields}, files=files, headers=FROM_HERE
        )


@dataclass(frozen=True, kw_only=True)
class Console:
    """A store and who looks at it.

    Attributes:
        store: The store.
        config: Of the system.
        secrets: Of tokens that were made, by their role.
    """

    store: ObjectStore = field(default_factory=MemoryStore)
    # Nothing listens there, so that no replica of another test is taken for one of this store.
    config: Config = field(
        default_factory=lambda: Config(store="memory://console", serve=ServeConfig(port=1))
    )

    secrets: dict[AccessRole, str] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        return Client(self.config, store=self.store, by="tests")

    def token(self, role: AccessRole) -> str:
        """Return the secret of a token that has a role, made when it is first asked for."""
        if role not in self.secrets:
            roles = {"main": role}
            self.secrets[role] = create_token(
                self.store, f"a-{role.value}", roles, by="anna", now=1.0, lifetime="never"
            ).secret
        return self.secrets[role]

    @contextmanager
    def visited(
        self, *, role: AccessRole | None = None, locked: bool = False, base: str = HOST
    ) -> Iterator[Visitor]:
        """Give somebody who looks: with a role of their own, or as whoever has the machine."""
        access = Access(change_token="everything") if role or locked else Access()
        unnamed = Requester(name="anna", road=CONSOLE)
        app = build_console(
            Client(self.config, store=self.store, road=CONSOLE),
            Identity(access=access, unnamed=unnamed),
        )
        with TestClient(app, base_url=base) as browser:
            if role:
                token = self.token(role)
                form = {"token": token, "next": "/console"}
                answer = browser.post("/login", data=form, headers=FROM_HERE)
                assert answer.status_code == 200, answer.text
            yield Visitor(browser=browser)


def queued(store: ObjectStore, task: str, *, adapter: str = "main", **ticket: Any) -> Ticket:
    """Make a submission durable as it is somewhere on its way, and return its ticket."""
    entry = written(store, submission(task, adapter=adapter, accepted_at=time.time()))
    made = replace(ticket_of(entry), **ticket)
    write_tickets(store, [made])
    return made


def answers(**tasks: str) -> AnswerSheet:
    """Return what a version answers about four test images of each task.

    Two are of class `a` and two of class `b`; the letters say what each is taken for, and the later
    an image is, the less sure its answer.
    """
    found: list[AnsweredTask] = []
    names: dict[str, str] = {}
    for task, said in tasks.items():
        ids = {letter: f"{task}/{letter}" for letter in "ab"}
        names |= {class_id: f"thing {letter}" for letter, class_id in ids.items()}
        answered = SetAnswers(
            truth=tuple(ids[letter] for letter in "aabb"),
            answers=tuple(ids[letter] for letter in said),
            confidences=(0.9, 0.8, 0.7, 0.6),
        )
        submission_id = f"{task}-0123456789ab"
        found.append(AnsweredTask(task=task, submission=submission_id, answers=answered))
    return AnswerSheet(candidates=2 * len(tasks), names=names, tasks=tuple(found))


def answered() -> Console:
    """Return a console on a store where answers were kept of two versions.

    The second has won one image of `cars` and lost another one.
    """
    made = Console()
    target = adapter(made.store)
    held_out = replace(HELD_OUT, labels=(0, 0, 1, 1), image_digests=("4", "5", "6", "7"))
    for task in ("cars", "dogs"):
        written(made.store, replace(submission(task), shards=(TRAIN, held_out)))
    with_answers(target, "cars", answers(cars="baba"))
    with_answers(target, "dogs", answers(cars="bbbb", dogs="aaaa"))
    return made


def learnt(*tasks: str) -> Console:
    """Return a console on a store where tasks were learnt, one version each."""
    made = Console()
    learn(adapter(made.store), *tasks)
    return made
