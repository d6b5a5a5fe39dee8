"""The client: the few calls behind every face; command line, Python and HTTP do the same things.

Submitting, looking and moving aliases work on the object store alone, so they need no running
cluster; predicting asks the HTTP API.
"""

import getpass
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from adapters.errors import (
    NotFoundError,
    UnavailableError,
)
from cluster.client.distant_replicas import DistantReplicas
from cluster.client.joined import configured
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.wire.headers import TIMEOUT_S
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.queue import inbox
from workers.queue.events import Cancel, Event, Pause, Resume, Retry
from workers.queue.journal import JournalEntry, read_journal
from workers.queue.leadership import read_leadership
from workers.queue.progress import QueueState, State, find_state, read_queue, read_state
from workers.queue.ticket import ENDED
from workers.registry import (
    Action,
    Audience,
    Author,
    Entry,
    Manifest,
    RegisteredAdapter,
    Registry,
    TaskAccuracy,
)
from workers.store import ObjectStore
from workers.tasks.submission import Submission

if TYPE_CHECKING:
    from cluster.client.http_api import HttpApi
    from cluster.client.questions import Images
    from cluster.wire.documents import EmbedAnswer, PredictAnswer, Ready
    from workers.intake.intake import Intake
    from workers.tasks.task import Task

NOTE_TIMEOUT_S = 10.0
POLL_S = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version as people look at it.

    Attributes:
        manifest: What it holds.
        digest: SHA-256 of the manifest.
        aliases: The aliases that point to it now.
        accuracies: What was measured of it.
    """

    manifest: Manifest
    digest: str
    aliases: tuple[str, ...]
    accuracies: tuple[TaskAccuracy, ...]


class Client:
    """Talks to one nacre: its object store, and its HTTP API.

    May be used as a block, at whose end connections are given back.

    Args:
        config: Where both are; looked for as `load_config` says where None.
        audience: Is told when `production` moves; the API's replicas where None.
    """

    def __init__(self, config: Config | None = None, *, audience: Audience | None = None) -> None:
        self.config = config or configured()
        self._store = open_store(self.config.store)
        self._registry = Registry(self._store, audience=audience or DistantReplicas(self.config))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give connections to the API back; the next call opens new ones."""
        opened = self.__dict__.pop("_api", None)
        if opened is not None:
            opened.close()

    @property
    def store(self) -> ObjectStore:
        """The object store."""
        return self._store

    def submit(
        self,
        task: "Task | Path | str",
        *,
        adapter: str | None = None,
        on_progress: ProgressCallback = unwatched,
    ) -> "Intake":
        """Check a task, make it durable, and return its submission.

        Args:
            task: A task, or the path of a task file.
            adapter: The adapter to grow, instead of the task file's.
            on_progress: Called with images done and images in all.

        Raises:
            InputError: the task cannot be learnt as it is; nothing is stored.
        """
        # Loaded when it is needed: taking a task in needs torch, and looking at one does not.
        from cluster.client.tasks import accept_task

        return accept_task(
            task,
            self.config,
            self._store,
            adapter=adapter,
            author=user(),
            on_progress=on_progress,
        )

    def queue(self) -> QueueState:
        """Return the whole queue: open submissions and those that ended lately, and who leads."""
        return read_queue(self._store)

    def state(self, submission: Submission | str) -> State:
        """Return where a submission is.

        Raises:
            NotFoundError: there is no submission of that id.
        """
        if isinstance(submission, str):
            return find_state(self._store, submission)
        return read_state(self._store, submission)

    def find(self, name: str) -> State:
        """Return where the submission called `name` is, or the latest one of the task so called.

        Raises:
            NotFoundError: there is none.
        """
        with suppress(NotFoundError):
            return find_state(self._store, name)
        states = [state for state in self.queue().states if state.ticket.task == name]
        if not states:
            raise NotFoundError(
                f"expected the id of a submission or the name of a task in the queue, found "
                f"{name!r}; `nacre status` lists them",
                name=name,
            )
        # An open one goes before those that have ended.
        return max(states, key=lambda s: (s.ticket.stage not in ENDED, s.ticket.accepted_at))

    def refusals(self) -> list[Entry]:
        """Return the refusals by replicas that nothing has followed, of the adapters served."""
        latest = (next(iter(self._history(name)), None) for name in self.config.served)
        return [entry for entry in latest if entry and entry.action is Action.REFUSE]

    def cancel(self, name: str) -> State:
        """Take a submission back, given by its id or its task's name; what is published stays."""
        return self._wish(name, Cancel)

    def retry(self, name: str) -> State:
        """Try a submission again that has failed, or at once where it waits to be."""
        return self._wish(name, Retry)

    def pause(self, adapter: str) -> bool:
        """Let nothing new of an adapter be begun; `*` stands for all. Return whether it is done."""
        return self._asked(Pause(adapter=adapter))

    def resume(self, adapter: str) -> bool:
        """Let an adapter go on; `*` stands for all. Return whether it is done."""
        return self._asked(Resume(adapter=adapter))

    def journal(self, submission_id: str, *, after: float = 0.0) -> Iterator[JournalEntry]:
        """Yield what has happened to a submission later than `after`, oldest first."""
        return read_journal(self._store, submission_id, after=after)

    def watch(
        self, submission: Submission | str, *, timeout_s: float = 3600, poll_s: float = POLL_S
    ) -> Iterator[State]:
        """Yield the state of a submission again and again until it has ended.

        Raises:
            UnavailableError: it has not ended after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.state(submission)
            yield state
            if state.ticket.stage in ENDED:
                return
            if time.monotonic() >= deadline:
                break
            time.sleep(poll_s)
        raise UnavailableError(
            f"submission {state.ticket.submission_id} has not ended after {timeout_s:.0f} s; it "
            "goes on, see `nacre status`",
            submission=state.ticket.submission_id,
        )

    def versions(self, adapter: str | None = None) -> list[Version]:
        """Return the versions of an adapter, newest first; empty for one that does not exist."""
        handle = self._adapter(adapter)
        try:
            refs = handle.refs()
        except NotFoundError:
            return []
        numbers = {entry.published.number for entry in handle.history() if entry.published}
        pointing = {
            number: tuple(
                sorted(name for name, version in refs.aliases.items() if version.number == number)
            )
            for number in numbers
        }
        return [
            Version(
                manifest=handle.manifest(number),
                digest=handle.version(number).manifest.sha256,
                aliases=pointing[number],
                accuracies=handle.accuracies(number),
            )
            for number in sorted(numbers, reverse=True)
        ]

    def rollback(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        serving_only: bool = False,
        why: str = "",
    ) -> int:
        """Serve an earlier version again, build the next task on it, and return its number.

        Args:
            version: Its number, or an alias.
            adapter: Which adapter; the configured one where None.
            serving_only: Leave `head` alone, so that the next task still builds on it.
            why: The reason, kept in the history.

        Raises:
            NotFoundError: no such version.
        """
        author = Author(who=user(), why=why, now=time.time())
        return self._adapter(adapter).rollback(version, by=author, serving_only=serving_only)

    def predict(
        self,
        images: "Images",
        *,
        adapter: str | None = None,
        version: int | str | None = None,
        top_k: int = 5,
        tasks: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> "PredictAnswer":
        """Classify images, asking again where the service is too busy or not reached.

        Args:
            images: Paths of image files, or what such files contain.
            adapter: Which adapter; the configured one where None.
            version: Pin a version by number or alias; `production` where None.
            top_k: Most classes per image.
            tasks: Only the classes of these tasks are candidates; all where empty.
            candidate_labels: Further candidates, known by their names alone.
            timeout_s: Seconds in all; the service gives up then, too.

        Raises:
            UnavailableError: the API does not answer, or has no version yet.
            InputError: an image is refused, or there is no such version.
        """
        from cluster.client.questions import predicting

        call = predicting(
            images,
            adapter=adapter or self.config.adapter,
            version=version,
            top_k=top_k,
            tasks=tasks,
            candidate_labels=candidate_labels,
        )
        return self._api.ask(call, timeout_s=timeout_s)

    def embed(self, images: "Images", *, timeout_s: float = TIMEOUT_S) -> "EmbedAnswer":
        """Return the encoder's unit features of images, in their order.

        Args:
            images: Paths of image files, or what such files contain.
            timeout_s: Seconds in all.
        """
        from cluster.client.questions import embedding

        return self._api.ask(embedding(images), timeout_s=timeout_s)

    def ready(self) -> "Ready":
        """Return what the API answers with now; UnavailableError where it does not answer."""
        from cluster.client.questions import readiness

        return self._api.ask(readiness())

    def answering(self, adapter: str | None = None) -> str | None:
        """Return the version that answers for an adapter now, as `adapter@number`."""
        state = self.ready().adapters.get(adapter or self.config.adapter)
        return state.version if state else None

    @cached_property
    def _api(self) -> "HttpApi":
        # Loaded when it is needed: most verbs work on the store alone, and start faster without.
        from cluster.client.http_api import HttpApi

        return HttpApi(self.config.endpoint)

    def _wish(self, name: str, kind: type[Cancel | Retry]) -> State:
        found = self.find(name).ticket.submission_id
        self._asked(kind(submission_id=found))
        return self.state(found)

    def _asked(self, event: Event) -> bool:
        """Ask the coordinator, and wait until it has taken note, if there is one that could."""
        key = inbox.ask(self._store, event, who=user())
        deadline = time.monotonic() + NOTE_TIMEOUT_S
        while time.monotonic() < deadline:
            lead = read_leadership(self._store)
            if lead is None or lead.expires < time.time():
                return False
            try:
                self._store.get_range(key, 0, 1)
            except NotFoundError:
                return True
            time.sleep(POLL_S)
        return False

    def _history(self, adapter: str) -> Iterator[Entry]:
        with suppress(NotFoundError):
            yield from self._adapter(adapter).history()

    def _adapter(self, name: str | None) -> RegisteredAdapter:
        return self._registry.adapter(name or self.config.adapter)


def user() -> str:
    """Return who is asking, for provenance and history."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
