"""The first pass over images: several at once, and never many in memory."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from workers.intake.reading import THREADS, Sample, count_images, read_images
from workers.sources import ImageRef
from workers.sources.places.local import LocalPlace
from workers.tasks.task import Task, load_task

WriteTask = Callable[..., Path]
TIMEOUT_S = 180
IMAGES = 20 * THREADS


@dataclass(frozen=True, slots=True)
class Watched(LocalPlace):
    """A folder whose files can be made to be read together or not at all."""

    together: threading.Barrier | None = None

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if self.together is not None:
            self.together.wait()
        return LocalPlace.read(self, name, start, length)


def task_of(place: Watched, *, images: int) -> Task:
    Image.new("RGB", (4, 4)).save(place.folder / "0.png")
    refs = tuple(ImageRef(place=place, name="0.png") for _ in range(images))
    return Task(name="colors", images={"black": refs}, classes={"black": "black"})


class Taken(tuple[ImageRef, ...]):
    """References that count how many of them have been taken."""

    taken = 0

    def __iter__(self) -> Iterator[ImageRef]:
        for ref in super().__iter__():
            self.taken += 1
            yield ref


def test_images_are_read_a_few_ahead_of_whoever_asks_for_them(tmp_path: Path) -> None:
    task = task_of(Watched(tmp_path), images=IMAGES)
    refs = Taken(task.images["black"])
    results = read_images(replace(task, images={"black": refs}))
    for done in range(1, 10):
        next(results)
        # One more is taken than is begun.
        assert refs.taken <= done + 2 * THREADS < IMAGES / 2


def test_several_images_are_read_at_once(tmp_path: Path) -> None:
    # Nobody gets past the barrier alone.
    place = Watched(tmp_path, together=threading.Barrier(THREADS, timeout=TIMEOUT_S))
    assert len(list(read_images(task_of(place, images=2 * THREADS)))) == 2 * THREADS


def test_every_image_is_read_once_in_the_order_of_splits_and_classes(
    write_task: WriteTask,
) -> None:
    task = load_task(write_task(images=3, keys="held_out: images\nclasses: {red: r, blue: b}"))
    found = [each for each in read_images(task) if isinstance(each, Sample)]
    assert len(found) == count_images(task) == 12
    assert [each.split for each in found] == ["train"] * 6 + ["held_out"] * 6
    assert [each.label for each in found] == [0, 0, 0, 1, 1, 1] * 2
    assert [each.size for each in found] == [len(each.ref.read()) for each in found]
