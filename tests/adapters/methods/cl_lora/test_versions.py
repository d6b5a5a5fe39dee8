"""Versions of CL-LoRA: their towers, their answers, and trainings that are stopped and go on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter, UnseenClasses
from adapters.contract.adapter_state import (
    AdapterState,
    SharedState,
    decode_shared,
    encode_shared,
)
from adapters.contract.learning import class_mixtures
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import (
    CorruptionError,
    EncoderMismatchError,
    FeatureError,
    InputError,
    SettingsError,
)
from adapters.methods.cl_lora.method import ClLora
from adapters.methods.cl_lora.record import own_changes, shared_changes
from adapters.methods.cl_lora.split_tower import SplitTower
from adapters.methods.cl_lora.version_tower import VersionTower
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.vision_transformer import merged
from tests.adapters.synthetic import entries, unit_rows
from tests.support.scenes.vision import (
    BLOCKS,
    FEATURES,
    SCALE,
    Pictures,
    learnt_in_turn,
    task_of,
    tower,
    with_shared,
)

METHOD = ClLora()
QUICK: Mapping[str, Any] = {"rank": 3, "epochs": 2, "batch_size": 5, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def base() -> FrozenImageTower:
    return tower()


@pytest.fixture(scope="module")
def states(base: FrozenImageTower) -> list[AdapterState]:
    """Return the versions after each of five tasks."""
    return learnt_in_turn(METHOD, base, tasks=5, **QUICK)


def pixels(images: int = 6) -> Tensor:
    return Pictures(torch.arange(images) % 3, seed=1)(range(images), view=9)


def adapter_of(state: AdapterState) -> Adapter:
    return Adapter(state.records, shared=state.shared, method=METHOD)


def scores(state: AdapterState, base: FrozenImageTower, **options: Any) -> Tensor:
    adapter = adapter_of(state)
    seen = adapter.image_tower(base)
    assert seen.fingerprint == adapter.fingerprint
    features = seen.features(pixels())
    return adapter.score(features, encoder=seen.fingerprint, logit_scale=SCALE, **options).values


def apart(state: AdapterState, base: FrozenImageTower) -> list[Tensor]:
    """Return the features along each path by a whole tower of its own, its weights merged."""
    shared, found = shared_changes(state), [base.features(pixels())]
    for record in state.records:
        own = own_changes(record)
        changes = {block: shared.of_block(block) for block in range(shared.blocks)}
        start = BLOCKS - own.blocks
        changes |= {start + block: own.of_block(block) for block in range(own.blocks)}
        whole = merged(base.visual, changes)
        with torch.no_grad():
            found.append(normalize(whole(base.prepared(pixels())).float(), dim=1))
    return found


@pytest.mark.parametrize("together", [None, 1, 2, 3, 99])
def test_a_versions_tower_is_as_many_towers_as_it_has_tasks_and_the_bare_one(
    base: FrozenImageTower, states: list[AdapterState], together: int | None
) -> None:
    state = states[-1]
    seen = VersionTower(
        base,
        SplitTower(base, space="joint"),
        shared=shared_changes(state),
        tasks=[own_changes(record) for record in state.records],
        fingerprint="five",
        together=together,
    )
    found = seen.features(pixels())
    assert found.shape == (6, 1 + 5, FEATURES)
    torch.testing.assert_close(found, torch.stack(apart(state, base), dim=1), atol=1e-5, rtol=0)
    assert torch.equal(found[:, 0], base.features(pixels()))
    assert seen.own_bytes == 0  # on a processor it reads records and shared state as they are


def test_version_two_answers_to_the_bit_as_it_did_after_three_more_tasks_and_a_rollback(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    alone = learnt_in_turn(METHOD, base, tasks=2, **QUICK)[-1]
    before = scores(alone, base)
    after = states[-1]
    assert not torch.equal(scores(after, base)[:, :6], before)
    shared = states[1].shared
    assert shared is not None
    stored = AdapterState(
        records=tuple(decode_record(encode_record(each)) for each in after.records[:2]),
        shared=decode_shared(encode_shared(shared)),
    )
    assert torch.equal(scores(stored, base), before)


def test_a_later_task_changes_scores_of_old_classes_through_the_shared_up_alone(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    old, new = states[2], states[3]
    known = 3 * len(old.records)
    frozen = with_shared(new, old.shared)
    assert torch.equal(scores(frozen, base)[:, :known], scores(old, base))
    assert not torch.equal(scores(new, base)[:, :known], scores(old, base))


def test_the_shared_down_is_that_of_the_first_version_in_all(states: list[AdapterState]) -> None:
    downs = [shared_changes(state).down for state in states]
    assert all(torch.equal(down, downs[0]) for down in downs)
    assert len({state.shared.digest for state in states if state.shared}) == len(states)


def test_features_of_two_versions_never_meet(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    adapters = [adapter_of(state) for state in states]
    swapped = with_shared(states[1], states[2].shared)
    fewer = AdapterState(records=states[2].records[1:], shared=states[2].shared)
    names = [each.fingerprint for each in (*adapters, adapter_of(swapped), adapter_of(fewer))]
    assert len({base.fingerprint, *names}) == len(names) + 1
    features = adapters[1].image_tower(base).features(pixels())
    with pytest.raises(EncoderMismatchError, match=adapters[2].fingerprint):
        adapters[2].score(features, encoder=adapters[1].fingerprint, logit_scale=SCALE)
    with pytest.raises(FeatureError, match=r"expected 4 paths per image.*found 3"):
        adapters[2].score(features, encoder=adapters[2].fingerprint, logit_scale=SCALE)


def test_an_adapter_that_grew_answers_like_one_that_was_put_together_at_once(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    whole = states[2]
    grown = Adapter(whole.records[:1], shared=whole.shared, method=METHOD)
    for record in whole.records[1:]:
        grown = grown.extended(record)
    features = grown.image_tower(base).features(pixels())
    assert grown.fingerprint == adapter_of(whole).fingerprint
    found = grown.score(features, encoder=grown.fingerprint, logit_scale=SCALE).values
    assert torch.equal(found, scores(whole, base))


def test_some_tasks_are_asked_along_their_own_paths(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    everything = scores(states[3], base)
    assert torch.equal(
        scores(states[3], base, tasks=["task-1", "task-3"])[:, 3:], everything[:, 9:]
    )
    assert torch.equal(scores(states[3], base, tasks=["task-1"]), everything[:, 3:6])


def test_an_unseen_class_wins_by_the_bare_towers_text_logits(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    bare = base.features(pixels())
    sought = UnseenClasses(
        classes=entries("unseen", 2), text_features=torch.stack([bare[0], bare[1]])
    )
    values = scores(states[1], base, unseen=sought)
    seen = values.shape[1] - 2
    assert values[:2].argmax(dim=1).tolist() == [seen, seen + 1]
    far = UnseenClasses(classes=entries("unseen", 1), text_features=-bare.mean(0, keepdim=True))
    assert torch.equal(scores(states[1], base, unseen=far)[:, :-1], scores(states[1], base))


def test_a_shift_makes_the_own_images_of_every_path_equally_sure(base: FrozenImageTower) -> None:
    version = learnt_in_turn(METHOD, base, tasks=2, **{**QUICK, "calibrate": "shift"})[-1]
    plain = AdapterState(
        records=tuple(
            replace(each, settings={**each.settings, "calibrate": "none"})
            for each in version.records
        ),
        shared=version.shared,
    )
    shifts = torch.stack([each.tensors["mean_cosine"] for each in version.records])
    expected = scores(plain, base) - SCALE * shifts.repeat_interleave(3)
    torch.testing.assert_close(scores(version, base), expected)
    # What was measured is the mean of the last task's own images, whose tower is the version's.
    given = task_of(base, "task-1", seed=1)
    _, source = given.images.required(by="a test")
    seen = adapter_of(version).image_tower(base)
    values = adapter_of(version).score(
        seen.features(source(range(12))), encoder=seen.fingerprint, logit_scale=SCALE
    )
    own = values.values[torch.arange(12), 3 + given.task.labels]
    assert float(own.mean()) == pytest.approx(0, abs=1e-4)


def test_prototypes_are_class_means_of_test_views(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    given = task_of(base, "task-4", seed=4)
    _, source = given.images.required(by="a test")
    path = adapter_of(states[-1]).image_tower(base).features(source(range(12)))[:, 5]
    means = torch.stack([path[given.task.labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(
        states[-1].records[4].tensors["prototypes"], means, atol=1e-5, rtol=0
    )


Ended = tuple[bytes, bytes]


def ended(
    given: TrainingInputs, checkpoint: bytes | None = None, *, stop: int = -1
) -> Ended | bytes:
    """Go on to the end and return record and shared state; or to `stop`, for the checkpoint."""
    learner = METHOD.resume(checkpoint, given) if checkpoint else METHOD.start(given)
    while learner.steps_done < learner.total_steps:
        if learner.steps_done == stop:
            return learner.checkpoint()
        learner.step()
    learnt, task = learner.learnt(), given.task
    mixtures = class_mixtures(task, components=0, seed=given.seed)
    record = METHOD.record(task, learnt, mixtures, settings=given.settings, seed=given.seed)
    assert learnt.shared is not None
    shared = SharedState(method=METHOD.name, encoder=task.encoder, tensors=learnt.shared)
    return encode_record(record), encode_shared(shared)


@pytest.mark.parametrize("kind", ["the first task", "two_step", "one_step"])
def test_a_training_that_is_stopped_anywhere_ends_as_if_it_had_not_been(
    base: FrozenImageTower, states: list[AdapterState], kind: str
) -> None:
    past = None if kind == "the first task" else states[0]
    chosen = {**QUICK, **({"step": kind} if past else {})}
    given = task_of(base, "next", seed=9, past=past, **chosen)
    undisturbed = ended(given)
    total = METHOD.start(given).total_steps
    assert total == (12 if kind == "two_step" else 6)
    for stop in range(total):  # under two_step, odd ones lie between the updates of one batch
        checkpoint = ended(given, stop=stop)
        assert isinstance(checkpoint, bytes)
        assert ended(given, checkpoint) == undisturbed, stop


def test_a_checkpoint_of_anything_else_is_refused(
    base: FrozenImageTower, states: list[AdapterState]
) -> None:
    given = task_of(base, "next", seed=9, past=states[0], **QUICK)
    checkpoint = ended(given, stop=3)
    assert isinstance(checkpoint, bytes)
    others = [
        replace(given, past=states[1]),
        replace(given, past=with_shared(states[0], states[1].shared)),
        task_of(base, "next", seed=8, past=states[0], **QUICK),
    ]
    for other in others:
        with pytest.raises(InputError, match="made from other"):
            METHOD.resume(checkpoint, other)
    with pytest.raises(CorruptionError):
        METHOD.resume(encode_record(states[0].records[0]), given)


def damaged(record: Record, **tensors: Tensor | None) -> Record:
    changed = {**record.tensors, **tensors}
    return replace(
        record, tensors={name: each for name, each in changed.items() if each is not None}
    )


def test_records_and_shared_states_that_do_not_fit_are_refused(states: list[AdapterState]) -> None:
    state = states[1]
    record, shared = state.records[0], state.shared
    assert shared is not None
    for wrong in (
        damaged(record, prototypes=torch.zeros(2, FEATURES)),
        damaged(record, block_weights=torch.zeros(2, 2)),
        damaged(record, specific_up=None),
        damaged(record, specific_down=torch.zeros(3)),
        damaged(record, mean_cosine=torch.zeros(2)),
    ):
        with pytest.raises(CorruptionError, match="record 'task-0'"):
            Adapter([wrong], shared=shared, method=METHOD)
    for tensors in ({}, {"down": shared.tensors["down"], "up": torch.zeros(2, 2, 3, 64)}):
        broken = SharedState(method="cl_lora", encoder="vit", tensors=tensors)
        with pytest.raises(CorruptionError, match="shared state: expected"):
            Adapter(state.records, shared=broken, method=METHOD)
        with pytest.raises(CorruptionError, match="shared state: expected"):
            METHOD.check_shared(broken)
    METHOD.check_shared(shared)
    with pytest.raises(CorruptionError, match="expected a shared state, found none"):
        Adapter(state.records, method=METHOD)


@pytest.mark.parametrize(
    "changes",
    [{"rank": 4}, {"shared_blocks": 1}, {"space": "tower"}, {"calibrate": "shift"}],
    ids=str,
)
def test_what_an_adapter_began_with_is_kept(
    base: FrozenImageTower, states: list[AdapterState], changes: Mapping[str, object]
) -> None:
    given = task_of(base, "next", seed=9, past=states[0], **{**QUICK, **changes})
    with pytest.raises(SettingsError, match=f"setting '{next(iter(changes))}'.*must share it"):
        METHOD.start(given)


def test_any_other_tower_is_refused_by_name(base: FrozenImageTower) -> None:
    other = tower(layers=(1, 1, 1, 1), width=16, patch_size=None)
    with pytest.raises(SettingsError, match=r"'cl_lora' changes the attention.*ModifiedResNet"):
        METHOD.start(task_of(other, "first", seed=1, **QUICK))
    with pytest.raises(SettingsError, match="found ModifiedResNet"):
        METHOD.check_tower(lambda: other.visual, {})
    METHOD.check_tower(lambda: base.visual, {"shared_blocks": 3})
    with pytest.raises(SettingsError, match="below the tower's 4 blocks"):
        METHOD.check_tower(lambda: base.visual, {"shared_blocks": 4})


def test_text_features_of_a_record_are_its_anchors(states: list[AdapterState]) -> None:
    adapter = adapter_of(states[1])
    assert adapter.width == FEATURES
    expected = unit_rows(3, FEATURES, seed=1)
    assert torch.equal(states[1].records[1].tensors["text_features"], expected)
