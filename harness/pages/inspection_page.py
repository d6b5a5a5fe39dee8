"""The report of an inspection: one HTML page that needs nothing else, with small pictures inside.

inspection.html    everything
"""

from base64 import b64encode
from pathlib import Path

from adapters.errors import ImageError
from harness.files import write_whole
from harness.pages.drawing import Facts, library_versions, page, small_picture
from workers.inspection.findings import Where
from workers.inspection.inspecting import Inspection

AMONG: dict[Where, str] = {
    "across_splits": "training and test images",
    "across_classes": "two classes",
    "in_class": "one class",
}
SPLITS = {"train": "training images", "held_out": "test images"}


def write_inspection(found: Inspection, folder: Path) -> Path:
    """Write the report into `folder`, made where it is missing, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    embedded = found.embedded
    facts = Facts(
        versions=library_versions(),
        fingerprint=embedded.fingerprint if embedded else "",
        collisions={},
    )
    written = page(
        "inspection_page.html.j2",
        found=found,
        facts=facts,
        picture=InspectedPictures(found),
        among=AMONG,
        splits=SPLITS,
        most=max((each.train + each.held_out for each in found.classes), default=1) or 1,
    )
    path = folder / "inspection.html"
    write_whole(path, written)
    return path


class InspectedPictures:
    """Small pictures of images that an inspection names, by digest, each made once.

    Args:
        found: The inspection, as long as its images are there.
    """

    # Owns: the pictures. Used by one thread.

    def __init__(self, found: Inspection) -> None:
        self._found = found
        self._made: dict[str, str] = {}

    def __call__(self, digest: str) -> str:
        """Return a picture as an address that holds it; empty where it cannot be read any more."""
        if digest not in self._made:
            self._made[digest] = self._address(digest)
        return self._made[digest]

    def _address(self, digest: str) -> str:
        content = self._found.file(digest)
        if content is None:
            return ""
        try:
            small = small_picture(content, origin=f"image {digest[:12]}")
        except ImageError:
            return ""
        return "data:image/jpeg;base64," + b64encode(small).decode()
