"""Training worker: learns one task on top of a version, resuming what an earlier attempt began."""

from collections.abc import Iterator, Sequence

from safetensors.torch import save

from adapters.contract.method import Learner
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import CorruptionError, InputError, NotFoundError
from adapters.methods import method_named
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from workers.encoding.encoder import Encoder
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
    """Learns tasks with one method each, on one device."""

    # Owns: the cache of decoded records inside `versions`; everything else is frozen.

    def __init__(self, encoder: Encoder, store: ObjectStore, versions: Versions) -> None:
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
            if done % CHECKPOINT_EVERY == 0:
                key = checkpoint_key(submission.submission_id)
                hand_over(self._store, key, learner.checkpoint())
            if done % REPORT_EVERY == 0 or done == learner.total_steps:
                yield done, learner.total_steps
        tensors = {name: tensor.contiguous() for name, tensor in learner.learnt().tensors.items()}
        hand_over(self._store, learnt, save(tensors))

    def _learner(self, assignment: Assignment) -> Learner:
        submission, method = assignment.submission, method_named(assignment.method)
        past = self._past(submission, assignment.parent)
        task = self._features(assignment)
        text, device = self._text_side(submission), self._encoder.device
        try:
            checkpoint = take_over(self._store, checkpoint_key(submission.submission_id))
            return method.resume(checkpoint, task, past, text=text, device=device)
        except (NotFoundError, InputError, CorruptionError):
            # None, or of another parent: begin anew.
            return method.start(
                task,
                past,
                text=text,
                settings=submission.settings,
                seed=submission.seed,
                device=device,
            )

    def _past(self, submission: Submission, parent: int) -> Sequence[Record]:
        records = self._versions.records(submission.adapter, parent) if parent else ()
        return [record for record in records if record.task != submission.replaces]

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
        )
