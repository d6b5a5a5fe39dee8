"""`nacre advise`: what is counted, what is recommended, and how it is said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised

SAID = ("--tasks", "4", "--classes", "100", "--images", "16")


def test_numbers_lead_to_a_method_with_reasons(nacre: Command) -> None:
    ended = nacre("advise", *SAID)
    assert ended.code == 0, ended.err
    assert "4 tasks, 400 classes in all, 16 training images a class" in ended.out
    assert "take own_metric: adapters: {NAME: {method: own_metric}}" in ended.out
    assert "next best: " in ended.out
    assert "`make bench-advice`" in ended.out


def test_what_is_printed_for_machines_is_promised(nacre: Command) -> None:
    ended = nacre("advise", *SAID, "--memory", "2GiB", "--tower", "--output", "json")
    found = as_promised("advise", ended.out)
    assert found["need"] == {
        "tasks": 4,
        "classes": 400,
        "images": 16,
        "memory": 2**31,
        "seconds": None,
    }
    assert found["recommended"]["method"] == "own_metric"
    assert found["runner_up"] in found["ways"]
    assert found["towers"]["command"] == "make bench-systems"
    assert found["command"] == "make bench-advice"


def test_a_thousand_tasks_are_told_the_setting_of_their_first_task(nacre: Command) -> None:
    ended = nacre("advise", "--tasks", "1000", "--classes", "10", "--images", "16")
    assert (
        "{method: own_metric}}, and in the settings of its first task form: short_list" in ended.out
    )


def test_classes_and_training_images_of_sources_are_counted(
    nacre: Command, write_task: Callable[..., Path], examples: Path
) -> None:
    task = write_task(images=6, keys="held_out: images")
    ended = nacre("advise", task, examples / "fashion" / "train", "--output", "json")
    need = as_promised("advise", ended.out)["need"]
    folders = [each for each in (examples / "fashion" / "train").iterdir() if each.is_dir()]
    assert (need["tasks"], need["classes"]) == (2, 2 + len(folders))
    scaled = nacre("advise", task, "--tasks", "50", "--output", "json")
    need = as_promised("advise", scaled.out)["need"]
    assert (need["tasks"], need["classes"], need["images"]) == (50, 100, 6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--tasks and --classes and --images must be said"),
        (("--tasks", "4"), "without sources --classes and --images must be said"),
        ((*SAID, "--memory", "little"), "expected a number of bytes, as in 500MB or 2GiB"),
        ((*SAID, "--memory", "1kB"), "give --memory or --seconds more"),
        (("nowhere",), "nowhere"),
        (("task.yaml", "--classes", "3"), "--classes is counted in the sources"),
        (("task.yaml", "task.yaml", "--tasks", "1"), "expected at least the 2 sources, found 1"),
    ],
)
def test_what_cannot_be_answered_ends_with_2_and_says_why(
    nacre: Command, write_task: Callable[..., Path], arguments: tuple[str, ...], said: str
) -> None:
    write_task()
    ended = nacre("advise", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err.replace("\n", " ")
