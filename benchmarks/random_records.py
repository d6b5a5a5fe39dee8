"""LADA records of random numbers, as large as trained ones: for speed, not for answers."""

from collections.abc import Iterable

from adapters.contract.records import Record, encode_record
from tests.support.fakes import random_records
from workers.registry import AddRecord, Author, Commit, Inline, RegisteredAdapter

WIDTH = 512
VECTORS, COMPONENTS = 16, 4


def random_record(
    number: int, *, classes: int, encoder: str, width: int = WIDTH, components: int = 0
) -> Record:
    """Return the record of the task called `task-<number>`, drawn from its number.

    Args:
        number: Of the task.
        classes: How many.
        encoder: Fingerprint of the encoder.
        width: Feature width of the encoder.
        components: Of mixtures; with 0 a record serves for scoring alone.
    """
    return random_records.random_record(
        f"task-{number}",
        encoder=encoder,
        width=width,
        classes=classes,
        vectors=VECTORS,
        seed=number,
        noun=f"thing {number}",
        components=components,
    )


def publish_random(
    adapter: RegisteredAdapter, numbers: Iterable[int], *, classes: int, encoder: str
) -> None:
    """Publish one version that has random records, of so many classes each, besides the others."""
    updates = tuple(
        AddRecord(
            task=f"task-{number}",
            submission=f"task-{number}-{number:012x}",
            record=Inline(encode_record(random_record(number, classes=classes, encoder=encoder))),
            classes=classes,
        )
        for number in numbers
    )
    commit = Commit(
        updates=updates,
        encoder=encoder,
        method="lada",
        settings={},
        aliases=("head", "production"),
    )
    adapter.commit(commit, by=Author(who="bench", why="", now=0.0))
