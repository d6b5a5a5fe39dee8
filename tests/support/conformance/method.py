"""Conformance suite of methods: what every one must do; inherit the suite once per method."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from adapters.adapter import Adapter
from adapters.contract.learning import class_mixtures
from adapters.contract.method import Learner, Method
from adapters.contract.records import Record, decode_record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import ClassNameError, EncoderMismatchError, FeatureError
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters
from tests.support.scenes.training import inputs, learn

LEARNT_FROM_IMAGES = frozenset({"cl_lora"})
"""Methods that no cached features are enough for; `tests/adapters/methods` has their own suites."""


class MethodSuite:
    """Shared suite: subclasses give `method` and `settings`."""

    method: ClassVar[Method]
    settings: ClassVar[Mapping[str, Any]]

    def learn(self, task: TaskFeatures, past: Sequence[Record] = (), *, seed: int = 5) -> Record:
        return learn(
            self.method, task, past, text=class_means(task), settings=self.settings, seed=seed
        )

    def sequence(self) -> tuple[TaskFeatures, TaskFeatures]:
        return clusters("first", seed=1), clusters("second", classes=3, images=7, seed=2)

    def scores(self, records: Sequence[Record], task: TaskFeatures) -> torch.Tensor:
        adapter = Adapter(records, method=self.method)
        return adapter.score(task.features[:, 0], encoder=ENCODER, logit_scale=SCALE).values

    def finished(self, learner: Learner, task: TaskFeatures, *, seed: int = 5) -> Record:
        while learner.steps_done < learner.total_steps:
            learner.step()
        components = self.method.mixture_components(self.settings)
        mixtures = class_mixtures(task, components=components, seed=seed)
        return self.method.record(
            task, learner.learnt(), mixtures, settings=self.settings, seed=seed
        )

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        first, second = self.sequence()
        past = [self.learn(first)]
        assert encode_record(self.learn(second, past)) == encode_record(self.learn(second, past))

    def test_the_global_random_state_neither_matters_nor_changes(self) -> None:
        first, _ = self.sequence()
        expected = encode_record(self.learn(first))
        torch.manual_seed(99)
        before = torch.get_rng_state()
        assert encode_record(self.learn(first)) == expected
        assert torch.equal(torch.get_rng_state(), before)

    def test_old_records_stay_untouched_byte_for_byte(self) -> None:
        first, second = self.sequence()
        past = [self.learn(first)]
        before = encode_record(past[0])
        self.learn(second, past)
        assert encode_record(past[0]) == before

    def test_class_order_within_a_task_does_not_matter(self) -> None:
        first, second = self.sequence()
        past, order = [self.learn(first)], torch.tensor([2, 0, 1])
        shuffled = replace(
            second,
            classes=tuple(second.classes[index] for index in order.tolist()),
            labels=order.argsort()[second.labels],
        )
        plain = self.scores([*past, self.learn(second, past)], second)
        permuted = self.scores([*past, self.learn(shuffled, past)], second)
        known = len(first.classes)
        # Products round differently where a column moves; training carries that on.
        torch.testing.assert_close(
            permuted[:, known:], plain[:, known:][:, order], rtol=1e-3, atol=1e-3
        )
        torch.testing.assert_close(permuted[:, :known], plain[:, :known], rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("stopped_after", [0, 1, 3, 7])
    def test_a_resumed_training_ends_bit_identical(self, stopped_after: int) -> None:
        first, second = self.sequence()
        past, text = [self.learn(first)], class_means(second)
        learner = self.method.start(inputs(second, past, text=text, settings=self.settings, seed=5))
        for _ in range(min(stopped_after, learner.total_steps)):
            learner.step()
        resumed = self.method.resume(learner.checkpoint(), inputs(second, past, text=text))
        assert resumed.steps_done == learner.steps_done
        undisturbed = encode_record(self.learn(second, past))
        assert encode_record(self.finished(resumed, second)) == undisturbed

    def test_a_stored_record_scores_like_the_one_in_memory(self) -> None:
        first, _ = self.sequence()
        record = self.learn(first)
        stored = decode_record(encode_record(record))
        assert torch.equal(self.scores([stored], first), self.scores([record], first))

    def test_scores_are_finite_float32_on_the_cpu_and_mostly_right(self) -> None:
        first, second = self.sequence()
        past = [self.learn(first)]
        scores = self.scores([*past, self.learn(second, past)], second)
        assert scores.dtype == torch.float32 and scores.device.type == "cpu"
        assert torch.isfinite(scores).all()
        expected = second.labels + len(first.classes)
        assert (scores.argmax(dim=1) == expected).float().mean() > 0.9

    def test_an_extended_adapter_equals_one_built_at_once(self) -> None:
        first, second = self.sequence()
        past = [self.learn(first)]
        record = self.learn(second, past)
        images = second.features[:, 0]
        grown = Adapter(past, method=self.method).extended(record)
        values = grown.score(images, encoder=ENCODER, logit_scale=SCALE).values
        assert torch.equal(values, self.scores([*past, record], second))

    def test_a_task_of_one_image_per_class_is_learnt(self) -> None:
        few = clusters("few", classes=3, images=1, seed=3)
        scores = self.scores([self.learn(few)], few)
        assert torch.isfinite(scores).all()

    def test_another_encoders_task_is_refused(self) -> None:
        first, second = self.sequence()
        with pytest.raises(EncoderMismatchError, match="elsewhere"):
            self.learn(replace(second, encoder="elsewhere"), [self.learn(first)])

    def test_an_existing_class_id_is_refused(self) -> None:
        first, second = self.sequence()
        taken = replace(second, classes=(*second.classes[:2], first.classes[0]))
        with pytest.raises(ClassNameError, match="exists already"):
            self.learn(taken, [self.learn(first)])

    def test_features_of_another_width_are_refused(self) -> None:
        first, _ = self.sequence()
        with pytest.raises(FeatureError, match="width"):
            self.learn(clusters("second", width=16), [self.learn(first)])
