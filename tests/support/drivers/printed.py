"""The output of a verb, held against its schema."""

import json
from typing import Any

from cluster.wire.outputs.schemas import LINES, schema_of


def as_promised(verb: str, printed: str) -> Any:
    """Return the document that `verb` has printed; it has every promised key, and no other."""
    documents = printed.splitlines() if verb in LINES else [printed]
    assert documents, f"{verb} printed nothing"
    return [_checked(verb, document) for document in documents][-1]


def _checked(verb: str, printed: str) -> Any:
    schema, found = schema_of(verb), json.loads(printed)
    told = schema.dump_python(schema.validate_json(printed), mode="json", exclude_unset=True)
    assert found == told, f"{verb} prints keys that its schema does not have"
    return found
