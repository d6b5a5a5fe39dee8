"""Conformance suite of lists: every row counts, and what is wrong with one is told by number."""

import io
from typing import ClassVar

import pyarrow
import pyarrow.parquet
import pytest

from adapters.errors import SettingsError
from tests.support.conformance.sources import RED, Site, parquet, read

HEADER = b"path,label\n"
LONG = b"x" * 5000


def inside(name: str, cell: object) -> bytes:
    """Return a Parquet file with a column of one cell, and a class."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: [cell], "class": ["red"]}), buffer)
    return buffer.getvalue()


class ListSuite:
    """Shared suite: subclasses give the fixture `site`."""

    ROWS: ClassVar[list[tuple[bytes, str]]] = [
        # rows below the header, and what is said of them; the header is row 1
        (b"\n\n\na.png\n", "(?s)1 row of .*row 5: .*'a.png' and None"),
        (b"a.png,red\n\r\n,red\n", "row 4: .*'' and 'red'"),
        (b'"a\nb.png",red\nc.png\n', "row 3: .*'c.png' and None"),
        (
            b"a.png,red,large\n",
            "row 2: expected 2 cells, found 3; quote those that hold a sep",
        ),
        (b"a\0.png,red\n", r"row 2: its path 'a\\x00.png' has a NUL"),
        (b"a.png,r\0d\n", "row 2: its label .* has control characters"),
        (b'a.png,"r\ned"\n', "row 2: its label .* has control characters"),
        (b"a.png,caf\xe9\n", r"row 2: 'caf\\xe9' has bytes that are no UTF-8; save .* as UTF-8"),
        (b"a.png," + LONG + b"\n", "row 2: its label 'x{59}… has 5000 characters"),
        (LONG + b",red\n", "row 2: its path has more than 4096 bytes: 'x{59}…$"),
        (b"C:\\pictures\\a.png,red\n", "row 2: .*a drive or a server under Windows; write where"),
        (b"\\\\host\\a.png,red\n", "row 2: .*a drive or a server under Windows; write where"),
        (
            b"https://example.org/a.png,red\n",
            "row 2: its path 'https://example.org/a.png' is an",
        ),
        (b'a.png,red\n"b.png,red\n', "row 3 cannot be read .*quotation mark that is not closed"),
        (b'"a "b".png",red\n', "row 2 cannot be read .*not doubled inside a cell"),
        (b"b.png\n" * 30, "(?s)30 rows of .*row 2: .*row 4: .*and 27 more like these$"),
    ]

    @pytest.mark.parametrize(("rows", "message"), ROWS)
    def test_rows_that_cannot_be_used_are_told_as_a_person_counts_them(
        self, site: Site, rows: bytes, message: str
    ) -> None:
        site.write("x.csv", HEADER + rows)
        with pytest.raises(SettingsError, match=message):
            site.images("x.csv")

    HEADERS: ClassVar[list[tuple[bytes, str]]] = [
        (b"file;class\na.png;red\n", "found .'file', 'class'.; call 'file' path and 'class' label"),
        (b"file,label\na.png,red\n", "found .'file', 'label'.; call 'file' path"),
        (b"path,Class\na.png,red\n", "found .'path', 'Class'.; call 'Class' label"),
        (b"path,Path,Label\na.png,b.png,red\n", "path and label .*, each once"),
        (b"pat,label\na.png,red\n", "call 'pat' path"),
        (b"a.png,red,1\nb.png,red,1\n", "the first row names the columns"),
        (b"path,label,path\na.png,red,b.png\n", "path and label .*, each once"),
        (b"\n\n\n", "columns path and label"),
        (",".join(f"c{n}" for n in range(100_000)).encode(), "'c0', 'c1', .*, …. ?;|…]"),
        ("path,label\na.png,red\n".encode("utf-16"), "UTF-16; save it as CSV in UTF-8"),
        (b"PK\3\4" + bytes(60), "a spreadsheet or an archive; save it as CSV"),
        (b"\x1f\x8b" + bytes(60), "found gzip"),
        (b"\0" * 3_000_000, "in lines of less than 1048576"),
        (HEADER + b"a" * 2_000_000, "in lines of less than 1048576"),
    ]

    @pytest.mark.parametrize(("content", "message"), HEADERS)
    def test_what_is_no_list_is_told_with_what_to_do(
        self, site: Site, content: bytes, message: str
    ) -> None:
        site.write("x.csv", content)
        with pytest.raises(SettingsError, match=message):
            site.images("x.csv")

    def test_empty_rows_give_nothing_and_are_not_counted(self, site: Site) -> None:
        site.write("1.jpg", RED)
        site.write("x.csv", b"\n" + HEADER + b"\n\r\n1.jpg,red\n\n,\n ,  \n")
        source = site.read("x.csv")
        assert read(source.images) == {"red": [RED]}
        assert (source.survey.seen, source.survey.used) == (1, 1)

    SPELT: ClassVar[list[bytes]] = [
        # one list, as spreadsheets and other programs of other countries and systems write it
        b"path;label\np/1.jpg;red\n3.jpg;blue\n",
        b"path\tlabel\np/1.jpg\tred\n3.jpg\tblue\n",
        b"path|size|label\np/1.jpg|1,5|red\n3.jpg|2,5|blue\n",
        b'"path";"label"\r\n"p/1.jpg";"red"\r\n"3.jpg";"blue"\r\n',
        b"sep=;\r\npath;label\r\np/1.jpg;red\r\n3.jpg;blue\r\n",
        b"\xef\xbb\xbfSEP=,\npath,label\np/1.jpg,red\n3.jpg,blue\n",
        b"path, label\np/1.jpg, red\n3.jpg, blue\n",
        b' Path ,LABEL\n "p/1.jpg",red \n3.jpg ,\tblue\n',
        b"path,label,,\np/1.jpg,red,,\n3.jpg,blue,,,,\n",
        b"path,label\np\\1.jpg,red\n.\\3.jpg,blue\n",
    ]

    @pytest.mark.parametrize("content", SPELT)
    def test_what_is_meant_is_read_however_it_is_spelt(self, site: Site, content: bytes) -> None:
        site.write("p/1.jpg", RED)
        site.write("3.jpg", RED)
        site.write("x.csv", content)
        assert read(site.images("x.csv")) == {"red": [RED], "blue": [RED]}

    def test_the_line_that_names_the_separator_is_no_row(self, site: Site) -> None:
        site.write("x.csv", b"sep=;\npath;label\n;red\n")
        with pytest.raises(SettingsError, match="row 2: expected a path and a label"):
            site.images("x.csv")

    CELLS: ClassVar[list[tuple[bytes, str]]] = [
        # a Parquet list, and what is said of it
        (parquet(["a\0b"], ["red"]), r"row 1: its path 'a\\x00b' has a NUL"),
        (parquet([b"caf\xe9"], ["red"]), r"row 1: its path 'caf\\xe9' has .*no UTF-8"),
        (parquet(["a"], [b"caf\xe9"]), r"row 1: its label 'caf\\xe9' has bytes that are no UTF-8"),
        (parquet(["a"], ["r\ned"]), "row 1: its label .* has control characters"),
        (parquet([["a"]], ["red"]), "text or whole numbers in the column path .*list"),
        # images themselves, as data sets of Hugging Face have them, without a column of classes
        (inside("image", {"bytes": b"x", "path": "1.jpg"}), "the column label .* holds images"),
        (inside("jpg", b"\xff\xd8"), "the column label in .*, which holds images, found .'jpg'"),
        (
            inside("image", "1.jpg"),
            "found .'image', 'class'.; call 'image' path and 'class' label, or",
        ),
        (inside("image", ["1.jpg"]), "found .'image', 'class'.; call 'class' label, or"),
        (parquet([{"a": 1}], ["red"]), "text or whole numbers in the column path .*struct"),
        (parquet(["x" * 5000], ["red"]), "at most 4096 bytes in a cell of the column path .*5000"),
        (parquet([None] * 30_000, [None] * 30_000), "(?s)30000 rows of .*row 1: .*None and None"),
        (b"PAR1\xff" + parquet(["a"], ["b"])[5:], "to be a Parquet file: it is damaged at byte 4"),
        (parquet(["a"], ["b"], **{"other": ["c"]})[:20], "to be a Parquet file"),
    ]

    @pytest.mark.parametrize(("content", "message"), CELLS)
    def test_cells_of_parquet_lists_are_checked_as_those_of_others(
        self, site: Site, content: bytes, message: str
    ) -> None:
        site.write("x.parquet", content)
        with pytest.raises(SettingsError, match=message):
            site.images("x.parquet")

    KINDS: ClassVar[list[pyarrow.DataType]] = [
        # how programs keep text, and numbers: as such, or each value once
        *(pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()),
        *(pyarrow.binary(), pyarrow.large_binary(), pyarrow.int8(), pyarrow.uint64()),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.large_string()),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.int64()),
    ]

    @pytest.mark.parametrize("kind", KINDS, ids=str)
    def test_labels_of_parquet_are_text_or_numbers_of_any_kind(
        self, site: Site, kind: pyarrow.DataType
    ) -> None:
        labels = pyarrow.array(["7", "7", "8"]).cast(getattr(kind, "value_type", kind))
        if isinstance(kind, pyarrow.DictionaryType):
            labels = pyarrow.DictionaryArray.from_arrays([0, 1, 2], labels)
        site.write("x.parquet", parquet(["1.jpg", "2.jpg", "3.jpg"], labels))
        images = site.images("x.parquet")
        assert {key: len(refs) for key, refs in images.items()} == {"7": 2, "8": 1}

    def test_columns_of_parquet_may_have_capitals(self, site: Site) -> None:
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"Path": ["1.jpg"], " LABEL": ["red"]}), buffer)
        site.write("x.parquet", buffer.getvalue())
        assert [ref.name for ref in site.images("x.parquet")["red"]] == ["1.jpg"]

    def test_bytes_of_parquet_are_text_and_rows_of_many_batches_keep_their_order(
        self, site: Site
    ) -> None:
        paths = [f"{number}.jpg".encode() for number in range(25_000)]
        labels = [f"label {number % 700}" for number in range(25_000)]
        site.write("x.parquet", parquet(paths, labels))
        images = site.images("x.parquet")
        found = {ref.name: label for label, refs in images.items() for ref in refs}
        assert found == {path.decode(): label for path, label in zip(paths, labels, strict=True)}
