"""Conformance suite of methods: what every one must do; inherit the suite once per method."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from adapters.adapter import Adapter
from adapters.calibration import learn_calibrated
from adapters.contract import learning
from adapters.contract.adapter_state import (
    AdapterState,
    SharedState,
    decode_shared,
    encode_shared,
)
from adapters.contract.learning import class_mixtures
from adapters.contract.method import Learner, Method
from adapters.contract.records import decode_record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import ClassNameError, EncoderMismatchError, FeatureError
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters
from tests.support.scenes.training import inputs

LEARNT_FROM_IMAGES = frozenset({"cl_lora"})
"""Methods that no cached features are enough for; `tests/adapters/methods` has their own suites."""


NOTHING = AdapterState()


def newest(state: AdapterState) -> tuple[bytes, bytes | None]:
    """Return the bytes of the newest record and of the shared state."""
    return encode_record(state.records[-1]), encode_shared(state.shared) if state.shared else None


class MethodSuite:
    """Shared suite: subclasses give `method` and `settings`."""

    method: ClassVar[Method]
    settings: ClassVar[Mapping[str, Any]]

    def after(self, past: AdapterState, task: TaskFeatures, *, seed: int = 5) -> AdapterState:
        return learning.learn(self.method, self.inputs(task, past, seed=seed))

    def inputs(self, task: TaskFeatures, past: AdapterState, *, seed: int = 5) -> TrainingInputs:
        text = class_means(task)
        given = inputs(task, past.records, text=text, settings=self.settings, seed=seed)
        return replace(given, past=past)

    def sequence(self) -> tuple[TaskFeatures, TaskFeatures]:
        return clusters("first", seed=1), clusters("second", classes=3, images=7, seed=2)

    def adapter(self, state: AdapterState) -> Adapter:
        return Adapter(state.records, shared=state.shared, method=self.method)

    def scores(self, state: AdapterState, task: TaskFeatures) -> torch.Tensor:
        images = task.features[:, 0]
        return self.adapter(state).score(images, encoder=ENCODER, logit_scale=SCALE).values

    def finished(self, learner: Learner, task: TaskFeatures, *, seed: int = 5) -> AdapterState:
        """Return the record that a learner ends with, and the shared state."""
        while learner.steps_done < learner.total_steps:
            learner.step()
        learnt = learner.learnt()
        components = self.method.mixture_components(self.settings)
        mixtures = class_mixtures(task, components=components, seed=seed)
        record = self.method.record(task, learnt, mixtures, settings=self.settings, seed=seed)
        shared = learnt.shared and SharedState(
            method=self.method.name, encoder=task.encoder, tensors=learnt.shared
        )
        return AdapterState(records=(record,), shared=shared or None)

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        first, second = self.sequence()
        past = self.after(NOTHING, first)
        assert newest(self.after(past, second)) == newest(self.after(past, second))

    def test_the_global_random_state_neither_matters_nor_changes(self) -> None:
        first, _ = self.sequence()
        expected = newest(self.after(NOTHING, first))
        torch.manual_seed(99)
        before = torch.get_rng_state()
        assert newest(self.after(NOTHING, first)) == expected
        assert torch.equal(torch.get_rng_state(), before)

    def test_old_records_stay_untouched_byte_for_byte(self) -> None:
        first, second = self.sequence()
        past = self.after(NOTHING, first)
        before = newest(past)
        later = self.after(past, second)
        assert newest(past) == before
        assert encode_record(later.records[0]) == before[0]

    def test_class_order_within_a_task_does_not_matter(self) -> None:
        first, second = self.sequence()
        past, order = self.after(NOTHING, first), torch.tensor([2, 0, 1])
        shuffled = replace(
            second,
            classes=tuple(second.classes[index] for index in order.tolist()),
            labels=order.argsort()[second.labels],
        )
        plain = self.scores(self.after(past, second), second)
        permuted = self.scores(self.after(past, shuffled), second)
        known = len(first.classes)
        # Products round differently where a column moves; training carries that on.
        torch.testing.assert_close(
            permuted[:, known:], plain[:, known:][:, order], rtol=1e-3, atol=1e-3
        )
        torch.testing.assert_close(permuted[:, :known], plain[:, :known], rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("stopped_after", [0, 1, 3, 7])
    def test_a_resumed_training_ends_bit_identical(self, stopped_after: int) -> None:
        first, second = self.sequence()
        past = self.after(NOTHING, first)
        learner = self.method.start(self.inputs(second, past))
        for _ in range(min(stopped_after, learner.total_steps)):
            learner.step()
        # Settings and seed are the checkpoint's.
        unsaid = replace(self.inputs(second, past, seed=0), settings={})
        resumed = self.method.resume(learner.checkpoint(), unsaid)
        assert resumed.steps_done == learner.steps_done
        assert newest(self.finished(resumed, second)) == newest(self.after(past, second))

    def test_a_stored_version_scores_like_the_one_in_memory(self) -> None:
        first, _ = self.sequence()
        state = self.after(NOTHING, first)
        record, shared = newest(state)
        stored = AdapterState(
            records=(decode_record(record),), shared=decode_shared(shared) if shared else None
        )
        assert torch.equal(self.scores(stored, first), self.scores(state, first))
        if stored.shared is not None:
            self.method.check_shared(stored.shared)

    def test_scores_are_finite_float32_on_the_cpu_and_mostly_right(self) -> None:
        first, second = self.sequence()
        scores = self.scores(self.after(self.after(NOTHING, first), second), second)
        assert scores.dtype == torch.float32 and scores.device.type == "cpu"
        assert torch.isfinite(scores).all()
        expected = second.labels + len(first.classes)
        assert (scores.argmax(dim=1) == expected).float().mean() > 0.9

    def test_an_extended_adapter_equals_one_built_at_once(self) -> None:
        first, second = self.sequence()
        state = self.after(self.after(NOTHING, first), second)
        images = second.features[:, 0]
        beginning = AdapterState(records=state.records[:1], shared=state.shared)
        grown = self.adapter(beginning).extended(state.records[1])
        values = grown.score(images, encoder=ENCODER, logit_scale=SCALE).values
        assert torch.equal(values, self.scores(state, second))

    def test_scores_stay_bit_for_bit_where_the_method_says_so(self) -> None:
        """Alone, beside later records, and asked for without the others."""
        if not self.method.scores_stay:
            pytest.skip("later records may change what earlier ones score")
        tasks = (*self.sequence(), clusters("third", classes=2, images=5, seed=4))
        state = NOTHING
        for task in tasks:
            state = self.after(state, task)
        assert state.shared is None
        whole, images = self.adapter(state), tasks[0].features[:, 0]
        values = whole.score(images, encoder=ENCODER, logit_scale=SCALE).values
        start = 0
        for count, task in enumerate(tasks, 1):
            end = start + len(task.classes)
            earlier = self.adapter(AdapterState(records=state.records[:count]))
            assert earlier.fingerprint == whole.fingerprint
            alone = whole.score(images, encoder=ENCODER, logit_scale=SCALE, tasks=[task.task])
            assert torch.equal(alone.values, values[:, start:end])
            before = earlier.score(images, encoder=ENCODER, logit_scale=SCALE)
            assert torch.equal(before.values, values[:, :end])
            start = end

    def test_a_task_of_one_image_per_class_is_learnt(self) -> None:
        few = clusters("few", classes=3, images=1, seed=3)
        scores = self.scores(self.after(NOTHING, few), few)
        assert torch.isfinite(scores).all()

    def test_what_is_measured_of_a_task_changes_neither_scores_nor_answers(self) -> None:
        first, second = self.sequence()
        plain, warm = NOTHING, NOTHING
        for task in (first, second):
            plain = self.after(plain, task)
            warm = learn_calibrated(self.method, self.inputs(task, warm))
        given = [record.temperature is not None for record in warm.records]
        assert given == [self.method.tempered] * 2
        given = [record.thresholds is not None for record in warm.records]
        assert given == [self.method.rejects] * 2
        bare = [replace(each, temperature=None, thresholds=None) for each in warm.records]
        cold = [encode_record(record) for record in bare]
        assert cold == [encode_record(record) for record in plain.records]
        scores = self.adapter(warm).score(second.features[:, 0], encoder=ENCODER, logit_scale=SCALE)
        assert torch.equal(scores.values, self.scores(plain, second))
        assert torch.equal(scores.probabilities.argmax(dim=1), scores.winners)

    def test_another_encoders_task_is_refused(self) -> None:
        first, second = self.sequence()
        with pytest.raises(EncoderMismatchError, match="elsewhere"):
            self.after(self.after(NOTHING, first), replace(second, encoder="elsewhere"))

    def test_an_existing_class_id_is_refused(self) -> None:
        first, second = self.sequence()
        taken = replace(second, classes=(*second.classes[:2], first.classes[0]))
        with pytest.raises(ClassNameError, match="exists already"):
            self.after(self.after(NOTHING, first), taken)

    def test_features_of_another_width_are_refused(self) -> None:
        first, _ = self.sequence()
        with pytest.raises(FeatureError, match="width"):
            self.after(self.after(NOTHING, first), clusters("second", width=16))
