"""CL-LoRA's training: which update moves what, and two updates against autograd by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.methods.cl_lora.learner import ClLoraTraining
from adapters.methods.cl_lora.method import ClLora
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.parts.pixels import PixelBatches
from adapters.towers.image_side import ImageSide
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.vision_transformer import AttentionChange, LowRank, VisionBlocks
from tests.support.scenes.vision import BLOCKS, learnt_in_turn, task_of, tower

METHOD = ClLora()
QUICK: Mapping[str, Any] = {"rank": 3, "epochs": 2, "batch_size": 5, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def base() -> FrozenImageTower:
    return tower()


@pytest.fixture(scope="module")
def past(base: FrozenImageTower) -> AdapterState:
    """Return a version of two tasks."""
    return learnt_in_turn(METHOD, base, tasks=2, **QUICK)[-1]


def training(
    base: FrozenImageTower, past: AdapterState | None = None, **changes: object
) -> ClLoraTraining:
    """Return the training of one more task at its beginning."""
    chosen = {**QUICK, **changes}
    given = task_of(base, "next", seed=7, past=past, **chosen)
    return ClLoraTraining(given, settings=ClLoraSettings.from_mapping(chosen))


def state_of(one: ClLoraTraining) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in one.state().items()}


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Return which parameters have changed."""
    return {
        name.removeprefix("parameter/")
        for name, each in before.items()
        if not torch.equal(each, after[name])
    }


def test_the_first_update_of_a_task_finds_student_and_teacher_agreed(
    base: FrozenImageTower, past: AdapterState
) -> None:
    for detached in (True, False):
        one = training(base, past, weight_decay=0.0, detach_teacher=detached)
        before = state_of(one)
        one.advance(0)
        after = state_of(one)
        # The gradient is zero but for rounding: softmax less itself.
        torch.testing.assert_close(after["parameter/up"], before["parameter/up"], atol=1e-6, rtol=0)
        change = (after["parameter/head"] - before["parameter/head"]).abs().max()
        # Through the teacher, if it is not a constant, the head sees its own entropy.
        assert float(change) < 1e-6 if detached else float(change) > 1e-4


def test_distillation_moves_what_tasks_share_and_the_head_alone(
    base: FrozenImageTower, past: AdapterState
) -> None:
    one = training(base, past)
    before = state_of(one)
    one.advance(0)
    after = state_of(one)
    assert moved(before, after) <= {"up", "head", "scale"}
    assert {name for name in after if name.startswith("momentum/")} == {
        "momentum/up",
        "momentum/head",
        "momentum/scale",
    }
    one.advance(1)
    everything = {"up", "head", "scale", "specific_down", "specific_up", "block_weights"}
    assert moved(before, state_of(one)) == everything


def test_the_shared_down_never_moves_and_a_tasks_own_does(
    base: FrozenImageTower, past: AdapterState
) -> None:
    one = training(base, past)
    before = state_of(one)
    for step in range(one.total_steps):
        one.advance(step)
    after = state_of(one)
    assert past.shared is not None
    assert torch.equal(after["down"], past.shared.tensors["down"])
    assert torch.equal(one.shared()["down"], past.shared.tensors["down"])
    assert not torch.equal(one.shared()["up"], past.shared.tensors["up"])
    assert "specific_down" in moved(before, after)


def test_a_first_task_knows_neither_distillation_nor_orthogonality(
    base: FrozenImageTower,
) -> None:
    plain, other = (
        training(base, distillation_weight=weight, orthogonality_weight=weight)
        for weight in (0.0, 1e3)
    )
    images = 12
    assert plain.total_steps == QUICK["epochs"] * -(-images // QUICK["batch_size"])
    losses = [[one.advance(step) for step in range(one.total_steps)] for one in (plain, other)]
    assert losses[0] == losses[1]
    assert moved(state_of(plain), state_of(other)) == set()


def test_a_later_task_feels_orthogonality(base: FrozenImageTower, past: AdapterState) -> None:
    plain, other = (training(base, past, orthogonality_weight=weight) for weight in (0.0, 1.0))
    for one in (plain, other):
        one.advance(0)
        one.advance(1)
    assert moved(state_of(plain), state_of(other)) == {
        "block_weights",
        "momentum/block_weights",
    }


class ByHand:
    """The equations with tensors and autograd alone: no parts of the method, SGD written out."""

    def __init__(
        self, base: FrozenImageTower, past: AdapterState, given: TrainingInputs, begun: Any
    ) -> None:
        assert past.shared is not None
        self._blocks = VisionBlocks(base, by="a test")
        self._down, self._old = past.shared.tensors["down"], past.shared.tensors["up"]
        self._mus = torch.stack([each.tensors["block_weights"] for each in past.records])
        self.values = {
            name.removeprefix("parameter/"): each.clone()
            for name, each in begun.items()
            if name.startswith("parameter/")
        }
        self._momentum: dict[str, Tensor] = {}
        self._settings = ClLoraSettings.from_mapping(given.settings)

    def distillation(self, pixels: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the reassigned gradients of 5 H(teacher / 2, student / 2)."""
        now, before = (
            self.logits(self.run(pixels, up, values, BLOCKS // 2), values)
            for up in (values["up"], self._old)
        )
        target = (before.detach() / 2).softmax(1)
        loss = -5 * (target * (now / 2).log_softmax(1)).sum(1).mean()
        names = ["up", "head", "scale"]
        gradients = torch.autograd.grad(loss, [values[each] for each in names])
        found = dict(zip(names, gradients, strict=True))
        norms = self._old.norm(dim=3)
        found["up"] = found["up"] * (64 * norms / norms.sum(2, keepdim=True))[..., None]
        return found

    def classification(
        self, pixels: Tensor, labels: Tensor, values: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the gradients of CE + 1e-4 mean |cos|."""
        loss = cross_entropy(
            self.logits(self.run(pixels, values["up"], values, BLOCKS), values), labels
        )
        mu = values["block_weights"].flatten()
        cosines = cosine_similarity(mu.expand(len(self._mus), -1), self._mus.flatten(1))
        loss = loss + 1e-4 * cosines.abs().mean()
        gradients = torch.autograd.grad(loss, list(values.values()))
        return dict(zip(values, gradients, strict=True))

    def leaves(self) -> dict[str, Tensor]:
        """Return the present values, ready for gradients."""
        return {name: each.clone().requires_grad_() for name, each in self.values.items()}

    def move(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        """Take a step of SGD with momentum 0.9 and decay inside the gradient."""
        for name, gradient in gradients.items():
            decayed = gradient + self._settings.weight_decay * self.values[name]
            before = self._momentum.get(name)
            self._momentum[name] = decayed if before is None else 0.9 * before + decayed
            self.values[name] = self.values[name] - rate * self._momentum[name]

    def run(self, pixels: Tensor, up: Tensor, values: Mapping[str, Tensor], ends: int) -> Tensor:
        """Return projected features of what leaves block `ends`."""
        tokens, half = self._blocks.embedded(pixels), BLOCKS // 2
        for block in range(ends):
            pairs: list[tuple[Tensor, Tensor, Tensor | float]]
            if block < half:
                pairs = [(self._down[p, block], up[p, block], 1.0) for p in (0, 1)]
            else:
                own = values["specific_down"], values["specific_up"], values["block_weights"]
                pairs = [
                    (own[0][p, block - half], own[1][p, block - half], own[2][2 * p, block - half])
                    for p in (0, 1)
                ]
            query, value = (LowRank(down=d, up=u, weight=w) for d, u, w in pairs)
            tokens = self._blocks.through(block, tokens, AttentionChange(query=query, value=value))
        return self._blocks.projected(self._blocks.pooled(tokens))

    def logits(self, features: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Return sigma cos(z, W)."""
        return values["scale"] * normalize(features, dim=1) @ normalize(values["head"], dim=1).T


@pytest.mark.parametrize("step", ["two_step", "one_step"])
def test_the_training_is_autograd_steps_written_by_hand(
    base: FrozenImageTower, past: AdapterState, step: str
) -> None:
    chosen = {**QUICK, "step": step, "learning_rate": 0.1}
    given = task_of(base, "next", seed=7, past=past, **chosen)
    one = ClLoraTraining(given, settings=ClLoraSettings.from_mapping(chosen))
    hand = ByHand(base, past, given, state_of(one))
    _, source = given.images.required(by="a test")
    batches = PixelBatches(source, given.task.labels, size=QUICK["batch_size"], seed=given.seed)
    for update in range(one.total_steps):
        one.advance(update)
    for number in range(QUICK["epochs"] * batches.per_epoch):
        pixels, labels = batches.at(number)
        rate = 0.1 if number < batches.per_epoch else 0.05  # half a cosine over two epochs
        leaves = hand.leaves()
        distilled = hand.distillation(pixels, leaves)
        if step == "two_step":
            hand.move(distilled, rate)
            leaves, distilled = hand.leaves(), {}
        found = hand.classification(pixels, labels, leaves)
        hand.move({name: each + distilled.get(name, 0) for name, each in found.items()}, rate)
    for name, expected in hand.values.items():
        torch.testing.assert_close(
            one.state()[f"parameter/{name}"].detach(), expected, atol=2e-6, rtol=2e-5
        )


def test_the_published_order_of_forwards_and_updates_is_refused_by_torch(
    base: FrozenImageTower, past: AdapterState
) -> None:
    given = task_of(base, "next", seed=7, past=past, **QUICK)
    one = ClLoraTraining(given, settings=ClLoraSettings.from_mapping(QUICK))
    hand = ByHand(base, past, given, state_of(one))
    _, source = given.images.required(by="a test")
    leaves, pixels = hand.leaves(), source(range(12))
    sgd = torch.optim.SGD(leaves.values(), lr=0.1)
    features = hand.run(pixels, leaves["up"], leaves, BLOCKS)
    loss = cross_entropy(hand.logits(features, leaves), given.task.labels)
    for name, gradient in hand.distillation(pixels, leaves).items():
        leaves[name].grad = gradient
    sgd.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


ELSEWHERE = [
    {"step": "one_step"},
    {"head": "text"},
    {"space": "tower"},
    {"calibrate": "shift", "shared_blocks": 3},
    {"shared_blocks": 1, "detach_teacher": False},
]


@pytest.mark.parametrize("changes", ELSEWHERE, ids=str)
def test_whatever_the_settings_say_tasks_are_learnt_and_told_apart(
    base: FrozenImageTower, changes: Mapping[str, object]
) -> None:
    chosen: Mapping[str, Any] = {**QUICK, **changes}
    version = learnt_in_turn(METHOD, base, tasks=2, **chosen)[-1]
    adapter = Adapter(version.records, shared=version.shared, method=METHOD)
    seen = adapter.image_tower(base)
    right = 0
    for number in range(2):
        given = task_of(base, f"task-{number}", seed=number)
        _, source = given.images.required(by="a test")
        features = seen.features(source(range(12), view=3))
        names = adapter.predict(features, encoder=seen.fingerprint, logit_scale=20.0)
        truth = [given.task.classes[label].class_id for label in given.task.labels.tolist()]
        right += sum(each.class_id == name for each, name in zip(names, truth, strict=True))
    assert right > 20  # of 24, where guessing finds four


def test_the_seed_decides_and_the_global_random_state_neither_matters_nor_changes(
    base: FrozenImageTower,
) -> None:
    expected = learnt_in_turn(METHOD, base, tasks=1, **QUICK)[0]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = learnt_in_turn(METHOD, base, tasks=1, **QUICK)[0]
    assert encode_record(again.records[0]) == encode_record(expected.records[0])
    assert again.shared is not None and expected.shared is not None
    assert again.shared.digest == expected.shared.digest
    assert torch.equal(torch.get_rng_state(), before)


def test_learning_leaves_what_was_learnt_before_as_it_is(
    base: FrozenImageTower, past: AdapterState
) -> None:
    assert past.shared is not None
    stored = [encode_record(each) for each in past.records], past.shared.digest
    one = training(base, past)
    for step in range(one.total_steps):
        one.advance(step)
    tensors = past.shared.tensors
    fresh = type(past.shared)(method="cl_lora", encoder=past.shared.encoder, tensors=tensors)
    assert ([encode_record(each) for each in past.records], fresh.digest) == stored


def test_where_no_task_is_left_an_adapter_begins_anew(
    base: FrozenImageTower, past: AdapterState
) -> None:
    emptied = AdapterState(shared=past.shared)
    anew, first = (training(base, one) for one in (emptied, None))
    assert anew.total_steps == first.total_steps
    assert moved(state_of(anew), state_of(first)) == set()


def test_a_task_of_one_class_moves_nothing_that_tasks_share(base: FrozenImageTower) -> None:
    """So two of them, learnt by themselves, leave the same bytes: see the registry's lineages."""
    states = [
        learn(METHOD, task_of(base, name, seed=0, classes=1, **QUICK)) for name in ("one", "other")
    ]
    one, other = (each.shared for each in states)
    assert one is not None and other is not None
    assert one.digest == other.digest
    assert not one.tensors["up"].any()
    assert all(encode_record(record) for state in states for record in state.records)


def test_cached_features_alone_are_refused(base: FrozenImageTower) -> None:
    given = replace(task_of(base, "first", seed=1), images=ImageSide())
    with pytest.raises(SettingsError, match="'cl_lora' trains the image tower"):
        METHOD.start(given)
