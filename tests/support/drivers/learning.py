"""Small tasks out of the examples, and one process that learns them from end to end."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml

from tests.support.drivers.running import Clock, Running, play
from tests.support.fakes.faulty import MortalStore
from workers.coordination.settings import AdapterRules, Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.intake.accept import accept
from workers.learning.crew import Assignment, Publication
from workers.learning.gate import Gate
from workers.learning.local_crew import LocalCrew
from workers.learning.trainer import CHECKPOINT_EVERY
from workers.queue.progress import State, read_state
from workers.queue.ticket import ENDED
from workers.store import ObjectStore
from workers.tasks.submission import Submission
from workers.tasks.task import load_task

TIMEOUT_S = 300.0
PACE = Intervals(poll_s=0.1, report_s=0.0, lead_s=3_000.0, step_back_s=0.02)
SETTINGS = {"steps": 12, "memory_per_class": 4, "mixture_components": 2, "batch_size": 16}


def small_task(
    examples: Path,
    folder: Path,
    name: str,
    *,
    classes: int = 3,
    images: int = 6,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> Path:
    """Copy the first classes and images of an example into `folder`; return its task file."""
    content = yaml.safe_load((examples / name / "task.yaml").read_text())
    keys = [path.name for path in sorted((examples / name / "train").iterdir())][:classes]
    for split, count in (("train", images), ("test", images // 2)):
        for key in keys:
            target = folder / name / split / key
            target.mkdir(parents=True)
            for path in sorted((examples / name / split / key).iterdir())[:count]:
                shutil.copy(path, target)
    if content.get("classes"):
        content["classes"] = {key: content["classes"][key] for key in keys}
    content["settings"] = {**SETTINGS, **settings}
    path = folder / name / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def submitted(
    store: ObjectStore, task_file: Path, *, now: float = 1.0, method: str = "lada"
) -> Submission:
    """Take the task in and return its submission."""
    task = load_task(task_file, method_of=lambda _adapter: method)
    return accept(task, store, now=now, author="anna").submission


def carried_out(
    store: ObjectStore,
    encoder: Encoder,
    *submissions: Submission,
    gate: Gate | None = None,
    method: str = "lada",
    link: MortalStore | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
) -> list[State]:
    """Run a coordinator with all roles in this process until all have ended, or it has died.

    Args:
        store: Where everything is.
        encoder: Embeds.
        *submissions: What is to end.
        gate: Decides what is served; everything where None.
        method: By which all are learnt.
        link: The coordinator's way to the store, which may fail.
        checkpoint_every: Steps from one checkpoint to the next.
    """
    rules = AdapterRules(method=method, gate=gate or Gate())

    def setup(seen: ObjectStore) -> Setup:
        crew = LocalCrew(encoder, seen, checkpoint_every=checkpoint_every)
        return Setup(
            store=seen, crew=crew, clock=Clock(), intervals=PACE, rules=lambda _adapter: rules
        )

    async def scene() -> None:
        async with Running(store, setup, link=link, owner="tests") as running:
            await running.until(
                lambda: (
                    running.link.dead
                    or all(running.ticket(entry).stage in ENDED for entry in submissions)
                )
            )
            await running.until_looks(0 if running.link.dead else 2)

    play(scene, timeout_s=TIMEOUT_S)
    return [read_state(store, entry) for entry in submissions]


def published_by_hand(
    store: ObjectStore,
    encoder: Encoder,
    submission: Submission,
    *,
    gate: Gate | None = None,
    method: str = "lada",
) -> Publication:
    """Call the roles one after another, without a coordinator."""
    crew = LocalCrew(encoder, store, clock=lambda: submission.accepted_at)
    assignment = learnt_by_hand(crew, submission, gate=gate, method=method)
    return asyncio.run(crew.publish(assignment))


def learnt_by_hand(
    crew: LocalCrew,
    submission: Submission,
    *,
    gate: Gate | None = None,
    method: str = "lada",
) -> Assignment:
    """Call all roles but the last, and return what is to be published."""

    async def run() -> Assignment:
        await crew.embed(submission, _unwatched, method=method)
        begun = await crew.begin(submission, owner="tests", since=None)
        assignment = Assignment(
            submission=submission,
            method=method,
            encoder=begun.encoder,
            gate=gate or Gate(),
            parent=begun.parent,
            epoch=begun.epoch,
        )
        await crew.train(assignment, _unwatched)
        await crew.compress(assignment)
        return assignment

    return asyncio.run(run())


def _unwatched(done: int, total: int) -> None:
    del done, total
