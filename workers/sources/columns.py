"""Columns of lists: which hold path, image, label and split, and what a header shows of that."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from adapters.errors import SettingsError

PATH, LABEL, SPLIT = "path", "label", "split"
NAMELESS = (PATH, LABEL)
"""The columns of a list whose first row is one of images, as ImageNet has them."""
ALL_OTHERS = ("*",)
"""Of `one_hot`: every column beside path and split is a class."""
_SHOWN = 60
_COMPARED = 1000
"""A line of a mebibyte may name a million columns."""
PATH_NAMES = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img_path"),
    *("image_file", "image_name", "image", "img", "name"),
    # Of names without an ending.
    *("image_id", "img_id", "id_code", "id", "uuid"),
)
LABEL_NAMES = (
    *("label", "class", "category", "label_name", "class_name", "category_name", "species"),
    *("breed", "target", "y", "labels", "classes"),
)
_TRUTHS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("is_train", "is_training", "is_training_image"), ("train", "test")),
    **dict.fromkeys(("is_test", "is_testing"), ("test", "train")),
    **dict.fromkeys(("is_valid", "is_val", "is_validation"), ("validation", "train")),
}
"""Columns that say of one split whether a row is in it: that split, and the other one."""
SPLIT_NAMES = ("split", "subset", "partition", "set", "fold_name", *_TRUTHS)
_OTHER_NAMES = {
    **dict.fromkeys(PATH_NAMES[1:], PATH),
    **dict.fromkeys(LABEL_NAMES[1:], LABEL),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns of lists and tables that a task names.

    Attributes:
        path: Has the path of the image; `path` where None.
        image: Has the image itself, in tables that hold images; found by its kind where None.
        label: Has the class; `label` where None.
        one_hot: In its place, a column for each class, of which one has a 1; `["*"]` for all
            columns beside path and split.
        split: Has the split, where a source names one behind `#`; `split` where None.
    """

    path: str | None = None
    image: str | None = None
    label: str | None = None
    one_hot: tuple[str, ...] = ()
    split: str | None = None


NO_COLUMNS = Columns()


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is read of a list.

    Attributes:
        columns: Which of its columns.
        part: Rows of this split alone; None for all.
    """

    columns: Columns = field(default_factory=Columns)
    part: str | None = None

    def has(self, split: object) -> bool:
        """Return whether rows of a split are read, given the cell that says it."""
        if self.part is None:
            return True
        return self.split_of(split).casefold() == self.part.casefold()

    def split_of(self, cell: object) -> str:
        """Return the split that a cell says."""
        return split_said(self.columns.split, cell)

    def wanted(self) -> tuple[str, ...]:
        """Return the names of the columns that a list must have."""
        columns = self.columns
        labels = columns.one_hot if columns.one_hot else (columns.label or LABEL,)
        parts = () if self.part is None else (columns.split or SPLIT,)
        return (columns.path or PATH, *(() if labels == ALL_OTHERS else labels), *parts)


EVERYTHING = Selection()


def split_said(column: str | None, cell: object) -> str:
    """Return the split that a cell says, as `1` in a column `is_train` says `train`."""
    said = str(cell).strip()
    yes, no = _TRUTHS.get(_plain(column or ""), ("", ""))
    if not yes:
        return said
    if _is_one(cell):
        return yes
    return no if said and is_truth(cell) else said


class Chosen(NamedTuple):
    """Where in a row what is wanted stands.

    Attributes:
        path: Of the image.
        label: Of the class; None where there is a column for each.
        one_hot: Of each class, with its name.
        split: Of the split; None where all are read.
    """

    path: int
    label: int | None
    one_hot: tuple[tuple[int, str], ...] = ()
    split: int | None = None

    def places(self) -> tuple[int, ...]:
        """Return all these places, each once."""
        parts = (self.path, self.label, self.split, *(place for place, _ in self.one_hot))
        return tuple(dict.fromkeys(place for place in parts if place is not None))


def columns_of(
    origin: str,
    found: Sequence[str],
    selection: Selection = EVERYTHING,
    *,
    usable: Collection[str] | None = None,
) -> Chosen:
    """Return where the wanted columns are among those `found` in a list.

    Blanks around their names and capitals make no difference where nothing else tells two apart.

    Args:
        origin: Of the list, for messages.
        found: The names of its columns.
        selection: What is read of it.
        usable: Those of them that could be path or label, where it is no row that names them.

    Raises:
        SettingsError: one is not there, or is there twice.
    """
    wanted = selection.wanted()
    for plain in (str, _plain):
        names, meant = [plain(name) for name in found], [plain(name) for name in wanted]
        if all(names.count(name) == 1 for name in meant):
            return _chosen(selection, found, [names.index(name) for name in meant])
    if usable is None:
        hint = _hint(wanted, found, selection)
    else:
        hint = _meant(wanted, [name for name in found if name in usable], selection)
    raise SettingsError(
        f"expected the columns {_and(wanted)} in {origin}"
        f"{_twice(wanted, found)}, found [{_told(found)}]{hint}"
    )


def label_in(chosen: Chosen, cells: Sequence[object]) -> tuple[object, str]:
    """Return the label in a row, and what is wrong with it where it has a column for each class."""
    if chosen.label is not None:
        return (cells[chosen.label] if chosen.label < len(cells) else None), ""
    hot = [name for place, name in chosen.one_hot if place < len(cells) and _is_one(cells[place])]
    if len(hot) == 1:
        return hot[0], ""
    told = f"{len(hot)}: {', '.join(map(shown_cell, hot[:3]))}" if hot else "none"
    return None, f"expected a 1 in one of the columns of its classes, found {told}"


def shown_cell(value: object) -> str:
    """Return a cell as errors quote it, cut where it is long."""
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}…"


def is_truth(cell: object) -> bool:
    """Return whether a cell says that a class is the row's, or that it is not."""
    return _is_one(cell) or str(cell).strip().casefold() in ("0", "0.0", "false", "")


def _is_one(cell: object) -> bool:
    return str(cell).strip().casefold() in ("1", "1.0", "true")


def _plain(name: str) -> str:
    return name.strip().casefold()


def _chosen(selection: Selection, found: Sequence[str], places: list[int]) -> Chosen:
    path, rest = places[0], places[1:]
    split = rest.pop() if selection.part is not None else None
    one_hot = selection.columns.one_hot
    if not one_hot:
        return Chosen(path, rest[0], split=split)
    if one_hot == ALL_OTHERS:
        known = {_plain(selection.columns.split or SPLIT)}
        rest = [
            place
            for place, name in enumerate(found)
            if place not in (path, split) and name.strip() and _plain(name) not in known
        ]
    return Chosen(path, None, tuple((place, found[place].strip()) for place in rest), split)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _twice(wanted: Sequence[str], found: Sequence[str]) -> str:
    plain = [_plain(name) for name in found]
    return ", each once" if any(plain.count(_plain(name)) > 1 for name in wanted) else ""


def _told(found: Sequence[str]) -> str:
    return ", ".join([shown_cell(name) for name in found[:20]] + ["…"] * (len(found) > 20))


def _hint(wanted: Sequence[str], found: Sequence[str], selection: Selection) -> str:
    """Return what to do where the first row names the columns."""
    meant = _meant(wanted, found, selection)
    missing = {_plain(name) for name in wanted} - set(map(_plain, found))
    return meant or (FIRST_ROW if missing & {PATH, LABEL} else "")


def _meant(wanted: Sequence[str], found: Sequence[str], selection: Selection) -> str:
    """Return what to do: which of the columns are probably meant, of all that are missing."""
    if selection.columns != NO_COLUMNS:
        return "; write the names of its columns under `columns` in the task file"
    plain = {_plain(name): name for name in found[:_COMPARED]}
    missing = [name for name in wanted if _plain(name) not in plain]
    meant = [(name, near) for name in missing if (near := _nearest(name, plain)) is not None]
    if not meant:
        return ""
    renamed = [f"{shown_cell(near)} {name}" for name, near in meant]
    written = ", ".join(f"{name}: {near}" for name, near in meant)
    return f"; call {' and '.join(renamed)}, or write `columns: {{{written}}}` in the task file"


def _nearest(name: str, plain: dict[str, str]) -> str | None:
    """Return the column that is probably meant by `name`."""
    meant = next((plain[other] for other in plain if _OTHER_NAMES.get(other) == name), None)
    near = get_close_matches(name, list(plain), n=1, cutoff=0.75)
    return meant or (plain[near[0]] if near else None)


def is_nameless(cells: Sequence[str], selection: Selection = EVERYTHING) -> bool:
    """Return whether the first row of a list is an image and its class, and names no columns."""
    from workers.sources.places.appearance import is_image

    return (
        len(cells) == len(NAMELESS)
        and selection == EVERYTHING
        and is_image(cells[0].strip())
        and bool(cells[1].strip())
        and not is_image(cells[1].strip())
        and _plain(cells[1]) not in (LABEL, *LABEL_NAMES)
    )


FIRST_ROW = "; the first row names the columns: put the row path,label before the others"


def guessed(found: Sequence[str], rows: Sequence[Sequence[object]]) -> Columns | None:
    """Return which columns of a list probably have path, label and split; None where none can.

    Args:
        found: The names of the columns.
        rows: The first rows.
    """
    from workers.sources.places.appearance import is_image

    plain = {_plain(name): name for name in reversed(found)}
    path = next((plain[name] for name in PATH_NAMES if name in plain), None)
    path = next(_with_images(found, rows), path)
    if path is None or is_image(path.strip()):  # the first row is one of images
        return None
    split = next((plain[name] for name in SPLIT_NAMES if name in plain), None)
    label = next(
        (plain[name] for name in LABEL_NAMES if name in plain and plain[name] != path), None
    )
    others = [name for name in found if name.strip() and name not in (path, split)]
    if label is None and len(others) == 1:
        label = others[0]
    if label is not None:
        return Columns(
            path=_unless(path, PATH), label=_unless(label, LABEL), split=_unless(split, SPLIT)
        )
    places = [place for place, name in enumerate(found) if name in others]
    if (
        len(others) > 1
        and rows
        and all(_is_one_hot([row[at] for at in places if at < len(row)]) for row in rows)
    ):
        return Columns(path=_unless(path, PATH), one_hot=ALL_OTHERS, split=_unless(split, SPLIT))
    return None


def _unless(name: str | None, default: str) -> str | None:
    return None if name is None or _plain(name) == default else name


def _is_one_hot(cells: Sequence[object]) -> bool:
    return all(map(is_truth, cells)) and sum(map(_is_one, cells)) == 1


def _with_images(found: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield the columns that name images in every row."""
    from workers.sources.places.appearance import is_image

    for place, name in enumerate(found):
        cells = [row[place] for row in rows if place < len(row)]
        if cells and all(isinstance(cell, str) and is_image(cell.strip()) for cell in cells):
            yield name
