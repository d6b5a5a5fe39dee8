"""Data sets by name: those of torchvision, and those of the Hugging Face hub through `datasets`.

    torchvision://Flowers102?root=../data&split=train
    hf://datasets/OWNER/NAME?split=train&image=image&label=label

Both libraries know where the files of a data set are and what is in them. Nothing is downloaded by
torchvision unless the address says `download=true`; `datasets` looks into its cache first, and is
an extra.
"""

import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from adapters.contract.nearest import did_you_mean
from adapters.errors import InputError, NotFoundError, SettingsError, UnavailableError, one_line
from workers.sources.class_names import named_class
from workers.sources.columns import LABEL, shown_cell
from workers.sources.places.image import ImageRef
from workers.sources.places.keys import what_is_wrong_with
from workers.sources.places.local import LocalPlace
from workers.sources.places.survey import Counting, What
from workers.sources.unpacked import Unpacked

TORCHVISION, HUB = "torchvision://", "hf://datasets/"
Images = dict[str, tuple[ImageRef, ...]]
_MOST_BYTES = 20 * 2**20 + 1
_UNLABELLED = -1


class LibrarySet(NamedTuple):
    """A data set as an address names it.

    Attributes:
        name: Of the data set.
        options: What else the address says.
        address: All of it, for messages.
    """

    name: str
    options: dict[str, str]
    address: str


class _Row(NamedTuple):
    image: Any
    label: Any


def is_library_set(source: str) -> bool:
    """Return whether a source is a data set of a library."""
    return source.startswith((TORCHVISION, HUB))


def library_set(source: str) -> LibrarySet:
    """Return the data set that an address names; SettingsError where it says what nobody knows."""
    parts = urlsplit(source, allow_fragments=False)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_hub = source.startswith(HUB)
    name = parts.path.strip("/") if is_hub else parts.netloc
    known = _HUB_OPTIONS if is_hub else _TORCHVISION_OPTIONS
    unknown = sorted(set(options) - set(known))
    if not name or unknown or (parts.path.strip("/") and not is_hub):
        raise SettingsError(
            f"expected {_FORMS[is_hub]}, found {source[:200]!r}"
            f"{did_you_mean(unknown[0], known) if unknown else ''}"
        )
    return LibrarySet(name, options, source.partition("?")[0])


_HUB_OPTIONS = ("split", "image", "label", "name", "revision")
_TORCHVISION_OPTIONS = ("root", "split", "download")
_FORMS = (
    "torchvision://NAME?root=FOLDER&split=SPLIT (and &download=true)",
    "hf://datasets/OWNER/NAME?split=SPLIT (and &image=, &label=, &name=, &revision=)",
)


def library_images(source: str, *, folder: Path | None, counting: Counting) -> Images:
    """Return the images of a data set of a library, by label, both sorted.

    Args:
        source: Its address.
        folder: What its root is relative to; the working folder where None.
        counting: Counts its rows.

    Raises:
        SettingsError: the address or a row cannot be used, or the library is not there.
        NotFoundError: there is no such data set, or not its files.
        UnavailableError: the hub cannot be reached, and the data set is not in the cache.
    """
    counting.of("rows")
    wanted = library_set(source)
    is_hub = source.startswith(HUB)
    names, rows = _hub(wanted) if is_hub else _torchvision(wanted, folder or Path())
    unpacked = Unpacked(LocalPlace(folder or Path()), most=counting.most_bytes, told=wanted.address)
    found: dict[str, list[ImageRef]] = {}
    for number, row in enumerate(rows):
        counting.see()
        if row.label == _UNLABELLED or row.label is None:
            counting.pass_over(What.UNLABELLED, f"row {number}", "rows")
            continue
        label, wrong = named_class(row.label, names)
        text = str(label) if isinstance(label, int) else label
        wrong = wrong or (what_is_wrong_with(text) if isinstance(text, str) else "has no text")
        if wrong or not isinstance(text, str):
            raise SettingsError(f"row {number} of {wanted.address} cannot be used: {wrong}")
        content = _content(row.image, f"row {number} of {wanted.address}")
        ref = unpacked.add(content, name="", member=f"row {number}")
        found.setdefault(text, []).append(ref)
    counting.use(sum(map(len, found.values())))
    return {label: tuple(found[label]) for label in sorted(found)}


def _content(image: Any, where: str) -> bytes:
    """Return the bytes of an image: those of its file, or a PNG of what a library has decoded."""
    if isinstance(image, dict):
        if image.get("bytes"):
            return bytes(image["bytes"])
        image = image.get("path")
    if isinstance(image, str | Path):
        try:
            with Path(image).open("rb") as file:
                return file.read(_MOST_BYTES)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{where} cannot be read: {error}") from error
    if hasattr(image, "save"):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()
    raise SettingsError(
        f"expected an image in {where}, found {type(image).__name__}; name its column with `image=`"
    )


def library_splits(source: str) -> Sequence[str]:
    """Return the names of the splits of a data set; none where its address names one."""
    wanted = library_set(source)
    if "split" in wanted.options:
        return ()
    if not source.startswith(HUB):
        kind = _torchvision_kind(wanted)
        known = inspect.signature(kind).parameters
        return ("train", "test") if "split" in known or "train" in known else ()
    return tuple(map(str, _asked(wanted, lambda library: _hub_splits(library, wanted))))


def _hub_splits(library: Any, wanted: LibrarySet) -> Sequence[str]:
    name, revision = wanted.options.get("name"), wanted.options.get("revision")
    builder = library.load_dataset_builder(wanted.name, name, revision=revision)
    if builder.info.splits:  # these are known in the cache, too
        return tuple(builder.info.splits)
    found: Sequence[str] = library.get_dataset_split_names(wanted.name, name, revision=revision)
    return found


def _torchvision_kind(wanted: LibrarySet) -> Any:
    # Loaded when it is needed: torch takes seconds.
    from workers.images.torchvision_ops import ensure_torchvision_imports

    try:
        ensure_torchvision_imports()
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise SettingsError(
            f"expected the library torchvision to read {wanted.address}, found none; install it"
        ) from error
    kind = getattr(datasets, wanted.name, None)
    if not (inspect.isclass(kind) and issubclass(kind, datasets.VisionDataset)):
        near = did_you_mean(wanted.name, datasets.__all__)
        raise NotFoundError(
            f"expected the name of a data set of torchvision, found {wanted.name!r}{near}"
        )
    return kind


def _torchvision(wanted: LibrarySet, folder: Path) -> tuple[tuple[str, ...], Iterator[_Row]]:
    """Return names of classes and rows of a data set of torchvision."""
    kind = _torchvision_kind(wanted)
    known = inspect.signature(kind).parameters
    given: dict[str, Any] = {}
    if "root" in known:
        given["root"] = str(folder / Path(wanted.options.get("root", ".")).expanduser())
    if "split" in wanted.options:
        split = wanted.options["split"]
        given |= {"split": split} if "split" in known else {"train": split == "train"}
    if "download" in known:
        given["download"] = wanted.options.get("download", "").lower() == "true"
    if "loader" in known:
        given["loader"] = str  # the file as it is, not decoded and encoded again
    try:
        found = kind(**given)
        names = getattr(found, "classes", None) or ()
        count = len(found)
    except (RuntimeError, OSError, ValueError, TypeError, ImportError, LookupError) as error:
        raise NotFoundError(
            f"expected the files of {wanted.name} in {given.get('root', 'its root')} as "
            f"torchvision has them: {one_line(str(error))[:300]}; correct `root` or `split`, or "
            "let torchvision download them with `&download=true`"
        ) from error
    flat = [name[0] if isinstance(name, tuple | list) and name else name for name in names]
    is_named = bool(flat) and all(isinstance(name, str) for name in flat)
    rows = (_Row(*_pair(found, index, wanted)) for index in range(count))
    return tuple(flat) if is_named else (), rows


def _pair(found: Any, index: int, wanted: LibrarySet) -> tuple[Any, Any]:
    try:
        image, label = found[index]
    except (RuntimeError, OSError, ValueError, TypeError, LookupError) as error:
        raise SettingsError(
            f"expected an image and its class in row {index} of {wanted.address}: "
            f"{one_line(str(error))[:300]}"
        ) from error
    return image, label.item() if hasattr(label, "item") else label


def _asked(wanted: LibrarySet, ask: Callable[[Any], Any]) -> Any:
    """Return what `datasets` answers, or say why it does not."""
    try:
        import datasets
    except ImportError as error:
        raise SettingsError(
            f"expected the library datasets to read {wanted.address}, found none; install it with "
            "`pip install 'nacre[huggingface]'`, or name the Parquet files of the data set"
        ) from error
    from datasets.exceptions import DatasetNotFoundError

    try:
        return ask(datasets)
    except (DatasetNotFoundError, FileNotFoundError, ValueError) as error:
        raise NotFoundError(
            f"expected a data set at {wanted.address}, found none, or not this split: "
            f"{one_line(str(error))[:300]}; see its page for names of splits and configurations"
        ) from error
    except Exception as error:
        raise UnavailableError(
            f"expected the hub, or {wanted.address} in the cache of `datasets`, found neither: "
            f"{one_line(str(error))[:300]}; try again later, or name files that are here"
        ) from error


def _hub(wanted: LibrarySet) -> tuple[tuple[str, ...], Iterator[_Row]]:
    """Return names of classes and rows of a data set of the hub."""
    options = wanted.options
    split = options.get("split", "train")
    found = _asked(
        wanted,
        lambda library: library.load_dataset(
            wanted.name, options.get("name"), split=split, revision=options.get("revision")
        ),
    )
    import datasets

    features = found.features
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    image = options.get("image") or (images[0] if len(images) == 1 else "image")
    label = options.get("label") or (
        LABEL if LABEL in features or len(classes) != 1 else classes[0]
    )
    for name, key in ((image, "image"), (label, "label")):
        if name not in features:
            raise SettingsError(
                f"expected the column {shown_cell(name)} in {wanted.address}, found "
                f"[{', '.join(map(shown_cell, list(features)[:20]))}]; name it with `{key}=`"
            )
    if image in images:
        found = found.cast_column(image, datasets.Image(decode=False))
    names = features[label].names if label in classes else ()
    chosen = found.select_columns([image, label])
    return tuple(names), (_Row(row[image], row[label]) for row in chosen)


def check_here(source: str, within: Path | None) -> None:
    """Raise InputError where a data set of a library is named in what was sent."""
    if within is not None:
        raise InputError(
            f"expected images inside of what was sent, found {source[:200]!r}, which this service "
            "does not read; submit with `nacre submit`, which sends the images"
        )
