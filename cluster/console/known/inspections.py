"""Inspections: what is known of a task that was sent, before it is submitted, with its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.api.lasting.answers import Done
from cluster.wire.inspection import InspectedTask, Split, Where

SHOWN = 12
"""So many findings of each kind are shown; all are counted."""
AMONG: Mapping[Where, str] = {
    "across_splits": "in training and test images",
    "across_classes": "in two classes",
    "in_class": "in one class",
}
SPLITS: Mapping[Split, str] = {"train": "training image", "held_out": "test image"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedTask:
    """What was found.

    Attributes:
        found: Everything, as `nacre inspect` tells it.
        pictures: Small pictures of the images that are shown, as addresses, by digest; empty where
            there is none.
    """

    found: InspectedTask
    pictures: Mapping[str, str]


def checked_task(done: Done) -> CheckedTask:
    """Return what an inspection with pictures has come to."""
    pictures = {digest: address.decode() for digest, address in done.files.items()}
    return CheckedTask(found=InspectedTask.model_validate(done.document), pictures=pictures)
