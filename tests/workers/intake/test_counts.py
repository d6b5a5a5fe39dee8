"""Counts of a task's sources: everything is in one of them, and pictures are named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import ClassNameError
from tests.support.conformance.sources import parquet, tar
from workers.intake.accept import accept
from workers.intake.intake import Intake
from workers.store import MemoryStore
from workers.tasks.task import load_task

WriteTask = Callable[..., Path]
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def clutter(folder: Path) -> None:
    """Leave beside the pictures what people have there: 5 files that are no training images."""
    (folder / "images/red/more").mkdir()
    shutil.copy(folder / "images/red/0.png", folder / "images/red/more/9.png")
    (folder / "images/red/drawing.svg").write_bytes(SVG)
    (folder / "images/red/notes.txt").write_text("remember")
    (folder / "images/blue/Thumbs.db").write_bytes(b"x")
    shutil.copy(folder / "images/red/0.png", folder / "images/cover.png")


def taken(path: Path) -> Intake:
    return accept(load_task(path), MemoryStore(), author="anna")


def check_sums(sources: dict[str, Any]) -> None:
    for count in sources.values():
        passed = sum(each["count"] for each in count["passed_over"])
        assert count["seen"] == count["used"] + count["refused"] + count["copies"] + passed


def test_pictures_that_are_passed_over_are_named_in_the_notes(write_task: WriteTask) -> None:
    path = write_task(images=4)
    clutter(path.parent)
    intake = taken(path)
    (note,) = intake.notes()
    assert note.startswith("training images: 13 files seen, 5 passed over: 1 picture in formats")
    for picture in ("red/drawing.svg", "red/more/9.png", "cover.png"):
        assert picture in note
    assert intake.sources()["images"]["used"] == 8
    check_sums(intake.sources())


def test_everything_is_used_refused_a_copy_or_passed_over(write_task: WriteTask) -> None:
    path = write_task(images=8, keys="skip_unreadable: 0.5\nclasses: {red: red}\nheld_out: test")
    images = path.parent / "images"
    clutter(path.parent)
    shutil.copy(images / "red/0.png", images / "red/0 (copy).png")
    (images / "red/1.png").write_bytes(b"broken")
    (path.parent / "test/red").mkdir(parents=True)
    (images / "red/7.png").rename(path.parent / "test/red/7.png")
    (path.parent / "test/red/8.jpg").write_bytes(b"")
    (path.parent / "test/red/label.xml").write_bytes(b"<a/>")
    intake = taken(path)
    sources = intake.sources()
    check_sums(sources)
    learnt, measured = sources["images"], sources["held_out"]
    assert [learnt[key] for key in ("seen", "used", "refused", "copies")] == [21, 6, 1, 1]
    assert [measured[key] for key in ("seen", "used", "refused", "copies")] == [3, 1, 1, 0]
    unnamed = learnt["passed_over"][0]
    assert (unnamed["reason"], unnamed["count"], unnamed["kinds"], unnamed["examples"]) == (
        "pictures of classes that `classes` does not name",
        8,
        {"'blue'": 8},
        [],
    )
    said = "\n".join(intake.notes())
    assert "8 pictures of classes that `classes` does not name (8 'blue')" in said
    assert "test images: 3 files seen, 1 passed over: 1 other file (1 .xml: red/label.xml)" in said
    assert "2 images that cannot be read were skipped: " in said
    assert "1 copy of an image was left out: " in said


@pytest.mark.parametrize("name", ["list.csv", "list.parquet", "shard.tar"])
def test_lists_and_shards_are_counted_as_folders_are(write_task: WriteTask, name: str) -> None:
    folder = write_task(images=4).parent
    found = sorted(folder.glob("images/*/*.png"))
    paths = [str(path.relative_to(folder)) for path in [*found, found[0]]]
    labels = [path.split("/")[1] for path in paths]
    members = [(f"{path.parent.name}-{path.name}", path.read_bytes()) for path in found]
    classes = [(f"{path.parent.name}-{path.stem}.cls", path.parent.name.encode()) for path in found]
    rows = [f"{path},{label}\n" for path, label in zip(paths, labels, strict=True)]
    written = {
        "list.csv": ("path,label\n" + "".join(rows)).encode(),
        "list.parquet": parquet(paths, labels),
        "shard.tar": tar([*members, *classes, ("drawing.svg", SVG)]),
    }
    (folder / name).write_bytes(written[name])
    (folder / "task.yaml").write_text(f"name: colors\nimages: {name}\n")
    intake = taken(folder / "task.yaml")
    count = intake.sources()["images"]
    check_sums(intake.sources())
    assert (count["seen"], count["used"]) == (9, 8)
    things = "members" if name == "shard.tar" else "rows"
    assert intake.notes()[-1].startswith(f"training images: 9 {things} seen, 1 passed over: 1 ")


def test_where_nothing_is_left_out_nothing_is_said(write_task: WriteTask) -> None:
    intake = taken(write_task(images=4))
    assert intake.notes() == ()
    assert intake.sources()["images"]["passed_over"] == []


def test_a_task_that_was_put_together_otherwise_is_counted_as_it_is(write_task: WriteTask) -> None:
    task = load_task(write_task(images=4))
    task = replace(task, images={key: refs[:3] for key, refs in task.images.items()})
    intake = accept(task, MemoryStore(), author="anna")
    assert (intake.sources()["images"]["seen"], intake.sources()["images"]["used"]) == (6, 6)


def test_a_class_without_images_says_what_was_there_instead(write_task: WriteTask) -> None:
    path = write_task(images=0)
    (path.parent / "images/red/0.svg").write_bytes(SVG)
    (path.parent / "images/blue/0.dng.raf").write_bytes(b"FUJIFILMCCD-RAW " + bytes(60))
    with pytest.raises(ClassNameError, match="2 pictures in formats that are not read") as caught:
        load_task(path)
    assert "1 SVG" in caught.value.message
    assert "red/0.svg" in caught.value.message


def test_of_any_number_of_problems_the_first_are_kept_and_all_are_counted(
    write_task: WriteTask,
) -> None:
    path = write_task(images=4, keys="skip_unreadable: 1.0")
    good = "".join(f"images/red/{number}.png,red\n" for number in range(4))
    rows = "".join(f"gone/{number}.png,red\n" for number in range(1500))
    (path.parent / "list.csv").write_text(f"path,label\n{good}{rows}")
    path.write_text(path.read_text().replace("images: images", "images: list.csv"))
    intake = taken(path)
    assert (intake.submission.skipped, len(intake.skipped)) == (1500, 1000)
    assert "1500 images that cannot be read were skipped: " in intake.notes()[-1]
    assert intake.notes()[-1].endswith("; and 1497 more")
    check_sums(intake.sources())
