"""Small tasks out of the examples, and one process that learns them from end to end."""

import asyncio
import shutil
import time
from pathlib import Path

import yaml

from workers.acceptance import accept
from workers.coordinator import Coordinator
from workers.crew import Assignment
from workers.encoder import Encoder
from workers.local_crew import LocalCrew
from workers.progress import State, read_state
from workers.store import ObjectStore
from workers.submission import Submission
from workers.task import load_task
from workers.terms import Pace, Setup
from workers.ticket import ENDED

TIMEOUT_S = 120
SETTINGS = {"steps": 12, "memory_per_class": 4, "mixture_components": 2, "batch_size": 16}


def small_task(
    examples: Path, folder: Path, name: str, *, classes: int = 3, images: int = 6
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
    content["settings"] = SETTINGS
    path = folder / name / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def submitted(store: ObjectStore, task_file: Path, *, now: float = 1.0) -> Submission:
    """Take the task in and return its submission."""
    return accept(load_task(task_file), store, now=now, author="anna").submission


def carried_out(store: ObjectStore, encoder: Encoder, *submissions: Submission) -> list[State]:
    """Run a coordinator with all roles in this process until all have ended."""

    async def run() -> list[State]:
        setup = Setup(
            store=store,
            crew=LocalCrew(encoder, store),
            clock=time.time,
            pace=Pace(poll_s=0.05, report_s=0.05),
        )
        coordinator = Coordinator(setup, owner="tests")
        running = asyncio.create_task(coordinator.run())
        while any(read_state(store, entry).ticket.stage not in ENDED for entry in submissions):
            assert not running.done(), running.exception()
            await asyncio.sleep(0.05)
        coordinator.stop()
        await running
        return [read_state(store, entry) for entry in submissions]

    return asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


def published_by_hand(store: ObjectStore, encoder: Encoder, submission: Submission) -> int:
    """Call the roles one after another, without a coordinator."""

    async def run() -> int:
        crew = LocalCrew(encoder, store, clock=lambda: submission.accepted_at)
        await crew.embed(submission, lambda _done, _total: None)
        begun = await crew.begin(submission, owner="tests", since=None)
        assignment = Assignment(
            submission=submission,
            method="lada",
            encoder=begun.encoder,
            parent=begun.parent,
            epoch=begun.epoch,
        )
        await crew.train(assignment, lambda _done, _total: None)
        await crew.compress(assignment)
        return (await crew.publish(assignment)).version

    return asyncio.run(run())
