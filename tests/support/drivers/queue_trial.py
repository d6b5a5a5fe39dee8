"""A queue of real tasks on a real Ray and a real S3 server, while everything in it is killed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from cluster.stores.open import open_store
from tests.support.drivers.killing import Killer, drawn_plan
from tests.support.drivers.queue_tasks import ADAPTERS, Digests, digests
from tests.support.drivers.ray_nodes import RayNode, new_head
from tests.support.drivers.s3_server import S3Server, free_port
from tests.support.fakes.s3_proxy import S3Proxy
from tests.support.fakes.weather import Climate, Sky, Weather
from workers.queue.leadership import read_leadership
from workers.queue.progress import read_queue
from workers.queue.ticket import ENDED, Stage
from workers.registry import Registry, verify
from workers.store.base import ObjectStore

UP_TIMEOUT_S = 600.0
HEADS = 3
QUEUE_TIMEOUT_S = 900.0
POLL_S = 0.5

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Site:
    """One system: a configuration, a store behind a proxy, and the Ray that it runs on now.

    Attributes:
        folder: Of configuration and home.
        url: Of the store, through the proxy.
        environment: What its processes need.
        head: The Ray head.
    """

    folder: Path
    url: str
    environment: Mapping[str, str]
    workers: Mapping[str, object] = field(default_factory=dict)
    head: RayNode | None = None

    def write_config(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "store": self.url,
            "serve": {"port": free_port()},
            "workers": {"poll_s": 0.3, "trainers": 1, **self.workers},
        }
        (self.folder / "nacre.yaml").write_text(yaml.safe_dump(content))

    def start(self) -> None:
        """Start a head, and the system on it; again where a busy machine's head ends meanwhile."""
        for tries_left in reversed(range(HEADS)):
            self.head = new_head(self.process_environment()).start()
            try:
                self.nacre("up", "--address", self.head.address, timeout_s=UP_TIMEOUT_S)
            except RuntimeError:
                if not (tries_left and self.head.ended()):
                    raise
                self.die()
            else:
                return

    def process_environment(self) -> dict[str, str]:
        """Return what is added to the environment of everything that belongs to the system."""
        return {
            **self.environment,
            "NACRE_HOME": str(self.folder / "home"),
            "NACRE_CONFIG": str(self.folder / "nacre.yaml"),
        }

    def nacre(self, *arguments: str | Path, timeout_s: float = 300.0) -> str:
        """Run one command to its end and return what it printed; RuntimeError where it failed."""
        process = self.begun(*arguments)
        try:
            printed, said = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        if process.returncode:
            raise RuntimeError(f"nacre {arguments} failed: {printed}{said}")
        return printed

    def begun(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        """Begin one command."""
        return subprocess.Popen(
            [sys.executable, "-m", "cluster.cli", *map(str, arguments)],
            env={**os.environ, "RAY_AUTH_MODE": "disabled", **self.process_environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, title: str) -> int | None:
        """Kill a process of the head by its title."""
        return self.head.kill(title) if self.head else None

    def die(self) -> None:
        """Let the whole Ray die at once."""
        if self.head is not None:
            self.head.die()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one trial has given.

    Attributes:
        kills: How often somebody was killed, by stage; `head` and `submitter` among them.
        victims: How often each one was killed.
        weather: How many requests met each kind of weather.
        problems: Everything that is not as it must be; empty when all is well.
        seconds: How long it took.
    """

    kills: Counter[str]
    victims: Counter[str]
    weather: Counter[Weather]
    problems: tuple[str, ...]
    seconds: float


def trial(
    site: Site,
    proxy: S3Proxy,
    *,
    seed: int,
    tasks: list[Path],
    expected: Digests,
    weather: Mapping[Weather, float] | None = None,
    say: Say = print,
) -> Outcome:
    """Submit `tasks`, kill by a plan drawn from `seed`, and judge what has become of them.

    The head dies too, at a moment drawn from the seed, and the queue goes on on a new one. After
    that the store has each kind of `weather` for so many seconds.
    """
    started = time.monotonic()
    draw = random.Random(seed + 1000)
    killer = Killer(plan=drawn_plan(seed), kill=site.kill)
    store = open_store(site.url, environment=site.environment)
    # What is submitted first is embedded while the rest is submitted.
    sky = Sky(proxy=proxy, hook=killer.hook)
    _submit_twice(site, tasks, draw)
    _wait(store, tasks, until=draw.randint(3, len(tasks) - 3))
    site.die()
    say(f"seed {seed}: the head died after {_ended(store)} of {len(tasks)} tasks")
    site.start()
    for kind, seconds in (weather or {}).items():
        _wait(store, tasks, until=min(len(tasks), _ended(store) + 1))
        sky.last(kind, seconds, say=lambda said: say(f"seed {seed}: {said}"))
    _wait(store, tasks, until=len(tasks))
    sky.hook = Killer(plan=[], kill=site.kill).hook
    kills = Counter(entry.stage for entry in killer.carried_out)
    return Outcome(
        kills=kills + Counter({"head": 1, "submitter": 1}),
        weather=sky.met,
        victims=Counter(entry.victim for entry in killer.carried_out),
        problems=tuple(problems(store, tasks=len(tasks), expected=expected)),
        seconds=time.monotonic() - started,
    )


def undisturbed(
    site: Site, proxy: S3Proxy, *, tasks: list[Path], expected: Digests, climate: Climate
) -> Outcome:
    """Submit `tasks` to a store whose answers are `climate`'s throughout; nobody is killed.

    Whatever the store says then, nothing fails: no attempt is used up, and one coordinator leads.
    """
    started = time.monotonic()
    store = open_store(site.url, environment=site.environment)
    sky = Sky(proxy=proxy, climate=climate)
    site.nacre("submit", *tasks, timeout_s=QUEUE_TIMEOUT_S)
    _wait(store, tasks, until=len(tasks))
    sky.climate = None
    found = [*problems(store, tasks=len(tasks), expected=expected), *_second_attempts(store)]
    return Outcome(
        kills=Counter(),
        victims=Counter(),
        weather=sky.met,
        problems=tuple(found),
        seconds=time.monotonic() - started,
    )


def _second_attempts(store: ObjectStore) -> Iterator[str]:
    """Yield every sign of a task that was begun again, or of a second coordinator."""
    for state in read_queue(store).states:
        if state.ticket.attempts or state.ticket.failures:
            yield f"{state.ticket.submission_id} was tried again: {state.ticket.failures}"
    lead = read_leadership(store)
    if lead is None or lead.epoch != 1:
        yield f"expected one coordinator, found {lead}"


def problems(store: ObjectStore, *, tasks: int, expected: Digests) -> Iterator[str]:
    """Yield everything that is wrong with a store in which all tasks must have been published."""
    states = read_queue(store).states
    if len(states) != tasks:
        yield f"expected {tasks} submissions, found {len(states)}"
    for state in states:
        if state.ticket.stage is not Stage.PUBLISHED:
            yield f"{state.ticket.submission_id} is {state.ticket.stage}: {state.ticket.failures}"
    for adapter in ADAPTERS:
        handle = Registry(store).adapter(adapter)
        published = Counter(
            entry.detail["submission"] for entry in handle.history() if entry.published
        )
        yield from (f"{name} was published {n} times" for name, n in published.items() if n != 1)
        learnt = [task.task for task in handle.manifest("head").tasks]
        accepted = [s.ticket.task for s in states if s.ticket.adapter == adapter]
        if learnt != accepted:
            yield f"{adapter}: accepted in the order {accepted}, learnt in the order {learnt}"
        yield from (f"{adapter}: {problem}" for problem in verify(store, adapter).problems)
    if digests(store) != expected:
        yield f"records differ from those of an undisturbed run: {digests(store)} != {expected}"


@contextmanager
def running_site(server: S3Server, folder: Path, prefix: str) -> Iterator[tuple[Site, S3Proxy]]:
    """Start a system on a store behind a proxy; let all of it die at the end."""
    with S3Proxy(server.port) as proxy:
        settings = replace(
            server.settings, endpoint=f"http://127.0.0.1:{proxy.port}", prefix=f"{prefix}/"
        )
        site = Site(folder=folder, url=settings.url, environment=dict(server.environment))
        site.write_config()
        try:
            site.start()
            yield site, proxy
        finally:
            site.die()


def _submit_twice(site: Site, tasks: list[Path], draw: random.Random) -> None:
    """Submit, kill the submitter somewhere on its way, and submit again."""
    first = site.begun("submit", *tasks)
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.communicate(timeout=draw.uniform(1.5, 4.0))
    if first.poll() is None:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    site.nacre("submit", *tasks)


def _ended(store: ObjectStore) -> int:
    return sum(state.ticket.stage in ENDED for state in read_queue(store).states)


def _wait(store: ObjectStore, tasks: list[Path], *, until: int) -> None:
    deadline = time.monotonic() + QUEUE_TIMEOUT_S
    while _ended(store) < until:
        if time.monotonic() > deadline:
            shown = [
                (s.ticket.submission_id, s.ticket.stage, s.ticket.error)
                for s in read_queue(store).states
            ]
            raise RuntimeError(f"{_ended(store)} of {len(tasks)} tasks have ended: {shown}")
        time.sleep(POLL_S)
