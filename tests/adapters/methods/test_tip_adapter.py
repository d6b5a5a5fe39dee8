"""Tip-Adapter's cache, and how its weights are chosen."""

import pytest
import torch

from adapters.adapter import Adapter
from adapters.contract.records import Record
from adapters.errors import SettingsError
from adapters.methods import METHODS
from adapters.methods.tip_adapter.method import PAIRS, TipAdapterSettings, Weights, chosen_weights
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import inputs, learn


def record_of(name: str, **settings: object) -> Record:
    task = clusters(classes=3, images=8)
    return learn(METHODS[name], task, [], text=class_means(task), settings=settings, seed=1)


def scores_of(*records: Record) -> torch.Tensor:
    images = unit_rows(30, 24, seed=5)
    return Adapter(records).score(images, encoder=ENCODER, logit_scale=SCALE).values


def test_with_weights_of_one_it_is_lada_before_training() -> None:
    lada = record_of("lada", text="none", steps=0)
    torch.testing.assert_close(
        scores_of(record_of("tip_adapter", alpha=1, beta=1)), scores_of(lada)
    )


def test_trained_for_no_pass_the_keys_are_the_cache() -> None:
    cached = scores_of(record_of("tip_adapter", alpha=1, beta=2))
    torch.testing.assert_close(
        scores_of(record_of("tip_adapter_f", alpha=1, beta=2, epochs=0)), cached
    )


def test_training_moves_the_keys_and_lowers_the_loss() -> None:
    task = clusters(classes=3, images=8)
    learner = METHODS["tip_adapter_f"].start(
        inputs(task, [], text=class_means(task), settings={"fusion": "alone", "epochs": 50}, seed=1)
    )
    before = learner.learnt().tensors["keys"]
    losses = [learner.step() for _ in range(learner.total_steps)]
    assert losses[-1] < losses[0]
    assert not torch.equal(learner.learnt().tensors["keys"], before)


def test_a_class_with_more_images_keeps_their_centres() -> None:
    record = record_of("tip_adapter", keys_per_class=3)
    assert record.tensors["keys"].shape == (9, 24)
    assert record.tensors["key_offsets"].tolist() == [0, 3, 6, 9]


def test_the_pair_that_costs_least_over_all_tasks_is_taken_and_ties_go_to_the_usual_one() -> None:
    flat = torch.ones(len(PAIRS))
    assert chosen_weights([flat, flat]) == Weights(1.0, 1.0)
    first, second = flat.clone(), flat.clone()
    first[7], second[7], first[9] = 0.2, 0.4, 0.0
    assert chosen_weights([first, second]) == PAIRS[7]
    assert chosen_weights([first]) == PAIRS[9]
    assert chosen_weights([first], alpha=2, beta=3) == Weights(2, 3)


def test_with_weights_that_are_set_old_scores_do_not_move_when_tasks_follow() -> None:
    first, second = clusters("first", seed=1), clusters("second", classes=3, images=7, seed=2)
    method, records = METHODS["tip_adapter_f"], list[Record]()
    for task in (first, second):
        text, settings = class_means(task), {"epochs": 2, "alpha": 1.0, "beta": 2.0}
        records.append(learn(method, task, records, text=text, settings=settings, seed=1))
    assert torch.equal(scores_of(*records)[:, :4], scores_of(records[0]))


@pytest.mark.parametrize("values", [{"alpha": 1.0}, {"beta": 1.0}, {"keys_per_class": 0}])
def test_impossible_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        TipAdapterSettings.from_mapping(values)
