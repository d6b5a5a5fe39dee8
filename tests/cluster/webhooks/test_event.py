"""The document of an event: the example of its page, and that every kind is told there."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from cluster.wire.events import Event, EventData, event_document
from workers.webhooks.milestone import Kind, Milestone

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
KINDS = r"^\| `((?!data)\w+\.\w+)` \|"


def test_the_example_on_the_page_is_what_is_sent() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    example = json.loads(block)
    event = Event.model_validate(example)
    assert event.model_dump(mode="json", by_alias=True) == example
    milestone = Milestone(
        id=example["id"],
        kind=Kind.PUBLISHED,
        adapter="main",
        at=1_793_737_570.344522,
        who="anna",
        why="task birds",
        submission="birds-0123456789ab",
        task="birds",
        version=12,
        moves={"head": (11, 12), "production": (11, 12)},
    )
    assert json.loads(event_document(milestone, 41).model_dump_json(by_alias=True)) == example


def test_every_kind_and_every_key_is_on_the_page() -> None:
    assert re.findall(KINDS, PAGE, flags=re.MULTILINE) == [*Kind]
    for name in ("type", "timestamp", "id", "schema"):
        assert f"`{name}`" in PAGE
    for name in EventData.model_fields:
        assert f"`data.{name}`" in PAGE


@pytest.mark.parametrize("at", [-1e300, 0.0, 1e300])
def test_a_time_that_nobody_can_write_is_the_nearest_one(at: float) -> None:
    milestone = Milestone(id="evt_1", kind=Kind.MOVED, adapter="main", at=at)
    assert event_document(milestone, 0).timestamp.endswith("Z")


def test_a_later_schema_is_another_document() -> None:
    milestone = Milestone(id="evt_1", kind=Kind.MOVED, adapter="main", at=1.0)
    document = event_document(milestone, 0).model_dump(mode="json", by_alias=True)
    with pytest.raises(ValidationError):
        Event.model_validate({**document, "schema": 2})
