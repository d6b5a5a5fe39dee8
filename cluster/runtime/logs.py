"""Logging of the workers as JSON, one object a line, so that logs can be searched."""

import json
import logging
import sys
from typing import Any, TextIO, cast

from workers.logs.errand import current_errand
from workers.logs.keeping import KeptStream
from workers.logs.log_record import fields_of
from workers.logs.masking import Masking
from workers.traces.spans import here


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, fields, and ids of what it
    is written for. A traceback, which quotes whatever broke, is masked.
    """

    def __init__(self) -> None:
        super().__init__()
        self._masked = Masking.of()

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line."""
        value: dict[str, Any] = {
            "at": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        value |= fields_of(record)
        errand = current_errand()
        if errand is not None:
            value.setdefault("submission", errand.submission_id)
        place = here()
        if place is not None:
            value = {"trace_id": place.trace, "span_id": place.span, **value}
        if record.exc_info:
            value["error"] = self._masked(self.formatException(record.exc_info))
        return json.dumps(value, default=str)


def log_as_json() -> None:
    """Let nacre's loggers of this process write JSON to standard error, where Ray keeps it."""
    logger = logging.getLogger("nacre")
    shown: object = sys.stderr
    if isinstance(shown, KeptStream):  # what is logged is taken in by a handler of its own
        shown = shown.below
    handler = logging.StreamHandler(cast(TextIO, shown))
    handler.setFormatter(JsonFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
