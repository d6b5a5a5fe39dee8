"""Folder source: one folder of images per class."""

from pathlib import PurePosixPath

from workers.images.decode import EXTENSIONS
from workers.sources.image import ImageRef
from workers.sources.places import Place, Tree


def folder_images(place: Place, tree: Tree) -> dict[str, tuple[ImageRef, ...]]:
    """Return the image files of every folder in `place`, by the folder's name.

    Files of other kinds, and folders inside the folders, are passed over.
    """
    return {
        key: tuple(ImageRef(place=place, name=name) for name in names if is_image(name))
        for key, names in tree.folders.items()
    }


def is_image(name: str) -> bool:
    """Return whether a file's extension is that of an image."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS
