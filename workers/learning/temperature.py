"""The temperature of a task, handed over from the trainer to whoever puts the record together."""

from dataclasses import dataclass

from workers.formats.documents import encode, validated
from workers.learning.crew import Assignment
from workers.learning.handover import find_handover, hand_over, handover_key
from workers.store.base import ObjectStore


@dataclass(frozen=True, slots=True)
class _Fitted:
    temperature: float | None


def hand_over_temperature(
    store: ObjectStore, assignment: Assignment, temperature: float | None
) -> None:
    """Hand over the temperature of an assignment; None where nothing told it."""
    hand_over(store, _key(assignment, "fitted"), encode({"temperature": temperature}))


def temperature_handed_over(store: ObjectStore, assignment: Assignment) -> float | None:
    """Return it; None as well where a trainer of an earlier release has handed over none.

    Raises:
        MissingError: it was handed over, and is not to be found now.
        CorruptionError: it is damaged.
    """
    key = _key(assignment, "fitted")
    content = find_handover(store, key, beside=_key(assignment, "learnt"))
    return None if content is None else validated(_Fitted, content, repr(key)).temperature


def _key(assignment: Assignment, stage: str) -> str:
    return handover_key(assignment.submission.submission_id, assignment.parent, stage)
