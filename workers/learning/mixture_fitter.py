"""Mixture worker: compresses each class to a Gaussian mixture and finishes the record."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from cachetools import LRUCache
from safetensors.torch import load

from adapters.contract.learning import class_mixtures
from adapters.contract.method import Learnt
from adapters.contract.mixture import Mixture
from adapters.contract.records import encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.familiarity import with_thresholds
from adapters.methods import method_named
from workers.encoding.task_features import training_features
from workers.learning.crew import Assignment
from workers.learning.handover import hand_over, handover_key, is_handed_over, take_over_finished
from workers.learning.temperature import temperature_handed_over
from workers.store.base import ObjectStore

logger = logging.getLogger("nacre.mixtures")


class MixtureFitter:
    """Fits mixtures and puts records together."""

    # Owns: the features of the submission that it fitted last, so that parts of one read them once;
    # guarded by `_lock`.

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._latest: LRUCache[tuple[str, str, str], TaskFeatures] = LRUCache(1)

    def parts(self, assignment: Assignment, *, most: int) -> list[range]:
        """Return the classes of an assignment in at most `most` parts, to be fitted side by side.

        None where the record is finished already, or its method wants no mixtures.
        """
        submission = assignment.submission
        components = method_named(assignment.method).mixture_components(submission.all_settings)
        if components == 0 or is_handed_over(self._store, _record_key(assignment)):
            return []
        classes = len(submission.classes)
        size = -(-classes // most)
        return [range(start, min(start + size, classes)) for start in range(0, classes, size)]

    def fit(self, assignment: Assignment, classes: range) -> list[Mixture]:
        """Return one mixture for each of `classes`."""
        submission = assignment.submission
        components = method_named(assignment.method).mixture_components(submission.all_settings)
        task, began = self._features(assignment), time.monotonic()
        found = class_mixtures(task, components=components, seed=submission.seed, classes=classes)
        logger.info(
            "fitted mixtures of %d components to classes %d to %d, %.1f s",
            components,
            classes.start,
            classes.stop - 1,
            time.monotonic() - began,
        )
        return found

    def finish(self, assignment: Assignment, mixtures: Sequence[Mixture]) -> None:
        """Put the record together and hand it over, unless that was done before."""
        submission, key = assignment.submission, _record_key(assignment)
        if is_handed_over(self._store, key):
            return
        learnt = handover_key(submission.submission_id, assignment.parent, "learnt")
        method, task = method_named(assignment.method), self._features(assignment)
        record = method.record(
            task,
            Learnt(tensors=load(take_over_finished(self._store, learnt))),
            mixtures,
            settings=submission.all_settings,
            seed=submission.seed,
        )
        record = with_thresholds(method, record, task)
        if method.tempered:
            record = replace(record, temperature=temperature_handed_over(self._store, assignment))
        content = encode_record(record)
        hand_over(self._store, key, content)
        logger.info("finished the record, %d bytes", len(content))

    def _features(self, assignment: Assignment) -> TaskFeatures:
        wanted = (assignment.submission.submission_id, assignment.method, assignment.encoder)
        with self._lock:
            known = self._latest.get(wanted)
        if known is not None:
            return known
        features = training_features(
            self._store,
            assignment.submission,
            method=assignment.method,
            fingerprint=assignment.encoder,
        )
        with self._lock:
            self._latest[wanted] = features
        return features


def _record_key(assignment: Assignment) -> str:
    return handover_key(assignment.submission.submission_id, assignment.parent, "record")
