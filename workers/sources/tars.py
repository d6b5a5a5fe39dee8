"""Tar source with WebDataset naming: an image and its label differ in the extension alone.

    000001.jpg  000001.cls      the label is the content of the second: a class's key or number
    000002.png  000002.json     the label is the value of the key `label`

A shard is read once for its index, and each image by its offset when it is needed; nothing ever
holds a whole shard.
"""

import io
from collections.abc import Sequence
from contextlib import closing

from adapters.contract.counts import counted
from adapters.errors import InputError, SettingsError, printable
from workers.formats.problems import Problems, cause_of
from workers.formats.tar_members import bounded_members
from workers.sources.places.image import ImageRef
from workers.sources.places.place import Place
from workers.sources.places.survey import Counting
from workers.sources.samples import Sample, samples_of

TAR = ".tar"


def tar_images(
    place: Place, names: Sequence[str], counting: Counting
) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images in the tar shards called `names`, by label, sorted.

    Raises:
        SettingsError: a shard is no uncompressed tar, or samples have no image, no label or
            several; all of them are reported.
    """
    counting.of("members")
    found: dict[str, list[ImageRef]] = {}
    problems = Problems()
    for name in names:
        for key, sample in _samples(place, name, counting).items():
            wrong = sample.wrong(any_key=counting.any_key)
            if wrong:
                problem = f"sample {printable(key)!r} of {place.origin(name)} {wrong}"
                problems.add(problem, cause=cause_of(wrong))
                continue
            (image,) = sample.images
            ref = ImageRef(
                place=place, name=name, member=image.name, start=image.start, size=image.size
            )
            found.setdefault(sample.labels[0], []).append(ref)
    if problems:
        raise SettingsError(
            f"{counted(problems.count, 'sample')} cannot be used; expected an image (000001.jpg) "
            f"and its class (000001.cls, or 000001.json with the key `label`) for each:{problems}",
            problems=problems.kept,
        )
    counting.use(sum(map(len, found.values())))
    return {label: tuple(found[label]) for label in sorted(found)}


def is_tar(name: str) -> bool:
    """Return whether a file's extension is that of a tar shard."""
    return name.lower().endswith(TAR)


def _samples(place: Place, name: str, counting: Counting) -> dict[str, Sample]:
    try:
        with (
            io.BufferedReader(place.opened(name), place.read_ahead) as file,
            closing(bounded_members(file)) as members,
        ):
            return samples_of(members, counting)
    except InputError as error:
        raise SettingsError(
            f"expected an uncompressed tar at {place.origin(name)}: {error.message}"
        ) from error
