"""The page of JSON outputs is made of their schemas, and everybody finds it."""

from cluster.wire.outputs.schemas import SCHEMAS
from docs import json_page


def test_the_page_is_made_of_the_schemas_as_they_are() -> None:
    assert json_page.PAGE.read_text() == json_page.page(), "make docs"


def test_every_verb_has_its_keys_there() -> None:
    text = json_page.PAGE.read_text()
    assert all(f"\n## nacre {verb}\n" in text for verb in SCHEMAS)
