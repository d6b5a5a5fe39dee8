"""Twelve small tasks of real images over two adapters, and what learning them must give."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.support.drivers.learning import carried_out
from workers.encoding.encoder import Encoder
from workers.intake.accept import accept
from workers.registry import Registry
from workers.store import MemoryStore
from workers.store.base import ObjectStore
from workers.tasks.task import load_task

EXAMPLES = ("clip-art", "digits", "fashion", "sketched-nature", "sketched-things")
ADAPTERS = ("left", "right")
CLASSES, IMAGES = 3, 6
STEPS = 60
LONG_STEPS = 420  # long enough to be resumed from a checkpoint
COMMON = {"memory_per_class": 4, "mixture_components": 2, "batch_size": 16}

Digests = Mapping[str, Mapping[str, str]]


def write_tasks(
    examples: Path, folder: Path, *, per_adapter: int = 6, images: int = IMAGES
) -> list[Path]:
    """Write the tasks below `folder`, and return their task files in the order of submission."""
    return [
        _written(examples, folder / f"{adapter}-{index}", (adapter, index), images)
        for index in range(per_adapter)
        for adapter in ADAPTERS
    ]


def expected_digests(encoder: Encoder, tasks: list[Path]) -> Digests:
    """Return the digest of every task's record, by adapter and task, learnt without disturbance."""
    store = MemoryStore()
    submissions = [
        accept(load_task(path), store, author="tests", now=float(number)).submission
        for number, path in enumerate(tasks)
    ]
    carried_out(store, encoder, *submissions)
    return digests(store)


def digests(store: ObjectStore) -> Digests:
    """Return the digest of every record in the heads of all adapters."""
    registry = Registry(store)
    return {
        adapter: {
            task.task: task.record.sha256
            for task in registry.adapter(adapter).manifest("head").tasks
        }
        for adapter in sorted(registry.adapters())
    }


def _written(examples: Path, folder: Path, place: tuple[str, int], images: int) -> Path:
    adapter, index = place
    example = EXAMPLES[index % len(EXAMPLES)]
    content = yaml.safe_load((examples / example / "task.yaml").read_text())
    keys = sorted(path.name for path in (examples / example / "train").iterdir())
    # The two adapters learn other classes, so that no features are shared.
    start = CLASSES * ((index // len(EXAMPLES)) + (adapter == ADAPTERS[1]))
    chosen = keys[start : start + CLASSES]
    for split, count in (("train", images), ("test", images // 2)):
        for key in chosen:
            (folder / split / key).mkdir(parents=True)
            for path in sorted((examples / example / split / key).iterdir())[:count]:
                shutil.copy(path, folder / split / key)
    names = content.get("classes") or {}
    content |= {
        "name": f"{example}-{index}",
        "adapter": adapter,
        "settings": {**COMMON, "steps": LONG_STEPS if index % 3 == 0 else STEPS},
    }
    content.pop("classes", None)
    if names:
        content["classes"] = {key: names[key] for key in chosen}
    (folder / "task.yaml").write_text(yaml.safe_dump(content))
    return folder / "task.yaml"
