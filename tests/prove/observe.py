"""The proof of the alerts: `make prove-observe`.

A whole system on a real Ray and a real S3 server, with credentials of a role that count for a
minute, and a real Prometheus that scrapes it every five seconds, with the shipped alerts in
shortened times. What it has counted is compared with what was sent, while replicas and the
coordinator are killed. Each alert is caused, fires, is answered as its runbook says, and clears;
then every expression of the dashboard is asked, and must have a series. It takes half an hour.
`python -m tests.prove.observe StoreSlow counted dashboard` follows one alert alone, compares, and
asks for the dashboard.
"""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import yaml
from minio.credentials.credentials import Credentials
from PIL import Image

from adapters.contract.records import encode_record
from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import (
    AdapterConfig,
    Config,
    EncodersConfig,
    ReplicasConfig,
    RequesterLimits,
    ServeConfig,
    WorkersConfig,
)
from cluster.runtime.names import API, application
from cluster.runtime.replicas import Replicas
from cluster.stores.open import open_store
from cluster.stores.s3_settings import S3Settings
from cluster.system import system
from docs.dashboards import expressions
from tests.support.drivers.killing import API as REPLICA
from tests.support.drivers.killing import COORDINATOR
from tests.support.drivers.prometheus import OBSERVE, Prometheus, concrete, shortened
from tests.support.drivers.ray_nodes import kill_youngest, named
from tests.support.drivers.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, free_port, seaweedfs
from tests.support.fakes.expiring_s3 import (
    ROLE,
    TOKEN,
    Answer,
    ExpiringS3,
    expiring_s3,
    sts_answer,
    sts_error,
)
from tests.support.fakes.random_records import random_record
from tests.support.fakes.s3_proxy import Fate, S3Proxy, S3Request
from tests.support.fakes.weather import Sky, Weather
from workers.encoding.encoder import Encoder
from workers.learning.gate import Gate
from workers.queue.ticket import ENDED
from workers.registry import AddRecord, Author, Commit, Inline, Registry, TaskAccuracy
from workers.registry.documents.layout import HEAD, PRODUCTION, Kind, object_key
from workers.store import ObjectStore
from workers.tasks.submission import SHARDS

NAME = "prove-observe"
EXAMPLES = Path(__file__).parents[2] / "cluster" / "examples"
REPORT, REPORT_MS = "RAY_metrics_report_interval_ms", "2000"
"""How often Ray's agent is told, so that an alert needs seconds and not minutes."""
FIRES_S, CLEARS_S, LEARNT_S = 150.0, 240.0, 180.0
SLOW_S = 1.6
COUNTED, DASHBOARD = "counted", "dashboard"
"""Said in place of an alert: what was counted is compared with what was sent; every expression of
the dashboard is asked for."""
SENT = 40
"""Requests between two kills."""
LASTS_S = 60.0
"""For how long credentials count."""
AFTER_A_START_S = 30.0
"""Within so long what a process that has just started counts is where Prometheus reads it."""
MAIN, STRICT, EMPTY, FORGETFUL = "main", "strict", "empty", "forgetful"


class Door(S3Proxy):
    """A proxy that lets one process in or not.

    Attributes:
        shut_for: Whose connections are ended; nobody's where None.
    """

    def __init__(self, upstream: int) -> None:
        super().__init__(upstream)
        self.shut_for: psutil.Process | None = None

    def serve(self, client: socket.socket) -> None:
        """See `S3Proxy`."""
        who = self.shut_for
        port = client.getpeername()[1]
        if who is None or port not in {each.laddr.port for each in who.net_connections()}:
            super().serve(client)


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """What became of a cause.

    Attributes:
        alert: Which.
        cause: What was done, as half a sentence.
        fired_s: From the cause to the alert; None where it did not fire.
        cleared_s: From what the runbook says to its end; None where it did not end.
    """

    alert: str
    cause: str
    fired_s: float | None = None
    cleared_s: float | None = None


@dataclass(kw_only=True)
class Scene:
    """The system, and what its parts are reached by.

    Attributes:
        config: Of the system; its store is behind the proxy.
        store: The same store, past the proxy.
        url: Where it is, past the proxy.
        door: The proxy.
        sky: Makes the weather of the store.
        giver: Gives its credentials.
        prometheus: Watches.
        folder: For tasks.
        slow: Whether answers of the store are held back.
    """

    config: Config
    store: ObjectStore
    url: str
    door: Door
    sky: Sky
    giver: ExpiringS3
    prometheus: Prometheus
    folder: Path
    slow: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def client(self) -> Client:
        """A client whose way to the store is always free."""
        return Client(replace(self.config, store=self.url), by="anna")

    def task(self, *, keys: str = "", shuffled: bool = False) -> Path:
        """Write a task of real pictures and return its file."""
        number = next(self._numbers)
        folder = self.folder / f"task-{number}"
        source = EXAMPLES / ("digits", "fashion", "clip-art")[number % 3]
        for split in ("train", "test"):
            classes = sorted(path for path in (source / split).iterdir() if path.is_dir())[:3]
            for index, found in enumerate(classes):
                pictures = sorted(found.iterdir())
                # Not those of every third task before: equal pictures are stored once.
                begin = number // 3 % max(1, len(pictures) - 5)
                for place, picture in enumerate(pictures[begin : begin + 6]):
                    shown = (index + place) % 3 if shuffled and split == "test" else index
                    target = folder / split / classes[shown].name
                    target.mkdir(parents=True, exist_ok=True)
                    (target / f"{found.name}-{picture.name}").write_bytes(picture.read_bytes())
        path = folder / "task.yaml"
        # Every third task has the classes of one before.
        path.write_text(
            f"name: seen-{number}\nimages: train\nheld_out: test\nshared_names: keep\n{keys}\n"
        )
        return path

    def learnt(self, path: Path, adapter: str) -> str:
        """Submit a task, wait until it has ended, and return how."""
        submitted = self.client.submit(path, adapter=adapter).submission
        return self.ended(submitted.submission_id)

    def ended(self, submission_id: str) -> str:
        """Return how a submission has ended, once it has."""

        def stage() -> str | None:
            found = self.client.state(submission_id).ticket.stage
            return found.value if found in ENDED else None

        return str(until(stage, LEARNT_S) or "still open")

    def published(
        self,
        adapter: str,
        *,
        served: bool = True,
        told: bool = True,
        of: str = "",
        accuracy: float = 0.9,
    ) -> tuple[int, str]:
        """Publish a version with one task more, of nothing; return its number and that task's name.

        Args:
            adapter: Of which.
            served: Whether `production` moves to it.
            told: Whether replicas are told, and need not find out.
            of: The task of which an accuracy is kept; the new one where empty.
            accuracy: The accuracy.
        """
        encoder = Encoder(self.config.encoder)
        number = next(self._numbers)
        task = f"nothing-{number}"
        record = encode_record(
            random_record(
                task,
                encoder=encoder.fingerprint,
                width=encoder.width,
                classes=3,
                vectors=4,
                seed=number,
                noun=f"thing {number}",
            )
        )
        added = AddRecord(
            task=task,
            submission=f"{task}-{number:012x}",
            record=Inline(record),
            classes=3,
        )
        commit = Commit(
            updates=(added,),
            encoder=encoder.fingerprint,
            method="lada",
            settings={},
            accuracies=(TaskAccuracy(task=of or task, accuracy=accuracy, images=100),),
            aliases=(HEAD, PRODUCTION) if served else (HEAD,),
        )
        audience = Replicas(application(API)) if told else None
        handle = Registry(self.store, audience=audience).create(adapter)
        made = handle.commit(commit, by=Author(who="anna", why="", now=time.time()))
        return made.number, task

    def ask(self, adapter: str, picture: bytes, timeout_s: float = 60.0) -> int:
        """Ask for a prediction and return the status; 0 where the connection broke."""
        with suppress(httpx.TransportError):
            answer = httpx.post(
                f"{self.config.endpoint}/v1/adapters/{adapter}/predict",
                files={"images": ("a.jpg", picture)},
                timeout=timeout_s,
            )
            return answer.status_code
        return 0

    @contextmanager
    def asking(self, adapter: str, picture: bytes, clients: int) -> Iterator[None]:
        """Let clients ask all the time."""
        ending = threading.Event()

        def ask() -> None:
            while not ending.is_set():
                if self.ask(adapter, picture) != 200:
                    time.sleep(0.05)

        with ThreadPoolExecutor(clients) as threads:
            for _ in range(clients):
                threads.submit(ask)
            try:
                yield
            finally:
                ending.set()


def until(holds: Callable[[], object], timeout_s: float) -> object | None:
    """Return what `holds()` says once it says something; None where it does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.25)
    return None


def follow(
    scene: Scene,
    alerts: Sequence[str],
    cause: str,
    *,
    do: Callable[[], object],
    runbook: Callable[[], object],
) -> Iterator[Followed]:
    """Yield what became of each of `alerts`, which have one cause and end together."""
    print(f"{', '.join(alerts)}: {cause}", flush=True)
    began = time.monotonic()
    do()
    fired: dict[str, float] = {}

    def all_fire() -> bool:
        now = time.monotonic() - began
        for name in scene.prometheus.firing() & set(alerts):
            fired.setdefault(name, now)
        return len(fired) == len(alerts)

    until(all_fire, FIRES_S)
    print(f"  fired: {fired}", flush=True)
    mended = time.monotonic()
    runbook()
    cleared: dict[str, float] = {}

    def all_clear() -> bool:
        now = time.monotonic() - mended
        firing = scene.prometheus.firing()
        for name in set(alerts) - firing:
            cleared.setdefault(name, now)
        return not firing & set(alerts)

    until(all_clear, CLEARS_S)
    print(f"  cleared: {cleared}", flush=True)
    for name in alerts:
        yield Followed(
            alert=name, cause=cause, fired_s=fired.get(name), cleared_s=cleared.get(name)
        )


def _outage(scene: Scene) -> Iterator[Followed]:
    yield from follow(
        scene,
        ("NobodyCoordinates", "StoreFails", "ReplicaStale"),
        "the store is away",
        do=lambda: setattr(scene.sky, "now", Weather.AWAY),
        runbook=lambda: setattr(scene.sky, "now", None),
    )


def _slow_store(scene: Scene) -> Iterator[Followed]:
    yield from follow(
        scene,
        ("StoreSlow",),
        f"every answer of the store is held back for {SLOW_S} s",
        do=scene.slow.set,
        runbook=scene.slow.clear,
    )


def _not_renewed(scene: Scene) -> Iterator[Followed]:
    given = scene.giver.gives
    yield from follow(
        scene,
        ("CredentialsExpireSoon",),
        "credentials count for a minute, and the role is not given any more",
        do=lambda: setattr(
            scene.giver, "gives", lambda: (403, "text/xml", sts_error("AccessDenied"))
        ),
        runbook=lambda: setattr(scene.giver, "gives", given),
    )


def _stuck(scene: Scene) -> Iterator[Followed]:
    client, found = scene.client, ""

    def do() -> None:
        nonlocal found
        client.pause(MAIN)
        before = {listed.key for listed in scene.store.list(SHARDS)}
        found = client.submit(scene.task(), adapter=MAIN).submission.submission_id
        for listed in list(scene.store.list(SHARDS)):
            if listed.key not in before:
                scene.store.delete(listed.key)
        client.resume(MAIN)

    cause = "the shards of a task are gone from the store"
    yield from follow(
        scene, ("QueueStuck",), cause, do=do, runbook=lambda: scene.client.cancel(found)
    )


def _failing(scene: Scene) -> Iterator[Followed]:
    client = scene.client

    def do() -> None:
        path = scene.task()
        scene.learnt(path, FORGETFUL)
        name = yaml.safe_load(path.read_text())["name"]
        client.pause(FORGETFUL)
        later = scene.task(keys=f"replaces: {name}")
        submitted = client.submit(later, adapter=FORGETFUL).submission
        client.drop(name, adapter=FORGETFUL)
        client.resume(FORGETFUL)
        print(f"  ended: {scene.ended(submitted.submission_id)}", flush=True)

    cause = "a task is to replace one that is dropped meanwhile"
    yield from follow(scene, ("SubmissionsFailing",), cause, do=do, runbook=lambda: None)


def _refusing_gate(scene: Scene) -> Iterator[Followed]:
    def do() -> None:
        for _ in range(3):
            print(f"  ended: {scene.learnt(scene.task(shuffled=True), STRICT)}", flush=True)

    def runbook() -> None:
        newest = Registry(scene.store).adapter(STRICT).refs().next_version - 1
        scene.client.promote(newest, adapter=STRICT, with_head=True, why="looked at")

    cause = "three tasks whose test images have wrong labels, under a gate"
    yield from follow(scene, ("GateRefuses",), cause, do=do, runbook=runbook)


def _refusing_replica(scene: Scene) -> Iterator[Followed]:
    def do() -> None:
        scene.published(EMPTY)
        number, _ = scene.published(EMPTY, served=False)
        handle = Registry(scene.store).adapter(EMPTY)
        task = handle.manifest(number).tasks[-1]
        key = object_key(EMPTY, Kind.RECORD, task.record)
        scene.store.put(key, b"damaged" * 100)
        scene.client.promote(number, adapter=EMPTY)

    def runbook() -> None:
        scene.client.rollback(1, adapter=EMPTY, serving_only=True)

    cause = "the bytes of a record are damaged, and its version is promoted"
    yield from follow(scene, ("ReplicaRefuses",), cause, do=do, runbook=runbook)


def _not_followed(scene: Scene) -> Iterator[Followed]:
    def do() -> None:
        scene.published(FORGETFUL)
        until(lambda: len(scene.prometheus.query(seen)) == 1, FIRES_S)
        scene.door.shut_for = named(os.getpid(), REPLICA)[-1]
        scene.published(FORGETFUL, told=False)

    seen = f'count_values("n", nacre_version_number{{adapter="{FORGETFUL}"}})'
    cause = "one replica cannot reach the store while `production` moves"
    yield from follow(
        scene,
        ("VersionNotFollowed",),
        cause,
        do=do,
        runbook=lambda: setattr(scene.door, "shut_for", None),
    )


def _failing_answers(scene: Scene) -> Iterator[Followed]:
    ending = threading.Event()

    def ask(adapter: str) -> None:
        picture = _picture(64)
        while not ending.is_set():
            scene.ask(adapter, picture)
            time.sleep(0.1)

    threads = ThreadPoolExecutor(2)
    threads.submit(ask, EMPTY)

    def runbook() -> None:
        scene.published(EMPTY)

    cause = "predictions of an adapter that has nothing in production; it gets a version then"
    try:
        yield from follow(
            scene,
            ("ErrorBudgetBurnFast", "ErrorBudgetBurnSlow"),
            cause,
            do=lambda: None,
            runbook=runbook,
        )
    finally:
        ending.set()
        threads.shutdown()


def _load(scene: Scene) -> Iterator[Followed]:
    stack: list[object] = []
    load = scene.asking(MAIN, _picture(7000), 16)

    def runbook() -> None:
        load.__exit__(None, None, None)
        with scene.asking(MAIN, _picture(64), 2):
            until(lambda: not scene.prometheus.firing() & {"AnswersSlow", "Saturated"}, CLEARS_S)

    yield from follow(
        scene,
        ("AnswersSlow", "Saturated"),
        "sixteen clients with pictures of 49 megapixels, four of them permitted in a replica",
        do=lambda: stack.append(load.__enter__()),
        runbook=runbook,
    )


def _starved(scene: Scene) -> Iterator[Followed]:
    def encoders(gpus: float) -> Config:
        found = replace(scene.config.placement.shard_encoder, gpus=gpus)
        return replace(scene.config, placement=replace(scene.config.placement, shard_encoder=found))

    def do() -> None:
        system.start(encoders(1.0))
        scene.client.submit(scene.task(), adapter=MAIN)

    yield from follow(
        scene,
        ("EncodersStarved",),
        "encoders ask for a GPU and there is none",
        do=do,
        runbook=lambda: system.start(encoders(0.0)),
    )


def _forgetting(scene: Scene) -> Iterator[Followed]:
    before, task = scene.published(FORGETFUL)
    seen = f'max(nacre_task_accuracy_ratio{{adapter="{FORGETFUL}",task="{task}"}})'
    until(lambda: scene.prometheus.value(seen) == 0.9, FIRES_S)
    yield from follow(
        scene,
        ("ForgettingSeen",),
        "a version is promoted that gets ten points less of a task",
        do=lambda: scene.published(FORGETFUL, of=task, accuracy=0.8),
        runbook=lambda: scene.client.rollback(before, adapter=FORGETFUL),
    )


def _nothing_answers(scene: Scene) -> Iterator[Followed]:
    from ray import serve

    yield from follow(
        scene,
        ("NothingAnswers",),
        "the API is taken down",
        do=lambda: serve.delete(application(API)),
        runbook=lambda: system.start(scene.config),
    )


SCENES: dict[str, Callable[[Scene], Iterator[Followed]]] = {
    "ErrorBudgetBurnFast": _failing_answers,
    "NobodyCoordinates": _outage,
    "StoreSlow": _slow_store,
    "CredentialsExpireSoon": _not_renewed,
    "SubmissionsFailing": _failing,
    "GateRefuses": _refusing_gate,
    "QueueStuck": _stuck,
    "ReplicaRefuses": _refusing_replica,
    "ForgettingSeen": _forgetting,
    "VersionNotFollowed": _not_followed,
    "AnswersSlow": _load,
    "EncodersStarved": _starved,
    "NothingAnswers": _nothing_answers,
}


def _followed(scene: Scene, name: str) -> Iterator[Followed]:
    """Yield what became of the alerts of a scene; one that breaks keeps no other away."""
    try:
        yield from SCENES[name](scene)
    except Exception as error:  # noqa: BLE001 - told with the others
        print(f"  {name} broke: {error!r}", flush=True)
        scene.sky.now = None
        scene.slow.clear()
        scene.giver.gives = _given
        yield Followed(alert=name, cause=f"broke: {error!r}"[:200])


def main(*only: str) -> int:
    """Follow all alerts, or those of some scenes, and ask for every expression; 0 if all hold."""
    chosen = [name for name in SCENES if name in only or not only]
    with tempfile.TemporaryDirectory() as name:
        server = seaweedfs(Path(name) / "s3")
        if server is None:
            row = Row(figure="S3", value="no `weed`", bar="an S3 server", holds=False)
            return report(NAME, [row])
        server.start()
        try:
            with Door(server.port) as proxy, _running(server, proxy, Path(name)) as scene:
                print(f"first task: {scene.learnt(scene.task(), MAIN)}", flush=True)
                compared = list(_counted(scene)) if not only or COUNTED in only else []
                followed = [found for name in chosen for found in _followed(scene, name)]
                asks = not only or DASHBOARD in only
                asked = list(_asked(scene.prometheus)) if asks else []
        finally:
            server.stop()
    return report(NAME, [*compared, *_rows(followed), *asked])


@contextmanager
def _running(server: S3Server, proxy: Door, folder: Path) -> Iterator[Scene]:
    straight = replace(server.settings, prefix="observe/")
    config = Config(
        store=replace(straight, endpoint=f"http://127.0.0.1:{proxy.port}").url,
        adapters={
            STRICT: AdapterConfig(gate=Gate(mode="gate", max_drop=1.0, min_accuracy=1.0)),
        },
        serve=ServeConfig(
            port=free_port(),
            haproxy=False,
            adapters=(EMPTY, FORGETFUL, STRICT),
            replicas=ReplicasConfig(min=2, max=2),
        ),
        workers=WorkersConfig(encoders=EncodersConfig(min=0, max=1, idle_s=3.0), poll_s=0.3),
        limits={"http": RequesterLimits(requests=4)},
    )
    os.environ[REPORT] = REPORT_MS
    os.environ["NACRE_HOME"] = str(folder / "home")
    for name in server.environment:
        os.environ.pop(name, None)
    keys = Credentials(ACCESS_KEY, SECRET_KEY)
    with expiring_s3(server.port, keys, lasts_s=LASTS_S) as giver:
        giver.gives = _given
        (folder / "token").write_text(TOKEN)
        os.environ["AWS_ROLE_ARN"] = ROLE
        os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(folder / "token")
        os.environ["AWS_ENDPOINT_URL_STS"] = giver.address
        yield from _on_ray(config, straight, giver, proxy, folder)


def _given() -> Answer:
    """Give the keys of the server itself, as those of a role that end."""
    ends = datetime.now(UTC) + timedelta(seconds=LASTS_S)
    keys = Credentials(ACCESS_KEY, SECRET_KEY, "")
    return 200, "text/xml", sts_answer(keys, f"{ends:%Y-%m-%dT%H:%M:%SZ}")


def _on_ray(
    config: Config, straight: S3Settings, giver: ExpiringS3, proxy: Door, folder: Path
) -> Iterator[Scene]:
    import ray

    system.connect(config)
    try:
        system.start(config)
        nodes = [
            f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}" for node in ray.nodes()
        ]
        rules = shortened((OBSERVE / "alerts.yaml").read_text())
        with Prometheus(folder / "prometheus", nodes, rules=rules) as prometheus:
            scene = Scene(
                config=config,
                store=open_store(straight.url),
                url=straight.url,
                door=proxy,
                sky=Sky(proxy=proxy),
                giver=giver,
                prometheus=prometheus,
                folder=folder / "tasks",
            )
            scene.sky.hook = partial(_held_back, scene.slow)
            yield scene
    finally:
        with suppress(Exception):
            system.stop()
        ray.shutdown()


def _held_back(slow: threading.Event, _request: S3Request) -> Fate:
    if slow.is_set():
        time.sleep(SLOW_S)
    return Fate.PASS


def _picture(side: int) -> bytes:
    found = BytesIO()
    Image.new("RGB", (side, side), (90, 120, 40)).save(found, "JPEG")
    return found.getvalue()


def _counted(scene: Scene) -> Iterator[Row]:
    """Yield what Prometheus has counted against what was sent, over kills."""
    requests = 'sum(nacre_requests_total{route="/v1/methods"})'
    learnt = 'sum(nacre_submissions_ended_total{outcome="published"})'
    sent = {requests: 0, learnt: 1}  # the first task

    def all_are_counted() -> bool:
        return all(scene.prometheus.value(asked) == number for asked, number in sent.items())

    def killed(title: str) -> None:
        until(all_are_counted, FIRES_S)
        there = len(named(os.getpid(), title))
        until(lambda: kill_youngest(os.getpid(), title), FIRES_S)
        until(lambda: len(named(os.getpid(), title)) == there and _all_run(), FIRES_S)
        print(f"  killed: {title}", flush=True)

    print("what is counted over kills", flush=True)
    for victim in (REPLICA, COORDINATOR, REPLICA, None):
        for _ in range(SENT):
            answer = httpx.get(f"{scene.config.endpoint}/v1/methods", timeout=60.0)
            sent[requests] += answer.status_code == 200
        sent[learnt] += scene.learnt(scene.task(), MAIN) == "published"
        if victim is not None:
            killed(victim)
    until(all_are_counted, FIRES_S)
    time.sleep(15.0)  # nothing comes twice later on
    for what, asked in (("requests", requests), ("tasks published", learnt)):
        found, number = scene.prometheus.value(asked), sent[asked]
        yield Row(
            figure=f"{what}, over the kill of two replicas and a coordinator",
            value=f"{found:.0f} counted",
            bar=f"{number} sent",
            holds=found == number,
        )
    given = scene.prometheus.value('sum(nacre_credential_answers_total{answer="given"})') or 0
    yield Row(
        figure=f"credentials of {LASTS_S:.0f} s that were given meanwhile",
        value=given,
        bar="more than the processes that use them",
        holds=given > len(scene.prometheus.query("nacre_credentials_trouble_seconds")),
    )


def _all_run() -> bool:
    """Return whether all replicas of the API and the coordinator are there."""
    from ray import serve

    applications = serve.status().applications
    return all(
        set(found.replica_states) == {"RUNNING"}
        for name in (API, "coordinator")
        for found in applications[application(name)].deployments.values()
    )


def _rows(followed: Sequence[Followed]) -> Iterator[Row]:
    for each in followed:
        fired, cleared = each.fired_s, each.cleared_s
        told = "never" if fired is None else f"{fired:.0f} s"
        over = "never" if cleared is None else f"{cleared:.0f} s"
        yield Row(
            figure=f"{each.alert}: {each.cause}",
            value=f"fired after {told}, cleared {over} after the runbook",
            bar="both",
            holds=fired is not None and cleared is not None,
        )


def _asked(prometheus: Prometheus) -> Iterator[Row]:
    for title, expression in expressions():
        asked = partial(prometheus.query, concrete(expression))
        until(asked, AFTER_A_START_S)
        series = len(asked())
        yield Row(figure=f"series of {title}", value=series, bar="at least 1", holds=series > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
