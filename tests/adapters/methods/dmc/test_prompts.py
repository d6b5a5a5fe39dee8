"""The prompt phase: which rows and classes take part, and what each counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from adapters.contract.merging import Partners
from adapters.errors import SettingsError
from adapters.methods.dmc.prompt_phase import chosen_classes, row_weights
from adapters.methods.dmc.prompts import Prompts
from adapters.methods.dmc.settings import DmcSettings
from adapters.methods.dmc.targets import Targets
from adapters.methods.dmc.training import DmcTraining
from tests.adapters.methods.dmc import scene
from tests.adapters.synthetic import unit_rows
from tests.support.scenes.vision import SCALE


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    old=st.integers(0, 50),
    seed=st.integers(0, 99),
)
def test_weights_sum_to_one_and_over_a_pass_every_class_counts_the_same(
    counts: list[int], old: int, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    found = row_weights(labels, torch.tensor(counts), old=old, replayed=7 if old else 0)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    classes = len(counts) + old
    of_class = torch.zeros(len(counts)).index_add(0, labels, found[: len(labels)])
    torch.testing.assert_close(of_class, torch.full_like(of_class, 1 / classes))
    assert float(found[len(labels) :].sum()) == pytest.approx(old / classes, abs=1e-5)


def test_without_old_classes_and_with_equal_ones_the_loss_is_plain_cross_entropy() -> None:
    inputs = scene.given("first", batch_size=12)
    ours = DmcTraining(inputs, settings=DmcSettings.from_mapping(inputs.settings), by="dmc")
    for step in range(ours._ends[1]):
        ours.advance(step)
    phase = ours._prompt_phase
    assert ours._prompted is not None
    prompts, contexts = ours._prompted
    text = prompts.features(contexts.whole)
    logits = SCALE * ours._measured.after @ text.t()
    expected = cross_entropy(logits, inputs.task.labels)
    torch.testing.assert_close(phase.loss(0), expected)


def test_a_step_of_a_shared_context_has_the_classes_of_its_rows_and_others_up_to_its_most() -> None:
    labels = torch.tensor([3, 9, 3])
    found = chosen_classes(labels, classes=40, most=6, generator=torch.Generator().manual_seed(1))
    assert len(found) == 6
    assert {3, 9} <= set(found.tolist())
    assert found.tolist() == sorted(found.tolist())
    crowded = chosen_classes(
        torch.arange(8), classes=40, most=6, generator=torch.Generator().manual_seed(1)
    )
    assert crowded.tolist() == list(range(8))


def test_among_chosen_classes_logits_and_labels_are_those_of_their_columns() -> None:
    past = scene.learnt("first", method="dmc")
    targets = Targets(scene.given("second", past), device=torch.device("cpu"))
    text, features = unit_rows(6, 24, seed=1), unit_rows(2, 24, seed=2)
    labels, columns = torch.tensor([4, 1]), torch.tensor([1, 2, 4])
    every, own = targets.against(text, features, labels)
    some, among = targets.against(text[columns], features, labels, columns=columns)
    torch.testing.assert_close(some, every[:, columns])
    assert own.tolist() == [4, 1]
    assert among.tolist() == [2, 0]


def test_classes_that_count_as_one_are_no_negatives_of_each_other() -> None:
    past = scene.learnt("first", method="dmc")
    inputs = scene.given("second", past)
    targets = Targets(inputs, device=torch.device("cpu"))
    targets._partners = Partners(
        columns=torch.tensor([1, 4]), groups=torch.tensor([-1, 0, -1, -1, 0, -1])
    )
    text, features = unit_rows(6, 24, seed=1), unit_rows(2, 24, seed=2)
    logits, _ = targets.against(text, features, torch.tensor([4, 0]))
    assert logits[0].isinf().tolist() == [False, True, False, False, False, False]
    assert not logits[1].isinf().any()
    columns = torch.tensor([0, 1, 4])
    some, _ = targets.against(text[columns], features, torch.tensor([4, 0]), columns=columns)
    assert some.isinf().tolist() == [[False, True, False], [False, False, False]]


def test_gradients_reach_the_context_and_nothing_else() -> None:
    inputs = scene.given("first")
    prompts = Prompts(
        inputs.text, inputs.task.classes, context=4, device=torch.device("cpu"), by="dmc"
    )
    context = torch.zeros(4, 32, requires_grad=True)
    found = prompts.features(context)
    found[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert context.grad is not None and bool(context.grad.abs().sum(dim=1).all())
    assert all(each.grad is None for each in scene.clip().parameters())
    torch.testing.assert_close(found, normalize(found, dim=-1))


def test_a_context_as_long_as_the_tower_reads_is_refused() -> None:
    inputs = scene.given("first", context=scene.LENGTH)
    with pytest.raises(SettingsError, match="at least 23 tokens"):
        DmcTraining(inputs, settings=DmcSettings.from_mapping(inputs.settings), by="dmc")
