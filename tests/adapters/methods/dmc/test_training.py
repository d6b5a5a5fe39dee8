"""One task after another by DMC and DMC-OT: each phase moves its own side and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState, SharedState, encode_shared
from adapters.contract.learning import learn
from adapters.contract.method import Learner
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, FeatureError, InputError, SettingsError
from adapters.methods import METHODS
from adapters.methods.dmc.calibration import composed
from adapters.methods.dmc.class_statistics import ClassReplay, ClassStatistics
from adapters.methods.dmc.image_change import changed_features, image_change
from adapters.methods.dmc.record import statistics_of
from adapters.methods.dmc.settings import WITH_MAPS, DmcOtSettings, DmcSettings
from adapters.methods.dmc.shared_state import DmcState
from adapters.methods.dmc.training import DmcTraining
from adapters.parts.statistics import class_means
from tests.adapters.methods.dmc.scene import clip, given, learnt, tower
from tests.adapters.synthetic import unit_rows
from tests.support.scenes.vision import SCALE

KINDS = ("tower", "feature")


def training(inputs: TrainingInputs) -> DmcTraining:
    settings = DmcOtSettings.from_mapping(inputs.settings)
    return DmcTraining(inputs, settings=settings, by="dmc_ot")


def pixels(inputs: TrainingInputs) -> Tensor:
    assert inputs.images.pixels is not None
    return inputs.images.pixels(range(len(inputs.task.labels)))


def read(state: AdapterState, inputs: TrainingInputs) -> Tensor:
    """Return the features of a task's images as a version compares them, (N, P, D)."""
    adapter = Adapter(state.records, shared=state.shared)
    features = adapter.image_tower(tower()).features(pixels(inputs))
    paths = features[:, None] if features.ndim == 2 else features
    return METHODS["dmc_ot"].scorer(state).paths(paths)


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_first_step_features_are_the_bare_towers(kind: str) -> None:
    inputs = given("first", adapter=kind)
    state = learnt("first", adapter=kind, image_epochs=0)
    bare = tower().features(pixels(inputs))
    torch.testing.assert_close(read(state, inputs)[:, 0], bare, atol=1e-5, rtol=0)
    trained = learnt("first", adapter=kind)
    assert not torch.allclose(read(trained, inputs)[:, 0], bare, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_phase_moves_the_image_side_alone_and_the_second_the_prompts_alone(
    kind: str,
) -> None:
    ours = training(given("first", adapter=kind))
    weights = {name: each.clone() for name, each in clip().state_dict().items()}

    def sides() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        image = {name: each.detach().clone() for name, each in ours._image.parameters.items()}
        assert ours._prompted is not None
        prompts = {n: each.detach().clone() for n, each in ours._prompted[1].trained.items()}
        return image, prompts

    image, prompts = sides()
    for step in range(ours._ends[0]):
        ours.advance(step)
    moved, same = sides()
    assert not equal(image, moved)
    assert equal(prompts, same)
    for step in range(ours._ends[0], ours.total_steps):
        ours.advance(step)
    still, later = sides()
    assert equal(moved, still)
    assert not equal(prompts, later)
    assert equal(weights, clip().state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(each, other[name]) for name, each in one.items())


def test_replay_has_no_gradient_on_a_change_of_the_tower_and_has_one_on_a_matrix() -> None:
    statistics = ClassStatistics.measured(
        unit_rows(12, 24, seed=1), torch.arange(12) % 3, kind="pooled", shrinkage=0.1
    )
    points, labels = ClassReplay([statistics]).draw(8, generator=torch.Generator().manual_seed(1))
    text = unit_rows(3, 24, seed=2)
    inputs = given("first", adapter="tower")
    change = image_change(inputs, DmcSettings.from_mapping(inputs.settings), by="dmc")
    parameters = {
        name: each.requires_grad_()
        for name, each in change.fresh(torch.Generator().manual_seed(1)).items()
    }
    loss = torch.nn.functional.cross_entropy(SCALE * points @ text.t(), labels)
    assert not loss.requires_grad
    assert all(each.grad is None for each in parameters.values())
    matrix = torch.zeros(24, 24, requires_grad=True)
    through = changed_features(points, matrix)
    torch.nn.functional.cross_entropy(SCALE * through @ text.t(), labels).backward()  # type: ignore[no-untyped-call]
    assert matrix.grad is not None and bool(matrix.grad.any())


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_task_stays_nearer_to_the_last_version_the_more_that_weighs(kind: str) -> None:
    past = learnt("first", adapter=kind)
    inputs = given("second")

    def moved(weight: float) -> float:
        state = learnt("second", past=past, adapter=kind, distillation=weight)
        return float((read(state, inputs) - read(past, inputs)).norm())

    assert moved(100.0) < moved(0.0) / 1.5


def test_the_image_change_is_carried_from_task_to_task() -> None:
    past = learnt("first")
    before = DmcState.of(past).change
    stood = DmcState.of(learnt("second", past=past, image_epochs=0)).change
    assert equal(dict(before), dict(stood))
    assert set(before) == {"down", "up"}


def test_the_published_towers_change_has_as_many_numbers_as_the_specification_says() -> None:
    # ViT-B/16: 12 blocks of width 768, two projections each, rank 8.
    inputs = given("first")
    change = image_change(inputs, DmcSettings(rank=8), by="dmc")
    fresh = change.fresh(torch.Generator().manual_seed(1))
    blocks, width = 4, 64
    assert sum(each.numel() for each in fresh.values()) == blocks * 2 * 2 * 8 * width
    assert 12 * 2 * 2 * 8 * 768 == 294_912


def text_of(state: AdapterState) -> list[Tensor]:
    scorer = METHODS[state.records[0].method].scorer(state)
    return [scorer.anchors(place) for place in range(len(state.records))]


def test_prompts_of_old_tasks_stay_bit_for_bit_in_dmc_ot_and_move_in_dmc() -> None:
    for method, stays in (("dmc_ot", True), ("dmc", False)):
        past = learnt("first", method=method)
        later = learnt("second", method=method, past=past)
        assert torch.equal(text_of(past)[0], text_of(later)[0]) is stays, method


def test_half_of_the_augmented_context_is_trained_in_the_first_task_alone() -> None:
    past = learnt("first")
    later = learnt("second", past=past)
    one, other = (DmcState.of(each).context for each in (past, later))
    assert one is not None and other is not None and torch.equal(one, other)
    own = [record.tensors["own_context"] for record in later.records]
    assert own[0].shape == (2, 32)
    assert not torch.equal(own[0], own[1])


def test_what_was_measured_stays_in_the_records_and_maps_are_kept_beside() -> None:
    past = learnt("first")
    later = learnt("second", "third", past=past)
    assert encode_record(past.records[0]) == encode_record(later.records[0])
    assert [int(each.tensors["maps_before"]) for each in later.records] == [0, 1, 2]
    assert len(DmcState.of(past).chain) == 0
    chain = DmcState.of(later).chain
    assert len(chain) == 2
    oldest, middle, newest = later.records
    expected = statistics_of(oldest, ()).mapped(composed(chain, width=24))
    torch.testing.assert_close(statistics_of(oldest, chain).means, expected.means)
    torch.testing.assert_close(
        statistics_of(middle, chain).means, chain[1](middle.tensors["means"].double())
    )
    assert torch.equal(statistics_of(newest, chain).means.float(), newest.tensors["means"])


def test_after_a_rollback_the_chain_of_the_new_parent_counts() -> None:
    past = learnt("first")
    abandoned, taken = learnt("second", past=past), learnt("third", past=past)
    one, other = DmcState.of(abandoned).chain, DmcState.of(taken).chain
    assert len(one) == len(other) == 1
    assert not torch.allclose(one[0].matrix, other[0].matrix)


def test_dropping_a_task_leaves_the_maps_that_its_learning_has_made() -> None:
    whole = learnt("first", "second", "third")
    first, _, third = whole.records
    dropped = AdapterState(records=(first, third), shared=whole.shared)
    later = learnt("fourth", past=dropped)
    chain = DmcState.of(later).chain
    assert [int(each.tensors["maps_before"]) for each in later.records] == [0, 2, 3]
    expected = composed(chain, width=24)(first.tensors["means"].double())
    torch.testing.assert_close(statistics_of(first, chain).means, expected)


def test_a_record_of_another_history_is_refused() -> None:
    later = learnt("first", "second")
    with pytest.raises(CorruptionError, match="different histories"):
        statistics_of(later.records[1], ())
    with pytest.raises(CorruptionError, match="expected a shared state"):
        Adapter(later.records)
    assert later.shared is not None
    tensors = {name: each for name, each in later.shared.tensors.items() if "down" not in name}
    torn = SharedState(method="dmc_ot", encoder="small", tensors=tensors)
    with pytest.raises(CorruptionError, match="down"):
        Adapter(later.records, shared=torn).image_tower(tower())


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        # what no training of either kind leaves
        ("tower", {"change/down": None}),
        ("tower", {"change/up": torch.zeros(4, 2, 2, 64)}),
        ("tower", {"change/matrix": torch.zeros(24, 24)}),
        ("tower", {"map_offsets": torch.zeros(2, 24)}),
        ("tower", {"map_offsets": None}),
        ("tower", {"context": torch.zeros(4)}),
        ("feature", {"change/matrix": torch.zeros(24, 23)}),
        ("feature", {"change/matrix": torch.zeros(23, 23)}),
        ("feature", {"text/first": torch.zeros(3, 23)}),
    ],
)
def test_a_shared_state_whose_tensors_do_not_fit_each_other_is_found(
    kind: str, changes: Mapping[str, Tensor | None]
) -> None:
    shared = learnt("first", "second", method="dmc", adapter=kind, calibrate="transport").shared
    assert shared is not None
    METHODS["dmc"].check_shared(shared)
    tensors = {**shared.tensors, **changes}
    kept = {name: each for name, each in tensors.items() if each is not None}
    broken = SharedState(method="dmc", encoder="small", tensors=kept)
    with pytest.raises(CorruptionError, match="shared state of DMC"):
        METHODS["dmc"].check_shared(broken)


@pytest.mark.parametrize("calibrate", [*WITH_MAPS, "none"])
def test_statistics_of_bare_features_are_exact_and_every_calibration_has_an_error(
    calibrate: str,
) -> None:
    """What old classes' features are now can be computed again: their images are known here."""
    first = given("first", adapter="feature")
    many: dict[str, Any] = {"adapter": "feature", "image_epochs": 20, "distillation": 0.0}
    exact = learnt("first", "second", calibrate="exact", **many)
    matrix = DmcState.of(exact).change["matrix"]
    points = first.task.features[:, 0]
    assert len(DmcState.of(exact).chain) == 0
    kept = statistics_of(exact.records[0], ())
    torch.testing.assert_close(kept.means.float(), class_means(first.task))
    moved = learnt("first", "second", calibrate=calibrate, **many)
    # Calibration takes no part in the image phase.
    assert torch.equal(DmcState.of(moved).change["matrix"], matrix)
    now = changed_features(points, matrix).view(3, 4, -1).mean(dim=1).double()
    found = statistics_of(moved.records[0], DmcState.of(moved).chain).means
    measured = statistics_of(moved.records[0], ()).means
    error, drift = float((found - now).norm()), float((measured - now).norm())
    assert drift > 1e-2
    assert error > 1e-3
    if calibrate == "none":
        assert error == pytest.approx(drift)


@pytest.mark.parametrize("method", ["dmc", "dmc_ot"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_step_and_resumed_record_and_shared_state_are_the_same_bytes(
    kind: str, method: str
) -> None:
    # Transport for both, so that the map is among what is kept.
    settings: dict[str, Any] = {
        "adapter": kind,
        "calibrate": "transport",
        "classes_per_step": 4,
    }
    past = learnt("first", method=method, **settings)
    inputs = given("second", past, **settings)
    expected = learn(METHODS[method], inputs)
    learner = METHODS[method].start(inputs)
    for _ in range(learner.total_steps):
        learner = resumed(learner, inputs, method)
        learner.step()
    found = resumed(learner, inputs, method).learnt()
    record = expected.records[-1].tensors
    assert found.tensors.keys() == record.keys()
    assert all(torch.equal(each, record[name]) for name, each in found.tensors.items())
    assert expected.shared is not None and found.shared is not None
    again = SharedState(method=method, encoder="small", tensors=found.shared)
    assert encode_shared(again) == encode_shared(expected.shared)


def resumed(learner: Learner, inputs: TrainingInputs, method: str) -> Learner:
    found = METHODS[method].resume(learner.checkpoint(), inputs)
    assert found.steps_done == learner.steps_done
    return found


def test_a_checkpoint_between_the_phases_holds_what_the_next_one_needs_and_no_more() -> None:
    past = learnt("first")
    ours = training(given("second", past))
    kept = []
    for step in range(ours.total_steps):
        ours.advance(step)
        kept.append({name.split("/")[0] for name in ours.state()})
    trained, measured = ours._ends
    assert kept[trained - 1] == {"image"}
    assert kept[measured - 1] == {"image", "measured"}
    assert kept[measured] == {"image", "measured", "found", "prompts"}
    assert "measured/before" not in ours.state()
    assert {name for name in ours.state() if name.startswith("image/")} == {
        "image/parameter/down",
        "image/parameter/up",
    }


def test_a_checkpoint_of_another_version_is_refused() -> None:
    past = learnt("first")
    learner = METHODS["dmc_ot"].start(given("second", past))
    other = learnt("first", image_epochs=1)
    with pytest.raises(InputError, match="start the training afresh"):
        METHODS["dmc_ot"].resume(learner.checkpoint(), given("second", other))


def test_a_learner_can_be_asked_at_any_time() -> None:
    found = METHODS["dmc_ot"].start(given("first")).learnt()
    assert found.tensors["means"].shape == (3, 24)
    assert found.shared is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calibrate", ["none", *WITH_MAPS])
def test_a_training_that_diverges_is_told_before_anything_is_made_of_its_features(
    kind: str, calibrate: str
) -> None:
    chosen: dict[str, Any] = {"adapter": kind, "calibrate": calibrate}
    past = learnt("first", **chosen)
    ours = training(given("second", past, **chosen, image_learning_rate=3e38))
    trained, measured = ours._ends
    with pytest.raises(FeatureError, match=r"the training has diverged.*lower learning rate"):
        for step in range(ours.total_steps):
            ours.advance(step)
    assert trained < measured
    assert "found/means" not in ours.state()


def test_images_are_needed_for_a_tower_and_a_tokenizer_for_prompts() -> None:
    inputs = given("first")
    bare = TrainingInputs(task=inputs.task, text=inputs.text, settings=inputs.settings)
    with pytest.raises(SettingsError, match="trains the image tower"):
        METHODS["dmc"].start(bare)
    text = type(inputs.text)(features=inputs.text.features, logit_scale=SCALE)
    cached = TrainingInputs(task=inputs.task, text=text, settings={"adapter": "feature"})
    with pytest.raises(SettingsError, match="prompts 'none'"):
        METHODS["dmc"].start(cached)


WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "exact in a tower": ({"calibrate": "exact"}, "adapter 'feature'"),
    "an odd context of two halves": ({"context": 5, "prompts": "augmented"}, "even number"),
    "too much shrinkage": ({"shrinkage": 1.5}, "from 0 to 1"),
    "another adapter": ({"adapter": "head"}, "tower | feature"),
    "no rank": ({"rank": 0}, "at least 1"),
    "a key that is not there": ({"calibration": "none"}, "did you mean 'calibrate'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_settings_are_refused(what: str) -> None:
    settings, sentence = WRONG[what]
    with pytest.raises(SettingsError, match=sentence.replace("|", r"\|")):
        METHODS["dmc_ot"].check_settings(settings)


def test_a_phase_takes_ten_passes_and_more_where_that_is_little() -> None:
    settings = DmcSettings(batch_size=64)
    assert settings.phase_steps(3, images=130) == 9
    assert settings.phase_steps(None, images=64 * 40) == 400
    assert settings.phase_steps(None, images=64 * 5) == 250
    assert settings.phase_steps(None, images=64) == 100
    assert DmcSettings(adapter="feature").image_rate > settings.image_rate
    assert DmcSettings(image_learning_rate=0.5).image_rate == 0.5


def test_tasks_that_are_scored_together_share_what_that_depends_on() -> None:
    past = learnt("first")
    with pytest.raises(SettingsError, match="'calibrate': expected 'transport'"):
        learnt("second", past=past, calibrate="paired")
