"""The mixture role: compresses each class to a Gaussian mixture and finishes the record."""

from safetensors.torch import load

from adapters.learning import class_mixtures
from adapters.method import Learnt
from adapters.methods import method_named
from adapters.records import encode_record
from workers.store.base import ObjectStore
from workers.submission import Submission
from workers.task_features import training_features
from workers.work import hand_over, handover_key, take_over


class Compressor:
    """Fits mixtures and puts records together."""

    def __init__(self, store: ObjectStore, *, fingerprint: str) -> None:
        self._store = store
        self._fingerprint = fingerprint

    def compress(self, submission: Submission, method: str) -> None:
        """Fit one mixture per class of `submission`, and hand over its finished record."""
        chosen = method_named(method)
        parent, content = take_over(self._store, handover_key(submission.submission_id, "learnt"))
        task = training_features(self._store, submission, fingerprint=self._fingerprint)
        components = chosen.mixture_components(submission.settings)
        record = chosen.record(
            task,
            Learnt(tensors=load(content)),
            class_mixtures(task, components=components, seed=submission.seed),
            settings=submission.settings,
            seed=submission.seed,
        )
        hand_over(
            self._store,
            handover_key(submission.submission_id, "record"),
            parent=parent,
            content=encode_record(record),
        )
