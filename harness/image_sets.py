"""The image sets of a suite: read from where they lie, and divided into tasks where it says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.errors import InputError, NotFoundError, UnavailableError
from harness.labelled import ImageSet, Labelled
from harness.layouts import LAYOUTS, SPLITS
from harness.split import Split
from harness.suite import SetConfig, Suite

WHERE: Mapping[str, str] = {
    "aircraft": "the FGVC-Aircraft page of Oxford's VGG (fgvc-aircraft-2013b.tar.gz)",
    "cifar100": "the CIFAR page of Toronto's university (cifar-100-binary.tar.gz)",
    "caltech101": "Caltech's data page (caltech-101.zip)",
    "cub200": "Caltech's page of CUB-200-2011, or an archive of a toolbox such as PILOT",
    "dtd": "the Describable Textures page of Oxford's VGG (dtd-r1.0.1.tar.gz)",
    "eurosat": "EuroSAT's own page (EuroSAT_RGB.zip)",
    "imagenet_a": "the page of natural adversarial examples, or an archive of a toolbox",
    "imagenet_r": "the page of ImageNet-R, or an archive of a toolbox such as PILOT",
    "oxford_flowers": "the 102 Category Flower page of Oxford's VGG (102flowers.tgz)",
    "food101": "the Food-101 page of ETH Zurich (food-101.tar.gz)",
    "mnist": "any mirror of the four MNIST files in idx format",
    "oxford_pets": "the Pet Dataset page of Oxford's VGG (images.tar.gz)",
    "stanford_cars": "Stanford's Cars page or a mirror of it (cars_train and cars_test)",
    "sun397": "Princeton's SUN page (SUN397.tar.gz)",
    "ucf101": "CoOp's DATASETS.md (UCF-101-midframes.zip)",
    "vtab": "an archive of a toolbox such as PILOT",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSets:
    """The sets of a suite, as far as they are there.

    Attributes:
        images: Those that are there, by name.
        missing: Of each other one, what was expected where, and where it is usually had.
    """

    images: Mapping[str, ImageSet]
    missing: Mapping[str, str]

    def of(self, suite: Suite) -> Suite:
        """Return a suite with the sets that are there alone; its name says how many these are.

        No published table is printed beside it: means over other sets are no comparison.
        """
        if not self.missing:
            return suite
        orders = {
            order: tuple(name for name in names if name in self.images)
            for order, names in suite.orders.items()
        }
        return replace(
            suite,
            name=f"{suite.name} ({len(self.images)} of {len(suite.sets)} sets)",
            sets=tuple(one for one in suite.sets if one.name in self.images),
            orders={order: names for order, names in orders.items() if names},
            published=None,
        )


def read_image_sets(suite: Suite) -> dict[str, ImageSet]:
    """Return the sets of `suite`, by name.

    Raises:
        NotFoundError: some are missing; says which, and where each is usually had.
        InputError: a file is not what its layout says.
    """
    found = find_image_sets(suite)
    if found.missing:
        raise NotFoundError("\n".join(found.missing.values()))
    return dict(found.images)


def find_image_sets(suite: Suite) -> FoundSets:
    """Return the sets of `suite` that are there.

    Raises:
        NotFoundError: none is; says where each is usually had.
        InputError: a file is not what its layout says.
    """
    missing, found = dict[str, str](), dict[str, ImageSet]()
    for one in suite.sets:
        try:
            found[one.name] = read_image_set(one, suite.folder_of(one))
        except (NotFoundError, UnavailableError) as error:
            missing[one.name] = error.message
    if not found:
        raise NotFoundError("\n".join(missing.values()))
    return FoundSets(images=found, missing=missing)


def read_image_set(one: SetConfig, folder: Path) -> ImageSet:
    """Return the set described by `one` in `folder`; errors as in `read_image_sets`."""
    if one.layout != "source" and not folder.is_dir():
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


def divided(suite: Suite, images: Mapping[str, ImageSet]) -> tuple[Suite, Mapping[str, ImageSet]]:
    """Return `suite` and its sets with every set divided into tasks as the suite says.

    The parts of set `a` are sets themselves, `a.01` and on, and take its place in every order.

    Raises:
        SettingsError: the classes of a set cannot be divided so.
    """
    if suite.split is None:
        return suite, images
    parts = {one.name: _parts(suite.split, images[one.name]) for one in suite.sets}
    orders = {
        order: tuple(part.name for name in names for part in parts[name])
        for order, names in suite.orders.items()
    }
    sets = tuple(
        replace(one, name=part.name, folder=one.folder or one.name)
        for one in suite.sets
        for part in parts[one.name]
    )
    found = {part.name: part for each in parts.values() for part in each}
    return replace(suite, sets=sets, orders=orders), found


def _parts(split: Split, whole: ImageSet) -> list[ImageSet]:
    numbered = enumerate(split.parts(len(whole.classes), of=whole.name), 1)
    return [_part(whole, f"{whole.name}.{number:02}", chosen) for number, chosen in numbered]


def _part(whole: ImageSet, name: str, chosen: Sequence[int]) -> ImageSet:
    """Return the images of the classes `chosen` as a set of its own, labels in their order."""
    labels = {label: place for place, label in enumerate(chosen)}

    def of(images: Sequence[Labelled]) -> tuple[Labelled, ...]:
        return tuple(
            replace(each, label=labels[each.label]) for each in images if each.label in labels
        )

    return ImageSet(
        name=name,
        classes=tuple(whole.classes[label] for label in chosen),
        train=of(whole.train),
        test=of(whole.test),
    )
