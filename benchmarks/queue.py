"""Cost of the queue: `make bench-queue`.

1. From submitting a task of 160 images to its being published and served, on warm workers, beside
   the bare sum of its parts in one process: reading and decoding, forward, training steps.
2. Ten tasks through an encoder whose forward is a fixed wait, as if it were on a GPU: how much of
   the encoding is hidden behind the learning.
3. Ten thousand queued submissions: how long a coordinator takes to begin, and `nacre status`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from adapters.methods import method_named
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import Config, EncodersConfig, ServeConfig, WorkersConfig
from tests.support.drivers.s3_server import free_port
from tests.support.fakes.waiting_encoder import WaitingEncoder
from tests.support.scenes.training import inputs
from workers.coordination.recovery import recovered
from workers.encoding.encoder import Encoder
from workers.encoding.task_features import class_entries, shards_and_views, training_features
from workers.images.pixels import Decoder
from workers.intake.accept import accept
from workers.queue.events import Accepted
from workers.queue.journal import read_journal
from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger
from workers.queue.machine import Limits, Queue
from workers.queue.progress import ticket_of
from workers.registry.record_cache import Versions
from workers.store import FileStore
from workers.store.blobs import BlobRef, get_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Submission
from workers.tasks.task import load_task

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"
TASKS = ("digits", "fashion", "sketched-nature", "sketched-things", "clip-art")
METHOD = "lada"
TIMEOUT_S = 600.0
MEASURED = 3
PIPELINED = 10
QUEUED = 10_000


def main() -> int:
    """Measure everything, print the table, and return the exit code."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *_one_task(folder / "one"),
            *_pipeline(folder / "many"),
            *_backlog(folder / "queue"),
        ]
    return report("queue", rows)


def _one_task(folder: Path) -> list[Row]:
    config = _config(folder)
    with _running(config):
        client = Client(config)
        _published(client, EXAMPLES / TASKS[0] / "task.yaml")  # warms everything up
        published, served = [], []
        bare: list[dict[str, float]] = []
        for task in TASKS[1 : 1 + MEASURED]:
            started = time.monotonic()
            submission, version = _published(client, EXAMPLES / task / "task.yaml")
            published.append(time.monotonic() - started)
            _wait_until_served(client, version)
            served.append(time.monotonic() - started)
            bare.append(_bare_parts(config, EXAMPLES / task / "task.yaml", submission))
    parts = {name: statistics.median(each[name] for each in bare) for name in bare[0]}
    sums = [sum(each.values()) for each in bare]
    above = statistics.median(total - least for total, least in zip(published, sums, strict=True))
    to_served = statistics.median(total - least for total, least in zip(served, sums, strict=True))
    return [
        *(
            Row(figure=f"one task: bare {name}", value=took, unit="s")
            for name, took in parts.items()
        ),
        Row(figure="one task: bare sum", value=statistics.median(sums), unit="s"),
        Row(figure="one task: submit to published", value=statistics.median(published), unit="s"),
        Row(
            figure="one task: published, above the bare sum",
            value=above,
            unit="s",
            bar="at most 3",
            holds=above <= 3,
        ),
        Row(
            figure="one task: served, above the bare sum",
            value=to_served,
            unit="s",
            bar="at most 3",
            holds=to_served <= 3,
        ),
    ]


def _bare_parts(config: Config, task_file: Path, submission: Submission) -> dict[str, float]:
    """Return what the same work takes in one process that does nothing else, in seconds."""
    client = Client(config)
    store, encoder = client.store, Encoder(config.encoder)
    with _Timer() as reading:
        load_task(task_file)
        for path in sorted(task_file.parent.glob("*/*/*")):
            path.read_bytes()
    decoding, forward = _Timer(), _Timer()
    decoder = Decoder(encoder.transform)
    for shard, views in shards_and_views(submission, method=METHOD):
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        files = unpack_shard(get_blob(store, ref, prefix=SHARDS))
        with decoding:
            pixels = decoder.decode(files, shard.image_digests, views)
        with forward:
            for part in torch.split(pixels, 32):
                encoder.image_tower.features(part)
    version = client.state(submission).ticket.version or 0
    records = Versions(store).records(submission.adapter, version)
    past = [record for record in records if record.task != submission.task]
    prompts = [entry.prompt for entry in class_entries(submission)]
    text = TextSide(
        features=encoder.text_features(prompts),
        logit_scale=encoder.logit_scale,
        tower=TextTower(encoder.model),
        tokens=encoder.tokenizer(prompts),
    )
    features = training_features(store, submission, method=METHOD, fingerprint=encoder.fingerprint)
    with _Timer() as training:
        learner = method_named(METHOD).start(
            inputs(features, past, text=text, settings=submission.settings, seed=submission.seed)
        )
        while learner.steps_done < learner.total_steps:
            learner.step()
    return {
        "reading": reading.seconds,
        "decoding": decoding.seconds,
        "forward": forward.seconds,
        "training steps": training.seconds,
    }


def _pipeline(folder: Path) -> list[Row]:
    config = _config(folder)
    config = replace(config, workers=replace(config.workers, encode_at_once_per_adapter=4))
    with _running(config, encoder=WaitingEncoder):
        client = Client(config)
        alone = []
        for number in range(3):
            task = _copied(folder / f"alone-{number}", number)
            submission, _ = _published(client, task)
            alone.append(_stages(client, submission))
        files = [_copied(folder / f"task-{number}", 3 + number) for number in range(PIPELINED)]
        submissions = [client.submit(path).submission for path in files]
        started = min(entry.accepted_at for entry in submissions)
        for entry in submissions:
            _ended(client, entry)
        ended = [client.state(entry).ticket.since for entry in submissions]
        together = [_stages(client, entry) for entry in submissions]
    took = max(ended) - started
    encoding = statistics.median(entry["encoding"] for entry in alone)
    learning = statistics.mean(entry["learning"] for entry in together)
    ideal = max(PIPELINED * encoding, PIPELINED * learning) + encoding + learning
    return [
        Row(figure="pipeline: one task's encoding alone", value=encoding, unit="s"),
        Row(figure="pipeline: one task's learning", value=learning, unit="s"),
        Row(figure=f"pipeline: {PIPELINED} tasks", value=took, unit="s"),
        Row(figure="pipeline: larger total, and one of each", value=ideal, unit="s"),
        Row(
            figure="pipeline: ratio",
            value=took / ideal,
            bar="at most 1.1",
            holds=took <= 1.1 * ideal,
        ),
    ]


def _stages(client: Client, submission: Submission) -> dict[str, float]:
    """Return how long a submission was encoded and learnt, in seconds."""
    # The journal may be a moment behind the ticket.
    published = client.state(submission).ticket.since
    entries = list(read_journal(client.store, submission.submission_id))
    at = {entry.stage: entry.at for entry in reversed(entries)}
    return {
        "encoding": at["waiting"] - at["encoding"],
        "learning": published - at["training"],
    }


def _backlog(folder: Path) -> list[Row]:
    store = FileStore(folder / "store")
    real = accept(load_task(EXAMPLES / "digits" / "task.yaml"), store, author="bench").submission
    tickets = []
    for number in range(QUEUED):
        name = f"task-{number:012x}"
        copy = replace(real, submission_id=name, task=f"task-{number}", accepted_at=float(number))
        store.create(copy.key, copy.to_bytes())
        tickets.append(ticket_of(copy))
    lead = take_leadership(store, owner="bench", host="bench", ttl_s=0.1, now=time.time())
    ledger = Ledger(store, lead)
    ledger.save(tickets, now=time.time())
    started = time.monotonic()
    lead = take_leadership(store, owner="bench", host="bench", ttl_s=3600, now=time.time())
    found = recovered(store, Ledger(store, lead).tickets).tickets
    queue = Queue(Limits())
    for ticket in found:
        queue.apply(Accepted(ticket=ticket), now=0.0)
    queue.decide(now=1e12)
    restart_s = time.monotonic() - started
    assert len(found) > QUEUED, len(found)
    environment = {**os.environ, "NACRE_STORE": store.url, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled, too
    status = [sys.executable, "-m", "cluster.cli", "status", "--output", "json"]
    subprocess.run(status, env=environment, capture_output=True, check=True)
    started = time.monotonic()
    printed = subprocess.run(status, env=environment, capture_output=True, check=True).stdout
    status_s = time.monotonic() - started
    assert printed.count(b'"submission_id"') >= QUEUED
    return [
        Row(
            figure=f"{QUEUED:,} queued: restart of the coordinator",
            value=restart_s,
            unit="s",
            bar="below 10",
            holds=restart_s < 10,
        ),
        Row(
            figure=f"{QUEUED:,} queued: `nacre status`, the process included",
            value=status_s,
            unit="s",
            bar="below 1",
            holds=status_s < 1,
        ),
    ]


def _config(folder: Path) -> Config:
    return Config(
        store=f"file://{folder / 'store'}",
        serve=ServeConfig(port=free_port()),
        workers=WorkersConfig(encoders=EncodersConfig(min=1, max=1)),
    )


@contextmanager
def _running(config: Config, **options: Any) -> Iterator[None]:
    from cluster.system.system import running_system

    with running_system(config, **options):
        yield


def _published(client: Client, task_file: Path) -> tuple[Submission, int]:
    submission = client.submit(task_file).submission
    return submission, _ended(client, submission)


def _ended(client: Client, submission: Submission) -> int:
    for state in client.watch(submission, timeout_s=TIMEOUT_S, poll_s=0.02):
        ticket = state.ticket
    assert ticket.version is not None, ticket
    return ticket.version


def _wait_until_served(client: Client, version: int) -> None:
    while client.answering("main") != f"main@{version}":
        time.sleep(0.02)


def _copied(folder: Path, number: int) -> Path:
    """Return a task of 160 training images that differs from all others in its content."""
    source = EXAMPLES / ("digits", "fashion", "sketched-nature", "sketched-things")[number % 4]
    content = yaml.safe_load((source / "task.yaml").read_text())
    shutil.copytree(source, folder)
    for index, path in enumerate(sorted(folder.glob("*/*/*.[pj][np]g"))):
        # Trailing bytes change the digest and not the picture.
        path.write_bytes(path.read_bytes() + f"{number}/{index}".encode())
    content |= {
        "name": f"task-{number}",
        "settings": {"steps": 60},
        "shared_names": "keep",  # the four folders are used again and again
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(content))
    return folder / "task.yaml"


class _Timer:
    """Adds up the seconds spent inside it."""

    seconds = 0.0

    def __enter__(self) -> "_Timer":
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started


if __name__ == "__main__":
    sys.exit(main())
