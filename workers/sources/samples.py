"""Samples of tar shards: members that differ in the extension alone; everything else is counted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from adapters.errors import printable
from workers.formats.tar_headers import Kind
from workers.formats.tar_members import TarMember
from workers.sources.columns import LABEL
from workers.sources.places.appearance import (
    BEGINNING_BYTES,
    Looks,
    appearance_of,
    extension,
    is_image,
)
from workers.sources.places.keys import what_is_wrong_with
from workers.sources.places.survey import Counting, What
from workers.sources.places.system_files import is_system_file

MAX_LABEL_BYTES = 2**20
LABELS = (".cls", ".json")


@dataclass(slots=True)
class Sample:
    """What one shard holds of one sample, as far as it has been read.

    Attributes:
        images: Its images.
        labels: Its labels.
        descriptions: Names of files that could hold a label.
        unreadable: Why some of these hold none.
        unread: What it has in place of an image, a picture in a format that is not read.
    """

    # A shard may have millions: of nothing there is one.
    images: tuple[TarMember, ...] = ()
    labels: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    unreadable: str = ""
    unread: str = ""

    @property
    def is_one(self) -> bool:
        """Whether there is an image or a label, so that the other should be there too."""
        return bool(self.images or self.labels)

    def wrong(self, *, any_key: bool) -> str:
        """Return why it cannot be used; empty where it can; see `read_source` for `any_key`."""
        images, labels = len(self.images), sorted(set(self.labels))
        if not images:
            return f"has no image{self.unread}"
        if images > 1:
            return f"has {images} images"
        if self.images[0].kind is not Kind.FILE:
            return "has a link or a special file for an image; put the image there (tar -h)"
        if not labels:
            return f"has no label{self.unreadable}"
        if len(labels) > 1:
            return f"has the labels {printable(str(labels[:3]))}"
        problem = "" if any_key else what_is_wrong_with(labels[0])
        return f"has the label {labels[0][:60]!r}, which {problem}" if problem else ""


Key = tuple[int, str]
"""Which of joined archives has a sample, and what the names of its members have in common."""


def samples_of(
    members: Iterable[TarMember], counting: Counting, *, label: str = LABEL
) -> dict[Key, Sample]:
    """Return the samples of a shard by the names that their members have in common.

    Args:
        members: Of the shard; those that may hold a label or an image are looked into.
        counting: Counts what is no label, and what belongs to no sample.
        label: The key of the label in JSON.
    """
    samples: dict[Key, Sample] = {}
    for number, member in enumerate(members):
        if number % 1000 == 0:
            counting.go_on()
        if member.kind is not Kind.FOLDER:
            _sort(member, samples, counting, label)
    _join(samples)
    for sample in samples.values():
        # A description of the whole shard, say.
        for name in () if sample.is_one else sample.descriptions:
            counting.see()
            counting.pass_over(What.OTHER, name, extension(name))
    return {key: sample for key, sample in samples.items() if sample.is_one}


def _join(samples: dict[Key, Sample]) -> None:
    """Put images and labels together whose names have only the part before the first dot in common.

    That is the rule of WebDataset (`1.left.jpg` and `1.cls`); dots in names of images are older.
    """
    halves: dict[Key, list[Key]] = {}
    for (part, key), sample in samples.items():
        if bool(sample.images) != bool(sample.labels):
            folder, _, name = key.rpartition("/")
            halves.setdefault((part, f"{folder}/{name.partition('.')[0]}"), []).append((part, key))
    for keys in halves.values():
        images = [key for key in keys if samples[key].images]
        labels = [key for key in keys if samples[key].labels]
        if len(images) == 1 and len(labels) == 1:
            samples[images[0]].labels = samples.pop(labels[0]).labels


def _sort(member: TarMember, samples: dict[Key, Sample], counting: Counting, label: str) -> None:
    """Put a member to its sample, or count it as passed over."""
    name, path = member.name, PurePosixPath(member.name)
    key, suffix = (member.part, str(path.parent / path.stem)), path.suffix.lower()
    is_aside = any(part.startswith(".") or is_system_file(part) for part in path.parts)
    if suffix in LABELS and member.kind is Kind.FILE and not is_aside:
        _read_label(member, suffix, samples.setdefault(key, Sample()), label)
        return
    counting.see()
    if is_aside:
        part = next((part for part in path.parts if is_system_file(part)), None)
        if part is not None:
            counting.pass_over(What.SYSTEM, name, "._*" if part.startswith("._") else part)
        else:
            counting.pass_over(What.HIDDEN, name, extension(name), is_picture=is_image(name))
    elif is_image(name):
        samples.setdefault(key, Sample()).images += (member,)
    elif member.kind is not Kind.FILE:
        is_link = member.kind is Kind.LINK
        what, kind = (What.LINKS, "links") if is_link else (What.SPECIAL, "special files")
        counting.pass_over(what, name, kind)
    else:
        _look_into(member, key, samples, counting)


def _look_into(member: TarMember, key: Key, samples: dict[Key, Sample], counting: Counting) -> None:
    """Put a file without an image's extension to its sample if it is one; else count it."""
    looks, kind = appearance_of(member.name, member.read(BEGINNING_BYTES))
    if looks is Looks.IMAGE:
        samples.setdefault(key, Sample()).images += (member,)
        return
    what = {Looks.PICTURE: What.UNREAD, Looks.EMPTY: What.EMPTY}.get(looks, What.OTHER)
    counting.pass_over(what, member.name, kind, is_picture=looks is Looks.PICTURE)
    if looks is Looks.PICTURE:
        sample = samples.setdefault(key, Sample())
        sample.unread = f": {printable(PurePosixPath(member.name).name)} is {kind}"


def _read_label(member: TarMember, suffix: str, sample: Sample, key: str) -> None:
    """Add the label that a file holds to its sample."""
    sample.descriptions += (member.name,)
    if member.size > MAX_LABEL_BYTES:
        sample.unreadable = f": {printable(member.name)} has more than {MAX_LABEL_BYTES} bytes"
        return
    try:
        text = member.read(member.size).decode("utf-8").strip()
        label = text if suffix == ".cls" else _label_in(json.loads(text), key)
    except UnicodeDecodeError:
        sample.unreadable = f": {printable(member.name)} has bytes that are no UTF-8"
        return
    except (ValueError, RecursionError):
        sample.unreadable = f": {printable(member.name)} is no JSON"
        return
    if label:
        sample.labels += (label,)


def _label_in(value: object, key: str) -> str:
    """Return the label in a JSON document; empty where there is none."""
    label = value.get(key) if isinstance(value, dict) else None
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    return label if isinstance(label, str) else ""
