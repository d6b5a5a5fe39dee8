"""The image sets of a suite, read from where they lie."""

from collections.abc import Mapping
from pathlib import Path

from adapters.errors import InputError, NotFoundError
from harness.labelled import ImageSet
from harness.layouts import LAYOUTS, SPLITS
from harness.suite import SetConfig, Suite

WHERE: Mapping[str, str] = {
    "aircraft": "the FGVC-Aircraft page of Oxford's VGG (fgvc-aircraft-2013b.tar.gz)",
    "caltech101": "Caltech's data page (caltech-101.zip)",
    "dtd": "the Describable Textures page of Oxford's VGG (dtd-r1.0.1.tar.gz)",
    "eurosat": "EuroSAT's own page (EuroSAT_RGB.zip)",
    "oxford_flowers": "the 102 Category Flower page of Oxford's VGG (102flowers.tgz)",
    "food101": "the Food-101 page of ETH Zurich (food-101.tar.gz)",
    "mnist": "any mirror of the four MNIST files in idx format",
    "oxford_pets": "the Pet Dataset page of Oxford's VGG (images.tar.gz)",
    "stanford_cars": "Stanford's Cars page or a mirror of it (cars_train and cars_test)",
    "sun397": "Princeton's SUN page (SUN397.tar.gz)",
}


def read_image_sets(suite: Suite) -> dict[str, ImageSet]:
    """Return the sets of `suite`, by name.

    Raises:
        NotFoundError: some are missing; says which, and where each is usually had.
        InputError: a file is not what its layout says.
    """
    missing, found = [], {}
    for one in suite.sets:
        try:
            found[one.name] = read_image_set(one, suite.folder_of(one))
        except NotFoundError as error:
            missing.append(error.message)
    if missing:
        raise NotFoundError("\n".join(missing))
    return found


def read_image_set(one: SetConfig, folder: Path) -> ImageSet:
    """Return the set described by `one` in `folder`; errors as in `read_image_sets`."""
    if not folder.is_dir():
        hint = f"; it is usually had from {WHERE[one.name]}" if one.name in WHERE else ""
        also = f", and {SPLITS}" if one.layout == "coop" else ""
        raise NotFoundError(
            f"{one.name}: expected a folder at {folder}, found none{hint}{also}", path=str(folder)
        )
    found = LAYOUTS[one.layout](one, folder)
    for part, images in (("train", found.train), ("test", found.test)):
        if not images:
            raise InputError(f"{one.name}: expected {part} images in {folder}, found none")
    return found
