"""Tar source with WebDataset naming: an image and its label differ in the extension alone.

    000001.jpg  000001.cls      the label is the content of the second: a class's key or number
    000002.png  000002.json     the label is the value of the key `label`

A shard is read once for its index, and each image by its offset when it is needed; nothing ever
holds a whole shard. One that is compressed is unpacked into a temporary file first.
"""

import io
from collections.abc import Sequence
from contextlib import closing

from adapters.contract.counts import counted
from adapters.errors import InputError, NotFoundError, SettingsError, printable
from workers.formats.decompressed import decompressed
from workers.formats.problems import Problems, cause_of
from workers.formats.tar_headers import compression_of
from workers.formats.tar_members import PIECE_BYTES, Readable, bounded_members
from workers.sources.columns import EVERYTHING, LABEL, Selection
from workers.sources.places.image import ImageRef
from workers.sources.places.place import Place
from workers.sources.places.survey import Counting
from workers.sources.samples import Key, Sample, samples_of
from workers.sources.unpacked import Part, Unpacked, buffered

TAR = ".tar"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_BEGINNING = 8


def tar_images(
    place: Place, names: Sequence[str], counting: Counting, selection: Selection = EVERYTHING
) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images in the tar shards called `names`, by label, sorted.

    Args:
        place: Where the shards are.
        names: Of the shards.
        counting: Counts their members.
        selection: Names the key of labels in JSON.

    Raises:
        SettingsError: a shard is no tar, or samples have no image, no label or
            several; all of them are reported.
    """
    counting.of("members")
    found: dict[str, list[ImageRef]] = {}
    problems = Problems()
    unpacked = Unpacked(place, most=counting.most_bytes)
    for name in names:
        part = _unpacked(place, name, unpacked, counting)
        shard, begin = (place, 0) if part is None else (unpacked, part.start)
        opened = place.opened(name) if part is None else unpacked.part(name, part)
        with io.BufferedReader(opened, shard.read_ahead) as file:
            samples = _samples(file, place.origin(name), counting, selection)
        for (_, key), sample in samples.items():
            wrong = sample.wrong(any_key=counting.any_key)
            if wrong:
                problem = f"sample {printable(key)!r} of {place.origin(name)} {wrong}"
                problems.add(problem, cause=cause_of(wrong))
                continue
            (image,) = sample.images
            start = begin + image.start
            ref = ImageRef(place=shard, name=name, member=image.name, start=start, size=image.size)
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
    return name.lower().endswith((TAR, *COMPRESSED))


def _unpacked(place: Place, name: str, unpacked: Unpacked, counting: Counting) -> Part | None:
    """Return a shard that is compressed as it is unpacked; None where it is not compressed."""
    try:
        with buffered(place, name) as file:
            if compression_of(file.peek(_BEGINNING)[:_BEGINNING]) is None:
                return None
            start, content = unpacked.size(name), decompressed(file)
            while piece := content.read(PIECE_BYTES):
                unpacked.write(piece, name=name)
                counting.go_on()
            return Part(start, unpacked.size(name))
    except NotFoundError as error:
        raise SettingsError(f"{place.origin(name)} cannot be read: {error.message}") from error
    except SettingsError as error:
        if place.origin(name) in error.message:
            raise
        raise SettingsError(f"expected a tar at {place.origin(name)}: {error.message}") from error


def _samples(
    file: Readable, origin: str, counting: Counting, selection: Selection
) -> dict[Key, Sample]:
    try:
        with closing(bounded_members(file, joined=True)) as members:
            label = selection.columns.label or LABEL
            return samples_of(members, counting, label=label)
    except InputError as error:
        raise SettingsError(f"expected a tar at {origin}: {error.message}") from error
