"""Fields of records that are logged: what was said beside the sentence."""

import logging
from collections.abc import Mapping

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return what `extra` has said; what libraries note on every record, as Ray does, is none."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _USUAL and not name.startswith("_")
    }
