"""Small tasks of plain pictures: each has two classes, and comes in several contents."""

from functools import cache
from pathlib import Path

from PIL import Image

from workers.tasks.task import Task, load_task

CLASSES = ("light", "dark")
TRAIN, TEST = 2, 1
ODD = "odd"
"""A task of which the test images are those of the other class, so that nobody answers them."""


@cache
def color_task(folder: Path, name: str, content: int) -> Task:
    """Return the task called `name` with the pictures of `content`, written below `folder`."""
    home = folder / f"{name}-{content}"
    first = 11 * sum(map(ord, name)) % 7 + 100 * content
    for index, tone in enumerate(CLASSES):
        for split, count in (("train", TRAIN), ("test", TEST)):
            shown = 1 - index if (name, split) == (ODD, "test") else index
            target = home / split / f"{name}_{tone}"
            target.mkdir(parents=True)
            for number in range(count):
                green = 10 * first % 251 + number + (20 if split == "test" else 0)
                shade = (30 + 190 * shown, green % 256, (17 * len(name) + 60 * content) % 256)
                Image.new("RGB", (24, 20), shade).save(target / f"{number}.png")
    file = home / "task.yaml"
    file.write_text(f"name: {name}\nimages: train\nheld_out: test\n")
    return load_task(file)
