"""Logging of the workers as JSON, one object a line, so that logs can be searched."""

import json
import logging
import sys
from typing import Any

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line."""
        value: dict[str, Any] = {
            "at": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        value |= {key: field for key, field in vars(record).items() if key not in _USUAL}
        if record.exc_info:
            value["error"] = self.formatException(record.exc_info)
        return json.dumps(value, default=str)


def log_as_json() -> None:
    """Let nacre's loggers of this process write JSON to standard error, where Ray keeps it."""
    logger = logging.getLogger("nacre")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
