"""Batches of Arrow streams, as `datasets` saves them; a message is checked before it is read."""

import io
from collections.abc import Generator, Sequence
from typing import Any

from adapters.errors import NotFoundError, SettingsError
from workers.formats.arrow_messages import ArrowMessage, MessageKind, arrow_messages
from workers.sources.places.place import Place

ARROW = (".arrow",)
_READ_AHEAD = 2**20


def arrow_schema(place: Place, name: str) -> Any:
    """Return the schema of an Arrow stream; SettingsError where it cannot be read."""
    for message in _messages(place, name):
        return _schema_of(message, place.origin(name))
    raise SettingsError(f"expected {place.origin(name)} to be an Arrow stream, found it empty")


def arrow_batches(place: Place, name: str, *, image: str, short: Sequence[str]) -> Generator[Any]:
    """Yield the batches of an Arrow stream with the wanted columns, checked.

    Args:
        place: Where it is.
        name: Of the file.
        image: The column of images.
        short: Columns of labels and splits.

    Raises:
        SettingsError: it is damaged, cut off or too large.
    """
    import pyarrow
    from pyarrow import ipc

    origin, schema = place.origin(name), None
    for message in _messages(place, name):
        try:
            if schema is None:
                schema = _schema_of(message, origin)
                continue
            if message.kind != MessageKind.BATCH:
                raise SettingsError(
                    f"expected batches of rows in {origin}, found another message; write it with "
                    "`Dataset.save_to_disk`"
                )
            batch = ipc.read_record_batch(ipc.read_message(message.content), schema)
            chosen = batch.select([image, *short])
            chosen.validate(full=True)
        except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
            raise SettingsError(f"expected {origin} to be an Arrow stream: {error}") from error
        yield chosen


def _schema_of(message: ArrowMessage, origin: str) -> Any:
    import pyarrow
    from pyarrow import ipc

    if message.kind != MessageKind.SCHEMA:
        raise SettingsError(f"expected {origin} to be an Arrow stream, found no schema in it")
    try:
        return ipc.read_schema(ipc.read_message(message.content))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise SettingsError(f"expected {origin} to be an Arrow stream: {error}") from error


def _messages(place: Place, name: str) -> Generator[ArrowMessage]:
    origin = place.origin(name)
    try:
        with io.BufferedReader(place.opened(name), _READ_AHEAD) as file:
            yield from arrow_messages(file)
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    except SettingsError as error:
        if origin in error.message:
            raise
        raise SettingsError(f"expected {origin} to be an Arrow stream: {error.message}") from error
