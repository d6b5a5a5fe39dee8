"""The trainer role: learns one task on top of `head`, resuming what an earlier attempt began."""

from collections.abc import Iterator, Sequence

from safetensors.torch import save

from adapters.errors import CorruptionError, InputError, NotFoundError
from adapters.method import Learner
from adapters.methods import method_named
from adapters.records import Record
from adapters.task_features import TaskFeatures
from adapters.text_side import TextSide
from adapters.text_tower import TextTower
from workers.encoder import Encoder
from workers.store.base import ObjectStore
from workers.submission import Submission
from workers.task_features import class_entries, training_features
from workers.versions import Versions
from workers.work import checkpoint_key, hand_over, handover_key

CHECKPOINT_EVERY = 200
REPORT_EVERY = 10


class Trainer:
    """Learns tasks with one method, on one device."""

    # Owns: the cache of decoded records inside `versions`; everything else is frozen.

    def __init__(self, encoder: Encoder, store: ObjectStore, versions: Versions) -> None:
        self._encoder = encoder
        self._store = store
        self._versions = versions
        self._tower = TextTower(encoder.model)

    def train(self, submission: Submission, method: str) -> Iterator[tuple[int, int]]:
        """Learn `submission` and hand over what was learnt; yield steps done and steps in all.

        Raises:
            EncoderMismatchError: the adapter was learnt with another encoder.
            ClassNameError: the adapter has a task of this name already.
        """
        parent, past = self._versions.head(submission.adapter)
        task = training_features(self._store, submission, fingerprint=self._encoder.fingerprint)
        learner = self._learner(submission, method, task, past)
        yield learner.steps_done, learner.total_steps
        while learner.steps_done < learner.total_steps:
            learner.step()
            done = learner.steps_done
            if done % CHECKPOINT_EVERY == 0:
                self._store.put(checkpoint_key(submission.submission_id), learner.checkpoint())
            if done % REPORT_EVERY == 0 or done == learner.total_steps:
                yield done, learner.total_steps
        tensors = {name: tensor.contiguous() for name, tensor in learner.learnt().tensors.items()}
        key = handover_key(submission.submission_id, "learnt")
        hand_over(self._store, key, parent=parent, content=save(tensors))

    def _learner(
        self, submission: Submission, method: str, task: TaskFeatures, past: Sequence[Record]
    ) -> Learner:
        chosen, text = method_named(method), self._text_side(submission)
        device = self._encoder.device
        try:
            checkpoint = self._store.get(checkpoint_key(submission.submission_id)).data
            return chosen.resume(checkpoint, task, past, text=text, device=device)
        except (NotFoundError, InputError, CorruptionError):
            # None, or of another head: begin anew.
            return chosen.start(
                task,
                past,
                text=text,
                settings=submission.settings,
                seed=submission.seed,
                device=device,
            )

    def _text_side(self, submission: Submission) -> TextSide:
        prompts = [entry.prompt for entry in class_entries(submission)]
        return TextSide(
            features=self._encoder.text_features(prompts),
            logit_scale=self._encoder.logit_scale,
            tower=self._tower,
            tokens=self._encoder.tokenizer(prompts),
        )
