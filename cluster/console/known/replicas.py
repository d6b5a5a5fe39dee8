"""Replicas: how those are that answer requests, as far as they say so themselves."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from adapters.errors import ForbiddenError, NacreError, UnauthorizedError
from cluster.client.http_api import HttpApi
from cluster.client.remote.questions import readiness, standing
from cluster.wire.health import Status

ASKED_S, SOON_S = 5.0, 0.25
"""How long a replica may take to answer, and how long a look at all else waits for that."""
HEARD_WITHIN_S = 60.0
"""A replica that has not answered for this time is not shown any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answering:
    """What a replica answers with for one adapter.

    Attributes:
        version: As `adapter@number`; None for nothing.
        refused: A version that could not be loaded.
        reason: Why.
        stale: Whether it has not seen for a while what `production` is.
    """

    version: str | None
    refused: str | None = None
    reason: str | None = None
    stale: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownReplica:
    """One replica, as it was when it answered last.

    Attributes:
        name: Its machine and process.
        in_metrics: As metrics call it.
        began: When it began, in seconds since the epoch.
        under_way: Images that it was asked about and had not answered.
        adapters: What it answers with, by adapter.
        loaded: Versions that it keeps loaded, the latest used last.
        wrong: What keeps it from answering or from following, as sentences.
        heard: When it answered, in seconds since the epoch; a change of that alone is no news.
    """

    name: str
    began: float
    under_way: int
    adapters: Mapping[str, Answering]
    loaded: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    in_metrics: str = ""
    heard: float = field(default=0.0, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replicas:
    """The replicas behind one endpoint.

    Attributes:
        known: Those that have answered lately, by name: each look is answered by one of them.
        latest: The one that has answered now; None where none does.
        around: Why something beside them does not run as it should, by its name.
    """

    known: Mapping[str, KnownReplica] = field(default_factory=dict)
    latest: str | None = None
    around: Mapping[str, str] = field(default_factory=dict)

    def heard(self, status: Status | None, now: float) -> "Replicas":
        """Return what is known after one has answered, or none has."""
        if status is None:
            return Replicas()
        lately = {
            name: each for name, each in self.known.items() if now - each.heard < HEARD_WITHIN_S
        }
        found = _replica(status, lately.get(status.replica), now)
        around = {name: trouble.reason for name, trouble in status.deployments.items()}
        if status.coordinator is not None:
            around = {"coordinator": status.coordinator.reason, **around}
        return Replicas(
            known=dict(sorted({**lately, found.name: found}.items())),
            latest=found.name,
            around=around,
        )


class Standing:
    """Asks how the replicas are, one question at a time. Used by one thread.

    Args:
        endpoint: Where they answer.
    """

    # Owns: the connections, the thread that waits for the answer, and the latest answer.

    def __init__(self, endpoint: str) -> None:
        self._api = HttpApi(endpoint, is_here=True)
        self._thread = ThreadPoolExecutor(1, "standing")
        self._asking: Future[Status | None] | None = None
        self._known: Status | None = None

    def __call__(self) -> Status | None:
        """Return the latest answer; None where nothing answers. Nobody waits for a slow one."""
        if self._asking is None:
            self._asking = self._thread.submit(self._ask)
        wait([self._asking], SOON_S)
        if self._asking.done():
            self._known, self._asking = self._asking.result(), None
        return self._known

    def close(self) -> None:
        """Ask no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    def _ask(self) -> Status | None:
        try:
            return self._api.ask(standing(), timeout_s=ASKED_S)
        except (UnauthorizedError, ForbiddenError):  # whether it is ready is said to everybody
            return self._ready()
        except NacreError:
            return None

    def _ready(self) -> Status | None:
        try:
            return Status(**self._api.ask(readiness(), timeout_s=ASKED_S).model_dump())
        except NacreError:
            return None


def _replica(status: Status, before: KnownReplica | None, now: float) -> KnownReplica:
    wrong = [
        f"it cannot follow {name}: {state.trouble.reason}"
        for name, state in status.adapters.items()
        if state.trouble
    ]
    if status.embedding is not None:
        wrong.insert(0, status.embedding.reason)
    return KnownReplica(
        name=status.replica,
        in_metrics=status.in_metrics,
        # What it says is a little different each time; the first counts.
        began=before.began if before else now - status.runs_s,
        under_way=status.under_way,
        adapters={
            name: Answering(
                version=state.version,
                refused=state.refused,
                reason=state.reason,
                stale=state.stale,
            )
            for name, state in status.adapters.items()
        },
        loaded=tuple(status.loaded),
        wrong=tuple(wrong),
        heard=now,
    )
