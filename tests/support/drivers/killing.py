"""Fault injection: a plan of kills drawn from a seed, carried out at the store's door.

Every request of the system passes through the proxy, so that what it is doing can be told from its
requests to the moment: a kill hits between two operations on the store, where it hurts most.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fakes.s3_proxy import Fate, S3Request

STAGES = ("encoding", "training", "compressing", "checking", "committing")
ROLE = {
    "encoding": "shard_encoder",
    "training": "trainer",
    "compressing": "mixture_fitter",
    "checking": "publisher",
    "committing": "publisher",
}
COORDINATOR = "ray::ServeReplica:nacre-coordinator"
CONTROLLER = "ray::ServeController"
API = "ray::ServeReplica:nacre-api"

_WORK = re.compile(r"/work/(?P<name>[^/]+)/(?:\d+/)?(?P<what>checkpoint|learnt|record)$")
_ADAPTER = re.compile(r"/adapters/(?P<name>[^/]+)/\d+/(?P<what>[a-z]+)/")
_REFS = re.compile(r"/refs/(?P<name>[^/]+)\.json$")


def replica(role: str) -> str:
    """Return how the titles of a role's processes begin."""
    return f"ray::ServeReplica:nacre-{role}:{role}"


@dataclass(kw_only=True)
class StageReader:
    """Tells from the requests which stage somebody is in."""

    _phase: dict[str, str] = field(default_factory=dict)
    _committing: set[str] = field(default_factory=set)

    def read(self, request: S3Request) -> str | None:
        """Return the stage that a request belongs to; None where that cannot be told."""
        key = f"/{request.key}"
        if "/shards/" in key and request.verb == "GET":
            return "encoding"
        if "/features/" in key and request.verb == "PUT":
            return "encoding"
        if found := _WORK.search(key):
            return self._of_work(found["name"], found["what"], request.verb)
        if (found := _ADAPTER.search(key)) and request.verb == "PUT":
            if found["what"] == "history":
                self._committing.add(found["name"])
            return "checking"
        if (found := _REFS.search(key)) and request.verb == "PUT":
            committing = found["name"] in self._committing
            self._committing.discard(found["name"])
            return "committing" if committing else None
        return None

    def _of_work(self, name: str, what: str, verb: str) -> str | None:
        writes = verb == "PUT"
        if what == "checkpoint":
            return "training" if verb in ("GET", "PUT") else None
        if what == "learnt" and writes:
            self._phase[name] = "compressing"
            return "training"
        phase = self._phase.get(name)
        if what == "record" and writes:
            self._phase[name] = "checking"
            return "compressing"
        return phase if verb == "GET" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """One kill: at the how-many-th request of a stage, whom, and what becomes of that request."""

    stage: str
    occurrence: int
    victim: str
    fate: Fate


@dataclass(kw_only=True)
class Killer:
    """Carries a plan out; its `hook` is the proxy's.

    Attributes:
        plan: The kills, one per stage.
        kill: Kills the process whose title begins so, and returns its id, or None.
        carried_out: What has been killed.
    """

    plan: list[Kill]
    kill: Callable[[str], int | None]
    carried_out: list[Kill] = field(default_factory=list)
    _reader: StageReader = field(default_factory=StageReader)
    _seen: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hook(self, request: S3Request) -> Fate:
        """Kill somebody, if it is time to, and return what becomes of the request."""
        with self._lock:
            stage = self._reader.read(request)
            if stage is None:
                return Fate.PASS
            self._seen[stage] += 1
            due = [
                entry
                for entry in self.plan
                if entry.stage == stage and entry.occurrence <= self._seen[stage]
            ]
            for entry in due:
                if self.kill(entry.victim) is not None:
                    self.plan.remove(entry)
                    self.carried_out.append(entry)
                    return entry.fate
        return Fate.PASS


def drawn_plan(seed: int) -> list[Kill]:
    """Return one kill for every stage, drawn from `seed`."""
    draw = random.Random(seed)
    return [
        Kill(
            stage=stage,
            occurrence=draw.randint(1, 6),
            # Whoever is at work in that stage half of the time, somebody around it otherwise.
            victim=draw.choice(
                [replica(ROLE[stage])] * 3 + [COORDINATOR, COORDINATOR, CONTROLLER, API]
            ),
            fate=draw.choice(list(Fate)),
        )
        for stage in STAGES
    ]
