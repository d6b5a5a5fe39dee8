"""What is wrong with a file of each format is a sentence: what was expected, found, where."""

import io
import json
import zlib
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import ipc

from adapters.errors import InputError, SettingsError
from tests.support.conformance.sources import RED, tar
from workers.formats.decompressed import decompressed
from workers.sources import read_source
from workers.sources.columns import Columns
from workers.sources.places.local import LocalPlace
from workers.sources.unpacked import Unpacked

FORMATS = Path(__file__).parents[2] / "fixtures" / "formats"
IMAGE = {"bytes": RED, "path": "1.png"}


def schema_of(names: list[str]) -> dict[bytes, bytes]:
    """Return the metadata that names classes."""
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def table(images: list[Any], labels: list[Any], names: list[str] | None = None) -> pyarrow.Table:
    found = pyarrow.table({"image": images, "label": labels})
    return found.replace_schema_metadata(schema_of(names)) if names else found


def parquet(of: pyarrow.Table) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(of, buffer)
    return buffer.getvalue()


def stream(of: pyarrow.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with ipc.new_stream(buffer, of.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(of)
    return buffer.getvalue()


TABLE = table([IMAGE, IMAGE], [0, 1], ["red", "blue"])
ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ccc"><!ENTITY d "&b;&b;&b;">]>'
    b'<annotations><image name="&d;"><tag label="x"/></image></annotations>'
)
OF_FILES = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotations>&b;</annotations>'
DEEP = b"<annotations>" + b"<a>" * 100
STUDIO = [
    {
        "id": 1,
        "data": {"image": "/data/upload/1/a.png"},
        "annotations": [{"result": [{"value": {"choices": ["cat", "dog"]}}]}],
    }
]
FLAT = {"image": "a.png", "kind": "cat", "grade": "good", "annotation_id": 1, "lead_time": 2}
BAD: list[tuple[str, bytes, str]] = [
    (
        "x.parquet",
        parquet(table([IMAGE], [7], ["red"])),
        "row 1 of .*x.parquet: its label 7 is out",
    ),
    ("x.parquet", parquet(table([IMAGE], [-1], ["red"])), "its label -1 is outside of the schema"),
    (
        "x.parquet",
        parquet(table([IMAGE], ["tan"], ["red"])),
        "its label 'tan' is outside of the sch",
    ),
    (
        "x.parquet",
        parquet(table([{"bytes": None, "path": None}], ["a"])),
        "neither bytes nor a path",
    ),
    ("x.parquet", parquet(table([IMAGE], [1.5])), r"expected a class .*, found 1\.5"),
    (
        "x.parquet",
        parquet(pyarrow.table({"image": [IMAGE]})),
        "expected the column label in .*x.parq",
    ),
    (
        "x.parquet",
        parquet(table([IMAGE], [["red"]])),
        "text or whole numbers in the column label .*found list",
    ),
    (
        "x.parquet",
        parquet(pyarrow.Table.from_arrays([["a"]] * 3, names=["path", "label", "label"])),
        "path and label in .*x.parquet, each once",
    ),
    ("x.parquet", parquet(TABLE)[:-6], "x.parquet to be a Parquet file"),
    ("x.arrow", b"", "x.arrow to be an Arrow stream, found it empty"),
    ("x.arrow", b"no stream at all", "x.arrow to be an Arrow stream: it is no Arrow stream"),
    ("x.arrow", stream(TABLE)[:-200], "Arrow stream: it ends too early"),
    ("x.arrow", stream(TABLE, compression="zstd"), "its columns are compressed; write it without"),
    ("x.arrow", stream(table([IMAGE], [9], ["red"])), "its label 9 is outside of the schema"),
    ("x.jsonl", b'{"path": "1.png"}\n', r"columns path and label in line 1 .*found .'path'.$"),
    ("x.jsonl", b'{"path": "1.png", "label": "red"}\nred\n', "JSON object on each line .* line 2"),
    ("x.json", b"{", "x.json to be JSON"),
    ("x.json", b'{"a": 1}', "expected a split file of CoOp, .*x.json, found an object with 'a'"),
    ("x.json", b"[]", "found an empty list"),
    ("x.json", b'{"train": [["1.png", 0], [2]]}', "row 2: expected a path, a number and a class"),
    (
        "x.json",
        b'{"classes": ["a"], "labels": {"1": 3}}',
        "expected an image called '1' in the fold",
    ),
    ("x.json", json.dumps([FLAT]).encode(), "row 1: expected its class in one .*'kind', 'grade'"),
    ("x.json", json.dumps(STUDIO).encode(), "expected one class for 'a.png', found 'cat', 'dog'"),
    ("x.json", b'{"train": [["../../secret.png", 0, "a"]]}', "leads outside"),
    ("x.xml", b"<a/>", "x.xml to be an export of CVAT .*: found the element 'a'"),
    ("x.xml", b"no xml", "x.xml to be an export of CVAT .*: it is no XML"),
    ("x.xml", ENTITIES, "it declares a document type; remove the line"),
    ("x.xml", OF_FILES, "it declares a document type"),
    ("x.xml", DEEP, "elements are more than 32 inside each other"),
    (
        "x.xml",
        b"<annotations><track/></annotations>",
        "it is that of a video; export single images",
    ),
    (
        "x.xml",
        b'<annotations><image name="a"><box label="b"/></image></annotations>',
        "found 1 row without a class; give each image one",
    ),
    (
        "x.xml",
        b'<annotations><image name="a"><tag label="b"/><tag label="c"/></image></annotations>',
        "row 1: expected one tag for 'a', found 'b', 'c'",
    ),
    ("x.tar.gz", zlib.compress(tar([("1.png", RED)])), "expected a tar at .*x.tar.gz"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){message}") as caught:
        read_source(str(tmp_path / name), within=tmp_path)
    assert isinstance(caught.value, SettingsError)


STATES: list[tuple[dict[str, Any], str]] = [
    ({"_data_files": [{"filename": "../x.arrow"}]}, "the names of Arrow files beside it"),
    ({"_data_files": []}, "the names of Arrow files beside it"),
    ({"_data_files": [{"filename": "x.arrow"}]}, r"expected x\.arrow beside .*, found none"),
    (
        {"_data_files": [{"filename": "x.arrow"}], "_indices_data_files": [{"filename": "i"}]},
        "call `flatten_indices",
    ),
]


@pytest.mark.parametrize(("state", "message"), STATES)
def test_a_saved_data_set_that_is_not_whole_says_so(
    tmp_path: Path, state: dict[str, Any], message: str
) -> None:
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(SettingsError, match=message):
        read_source(str(tmp_path))


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("file,kind\n1.png,red\n")
    with pytest.raises(SettingsError, match=r"columns file and species in .*found .'file', 'kind'"):
        read_source(str(tmp_path / "x.csv"), columns=Columns(path="file", label="species"))
    (tmp_path / "hot.csv").write_text("path,cat,dog\n1.png,1,1\n2.png,0,0\n3.png,1,0\n")
    with pytest.raises(
        SettingsError, match=r"(?s)2 rows .*row 2: expected a 1 in one .*row 3: .*none"
    ):
        read_source(str(tmp_path / "hot.csv"), columns=Columns(one_hot=("cat", "dog")))


def test_what_unpacks_to_too_much_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compressobj(9, wbits=31)
    packed = bomb.compress(bytes(2**24)) + bomb.flush()
    content, unpacked = decompressed(io.BytesIO(packed)), Unpacked(LocalPlace(tmp_path), most=2**20)
    with pytest.raises(SettingsError, match=r"at most 1048576 bytes in what .*x\.tar\.gz"):
        while piece := content.read(2**16):
            unpacked.write(piece, name="x.tar.gz")
    assert unpacked.size("") <= 2**20


def test_parts_without_rows_add_nothing(tmp_path: Path) -> None:
    (tmp_path / "x-0.parquet").write_bytes(parquet(TABLE))
    (tmp_path / "x-1.parquet").write_bytes(parquet(TABLE.slice(0, 0)))
    images = read_source(str(tmp_path / "x-*.parquet")).images
    assert {key: len(refs) for key, refs in images.items()} == {"red": 1, "blue": 1}


def test_columns_of_one_name_are_no_trouble_where_none_is_wanted(tmp_path: Path) -> None:
    names = ["image", "label", "x", "x"]
    found = pyarrow.Table.from_arrays([[RED], ["red"], [1], [2]], names=names)
    (tmp_path / "x.parquet").write_bytes(parquet(found))
    assert list(read_source(str(tmp_path / "x.parquet")).images) == ["red"]


class TestExports:
    @staticmethod
    def names(folder: Path, export: str, content: object, *files: str) -> dict[str, list[str]]:
        """Return the images of each class that an export names, with such files beside it."""
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(RED)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / export).write_text(text)
        images = read_source(str(folder / export)).images
        return {key: [ref.name for ref in refs] for key, refs in images.items()}

    def test_an_image_of_a_subset_is_the_one_in_its_folder(self, tmp_path: Path) -> None:
        export = (
            '<annotations><image name="a.png" subset="train"><tag label="red"/></image>'
            "</annotations>"
        )
        files = ("images/a.png", "images/train/a.png")
        found = self.names(tmp_path, "x.xml", export, *files)
        assert found == {"red": ["images/train/a.png"]}

    def test_what_describes_an_image_is_not_taken_for_it(self, tmp_path: Path) -> None:
        export = {"classes": ["red"], "labels": {"a": [0]}}
        found = self.names(tmp_path, "labels.json", export, "data/a.png", "data/a.xmp")
        assert found == {"red": ["data/a.png"]}
        with pytest.raises(SettingsError, match=r"expected one image called 'a', found data/a\."):
            self.names(tmp_path, "labels.json", export, "data/a.jpg")

    def test_a_name_with_a_percent_sign_is_found_as_it_is(self, tmp_path: Path) -> None:
        task = {
            "data": {"image": "/data/upload/1/0000000a-a%3A b.png"},
            "annotations": [{"result": [{"value": {"choices": ["red"]}}]}],
        }
        found = self.names(tmp_path, "x.json", [task], "images/a%3A b.png")
        assert found == {"red": ["images/a%3A b.png"]}
