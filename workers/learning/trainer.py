"""Training worker: learns one task on top of a version, resuming what an earlier attempt began."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from safetensors.torch import save

from adapters.calibration import Trial, temperature_before
from adapters.contract.adapter_state import AdapterState, SharedState, encode_shared
from adapters.contract.method import Learner, Learnt, Method
from adapters.contract.records import apart
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, InputError, NotFoundError
from adapters.methods import method_named
from adapters.towers.image_side import ImageSide
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from workers.encoding.encoder import Encoder
from workers.encoding.shard_pixels import ShardPixels
from workers.encoding.task_features import class_entries, training_features
from workers.learning.crew import Assignment
from workers.learning.handover import (
    checkpoint_key,
    hand_over,
    handover_key,
    is_handed_over,
    take_over,
    trial_key,
)
from workers.learning.temperature import hand_over_temperature
from workers.metrics.families import TRAINING_STEPS
from workers.metrics.meter import UNREAD, Meter
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission
from workers.traces.spans import span

CHECKPOINT_EVERY = 200
REPORT_EVERY = 10
logger = logging.getLogger("nacre.trainer")


class Trainer:
    """Learns tasks with one method each, on one device.

    Args:
        encoder: The encoder.
        store: The object store.
        versions: Of the same store.
        checkpoint_every: Steps from one checkpoint to the next.
        meter: Counts steps.
    """

    # Owns: the cache of decoded records inside `versions`; everything else is frozen.

    def __init__(
        self,
        encoder: Encoder,
        store: ObjectStore,
        versions: Versions,
        *,
        checkpoint_every: int = CHECKPOINT_EVERY,
        meter: Meter = UNREAD,
    ) -> None:
        self._checkpoint_every = checkpoint_every
        self._meter = meter
        self._encoder = encoder
        self._store = store
        self._versions = versions
        self._tower = TextTower(encoder.model)

    def train(self, assignment: Assignment) -> Iterator[tuple[int, int]]:
        """Learn a task and hand over what was learnt; yield steps done and steps in all.

        It may be left between any two of them, and goes on from its last checkpoint another time.

        Raises:
            EncoderMismatchError: the adapter was learnt with another encoder.
            ClassNameError: the adapter has a task of this name already.
            SettingsError: the adapter was learnt by another method.
        """
        method, submission_id = method_named(assignment.method), assignment.submission.submission_id
        is_learnt = self._is_done(assignment, "learnt")
        if is_learnt and (not method.tempered or self._is_done(assignment, "fitted")):
            logger.info("learnt before, and handed over")
            yield 1, 1
            return
        began = time.monotonic()
        with span("read features"):
            inputs = self._inputs(assignment)
        learner = self._begun(method, inputs, checkpoint_key(submission_id))
        trial, trying = Trial.of(method, inputs), None
        if trial is not None:
            trying = self._begun(method, trial.inputs, trial_key(submission_id))
        logger.info(
            "learns on version %d with %s on %s, from step %d of %d",
            assignment.parent,
            assignment.method,
            self._encoder.device,
            learner.steps_done,
            learner.total_steps,
        )
        first = learner.total_steps
        total = first + (trying.total_steps if trying else 0)
        if is_learnt:
            yield first + (trying.steps_done if trying else 0), total
        else:
            yield learner.steps_done, total
            for done in self._steps(learner, checkpoint_key(submission_id), method.name):
                yield done, total
            self._hand_over(assignment, learner.learnt())
        logger.info("learnt in %.1f s", time.monotonic() - began)
        if not method.tempered:
            return
        found = None
        if trial is not None and trying is not None:
            for done in self._steps(trying, trial_key(submission_id), method.name):
                yield first + done, total
            found = trial.temperature(method, trying.learnt())
        if found is None:
            found = temperature_before(inputs.past.records)
        hand_over_temperature(self._store, assignment, found)

    def _is_done(self, assignment: Assignment, stage: str) -> bool:
        key = handover_key(assignment.submission.submission_id, assignment.parent, stage)
        return is_handed_over(self._store, key)

    def _begun(self, method: Method, inputs: TrainingInputs, key: str) -> Learner:
        """Return the learner of `inputs`, from the checkpoint under `key` where there is one."""
        try:
            return method.resume(take_over(self._store, key), inputs)
        except (NotFoundError, InputError, CorruptionError):
            # None, or of another parent: begin anew.
            return method.start(inputs)

    def _steps(self, learner: Learner, key: str, name: str) -> Iterator[int]:
        """Take all steps that are left, and yield how many are done every few of them."""
        while learner.steps_done < learner.total_steps:
            before = learner.steps_done
            learner.step()
            done = learner.steps_done
            self._meter.count(TRAINING_STEPS, name, by=done - before)
            if done % self._checkpoint_every == 0:
                hand_over(self._store, key, learner.checkpoint())
                logger.info("checkpoint after step %d", done)
            if done % REPORT_EVERY == 0 or done == learner.total_steps:
                yield done

    def _hand_over(self, assignment: Assignment, learnt: Learnt) -> None:
        submission, parent = assignment.submission, assignment.parent
        if learnt.shared is not None:  # first: what is learnt says that all of it is there
            shared = SharedState(
                method=assignment.method,
                encoder=self._encoder.fingerprint,
                tensors=learnt.shared,
            )
            key = handover_key(submission.submission_id, parent, "shared")
            hand_over(self._store, key, encode_shared(shared))
        key = handover_key(submission.submission_id, parent, "learnt")
        hand_over(self._store, key, save(apart(learnt.tensors)))

    def _inputs(self, assignment: Assignment) -> TrainingInputs:
        submission, encoder = assignment.submission, self._encoder
        pixels = ShardPixels(self._store, submission, encoder.transform)
        return TrainingInputs(
            task=self._features(assignment),
            past=self._past(submission, assignment.parent),
            text=self._text_side(submission),
            images=ImageSide(tower=encoder.image_tower, pixels=pixels),
            settings=submission.all_settings,
            seed=submission.seed,
            device=encoder.device,
        )

    def _past(self, submission: Submission, parent: int) -> AdapterState:
        state = self._versions.state(submission.adapter, parent)
        kept = tuple(record for record in state.records if record.task != submission.replaces)
        # Where no task is kept a shared state begins anew, as the lineages have it.
        return replace(state, records=kept, shared=state.shared if kept else None)

    def _features(self, assignment: Assignment) -> TaskFeatures:
        return training_features(
            self._store,
            assignment.submission,
            method=assignment.method,
            fingerprint=self._encoder.fingerprint,
        )

    def _text_side(self, submission: Submission) -> TextSide:
        prompts = [entry.prompt for entry in class_entries(submission)]
        return TextSide(
            features=self._encoder.text_features(prompts),
            logit_scale=self._encoder.logit_scale,
            tower=self._tower,
            tokens=self._encoder.tokenizer(prompts),
            tokenizer=self._encoder.tokenizer,
        )
