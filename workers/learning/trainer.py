"""Training worker: learns one task on top of a version, resuming what an earlier attempt began."""

from collections.abc import Iterator
from dataclasses import replace

from safetensors.torch import save

from adapters.contract.adapter_state import AdapterState, SharedState, encode_shared
from adapters.contract.method import Learner, Learnt
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
)
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission

CHECKPOINT_EVERY = 200
REPORT_EVERY = 10


class Trainer:
    """Learns tasks with one method each, on one device.

    Args:
        encoder: The encoder.
        store: The object store.
        versions: Of the same store.
        checkpoint_every: Steps from one checkpoint to the next.
    """

    # Owns: the cache of decoded records inside `versions`; everything else is frozen.

    def __init__(
        self,
        encoder: Encoder,
        store: ObjectStore,
        versions: Versions,
        *,
        checkpoint_every: int = CHECKPOINT_EVERY,
    ) -> None:
        self._checkpoint_every = checkpoint_every
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
        submission = assignment.submission
        learnt = handover_key(submission.submission_id, assignment.parent, "learnt")
        if is_handed_over(self._store, learnt):
            yield 1, 1
            return
        learner = self._learner(assignment)
        yield learner.steps_done, learner.total_steps
        while learner.steps_done < learner.total_steps:
            learner.step()
            done = learner.steps_done
            if done % self._checkpoint_every == 0:
                key = checkpoint_key(submission.submission_id)
                hand_over(self._store, key, learner.checkpoint())
            if done % REPORT_EVERY == 0 or done == learner.total_steps:
                yield done, learner.total_steps
        self._hand_over(assignment, learner.learnt())

    def _learner(self, assignment: Assignment) -> Learner:
        method, inputs = method_named(assignment.method), self._inputs(assignment)
        key = checkpoint_key(assignment.submission.submission_id)
        try:
            return method.resume(take_over(self._store, key), inputs)
        except (NotFoundError, InputError, CorruptionError):
            # None, or of another parent: begin anew.
            return method.start(inputs)

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
        tensors = {name: tensor.contiguous() for name, tensor in learnt.tensors.items()}
        key = handover_key(submission.submission_id, parent, "learnt")
        hand_over(self._store, key, save(tensors))

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
