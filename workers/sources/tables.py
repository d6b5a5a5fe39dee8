"""Table source: the images themselves in a column of Parquet or Arrow, as on the Hugging Face hub.

A column of images has their bytes, or structures of `bytes` and `path`; where the bytes are missing
the path is that of a file beside the table. Labels are text, or numbers that the schema may name.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from adapters.contract.counts import counted
from adapters.errors import InputError, SettingsError
from workers.formats.problems import Problems, cause_of
from workers.sources.arrow_rows import ARROW, arrow_batches, arrow_schema
from workers.sources.class_names import named_class, schema_names
from workers.sources.columns import LABEL, LABEL_NAMES, SPLIT, Columns, Selection, shown_cell
from workers.sources.parquet_rows import parquet_batches, parquet_schema
from workers.sources.places.image import ImageRef
from workers.sources.places.keys import what_is_wrong_with
from workers.sources.places.place import Place
from workers.sources.places.survey import Counting, What
from workers.sources.unpacked import Unpacked

_OF_IMAGES = frozenset({"image", "img", "picture", "photo", "jpg", "jpeg", "png", "bytes", "data"})
Images = dict[str, tuple[ImageRef, ...]]
Batches = Callable[[Place, str, "TableColumns"], Generator[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumns:
    """The columns of a table of images.

    Attributes:
        image: Has the images.
        label: Has the classes.
        split: Has the split; None where all are read.
        names: Of the classes, where the schema has them.
    """

    image: str
    label: str
    split: str | None = None
    names: tuple[str, ...] = ()


class _Cells(NamedTuple):
    content: bytes | None  # never empty
    path: str | None
    label: object
    split: object


def is_table(place: Place, name: str, columns: Columns) -> bool:
    """Return whether a file holds images, and does not say where they are.

    Raises:
        SettingsError: it cannot be read.
    """
    if name.lower().endswith(ARROW):
        return True
    schema = parquet_schema(place, name)
    if columns.path is not None:
        return False
    plain = [each.strip().casefold() for each in schema.names]
    return columns.image is not None or bool(_image_columns(schema) and "path" not in plain)


def guessed_columns(place: Place, name: str) -> Columns:
    """Return the columns of a table of images that a task must name; errors as of reading it."""
    schema, origin = _schema(place, name), place.origin(name)
    known = schema_names(schema.metadata)
    plain = {each.casefold(): each for each in schema.names}
    named = [plain[each] for each in LABEL_NAMES if each in plain]
    label = next(iter([*(each for each in schema.names if each in known), *named]), None)
    chosen = Columns(label=None if label is None or LABEL in schema.names else label)
    columns_of_table(schema, origin, Selection(columns=chosen))
    return Columns() if len(known) == 1 else chosen


def table_images(
    place: Place, names: Sequence[str], counting: Counting, selection: Selection
) -> Images:
    """Return the images in the tables called `names`, by label, both sorted.

    Raises:
        SettingsError: a table is damaged, too large or has other columns; or rows have no image or
            no class of the schema; all of these are reported.
    """
    counting.of("rows")
    found: dict[str, list[ImageRef]] = {}
    problems = Problems()
    unpacked = Unpacked(place, most=counting.most_bytes)
    for name in names:
        columns = columns_of_table(_schema(place, name), place.origin(name), selection)
        with closing(_rows(place, name, columns)) as rows:
            for number, cells in enumerate(rows, start=1):
                counting.see()
                if not selection.has(cells.split):
                    counting.pass_over(What.SPLIT, f"row {number}", selection.split_of(cells.split))
                    continue
                label, wrong = _label(cells, columns, any_key=counting.any_key)
                ref, wrong = (None, wrong) if wrong else _ref(cells, place, name, number, unpacked)
                if ref is None:
                    problems.add(
                        f"row {number} of {place.origin(name)}: {wrong}", cause=cause_of(wrong)
                    )
                else:
                    found.setdefault(label, []).append(ref)
    if problems:
        raise SettingsError(
            f"{counted(problems.count, 'row')} cannot be used; expected an image and its class in "
            f"each:{problems}",
            problems=problems.kept,
        )
    counting.use(sum(map(len, found.values())))
    return {label: tuple(found[label]) for label in sorted(found)}


def table_splits(place: Place, name: str, selection: Selection) -> Generator[object]:
    """Yield the split of each row of a Parquet file of images, none of which is read."""
    schema, origin = _schema(place, name), place.origin(name)
    columns = columns_of_table(schema, origin, selection)
    assert columns.split is not None
    # In the place of the images stand the labels, which are short.
    short = [columns.label, columns.split]
    with closing(parquet_batches(place, name, image=columns.label, short=short)) as batches:
        for batch in batches:
            yield from batch.column(columns.split).to_pylist()


def columns_of_table(schema: Any, origin: str, selection: Selection) -> TableColumns:
    """Return the columns of a table of images.

    Raises:
        SettingsError: one is not there, or there are several and nobody says which is meant.
    """
    columns, known = selection.columns, schema_names(schema.metadata)
    images = [columns.image] if columns.image else _image_columns(schema)
    if len(images) > 1 and "image" in images:
        images = ["image"]
    is_plain = LABEL in schema.names or len(known) != 1
    label = columns.label or (LABEL if is_plain else next(iter(known)))
    split = None if selection.part is None else columns.split or SPLIT
    wanted = [*(images if len(images) == 1 else ["image"]), label, *([split] if split else [])]
    missing = [name for name in wanted if schema.names.count(name) != 1]
    if missing or len(images) != 1:
        told = ", ".join(map(shown_cell, schema.names[:20]))
        what = ", ".join(f"{name}" for name in missing or ["image"])
        raise SettingsError(
            f"expected the column {what} in {origin}, which holds images, found [{told}]; name its "
            "columns in the task file: `columns: {image: …, label: …}`"
        )
    return TableColumns(image=images[0], label=label, split=split, names=known.get(label, ()))


def _schema(place: Place, name: str) -> Any:
    is_arrow = name.lower().endswith(ARROW)
    return arrow_schema(place, name) if is_arrow else parquet_schema(place, name)


def _image_columns(schema: Any) -> list[str]:
    # One by one: the schema finds no column by its name where two are called so.
    return [field.name for field in schema if _holds_images(field.name, field.type)]


def _holds_images(name: str, kind: Any) -> bool:
    """Return whether a column has the bytes of images in its cells."""
    from pyarrow import types

    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    bytes_alone = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return name.strip().lower() in _OF_IMAGES and any(is_one(kind) for is_one in bytes_alone)


def _rows(place: Place, name: str, columns: TableColumns) -> Generator[_Cells]:
    read = arrow_batches if name.lower().endswith(ARROW) else parquet_batches
    short = [columns.label, *([columns.split] if columns.split else [])]
    with closing(read(place, name, image=columns.image, short=short)) as batches:
        for batch in batches:
            contents, paths = _image_cells(batch.column(columns.image))
            labels = batch.column(columns.label).to_pylist()
            splits = batch.column(columns.split).to_pylist() if columns.split else labels
            for row, (label, split) in enumerate(zip(labels, splits, strict=True)):
                content = contents[row].as_py() if contents is not None else None
                path = paths[row].as_py() if paths is not None and not content else None
                yield _Cells(content, path, label, split)


def _image_cells(column: Any) -> tuple[Any, Any]:
    """Return the bytes and the paths in a column of images; None of what it does not have."""
    from pyarrow import types

    if not types.is_struct(column.type):
        return column, None
    parts = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
    found, path = parts.get("bytes"), parts.get("path")
    is_text = path is not None and (types.is_string(path.type) or types.is_large_string(path.type))
    return found, path if is_text else None


def _label(cells: _Cells, columns: TableColumns, *, any_key: bool) -> tuple[str, str]:
    """Return the class of a row, and what is wrong with it."""
    cell = cells.label
    # A number of a table in which another one is missing.
    whole = int(cell) if isinstance(cell, float) and cell.is_integer() else cell
    label, wrong = named_class(whole, columns.names)
    if wrong:
        return "", wrong
    text = str(label) if isinstance(label, int) and not isinstance(label, bool) else label
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if not isinstance(text, str) or not text:
        return "", f"expected a class (text or a whole number), found {shown_cell(cells.label)}"
    wrong = "" if any_key else what_is_wrong_with(text)
    return text, f"its label {shown_cell(text)} {wrong}" if wrong else ""


def _ref(
    cells: _Cells, place: Place, name: str, number: int, unpacked: Unpacked
) -> tuple[ImageRef | None, str]:
    """Return the reference to the image of a row, and what is wrong with it."""
    if cells.content:
        return unpacked.add(cells.content, name=name, member=f"row {number}"), ""
    if not cells.path:
        return None, "expected an image, found neither bytes nor a path"
    try:
        return ImageRef(place=place, name=place.resolved(cells.path)), ""
    except InputError as error:
        return None, error.message
