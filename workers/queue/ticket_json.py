"""JSON codec of tickets; default values are left out."""

from dataclasses import MISSING, asdict, fields
from typing import Any

from pydantic import ValidationError

from adapters.contract.json_reading import typed
from adapters.errors import CorruptionError
from workers.formats.documents import first_problem
from workers.queue.ticket import Ticket

_FIELDS = tuple(entry.name for entry in fields(Ticket))
_DEFAULTS = {entry.name: entry.default for entry in fields(Ticket) if entry.default is not MISSING}


def ticket_to_json(ticket: Ticket) -> dict[str, Any]:
    """Return `ticket` as JSON values; fields that have their default are left out."""
    values = {name: getattr(ticket, name) for name in _FIELDS}
    written = {
        name: value
        for name, value in values.items()
        if name not in _DEFAULTS or value != _DEFAULTS[name]
    }
    if ticket.failures:
        written["failures"] = [asdict(failure) for failure in ticket.failures]
    return written


def ticket_from_json(value: Any) -> Ticket:
    """Return the ticket that `ticket_to_json` wrote; keys that it does not know are ignored.

    Raises:
        CorruptionError: it is no ticket.
    """
    try:
        return typed(Ticket).validate_python(value)
    except ValidationError as error:
        raise CorruptionError(f"expected a ticket: {first_problem(error)}") from error
