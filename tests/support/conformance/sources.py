"""Conformance suite of sources: what every place must offer; inherit it once per place."""

import gzip
import io
import json
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow
import pyarrow.parquet
import pytest

from adapters.errors import ImageError, InputError, NotFoundError, SettingsError
from workers.images.decode import DEFAULT_LIMITS
from workers.sources import ImageRef, Opener, Source, read_source
from workers.store.base import ObjectStore

Images = Mapping[str, tuple[ImageRef, ...]]

RED, DARK, BLUE = b"red", b"dark red", b"blue"
EXPECTED = {"blue": [BLUE], "red": [RED, DARK]}
"""What every layout of the three pictures below comes down to."""

ANNOTATED = [("1.jpg", RED), ("1.cls", b"red"), ("2.PNG", DARK), ("2.json", b'{"label": "red"}')]


class Site(ABC):
    """Where a test puts files, and how a task names them."""

    opener: Opener

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put a file there."""

    @abstractmethod
    def source(self, name: str) -> str:
        """Return how a task file names it."""

    def read(self, name: str) -> Source:
        """Return what the source `name` holds, and what became of the rest."""
        return read_source(self.source(name), opener=self.opener)

    def images(self, name: str) -> Images:
        """Return the images of the source `name`."""
        return self.read(name).images


class StoreSite(Site):
    """Files in an object store.

    Args:
        address: Of the prefix that the store is opened at, without a query.
        query: What follows every address.
        opener: Opens addresses below it.
    """

    def __init__(self, address: str, opener: Opener, *, query: str = "") -> None:
        self.address, self.opener, self.query = address, opener, query
        self.store: ObjectStore = opener(address + query)

    def write(self, name: str, content: bytes) -> None:
        self.store.put(name, content)

    def source(self, name: str) -> str:
        return f"{self.address}/{name}{self.query}"


def read(images: Images) -> dict[str, list[bytes]]:
    """Return the contents of all images."""
    return {key: [ref.read() for ref in refs] for key, refs in images.items()}


def tar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def header(name: str, *, size: int, kind: bytes) -> bytes:
    """Return the header of a member of a tar."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def parquet(paths: Sequence[object], labels: Sequence[object], **others: Sequence[object]) -> bytes:
    """Return a Parquet file of a list."""
    buffer = io.BytesIO()
    table = pyarrow.table({**others, "label": labels, "path": paths})
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


class SourceSuite:
    """Shared suite: subclasses give the fixture `site`."""

    LISTED: ClassVar[list[str]] = ["p/1.jpg", "p/2.png", "3.jpg"]
    LABELS: ClassVar[list[str]] = ["red", "red", "blue"]

    def pictures(self, site: Site, *, folder: str) -> None:
        for name, content in zip(self.LISTED, (RED, DARK, BLUE), strict=True):
            site.write(f"{folder}/{name}", content)

    def test_a_folder_per_class(self, site: Site) -> None:
        for name, content in (("red/1.jpg", RED), ("red/2.PNG", DARK), ("blue/a.webp", BLUE)):
            site.write(f"train/{name}", content)
        # neither images nor a class's own
        for name in ("readme.md", "red/notes.txt", "red/more/3.jpg"):
            site.write(f"train/{name}", b"?")
        images = site.images("train")
        assert read(images) == EXPECTED
        assert list(images) == ["blue", "red"]
        assert images["red"][0].origin.endswith("train/red/1.jpg")

    def test_a_class_without_images_is_there_and_empty(self, site: Site) -> None:
        site.write("train/red/1.jpg", RED)
        site.write("train/green/notes.txt", b"?")
        assert read(site.images("train")) == {"green": [], "red": [RED]}

    LISTS: ClassVar[list[bytes]] = [
        b"path,label\np/2.png,red\np/1.jpg,red\n3.jpg,blue\n",
        # other columns do not disturb, whatever their order
        b"label,size,path\nred,5,p/2.png\nred,5,p/1.jpg\nblue,5,3.jpg\n",
        # a spreadsheet's file: a byte-order mark and Windows line ends
        b"\xef\xbb\xbfpath,label\r\np/2.png,red\r\np/1.jpg,red\r\n3.jpg,blue\r\n",
    ]

    @pytest.mark.parametrize("content", LISTS)
    def test_a_csv_lists_images_beside_itself(self, site: Site, content: bytes) -> None:
        self.pictures(site, folder="lists")
        site.write("lists/train.csv", content)
        assert read(site.images("lists/train.csv")) == EXPECTED

    def test_a_parquet_file_lists_images_beside_itself(self, site: Site) -> None:
        self.pictures(site, folder="lists")
        site.write("lists/train.parquet", parquet(self.LISTED, self.LABELS, size=[1, 2, 3]))
        assert read(site.images("lists/train.parquet")) == EXPECTED

    def test_numbers_are_labels_too(self, site: Site) -> None:
        self.pictures(site, folder="lists")
        site.write("lists/train.parquet", parquet(self.LISTED, [10, 10, 9]))
        assert read(site.images("lists/train.parquet")) == {"10": [RED, DARK], "9": [BLUE]}

    BAD_LISTS: ClassVar[list[tuple[str, bytes, str]]] = [
        ("x.csv", b"", r"columns path and label .*x\.csv"),
        ("x.csv", b"file,label\na.png,red\n", "columns path and label.*'file', 'label'"),
        # every row with a mistake is named: one that ends early, one without a path
        ("x.csv", b"path,label\na.png\nb.png,c\n,red\n", "2 rows of .*row 2: .*row 4: "),
        ("x.csv", b"path,label\n\xff.png,red\n", r"row 2: .\\xff.png. has bytes that are no UTF-8"),
        ("x.parquet", b"path,label\na.png,red\n", "Parquet"),
        ("x.parquet", parquet(["a"], ["b"])[:-9], "Parquet"),
        ("x.parquet", parquet(["a", None], ["b", "c"]), "1 row of .*row 2: .*None and 'c'"),
        # what pandas makes of whole numbers beside a gap
        ("x.parquet", parquet(["a", "b"], [1.5, None]), "row 1: .*'a' and 1.5"),
        ("x.parquet", parquet(["a"], [True]), "row 1: .*'a' and True"),
    ]

    @pytest.mark.parametrize(("name", "content", "message"), BAD_LISTS)
    def test_a_list_with_a_mistake_is_refused(
        self, site: Site, name: str, content: bytes, message: str
    ) -> None:
        site.write(name, content)
        with pytest.raises(SettingsError, match=f"(?s){message}"):
            site.images(name)

    def test_images_that_are_listed_and_missing_are_found_out_when_they_are_read(
        self, site: Site
    ) -> None:
        site.write("train.csv", b"path,label\np/1.jpg,red\n")
        (ref,) = site.images("train.csv")["red"]
        with pytest.raises(ImageError, match=r"p/1\.jpg cannot be read"):
            ref.read()

    def test_tar_shards_hold_images_and_labels_of_one_basename(self, site: Site) -> None:
        site.write("s-0.tar", tar(ANNOTATED))
        site.write("s-1.tar", tar([("./x/1.json", b'{"label": "blue"}'), ("./x/1.webp", BLUE)]))
        images = site.images("s-{0..1}.tar")
        assert read(images) == EXPECTED
        assert images["red"][0].origin.endswith("s-0.tar:1.jpg")

    TARS: ClassVar[list[tuple[str, list[str]]]] = [
        # how the shards are named, and which are meant
        ("data/s-000.tar", ["s-000"]),
        ("data/s-{000..001}.tar", ["s-000", "s-001"]),
        ("data/s-{001,000}.tar", ["s-000", "s-001"]),
        ("data/s-*.tar", ["s-000", "s-001", "s-010"]),
        ("data/s-0[01]0.tar", ["s-000", "s-010"]),
        ("data", ["s-000", "s-001", "s-010"]),
    ]

    @pytest.mark.parametrize(("name", "shards"), TARS)
    def test_shards_are_named_one_by_one_by_a_pattern_or_by_their_folder(
        self, site: Site, name: str, shards: list[str]
    ) -> None:
        for shard in ("s-000", "s-001", "s-010"):
            members = [("a.jpg", shard.encode()), ("a.cls", b"one\n")]
            site.write(f"data/{shard}.tar", tar(members))
        contents = read(site.images(name))["one"]
        assert sorted(contents) == [shard.encode() for shard in shards]

    def test_a_label_is_a_key_or_a_number(self, site: Site) -> None:
        members = [("1.jpg", RED), ("1.cls", b"7"), ("2.jpg", DARK), ("2.json", b'{"label": 7}')]
        # the same said twice is no contradiction; a description of the shard is no sample
        more = [("3.jpg", BLUE), ("3.cls", b" 8 "), ("3.json", b'{"label": 8}'), ("all.json", b"5")]
        site.write("x.tar", tar([*members, *more]))
        assert read(site.images("x.tar")) == {"7": [RED, DARK], "8": [BLUE]}

    def test_images_are_read_from_the_middle_of_a_shard(self, site: Site) -> None:
        # Larger than what is read ahead, so that headers and contents come from several reads.
        contents = [bytes([number]) * (700_000 + number) for number in range(4)]
        members = [(f"{number}.jpg", content) for number, content in enumerate(contents)]
        labels = [(f"{number}.cls", b"one") for number in range(4)]
        site.write("x.tar", tar([*members, *labels]))
        assert read(site.images("x.tar")) == {"one": contents}

    @pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar"])
    def test_a_compressed_shard_is_unpacked(self, site: Site, name: str) -> None:
        more = tar([("3.webp", BLUE), ("3.cls", b"blue")])
        site.write(name, gzip.compress(tar(ANNOTATED)) + gzip.compress(more))
        images = site.images(name)
        assert read(images) == EXPECTED
        assert images["red"][0].origin.endswith(f"{name}:1.jpg")

    def test_compressed_shards_and_others_are_one_source(self, site: Site) -> None:
        site.write("s/0.tar.gz", gzip.compress(tar(ANNOTATED[:2])))
        site.write("s/1.tar.gz", gzip.compress(tar(ANNOTATED[2:])))
        site.write("s/2.tar", tar([("3.webp", BLUE), ("3.cls", b"blue")]))
        assert read(site.images("s")) == EXPECTED

    ENDS: ClassVar[list[int]] = [len(tar(ANNOTATED)), 8 * 512 + 1024]
    """Where an archive may end: filled up to a record, or right behind its mark."""

    @pytest.mark.parametrize("end", ENDS)
    def test_shards_may_be_joined_and_each_has_names_of_its_own(self, site: Site, end: int) -> None:
        more = tar([("1.webp", BLUE), ("1.cls", b"blue")])
        site.write("x.tar", tar(ANNOTATED)[:end] + more)
        assert read(site.images("x.tar")) == EXPECTED

    def test_names_may_have_the_part_before_their_first_dot_in_common(self, site: Site) -> None:
        members = [("a/1.left.jpg", RED), ("a/1.cls", b"red"), ("b/1.jpg", BLUE)]
        site.write("x.tar", tar([*members, ("b/1.cls", b"blue")]))
        assert read(site.images("x.tar")) == {"blue": [BLUE], "red": [RED]}

    def test_names_of_classes_that_are_numbers_lie_beside_them(self, site: Site) -> None:
        site.write(
            "s/x.tar", tar([("1.jpg", RED), ("1.cls", b"1"), ("2.jpg", BLUE), ("2.cls", b"0")])
        )
        site.write("s/classes.txt", b"\xef\xbb\xbfblue_jay\r\nred kite\r\n\r\n")
        assert site.read("s/x.tar").names == {"0": "blue jay", "1": "red kite"}
        site.write("s/classes.txt", b"blue\n")
        assert site.read("s/x.tar").names == {}

    BAD_SAMPLES: ClassVar[list[tuple[list[tuple[str, bytes]], str]]] = [
        ([("1.jpg", RED)], "sample '1' of .*x.tar has no label"),
        ([("1.cls", b"red")], "sample '1' .*has no image"),
        # a picture in a format that is not read is no image
        ([("1.NEF", b"II*\0"), ("1.cls", b"a")], "no image: 1.NEF is a raw picture of a camera"),
        ([("1.psd", b"8BPS"), ("1.cls", b"a")], "has no image: 1.psd is a Photoshop file"),
        ([("1.jpg", RED), ("1.cls", b" ")], "'1' .*has no label"),
        ([("1.jpg", RED), ("1.cls", b"\xff")], "'1' .*has no label"),
        ([("1.jpg", RED), ("1.json", b"{")], "'1' .*has no label"),
        ([("1.jpg", RED), ("1.json", b'{"label": 1.5}')], "'1' .*has no label"),
        ([("1.jpg", RED), ("1.json", b'{"label": true}')], "'1' .*has no label"),
        ([("1.jpg", RED), ("1.png", RED), ("1.cls", b"a")], "'1' .*has 2 images"),
        ([("1.jpg", RED), ("1.cls", b"a"), ("1.json", b'{"label": 1}')], "labels ..1', 'a'"),
        # the same basename in two folders is two samples
        ([("a/1.jpg", RED), ("b/1.cls", b"red")], "2 samples .*'a/1' .*'b/1' "),
    ]

    @pytest.mark.parametrize(("members", "message"), BAD_SAMPLES)
    def test_a_sample_is_one_image_and_one_label(
        self, site: Site, members: list[tuple[str, bytes]], message: str
    ) -> None:
        site.write("x.tar", tar(members))
        with pytest.raises(SettingsError, match=f"(?s){message}") as caught:
            site.images("x.tar")
        assert caught.value.fields["problems"]

    BAD_TARS: ClassVar[list[bytes]] = [
        b"",
        b"no tar",
        # cut off in a file, between two files, and before the mark of the end
        tar(ANNOTATED)[:700],
        tar(ANNOTATED)[:1024],
        tar(ANNOTATED)[: 8 * 512],
        # a header in the middle is damaged: everything behind it would be missing
        tar(ANNOTATED)[:1024] + b"\xff" * 512 + tar(ANNOTATED)[1536:],
        json.dumps({"label": 5}).encode() * 100,
        # a hole in the middle, something behind the end
        tar(ANNOTATED)[:1024] + bytes(2048) + tar(ANNOTATED)[1024:],
        tar(ANNOTATED) + b"signed by nobody",
        # a name of a gigabyte before a member
        header("x", size=2**30, kind=tarfile.XHDTYPE) + tar(ANNOTATED),
        header("x", size=2**30, kind=tarfile.GNUTYPE_LONGNAME) + tar(ANNOTATED),
        gzip.compress(tar(ANNOTATED), mtime=0)[:-9],
        gzip.compress(b"no tar", mtime=0),
        b"\x28\xb5\x2f\xfd" + tar(ANNOTATED),
        # more than any disk holds
        header("1.jpg", size=2**50, kind=tarfile.REGTYPE) + tar(ANNOTATED),
        header("1.jpg", size=2**61, kind=tarfile.REGTYPE) + tar(ANNOTATED),
        header("1.cls", size=2**61, kind=tarfile.REGTYPE) + tar(ANNOTATED),
    ]

    @pytest.mark.parametrize("content", BAD_TARS)
    def test_a_damaged_shard_is_never_taken_for_a_shorter_one(
        self, site: Site, content: bytes
    ) -> None:
        site.write("x.tar", content)
        with pytest.raises(SettingsError, match=r"expected a tar at .*x\.tar"):
            site.images("x.tar")

    def test_a_shard_that_shrinks_before_its_images_are_read_is_noticed(self, site: Site) -> None:
        content = tar(ANNOTATED)
        site.write("x.tar", content)
        last = site.images("x.tar")["red"][1]
        site.write("x.tar", content[: last.start + 3])
        with pytest.raises(ImageError, match=r"x\.tar:2\.PNG cannot be read: its file ends 5 byte"):
            last.read()

    def test_an_image_over_the_limit_is_never_read_whole(self, site: Site) -> None:
        large = bytes(DEFAULT_LIMITS.size_bytes + 2)
        site.write("train/red/1.jpg", large)
        site.write("x.tar", tar([("1.jpg", large), ("1.cls", b"red")]))
        for name in ("train", "x.tar"):
            (ref,) = site.images(name)["red"]
            with pytest.raises(ImageError, match="it has more than 20971520 bytes"):
                ref.read()

    MISSING = ("gone", "gone.csv", "gone.parquet", "gone.tar", "gone-*.tar", "s-{0..2}.tar")

    @pytest.mark.parametrize("name", MISSING)
    def test_what_is_not_there_is_named(self, site: Site, name: str) -> None:
        site.write("s-0.tar", tar(ANNOTATED))
        site.write("s-2.tar", tar(ANNOTATED))
        with pytest.raises(NotFoundError, match=r"gone|s-1\.tar"):
            site.images(name)

    UNUSABLE: ClassVar[list[tuple[str, str]]] = [
        ("x.{csv,tar}", r"expected files of one kind .*found \.csv and \.tar; name one of these"),
        ("x-{0..999999999}.tar", "at most 100000 files"),
    ]

    @pytest.mark.parametrize(("name", "message"), UNUSABLE)
    def test_what_cannot_be_read_one_by_one_is_refused(
        self, site: Site, name: str, message: str
    ) -> None:
        for each in ("x.csv", "x.tar"):
            site.write(each, tar(ANNOTATED))
        with pytest.raises(InputError, match=message):
            site.images(name)
