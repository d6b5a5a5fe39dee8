"""A split: one image set divided into tasks by its classes, in the order of the papers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import SettingsError
from harness.image_sets import divided, read_image_sets
from harness.labelled import ImageSet
from harness.split import Split, class_order
from harness.suite import Suite, read_suite


def test_the_order_under_1993_is_the_one_that_published_logs_begin_with() -> None:
    # The class order of CIFAR-100 in the logs of iCaRL's successors, PILOT and CL-LoRA.
    begins = [68, 56, 78, 8, 23, 84, 90, 65, 74, 76, 40, 89]
    assert class_order(100, seed=1993)[:12] == begins


def test_without_a_seed_classes_stay_as_they_are() -> None:
    assert Split(classes=2).parts(6, of="vtab") == [[0, 1], [2, 3], [4, 5]]


def test_the_first_task_may_have_more_classes() -> None:
    assert Split(classes=2, first=3).parts(7, of="ucf") == [[0, 1, 2], [3, 4], [5, 6]]


@given(
    classes=st.integers(1, 12),
    more=st.integers(0, 8),
    first=st.none() | st.integers(1, 12),
    seed=st.none() | st.integers(0, 2**32 - 1),
)
def test_every_class_is_in_one_task_and_all_tasks_but_the_first_are_alike(
    classes: int, more: int, first: int | None, seed: int | None
) -> None:
    count = (first or classes) + more * classes
    parts = Split(classes=classes, first=first, seed=seed).parts(count, of="any")
    assert sorted(one for part in parts for one in part) == list(range(count))
    assert [len(part) for part in parts] == [first or classes] + [classes] * more


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (Split(classes=10), "expected the 101 classes of ucf in tasks of 10, found 1 left over"),
        (Split(classes=10, first=50), "tasks of 10 after a first of 50, found 1 left over"),
        (Split(classes=200), "found fewer than the 200 of the first task"),
    ],
)
def test_classes_that_cannot_be_divided_are_said(split: Split, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        split.parts(101, of="ucf")


@pytest.mark.parametrize("written", ["true", "2.5", "yes", "two", "[2]", "0", "-1"])
@pytest.mark.parametrize("key", ["classes", "first"])
def test_what_is_no_number_of_classes_is_refused(tmp_path: Path, key: str, written: str) -> None:
    file = tmp_path / "suite.yaml"
    split = {"classes": "2", key: written}
    said = ", ".join(f"{name}: {value}" for name, value in split.items())
    file.write_text(
        f"name: one\nsets: [{{name: ucf}}]\nmethods: [{{method: gda}}]\nsplit: {{{said}}}\n"
    )
    with pytest.raises(SettingsError, match=rf"split\.{key}"):
        read_suite(file)


def divided_suite(path: Path) -> tuple[Suite, dict[str, ImageSet]]:
    suite = read_suite(path)
    found, images = divided(suite, read_image_sets(suite))
    return found, dict(images)


def test_the_parts_of_a_set_take_its_place_in_every_order(
    write_suite: Callable[..., Path],
) -> None:
    suite, images = divided_suite(write_suite(split={"classes": 1}))
    assert suite.orders["II"] == tuple(
        f"{name}.{number:02}" for name in ("shades", "colors") for number in (1, 2, 3)
    )
    assert set(images) == {one.name for one in suite.sets} == set(suite.orders["I"])


def test_every_image_goes_with_its_class(write_suite: Callable[..., Path]) -> None:
    whole = read_image_sets(read_suite(write_suite()))["colors"]
    names = {image.name: whole.classes[image.label] for image in (*whole.train, *whole.test)}
    _, images = divided_suite(write_suite(split={"classes": 1, "first": 2, "seed": 7}))
    parts = [images["colors.01"], images["colors.02"]]
    assert [len(part.classes) for part in parts] == [2, 1]
    found = {
        image.name: part.classes[image.label]
        for part in parts
        for image in (*part.train, *part.test)
    }
    assert found == names


def test_a_suite_says_which_set_cannot_be_divided(write_suite: Callable[..., Path]) -> None:
    with pytest.raises(SettingsError, match="the 3 classes of colors in tasks of 2"):
        divided_suite(write_suite(split={"classes": 2}))
