"""Refusals of images: whatever is raised while one is read becomes a sentence that names it."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.errors import ImageError, UnavailableError
from workers.images.files.essentials import RefusedError
from workers.images.files.formats import Format, format_of
from workers.images.files.limits import ImageLimits
from workers.images.files.other_formats import what_is_not_read
from workers.images.ranges import UnknownRangeError

_MOST_REASON = 160
_BYTES_PER_PIXEL = 20
"""What the costliest format holds while it is decoded."""


def known_format(content: bytes, origin: str) -> Format:
    """Return the format of an image file.

    Raises:
        ImageError: it is none that is read, or the library for it is not there.
    """
    kind = format_of(content)
    if kind is not None and kind.is_there:
        return kind
    if kind is not None:
        raise ImageError(
            f"the image in {origin} is {kind.name}, for which a library is missing: {kind.remedy}, "
            "or convert the image to JPEG or PNG",
            origin=origin,
        )
    known = what_is_not_read(content)
    if known is not None:
        raise ImageError(
            f"expected an image in {origin}, found {known[0]}, which is not decoded; {known[1]}",
            origin=origin,
        )
    raise ImageError(
        f"expected an image in {origin}, found {len(content)} bytes in no known image format",
        origin=origin,
    )


@contextmanager
def refusing(kind: Format, origin: str, limits: ImageLimits) -> Iterator[None]:
    """Make an error that names the image of whatever is raised inside.

    Pillow's plug-ins let through what a damaged file makes of their arithmetic: struct.error,
    OverflowError, AttributeError, zlib.error, and new types with every release. Interrupts and
    exits are no errors and pass.

    Args:
        kind: Of the image.
        origin: Where it came from.
        limits: Under which it is read.

    Raises:
        ImageError: it cannot be read.
        UnavailableError: the machine has not the memory that the limits permit.
    """
    named = f"the {kind.name} image in {origin}"
    try:
        yield
    except ImageError:
        raise
    except RefusedError as error:
        remedy = f"; {error.remedy}" if error.remedy else ""
        raise ImageError(
            f"{named} has {error}, and is not decoded{remedy}", origin=origin
        ) from error
    except UnknownRangeError as error:
        raise ImageError(f"{named} has {error}", origin=origin) from error
    except MemoryError as error:
        raise _without_memory(named, origin, limits) from error
    except Exception as error:
        raise ImageError(
            f"{named} cannot be decoded ({_reason(error)}); replace it by an intact copy, or save "
            "it as an 8-bit PNG or JPEG",
            origin=origin,
        ) from error


def _without_memory(named: str, origin: str, limits: ImageLimits) -> ImageError | UnavailableError:
    """Return whose fault it is that memory was not there: the file's, or the machine's.

    An image that is refused counts as unreadable and may be left out of a task for good. That the
    machine is short of memory must not decide it.
    """
    try:
        # Only the address space is asked for; nothing is written there.
        bytearray(_BYTES_PER_PIXEL * limits.pixels)
    except MemoryError:
        return UnavailableError(
            f"expected memory to decode {named}, found too little on this machine; try again when "
            "less is going on, or give it more",
            origin=origin,
        )
    return ImageError(
        f"{named} cannot be decoded (it asks for more memory than any image within the limits); "
        "replace it by an intact copy",
        origin=origin,
    )


def _reason(error: Exception) -> str:
    return textwrap.shorten(str(error) or type(error).__name__, _MOST_REASON, placeholder=" …")
