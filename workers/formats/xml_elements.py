"""XML elements one by one, within bounds: no declarations of types, and so no own entities.

What others have written may declare a text of ten letters as ten others, ten times over, or name
files and hosts to be read. Nothing that is read here declares anything.
"""

from collections.abc import Generator, Mapping
from typing import NamedTuple, NoReturn, Protocol
from xml.parsers import expat

from adapters.errors import SettingsError

_PIECE_BYTES = 2**16
_MOST_DEPTH = 32
_MOST_TEXT = 2**16


class Stream(Protocol):
    """What XML is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, fewer only at the end."""


class Element(NamedTuple):
    """An element that begins.

    Attributes:
        depth: How many elements it is inside of.
        name: Of the element.
        attributes: Its attributes by name.
    """

    depth: int
    name: str
    attributes: Mapping[str, str]


def xml_elements(file: Stream) -> Generator[Element]:
    """Yield the elements of an XML document as they begin; what is between them is left out.

    Raises:
        SettingsError: it is no XML, declares a type, or is too deep; the message is the reason
            alone, for whoever knows the name of the file.
    """
    found: list[Element] = []
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth >= _MOST_DEPTH:
            raise SettingsError(f"elements are more than {_MOST_DEPTH} inside each other")
        if sum(map(len, attributes.values())) > _MOST_TEXT:
            raise SettingsError(f"expected at most {_MOST_TEXT} letters in attributes of {name!r}")
        found.append(Element(depth, name, attributes))
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> NoReturn:
        raise SettingsError("it declares a document type; remove the line `<!DOCTYPE …>`")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        while piece := file.read(_PIECE_BYTES):
            parser.Parse(piece, False)
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise SettingsError(f"it is no XML: {error}") from error
