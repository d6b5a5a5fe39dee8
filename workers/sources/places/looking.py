"""Looking into files whose names do not say whether they are images: pass them over or use them."""

from collections.abc import Iterator, Sequence
from functools import partial

from adapters.errors import InputError
from workers.concurrency.bounded import in_threads
from workers.sources.places.appearance import (
    BEGINNING_BYTES,
    Appearance,
    Looks,
    appearance_of,
    extension,
    is_image,
)
from workers.sources.places.place import Place
from workers.sources.places.survey import Counting, What

THREADS = 8


def look_at(files: Sequence[tuple[What, str]], place: Place, counting: Counting) -> Iterator[str]:
    """Yield the files that are images of a class, and count the others.

    Args:
        files: What is to be said of each if it is passed over, and its name; `OTHER` of files that
            are images if they look like one.
        place: Where they are.
        counting: Counts what is passed over.

    Raises:
        UnavailableError: the store cannot be reached.
    """
    seen = in_threads(
        partial(_looked_into, place), files[: place.looks], threads=THREADS, ahead=8 * THREADS
    )
    for (what, name), appearance in zip(files, seen, strict=False):
        if what is What.OTHER and appearance is not None and appearance.looks is Looks.IMAGE:
            yield name
        else:
            _pass_over(what, name, appearance, counting)
    for _, name in files[place.looks :]:
        counting.pass_over(What.UNSEEN, name, extension(name))


def _looked_into(place: Place, file: tuple[What, str]) -> Appearance | None:
    """Return what a file looks like; None where it cannot be opened."""
    name = file[1]
    if is_image(name):
        return Appearance(Looks.IMAGE, extension(name))
    try:
        return appearance_of(name, place.read(name, 0, BEGINNING_BYTES))
    except InputError:
        return None


def _pass_over(what: What, name: str, appearance: Appearance | None, counting: Counting) -> None:
    if appearance is None:
        reason = What.CLOSED if what is What.OTHER else what
        counting.pass_over(reason, name, extension(name))
        return
    is_picture = appearance.looks in (Looks.IMAGE, Looks.PICTURE)
    if what is What.OTHER and is_picture:
        what = What.UNREAD
    if what is What.OTHER and appearance.looks is Looks.EMPTY:
        what = What.EMPTY
    counting.pass_over(what, name, appearance.kind, is_picture=is_picture)
