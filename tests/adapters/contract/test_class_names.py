"""Names that several tasks share."""

import json
from pathlib import Path

import pytest

from adapters.contract.class_entry import ClassEntry
from adapters.contract.class_names import NameCollision, comparable_name, name_collisions

SHARED_NAMES = Path(__file__).parent / "xtail_shared_names.json"


def entry(task: str, name: str) -> ClassEntry:
    return ClassEntry(class_id=f"{task}/{name}", name=name, prompt=f"a photo of a {name}.")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Sunflower", "sunflower", True),
        ("car_side", "car side", True),
        (" hot  dog ", "hot dog", True),
        ("water_lilly", "water lily", False),  # spelt differently: two prompts
        ("River", "river satellite location", False),
    ],
)
def test_names_are_compared_as_the_text_tower_reads_them(one: str, other: str, same: bool) -> None:
    assert (comparable_name(one) == comparable_name(other)) is same


def test_the_shared_names_of_the_benchmark_are_found() -> None:
    shared = json.loads(SHARED_NAMES.read_text())["shared"]
    existing = [entry("Caltech101", "accordion"), *(entry("Caltech101", name) for name in shared)]
    new = [entry(tasks[1], name.title()) for name, tasks in shared.items()]
    found = name_collisions([*new, entry("Food", "ramen")], existing)
    assert [collision.name for collision in found] == ["lotus", "pagoda", "pizza", "sunflower"]
    assert found[2] == NameCollision(name="pizza", class_ids=("Caltech101/pizza", "Food/Pizza"))


def test_old_collisions_are_not_reported_again() -> None:
    existing = [entry("mnist", "7"), entry("svhn", "7")]
    assert name_collisions([entry("food", "pizza")], existing) == ()


def test_one_task_can_collide_with_itself() -> None:
    new = [entry("pets", "Bengal"), entry("pets", "bengal")]
    assert name_collisions(new, [])[0].class_ids == ("pets/Bengal", "pets/bengal")
