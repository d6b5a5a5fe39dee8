"""A load on real replicas while versions are published, promoted and rolled back under it.

Every version holds classes that are called after it, so that each answer tells by itself which
version it comes from. What is right is known from the moments at which `production` moved, measured
around the one write that takes effect.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import torch

from adapters.contract.records import encode_record
from cluster.config import Config, ReplicasConfig, ServeConfig
from cluster.runtime.names import API, application
from cluster.runtime.replicas import Replicas
from cluster.stores.open import open_store
from cluster.system import system
from cluster.wire.predictions import PredictAnswer
from tests.support.drivers.killing import API as REPLICA
from tests.support.drivers.killing import CONTROLLER
from tests.support.drivers.ray_nodes import kill_youngest
from tests.support.drivers.s3_server import S3Server, free_port
from tests.support.drivers.serve_plan import Plan, replica_kills
from tests.support.drivers.serve_verdict import Allowance, Asked, Move, Verdict, judged
from tests.support.fakes.random_records import random_record
from tests.support.fakes.s3_proxy import S3Proxy
from tests.support.fakes.weather import Sky
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.images.decode import decode_image
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    DropTask,
    Inline,
    RegisteredAdapter,
    Registry,
)
from workers.registry.record_cache import Versions
from workers.serving.predictor import Predictor, Question
from workers.store import ObjectStore
from workers.store.testing import WrappedStore

REPLICAS = 2
CLASSES, VECTORS = 50, 8
TASK = "changing"
PINNED_SHARE = 0.2
START_TIMEOUT_S = 300.0
TOLD = 20
"""Of failures that nothing explains, so many are told one by one."""
SETTLED_S = 5.0
"""So long after an outage a request may still fail of it."""


class _TimedStore(WrappedStore):
    """Notes when each replacement of an object was begun and done."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._begun = 0.0
        self.replaced = (0.0, 0.0)

    def before(self, operation: str, key: str) -> None:
        del key
        if operation == "replace":
            self._begun = time.monotonic()

    def after(self, operation: str, key: str, sent: int, received: int) -> None:
        del key, sent, received
        if operation == "replace":
            self.replaced = (self._begun, time.monotonic())


class Mover:
    """Publishes, promotes and rolls back, and keeps what it did."""

    # Owns: the registry's side of the trial; one thread at a time.

    def __init__(self, store: ObjectStore, encoder: Encoder, *, seed: int) -> None:
        self._store = _TimedStore(store)
        self._encoder = encoder
        self._draw = random.Random(seed)
        told = Registry(self._store, audience=Replicas(application(API)))
        self._told: RegisteredAdapter = told.create("main")
        self._silent: RegisteredAdapter = Registry(self._store).adapter("main")
        self.moves: list[Move] = []
        self.numbers: list[int] = []

    def publish(self, *, told: bool = True) -> None:
        """Publish another version, with classes that are called after it, and serve it."""
        number = len(self.numbers) + 1
        record = encode_record(
            random_record(
                TASK,
                encoder=self._encoder.fingerprint,
                width=self._encoder.width,
                classes=CLASSES,
                vectors=VECTORS,
                seed=number,
                noun=f"version {number} thing",
            )
        )
        added = AddRecord(
            task=TASK,
            submission=f"{TASK}-{number:012x}",
            record=Inline(record),
            classes=CLASSES,
        )
        commit = Commit(
            updates=(DropTask(task=TASK), added) if self.numbers else (added,),
            encoder=self._encoder.fingerprint,
            method="lada",
            settings={},
            aliases=("head", "production"),
        )
        manifest = self._handle(told).commit(commit, by=_author())
        assert manifest.number == number
        self.numbers.append(number)
        self._note(number, told)

    def move(self, *, told: bool = True) -> None:
        """Promote or roll back to some version that is not in production."""
        others = [number for number in self.numbers[-8:] if number != self.moves[-1].number]
        number = self._draw.choice(others)
        handle = self._handle(told)
        if self._draw.random() < 0.5:
            handle.promote(number, by=_author())
        else:
            handle.rollback(number, by=_author(), serving_only=True)
        self._note(number, told)

    def _handle(self, told: bool) -> RegisteredAdapter:
        return self._told if told else self._silent

    def _note(self, number: int, told: bool) -> None:
        begun, done = self._store.replaced
        self.moves.append(Move(number=number, begun=begun, done=done, told=told))


class Expected:
    """What each version answers for each picture."""

    # Owns: answers, guarded by `_lock`.

    def __init__(self, store: ObjectStore, encoder: Encoder, pictures: Sequence[bytes]) -> None:
        pixels = [encoder.transform(decode_image(one, origin="picture")) for one in pictures]
        self._features = encoder.image_tower.features(torch.stack(pixels))
        self._predictor = Predictor(encoder, Versions(store), adapters=("main",), most=64)
        self._known: dict[int, list[list[str | None]]] = {}
        self._lock = threading.Lock()

    def labels(self, number: int, image: int) -> list[str | None]:
        """Return the best labels of a version for a picture, best first."""
        with self._lock:
            if number not in self._known:
                version = self._predictor.version("main", number)
                ranked = self._predictor.predict(self._features, version, Question(top_k=3))
                self._known[number] = [[entry.label for entry in best] for best in ranked]
            return self._known[number][image]


@contextmanager
def serving(
    server: S3Server, proxy: S3Proxy, *, prefix: str, haproxy: bool = False
) -> Iterator[tuple[Config, str]]:
    """Run replicas on a Ray of this process, on a store behind `proxy`.

    Yields:
        Their configuration, and the store's URL past the proxy.
    """
    import ray
    from ray import serve

    straight = replace(server.settings, prefix=f"{prefix}/")
    config = Config(
        store=replace(straight, endpoint=f"http://127.0.0.1:{proxy.port}").url,
        serve=ServeConfig(
            port=free_port(),
            haproxy=haproxy,
            replicas=ReplicasConfig(min=REPLICAS, max=REPLICAS),
            max_queued=1000,
        ),
    )
    before = {name: os.environ.get(name) for name in server.environment}
    os.environ.update(server.environment)
    try:
        system.connect(config)
        system.start(config, roles=(API,))
        yield config, straight.url
    finally:
        with suppress(Exception):  # whatever was killed
            serve.shutdown()
        ray.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def trial(
    config: Config,
    straight: str,
    proxy: S3Proxy,
    *,
    plan: Plan,
    pictures: Sequence[bytes],
    allowance: Allowance | None = None,
    say: Callable[[str], None] = print,
) -> Verdict:
    """Carry `plan` out and judge every answer.

    Args:
        config: Of the running replicas.
        straight: URL of their store, past the proxy.
        proxy: Lets the store be away.
        plan: What is done.
        pictures: What is asked about.
        allowance: See `judged`.
        say: Prints.
    """
    torch.set_num_threads(1)
    encoder = Encoder(EncoderSettings())
    store = open_store(straight)
    mover = Mover(store, encoder, seed=plan.seed)
    mover.publish()
    mover.publish()
    expected = Expected(store, encoder, pictures)
    for number in mover.numbers:
        expected.labels(number, 0)
    _until_served(config, mover)
    stop = threading.Event()
    asked: list[list[Asked]] = [[] for _ in range(plan.clients)]
    clients = [
        threading.Thread(
            target=_ask, args=(config, pictures, mover, stop, client, asked[client], expected)
        )
        for client in range(plan.clients)
    ]
    for client in clients:
        client.start()
    sky = Sky(proxy=proxy, climate=plan.climate)
    began = time.monotonic()
    kills, away = _carry_out(plan, mover, sky, say)
    stop.set()
    for client in clients:
        client.join()
    answers = list(itertools.chain(*asked))
    verdict = judged(answers, mover.moves, kills, away=away, allowance=allowance)
    for failure in verdict.unexplained[:TOLD]:
        say(f"{failure.sent - began:6.1f} s: {failure.status} {failure.said[:300]}")
    for late in verdict.wrong[:TOLD]:
        move = max((one for one in mover.moves if one.done < late.sent), key=lambda one: one.done)
        killed = [late.sent - at for at in itertools.chain(*kills.values()) if at < late.sent]
        say(
            f"{late.sent - began:6.1f} s: answered by version {late.number}, "
            f"{late.sent - move.done:.2f} s after version {move.number} "
            f"{'was told of' if move.told else 'came untold'}, "
            f"{min(killed, default=float('inf')):.1f} s after a kill"
        )
    verdict.met = Counter({kind.value: count for kind, count in sky.met.items()})
    return verdict


def _carry_out(
    plan: Plan, mover: Mover, sky: Sky, say: Callable[[str], None]
) -> tuple[dict[str, list[float]], list[tuple[float, float]]]:
    """Do everything that the plan says, at moments drawn from its seed.

    Returns:
        When somebody was killed, by who it was; and from when until when the store was away.
    """
    draw = random.Random(plan.seed)
    kills: dict[str, list[float]] = {"replica": [], "controller": []}
    outage_at = draw.uniform(0.2, 0.4) * plan.seconds

    def kill(who: str, title: str) -> None:
        if kill_youngest(os.getpid(), title) is not None:
            kills[who].append(time.monotonic())

    def publish() -> None:
        mover.publish(told=draw.random() < 0.8)

    def move() -> None:
        mover.move(told=draw.random() < 0.8)

    # What moves lies evenly outside of the bad weather, in which nobody would see it.
    turns = 2 * (plan.versions - len(mover.numbers))
    moving_s = plan.seconds - plan.bad_s - 5.0
    due: list[tuple[float, str, Callable[[], None]]] = []
    for turn in range(turns):
        at = (turn + 0.5) * moving_s / turns
        at += plan.bad_s if at >= outage_at else 0.0
        due.append((at, "move", move if turn % 2 else publish))
    due += [
        (at, "kill", lambda: kill("replica", REPLICA))
        for at in replica_kills(plan, draw, bad_at=outage_at)
    ]
    due += [
        (draw.uniform(0.05, 0.9) * plan.seconds, "kill", lambda: kill("controller", CONTROLLER))
        for _ in range(plan.controllers)
    ]
    at = outage_at
    for kind, lasts in plan.weather.items():
        due.append((at, kind.value, partial(setattr, sky, "now", kind)))
        at += lasts
    if plan.weather:
        due.append((at, "good weather", partial(setattr, sky, "now", None)))
    started = time.monotonic()
    for at, what, act in sorted(due, key=lambda entry: entry[0]):
        time.sleep(max(0.0, started + at - time.monotonic()))
        act()
        if what != "move":
            say(f"{time.monotonic() - started:6.1f} s: {what}, version {mover.moves[-1].number}")
    time.sleep(max(0.0, started + plan.seconds - time.monotonic()))
    away = [(started + outage_at, started + outage_at + plan.bad_s + SETTLED_S)]
    return kills, away if plan.weather else []


def _ask(
    config: Config,
    pictures: Sequence[bytes],
    mover: Mover,
    stop: threading.Event,
    client: int,
    asked: list[Asked],
    expected: Expected,
) -> None:
    """Ask again and again, sometimes of several pictures at once, until `stop` is set."""
    draw = random.Random(client)
    path = "/v1/adapters/main/predict"
    with httpx.Client(base_url=config.endpoint, timeout=30.0) as http:
        while not stop.is_set():
            images = [draw.randrange(len(pictures)) for _ in range(draw.choice((1, 1, 1, 3)))]
            pin = draw.choice(mover.numbers[-8:]) if draw.random() < PINNED_SHARE else None
            files = [("images", (f"{image}", pictures[image])) for image in images]
            fields = {"top_k": "3", **({"version": str(pin)} if pin else {})}
            sent = time.monotonic()
            status, said, answer = 0, "", None
            try:
                response = http.post(path, files=files, data=fields)
                status, said = response.status_code, response.text
                if status == 200:
                    answer = PredictAnswer.model_validate_json(response.content)
            except httpx.TransportError as error:
                said = repr(error)
            entry = Asked(
                client=client,
                image=images[0],
                pin=pin,
                sent=sent,
                received=time.monotonic(),
                status=status,
                said="" if answer else said,
            )
            if answer is not None:
                number = int(answer.version.partition("@")[2])
                right = [
                    [found.label for found in result.predictions] for result in answer.results
                ] == [expected.labels(number, image) for image in images]
                entry = replace(entry, number=number, right=right)
            asked.append(entry)
            if answer is None:
                time.sleep(0.05)  # as anybody does who is refused


def _until_served(config: Config, mover: Mover) -> None:
    """Wait until the replicas answer with what is in production."""
    deadline = time.monotonic() + START_TIMEOUT_S
    wanted = f"main@{mover.moves[-1].number}"
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            found = httpx.get(f"{config.endpoint}/v1/status", timeout=10).json()
            if found["adapters"]["main"]["version"] == wanted:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{wanted} is not served")


def _author() -> Author:
    return Author(who="anna", why="", now=time.time())


def example_pictures(examples: Path) -> list[bytes]:
    """Return one picture of each example task."""
    return [
        next(path for path in sorted(tests.rglob("*")) if path.is_file()).read_bytes()
        for tests in sorted(examples.glob("*/test"))
    ]
