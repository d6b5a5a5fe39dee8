"""Rows of exports of CVAT: "CVAT for images 1.1", an XML file with a tag for each image."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from adapters.errors import NotFoundError, SettingsError
from workers.formats.xml_elements import Element, xml_elements
from workers.sources.columns import shown_cell
from workers.sources.places.place import Place
from workers.sources.rows import LIMITS, UNLABELLED, Row
from workers.sources.unpacked import buffered

XML = (".xml",)
_ROOT, _IMAGE, _TAG, _TRACK = "annotations", "image", "tag", "track"
_VOC = "annotation"


@dataclass(slots=True)
class _Image:
    name: str
    subset: str
    labels: list[str] = field(default_factory=list)


def cvat_rows(place: Place, name: str) -> Generator[Row]:
    """Yield the rows of an export, numbered from 1; images without a tag have no class.

    Raises:
        SettingsError: it is no such export, too large, or of a video.
    """
    origin = place.origin(name)
    if _size(place, name) > LIMITS.size_bytes:
        raise SettingsError(
            f"expected at most {LIMITS.size_bytes} bytes in {origin}, found more; divide it"
        )
    bases: dict[str, str] = {}
    try:
        with buffered(place, name) as file, closing(xml_elements(file)) as elements:
            for number, image in enumerate(_images(elements), start=1):
                if image.labels and image.subset not in bases:
                    bases[image.subset] = _base_of(place, image)
                yield _row(number, image, bases.get(image.subset, "images/"))
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    except SettingsError as error:
        raise SettingsError(
            f"expected {origin} to be an export of CVAT (CVAT for images 1.1): {error.message}"
        ) from error


def _size(place: Place, name: str) -> int:
    try:
        return place.size(name)
    except NotFoundError as error:
        raise SettingsError(f"{place.origin(name)} cannot be read: {error.message}") from error


def _images(elements: Iterator[Element]) -> Iterator[_Image]:
    image: _Image | None = None
    for element in elements:
        if element.depth == 0 and element.name != _ROOT:
            told = ", as Pascal VOC has for what is where in a picture" * (element.name == _VOC)
            raise SettingsError(f"found the element {shown_cell(element.name)}{told}")
        if element.depth == 1 and element.name == _TRACK:
            raise SettingsError("it is that of a video; export single images")
        if element.depth == 1:
            if image is not None:
                yield image
            given = element.attributes
            is_image = element.name == _IMAGE
            image = _Image(given.get("name", ""), given.get("subset", "")) if is_image else None
        elif element.depth == 2 and element.name == _TAG and image is not None:
            image.labels.append(element.attributes.get("label", ""))
    if image is not None:
        yield image


def _row(number: int, image: _Image, base: str) -> Row:
    split = image.subset or None
    labels = sorted(set(image.labels))
    path = f"{base}{image.name}" if image.name else None
    if not labels:
        return Row(number, path, UNLABELLED, "", split)
    if len(labels) > 1:
        told = ", ".join(map(shown_cell, labels[:3]))
        wrong = f"expected one tag for {shown_cell(image.name)}, found {told}"
        return Row(number, path, None, wrong, split)
    return Row(number, path, labels[0], "", split)


def _base_of(place: Place, image: _Image) -> str:
    """Return the folder that the images of a subset are in."""
    of_subset = (f"images/{image.subset}/", f"{image.subset}/") if image.subset else ()
    bases = (*of_subset, "images/", "")
    return next((base for base in bases if place.has(f"{base}{image.name}")), "images/")
