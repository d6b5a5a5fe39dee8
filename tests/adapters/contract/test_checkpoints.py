"""What a checkpoint says of its inputs: today's form, and the one of the first days."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.checkpoints import (
    FORMS,
    check_inputs,
    first_inputs_digest,
    inputs_digest,
    second_inputs_digest,
)
from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import InputError
from adapters.towers.image_side import ImageSide
from adapters.towers.text_side import TextSide

ENCODER = "e" * 32


class Pictures:
    """Pixels that nobody reads.

    Args:
        digest: Names them.
    """

    def __init__(self, digest: str) -> None:
        self.digest = digest

    def __call__(self, images: Sequence[int], *, view: int = 0) -> torch.Tensor:
        raise AssertionError(f"nobody looks at {images} in view {view}")


def classes(merged_into: str | None = None) -> tuple[ClassEntry, ...]:
    """Return two classes with everything in their names that a `repr` writes otherwise."""
    return (
        ClassEntry(class_id="zoo/o'x", name='an "ox"', prompt="a photo of an ox."),
        ClassEntry(class_id="zoo/bär", name="bär", prompt="a\\bär\n", merged_into=merged_into),
    )


def inputs(merged_into: str | None = None) -> TrainingInputs:
    """Return inputs of numbers that every machine has: ones and zeros."""
    entries = classes(merged_into)
    features = torch.eye(3, 4)[:, None].repeat(1, 2, 1)
    record = Record(
        task="one",
        classes=entries[:1],
        method="nearest_mean",
        settings={"a": 0.1},
        seed=3,
        encoder=ENCODER,
        tensors={"means": torch.eye(1, 4)},
    )
    return TrainingInputs(
        task=TaskFeatures(
            task="zoo",
            classes=entries,
            features=features,
            labels=torch.tensor([0, 1, 1]),
            encoder=ENCODER,
        ),
        past=AdapterState(records=(record,)),
        text=TextSide(features=torch.eye(2, 4), logit_scale=100.00000762939453),
    )


def of_one_class() -> TrainingInputs:
    both = inputs()
    task = TaskFeatures(
        task="zoo",
        classes=both.task.classes[:1],
        features=both.task.features[:1],
        labels=torch.tensor([0]),
        encoder="é",
    )
    return TrainingInputs(task=task, text=TextSide(features=torch.eye(1, 4), logit_scale=1.0))


FIRST = [
    # as the first code computed it
    (inputs(), "d3ba0aa5bba5a46e144629831ae4d2023ce6760b671b5931c6cb57cd6f19e8ee"),
    (inputs("forest/bear"), "c973a67a51677c9da840c7a8f01995f584a2fbb6f81298eea9c83940a72a2318"),
    # a tuple of one is written with a comma
    (of_one_class(), "5b358d13b3ea2822dc91b7aaa33d535242d9373e6bb49176c0afdcb51d9b503d"),
]


@pytest.mark.parametrize(("given", "digest"), FIRST)
def test_a_checkpoint_of_the_first_days_is_still_one_of_its_inputs(
    given: TrainingInputs, digest: str
) -> None:
    assert first_inputs_digest(given) == digest
    check_inputs(digest, given)
    assert inputs_digest(given) != digest


def test_the_digests_are_the_same_tomorrow() -> None:
    given = inputs()
    assert inputs_digest(given) == (
        "8100a69ead54d22abdae5eb5769231ed34c4b401610b80590163fb189d1e2285"
    )
    assert second_inputs_digest(given) == (
        "5ccb83a00f6f47b0c05895237b7e038e1865bfca1f4373f0ef4e745d39493aa9"
    )
    check_inputs(second_inputs_digest(given), given)


SEEN_TODAY: list[Callable[[TrainingInputs], TrainingInputs]] = [
    # what the older forms left out
    lambda given: replace(
        given, text=replace(given.text, features=given.text.features.reshape(4, 2))
    ),
    lambda given: replace(given, images=ImageSide(pixels=Pictures("a"))),
]


@pytest.mark.parametrize("change", SEEN_TODAY)
def test_a_checkpoint_of_today_is_not_one_of_other_images_or_another_shape(
    change: Callable[[TrainingInputs], TrainingInputs],
) -> None:
    other = change(inputs())
    with pytest.raises(InputError, match="or images; start the training afresh"):
        check_inputs(inputs_digest(inputs()), other)
    check_inputs(inputs_digest(other), other)


def test_a_checkpoint_of_some_images_is_not_one_of_others() -> None:
    one, other = (
        replace(inputs(), images=ImageSide(pixels=Pictures(digest))) for digest in ("a", "b")
    )
    with pytest.raises(InputError, match="or images; start the training afresh"):
        check_inputs(inputs_digest(one), other)


CHANGES: list[Callable[[TrainingInputs], TrainingInputs]] = [
    lambda given: replace(given, task=replace(given.task, task="zoo-2")),
    lambda given: replace(given, task=replace(given.task, encoder="f" * 32)),
    lambda given: replace(given, task=replace(given.task, classes=classes("forest/bear"))),
    lambda given: replace(given, task=replace(given.task, classes=classes()[::-1])),
    lambda given: replace(given, task=replace(given.task, labels=torch.tensor([0, 0, 1]))),
    lambda given: replace(given, task=replace(given.task, features=given.task.features.flip(0))),
    lambda given: replace(given, task=replace(given.task, features=given.task.features.double())),
    lambda given: replace(given, past=AdapterState()),
    lambda given: replace(
        given,
        past=replace(
            given.past,
            shared=SharedState(method="m", encoder=ENCODER, tensors={"x": torch.ones(1)}),
        ),
    ),
    lambda given: replace(given, text=replace(given.text, features=torch.eye(2, 4).flip(0))),
    lambda given: replace(given, text=replace(given.text, logit_scale=100.0)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_is_not_one_of_anything_else(
    change: Callable[[TrainingInputs], TrainingInputs],
) -> None:
    other = change(inputs())
    for form in FORMS:
        with pytest.raises(InputError, match="it was made from other features"):
            check_inputs(form(inputs()), other)
