"""Merged classes: one candidate when images are scored, no negatives of each other in training."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.adapter import Adapter, Scores, UnseenClasses
from adapters.contract import learning
from adapters.contract.adapter_state import AdapterState
from adapters.contract.class_entry import ClassEntry
from adapters.contract.merging import Partners, column_groups, fold
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import ClassNameError
from adapters.methods import METHODS
from adapters.methods.lada.objective import loss_and_gradients
from adapters.methods.lada.past_softmax import OldClasses, old_logits
from adapters.methods.lada.softmax import NewClasses
from adapters.methods.lada.step_rows import Rows
from tests.adapters.methods.lada.test_objective import problem
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, entries, learnt
from tests.support.conformance.method import LEARNT_FROM_IMAGES
from tests.support.scenes.training import inputs

CPU = torch.device("cpu")
QUICK: dict[str, dict[str, Any]] = {
    "dmc": {"adapter": "feature", "prompts": "none"},
    "dmc_ot": {"adapter": "feature", "prompts": "none"},
    "lada": {"text": "residual", "steps": 9},
    "ran_pac": {"width": 300},
}


def entry(class_id: str, merged_into: str | None = None) -> ClassEntry:
    return ClassEntry(class_id=class_id, name="x", prompt="an x.", merged_into=merged_into)


def merged(task: TaskFeatures, index: int, into: str) -> TaskFeatures:
    """Return `task` with one class that counts as the class `into`."""
    classes = list(task.classes)
    classes[index] = replace(classes[index], merged_into=into)
    return replace(task, classes=tuple(classes))


GROUPS: list[tuple[list[ClassEntry], tuple[tuple[int, ...], ...]]] = [
    ([], ()),
    ([entry("a/1"), entry("b/1")], ()),
    ([entry("a/1"), entry("b/2"), entry("b/1", "a/1")], ((0, 2),)),
    # two tasks merged theirs into the same class
    ([entry("a/1"), entry("b/1", "a/1"), entry("c/1", "a/1")], ((0, 1, 2),)),
    # the class that the others count as stands for them, wherever it is
    ([entry("b/1", "a/1"), entry("a/1")], ((1, 0),)),
    # its task was dropped: the others still count as one
    ([entry("b/1", "a/1"), entry("c/1", "a/1")], ((0, 1),)),
    # its task was dropped, and nobody else is left
    ([entry("b/1", "a/1"), entry("c/2")], ()),
]


@pytest.mark.parametrize(("classes", "groups"), GROUPS)
def test_columns_that_count_as_one_are_found(
    classes: list[ClassEntry], groups: tuple[tuple[int, ...], ...]
) -> None:
    assert column_groups(classes) == groups


def test_the_share_of_merged_classes_is_the_sum_of_theirs_and_the_rest_is_untouched() -> None:
    classes = [entry("a/1"), entry("a/2"), entry("b/1", "a/1"), entry("b/2")]
    values = 5 * torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    folded = fold(values, classes)
    assert folded.columns == (0, 1, 3)
    assert torch.equal(folded.values[:, 1:], values[:, [1, 3]])
    before, after = values.softmax(dim=1), folded.values.softmax(dim=1)
    torch.testing.assert_close(after[:, 0], before[:, 0] + before[:, 2])


def test_a_class_that_cannot_be_the_answer_adds_nothing_to_its_partner() -> None:
    classes = [entry("a/1"), entry("b/1", "a/1")]
    values = torch.tensor([[3.0, -torch.inf], [-torch.inf, -torch.inf]])
    assert torch.equal(fold(values, classes).values, values[:, :1])


def sequence() -> tuple[list[Record], TaskFeatures]:
    """Return records of two tasks, the second's class 1 merged into the first's 0, and the task."""
    first, second = clusters("first", seed=1), merged(clusters("second", seed=2), 1, "first/0")
    past = [learnt(first)]
    return [*past, learnt(second, past)], second


def scored(records: list[Record], features: Tensor, **options: object) -> Scores:
    adapter = Adapter(records[:1])
    for record in records[1:]:
        adapter = adapter.extended(record)
    return adapter.score(features, encoder=ENCODER, logit_scale=SCALE, **options)  # type: ignore[arg-type]


def test_images_of_either_class_are_answered_with_the_class_that_was_there_first() -> None:
    records, second = sequence()
    scores = scored(records, second.features[second.labels == 1, 0])
    names = [scores.classes[column].class_id for column in scores.winners.tolist()]
    assert set(names) == {"first/0"}
    assert [each.class_id for each in scores.classes].count("second/1") == 0
    assert (scores.seen, scores.values.shape[1]) == (7, 7)


def test_other_classes_keep_their_scores_bit_for_bit() -> None:
    records, second = sequence()
    plain = [records[0], replace(records[1], classes=entries("second", 4))]
    features = second.features[:, 0]
    apart, together = scored(plain, features), scored(records, features)
    kept = [column for column in range(8) if column not in (0, 5)]
    assert torch.equal(together.values[:, 1:], apart.values[:, kept])


def test_where_only_the_later_task_is_asked_its_class_answers_for_itself() -> None:
    records, second = sequence()
    scores = scored(records, second.features[:, 0], tasks=["second"])
    assert [each.class_id for each in scores.classes] == [f"second/{n}" for n in range(4)]


def test_a_class_that_is_not_learnt_yet_counts_as_its_partner_too() -> None:
    first, second = clusters("first", seed=1), merged(clusters("second", seed=2), 1, "first/0")
    unseen = UnseenClasses(classes=second.classes, text_features=class_means(second).features)
    scores = scored([learnt(first)], second.features[second.labels == 1, 0], unseen=unseen)
    assert (scores.seen, len(scores.classes)) == (4, 7)
    names = [scores.classes[column].class_id for column in scores.winners.tolist()]
    assert set(names) == {"first/0"}


@pytest.mark.parametrize("name", sorted(METHODS.keys() - LEARNT_FROM_IMAGES))
def test_every_method_answers_merged_classes_as_one_without_favouring_them(name: str) -> None:
    method = METHODS[name]
    chosen = QUICK.get(name, {})
    first, second = clusters("first", seed=1), merged(clusters("second", seed=2), 1, "first/0")
    state = AdapterState()
    for task in (first, second):
        given = inputs(task, text=class_means(task), settings=chosen, seed=5)
        state = learning.learn(method, replace(given, past=state))
    adapter = Adapter(state.records, shared=state.shared)
    for task in (first, second):
        scores = adapter.score(task.features[:, 0], encoder=ENCODER, logit_scale=SCALE)
        answers = [scores.classes[column].counts_as for column in scores.winners.tolist()]
        truth = [task.classes[label].counts_as for label in task.labels.tolist()]
        assert sum(map(str.__eq__, answers, truth)) / len(truth) > 0.9


def by_definition(
    rows: Rows, old: OldClasses, new: NewClasses, groups: list[int]
) -> tuple[Tensor, Tensor]:
    """Return the loss and the anchors' gradient, each row with the columns it competes with."""
    assert new.memory is not None
    anchors = new.anchors.clone().requires_grad_()
    fresh = rows.features @ anchors.t() + new.alpha * new.memory.logits(rows.features)
    logits = torch.cat([old_logits(rows.features, old), fresh], dim=1)
    losses = []
    for row, label in enumerate(rows.labels.tolist()):
        competing = [
            column
            for column in range(logits.shape[1])
            if column == label or groups[column] < 0 or groups[column] != groups[label]
        ]
        place = torch.tensor([competing.index(label)])
        losses.append(cross_entropy(logits[row : row + 1, competing], place))
    loss = (rows.weights * torch.stack(losses)).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert anchors.grad is not None
    return loss.detach(), anchors.grad


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), groups=st.lists(st.integers(-1, 1), min_size=6, max_size=6))
def test_a_merged_class_competes_with_all_but_its_partners(seed: int, groups: list[int]) -> None:
    rows, old, new = problem(seed, [2, 1, 3], [2, 2, 1], torch.float64)
    columns = torch.tensor([column for column in range(6) if groups[column] >= 0])
    partners = Partners(columns.to(torch.int64), torch.tensor(groups))
    found = loss_and_gradients(rows, old, new, normaliser=1.0, partners=partners)
    loss, anchors = by_definition(rows, old, new, groups)
    torch.testing.assert_close(found.loss, loss)
    torch.testing.assert_close(found.anchors, anchors)
    assert found.memory is not None and torch.isfinite(found.memory).all()


def without_masks(rows: Rows, old: OldClasses, new: NewClasses) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss and gradients by the operations of a training without merged classes, in order.

    Written out once more, so that a change of the code that training runs is noticed here.
    """
    assert new.memory is not None
    known = len(old.anchors)
    logits = rows.features.new_empty(len(rows.features), known + len(new.anchors))
    logits[:, :known] = old_logits(rows.features, old)
    logits[:, known:] = rows.features @ new.anchors.t()
    affinities = new.memory.affinities(rows.features)
    logits[:, known:].add_(affinities.sum(dim=1, dtype=logits.dtype), alpha=new.alpha)
    denominators = logits.logsumexp(dim=1)
    own = logits.gather(1, rows.labels[:, None])[:, 0]
    loss = torch.dot(rows.weights, denominators - own)
    slopes = logits[:, known:].sub_(denominators[:, None]).exp_()
    current = (rows.labels >= known).nonzero()[:, 0]
    slopes[current, rows.labels[current] - known] -= 1
    slopes.mul_(rows.weights[:, None])
    weighted = affinities.mul_((new.alpha * slopes)[:, None, :]).view(len(slopes), -1)
    return loss, slopes.t() @ rows.features, weighted.t() @ rows.features


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_without_merged_classes_every_bit_of_a_step_is_what_it_was(seed: int) -> None:
    assert Partners.of(entries("first", 6), device=CPU) is None
    rows, old, new = problem(seed, [2, 1, 3], [2, 2, 1], torch.float32)
    found = loss_and_gradients(rows, old, new, normaliser=1.0, partners=None)
    expected = without_masks(rows, old, new)
    assert found.memory is not None
    for ours, theirs in zip(found, expected, strict=True):
        assert ours is not None and torch.equal(ours, theirs)


def test_merging_changes_what_is_learnt_and_only_then() -> None:
    first, second = clusters("first", seed=1), clusters("second", seed=2)
    past = [learnt(first)]
    apart = learnt(second, past)
    together = learnt(merged(second, 1, "first/0"), past)
    nowhere = learnt(merged(second, 1, "dropped/0"), past)
    memory = [record.tensors["memory"] for record in (apart, together, nowhere)]
    assert not torch.equal(memory[0], memory[1])
    # A partner that the adapter does not hold leaves nothing out.
    assert torch.equal(memory[0], memory[2])


def test_old_partners_are_no_negatives_of_each_other_in_later_trainings() -> None:
    records, _ = sequence()
    plain = [records[0], replace(records[1], classes=entries("second", 4))]
    third = clusters("third", seed=3)
    assert not torch.equal(
        learnt(third, records).tensors["memory"], learnt(third, plain).tensors["memory"]
    )


def test_a_record_with_merged_classes_comes_back_equal_and_older_releases_refuse_it() -> None:
    records, _ = sequence()
    blob = encode_record(records[1])
    decoded = decode_record(blob)
    assert decoded.classes == records[1].classes
    assert encode_record(decoded) == blob
    assert b'\\"schema\\":2' in blob


def test_a_record_without_merged_classes_says_nothing_of_them() -> None:
    records, _ = sequence()
    blob = encode_record(records[0])
    assert b'\\"schema\\":1' in blob
    assert b"merged" not in blob


def test_a_task_and_its_checkpoint_know_what_is_merged() -> None:
    task = clusters("second")
    assert merged(task, 1, "first/0").digest() != merged(task, 2, "first/0").digest()
    assert merged(task, 1, "first/0").digest() != task.digest()


IMPOSSIBLE: list[tuple[ClassEntry, ...]] = [
    # two classes of one task in one class, into each other, into themselves
    (entry("b/1", "a/1"), entry("b/2", "a/1")),
    (entry("b/1"), entry("b/2", "b/1")),
    (entry("b/1", "b/1"),),
]


@pytest.mark.parametrize("classes", IMPOSSIBLE)
def test_classes_of_one_task_do_not_count_as_one(classes: tuple[ClassEntry, ...]) -> None:
    record = replace(learnt(clusters(), steps=0), classes=classes)
    with pytest.raises(ClassNameError, match="count as one"):
        encode_record(record)
