"""Image reference: one image of a source, named, and read only when it is needed."""

from dataclasses import dataclass

from adapters.errors import ImageError, InputError
from workers.images.decode import DEFAULT_LIMITS
from workers.sources.places.local import LocalPlace
from workers.sources.places.place import Place

# Larger files are noticed, and never read whole.
_MOST_BYTES = DEFAULT_LIMITS.size_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRef:
    """Where the bytes of one image are.

    Attributes:
        place: The folder of its file.
        name: The file, relative to the place.
        member: The image's name inside the file, where that is a tar.
        start: First byte of the image in the file.
        size: Bytes of the image; None for all up to the end of the file.
    """

    place: Place
    name: str
    member: str = ""
    start: int = 0
    size: int | None = None

    @property
    def origin(self) -> str:
        """Where the image is, for messages."""
        file = self.place.origin(self.name)
        return f"{file}:{self.member}" if self.member else file

    def read(self) -> bytes:
        """Return the bytes of the image.

        Raises:
            ImageError: it cannot be read, is over the byte limit, or its file ends too early.
            UnavailableError: the store cannot be reached.
        """
        wanted = _MOST_BYTES + 1 if self.size is None else min(self.size, _MOST_BYTES + 1)
        try:
            content = self.place.read(self.name, self.start, wanted)
        except InputError as error:
            here = isinstance(self.place, LocalPlace)
            raise self._unreadable(error.message, missing_here=here) from error
        if len(content) > _MOST_BYTES:
            raise self._unreadable(f"it has more than {_MOST_BYTES} bytes")
        if self.size is not None and len(content) < wanted:
            raise self._unreadable(f"its file ends {wanted - len(content)} bytes too early")
        return content

    def _unreadable(self, reason: str, *, missing_here: bool = False) -> ImageError:
        return ImageError(
            f"the image {self.origin} cannot be read: {reason}",
            origin=self.origin,
            missing_here=missing_here,
        )
