"""Conformance suite of what sources pass over: nothing is left out without being counted."""

import io
import tarfile
from typing import ClassVar

import pytest
from PIL import Image

from adapters.errors import SettingsError
from tests.support.conformance.sources import RED, Site, header, parquet, read, tar
from workers.sources import Survey
from workers.sources.places.survey import What


def picture(kind: str = "JPEG", shade: int = 0) -> bytes:
    """Return a picture file."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 90, 10)).save(buffer, kind)
    return buffer.getvalue()


JPEG = picture()
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
HEIC = b"\0\0\0\x18ftypheic" + bytes(60)
RAW = b"FUJIFILMCCD-RAW " + bytes(60)
CAMERA = "a raw picture of a camera"


def tiff(**tags: int) -> bytes:
    """Return a TIFF of 8 by 8 pixels with further tags, named by their numbers behind a letter."""
    buffer = io.BytesIO()
    more = {int(name[1:]): value for name, value in tags.items()}
    Image.new("RGB", (8, 8)).save(buffer, "TIFF", tiffinfo=more)
    return buffer.getvalue()


PREVIEW = tiff(t254=1)
TRANSPORT = (b"G" + bytes(187)) * 6


def passed(survey: Survey) -> dict[tuple[What, bool], dict[str, int]]:
    """Return what was passed over: reason and whether these are pictures, then kinds."""
    return {(each.what, each.are_pictures): dict(each.kinds) for each in survey.passed_over}


def check_sum(survey: Survey) -> None:
    """Check that everything was used or passed over."""
    counts = [each.count for each in survey.passed_over]
    assert survey.seen == survey.used + sum(counts)
    for each in survey.passed_over:
        assert each.count == sum(count for _, count in each.kinds)
        assert 0 < len(each.examples) <= each.count


CAMERAS = (
    "dng",
    "cr2",
    "nef",
    "arw",
    "pef",
    "srw",
    "orf",
    "rw2",
    "3fr",
    "iiq",
    "erf",
    "mos",
    "raw",
)


class SurveySuite:
    """Shared suite: subclasses give the fixture `site`."""

    USED: ClassVar[list[tuple[str, bytes]]] = [
        # what an image may be called, and what is in it
        ("a.jpg", RED),
        ("A.JPG", RED),
        ("a.jpe", RED),
        ("a.jfif", RED),
        ("a.webp", RED),
        ("IMG_1.HEIC", HEIC),
        ("a.avif", RED),
        ("a.jp2", RED),
        ("a.b.c.png", RED),
        (" .jpg", RED),
        ("empty.jpg", b""),
        # by its content alone
        ("none", JPEG),
        ("0123456789abcdef", picture("PNG")),
        ("a.jpg~", JPEG),
        ("a.jpg.bak", JPEG),
        ("a.dat", picture("GIF")),
        ("a.txt", picture("WEBP")),
        ("a.tmp", picture("BMP")),
        ("a.part", picture("TIFF")),
        ("a.x", picture("PPM")),
        ("IMG_2", HEIC),
    ]

    @pytest.mark.parametrize(("name", "content"), USED)
    def test_what_is_an_image_by_name_or_content_is_used(
        self, site: Site, name: str, content: bytes
    ) -> None:
        site.write(f"train/red/{name}", content)
        source = site.read("train")
        assert read(source.images) == {"red": [content]}
        assert source.survey == Survey(seen=1, used=1)

    PASSED: ClassVar[list[tuple[str, bytes, What, bool, str]]] = [
        # a file beside the classes or in one, what is said of it, whether it is a picture, its kind
        ("red/a.svg", SVG, What.UNREAD, True, "SVG"),
        ("red/a.raf", RAW, What.UNREAD, True, "a raw picture of a camera"),
        ("red/a.psd", b"8BPS" + bytes(60), What.UNREAD, True, "a Photoshop file"),
        # a TIFF in a camera's file is a preview or unfinished, whatever it says of itself
        *((f"red/a.{name}", tiff(), What.UNREAD, True, CAMERA) for name in CAMERAS),
        ("red/A.NEF", b"nobody knows", What.UNREAD, True, CAMERA),
        ("red/reduced", PREVIEW, What.UNREAD, True, CAMERA),
        ("red/sensor", tiff(t262=32803), What.UNREAD, True, CAMERA),
        ("red/a.crw", b"II\x1a\0\0\0HEAPCCDR" + bytes(60), What.UNREAD, True, CAMERA),
        ("red/a.cr3", b"\0\0\0\x18ftypcrx " + bytes(60), What.UNREAD, True, CAMERA),
        ("red/a.thm", JPEG, What.UNREAD, True, "a preview of a video"),
        ("red/a.xcf", b"gimp xcf file" + bytes(60), What.UNREAD, True, "a GIMP file"),
        ("red/a.eps", b"%!PS-Adobe-3.0 EPSF-3.0", What.UNREAD, True, "a PostScript file"),
        ("red/a.svgz", b"\x1f\x8b" + bytes(60), What.UNREAD, True, "SVG"),
        ("red/a.tga", bytes(60), What.UNREAD, True, "TGA"),
        ("red/a.mp4", b"\0\0\0\x18ftypmp42" + bytes(60), What.OTHER, False, "a video"),
        ("red/a.mov", b"\0\0\0\x08wide\0\0\0\0mdat", What.OTHER, False, "a video"),
        ("red/a.mts", bytes(4) + (b"G" + bytes(191)) * 6, What.OTHER, False, "a video"),
        ("red/a.ts", TRANSPORT, What.OTHER, False, "a video"),
        ("red/a.mpg", b"\0\0\1\xba" + bytes(60), What.OTHER, False, "a video"),
        ("red/notes.txt", b"BMW, P1 and II", What.OTHER, False, ".txt"),
        ("red/bm.txt", b"BMW is a make of cars, and this is no picture", What.OTHER, False, ".txt"),
        ("red/p1.md", b"P1 is where it was taken", What.OTHER, False, ".md"),
        ("red/0.xml", b"<?xml version='1.0'?><annotation/>", What.OTHER, False, ".xml"),
        ("red/0.json", b"{}", What.OTHER, False, ".json"),
        ("red/old.zip", b"PK\3\4" + bytes(60), What.OTHER, False, "a ZIP archive"),
        ("red/README", b"read me", What.OTHER, False, "without extension"),
        ("red/empty", b"", What.EMPTY, False, "without extension"),
        ("red/more/b.jpg", RED, What.DEEPER, True, ".jpg"),
        ("red/more/and/more/b", JPEG, What.DEEPER, True, "JPEG"),
        ("red/more/b.txt", b"x", What.DEEPER, False, ".txt"),
        ("red/.b.jpg", RED, What.HIDDEN, True, ".jpg"),
        ("red/.b", b"x", What.HIDDEN, False, "without extension"),
        (".cache/b.png", RED, What.HIDDEN, True, ".png"),
        ("b.jpg", RED, What.LOOSE, True, ".jpg"),
        ("b", JPEG, What.LOOSE, True, "JPEG"),
        ("labels.csv", b"a,b", What.LOOSE, False, ".csv"),
        ("red.zip", b"PK\3\4" + bytes(60), What.LOOSE, False, "a ZIP archive"),
        # by name, whatever is in it
        ("red/Thumbs.db", JPEG, What.SYSTEM, False, "Thumbs.db"),
        ("red/THUMBS.DB", b"x", What.SYSTEM, False, "THUMBS.DB"),
        ("red/.DS_Store", b"x", What.SYSTEM, False, ".DS_Store"),
        (".DS_Store", b"x", What.SYSTEM, False, ".DS_Store"),
        ("red/desktop.ini", b"x", What.SYSTEM, False, "desktop.ini"),
        ("red/._a.jpg", b"\0\5\x16\7", What.SYSTEM, False, "._*"),
        ("red/a.jpg:Zone.Identifier", b"x", What.SYSTEM, False, "a.jpg:Zone.Identifier"),
    ]

    @pytest.mark.parametrize(("name", "content", "what", "is_picture", "kind"), PASSED)
    def test_what_is_passed_over_is_counted_by_kind_and_named(
        self, site: Site, name: str, content: bytes, what: What, is_picture: bool, kind: str
    ) -> None:
        site.write("train/red/a.jpg", RED)
        site.write(f"train/{name}", content)
        source = site.read("train")
        assert read(source.images) == {"red": [RED]}
        assert (source.survey.seen, source.survey.used) == (2, 1)
        assert passed(source.survey) == {(what, is_picture): {kind: 1}}
        assert source.survey.passed_over[0].examples == (name,)
        assert "2 files seen, 1 passed over: 1 " in str(source.survey)

    FOLDERS: ClassVar[list[str]] = [
        *("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"),
        *(".Trashes", ".Trash-1000", ".Spotlight-V100", ".fseventsd", ".AppleDouble", "#recycle"),
        *("#snapshot", ".git", "__pycache__", ".ipynb_checkpoints", "found.000"),
    ]

    @pytest.mark.parametrize("folder", FOLDERS)
    @pytest.mark.parametrize("below", ["", "red/"])
    def test_folders_of_systems_and_programs_are_no_classes(
        self, site: Site, folder: str, below: str
    ) -> None:
        site.write("train/red/a.jpg", RED)
        site.write(f"train/{below}{folder}/red/a.jpg", JPEG)
        source = site.read("train")
        assert read(source.images) == {"red": [RED]}
        assert passed(source.survey) == {(What.SYSTEM, False): {folder: 1}}
        check_sum(source.survey)

    def test_many_kinds_are_counted_pictures_first_and_each_with_examples(self, site: Site) -> None:
        for number in range(5):
            site.write(f"train/red/{number}.jpg", RED)
            site.write(f"train/red/{number}.txt", b"x")
            site.write(f"train/red/deep/{number}.png", RED)
        for name in ("red/a.xml", "red/Thumbs.db", "blue/Thumbs.db", "red/a.svg", "x.jpg"):
            site.write(f"train/{name}", SVG)
        survey = site.read("train").survey
        check_sum(survey)
        assert (survey.seen, survey.used) == (20, 5)
        assert passed(survey) == {
            (What.UNREAD, True): {"SVG": 2},
            (What.DEEPER, True): {".png": 5},
            (What.LOOSE, True): {".jpg": 1},
            (What.OTHER, False): {".txt": 5},
            (What.SYSTEM, False): {"Thumbs.db": 2},
        }
        assert [each.are_pictures for each in survey.passed_over] == [True] * 3 + [False] * 2
        said = str(survey)
        assert said.startswith("20 files seen, 15 passed over: 2 pictures in formats that are not")
        assert "5 pictures in folders inside those of the classes (5 .png: red/deep/" in said
        assert "1 picture beside the folders of the classes" in said
        assert all(len(each.examples) == min(3, each.count) for each in survey.passed_over)

    def test_of_any_number_of_kinds_some_are_told(self, site: Site) -> None:
        for number in range(60):
            site.write(f"train/red/a.{number}", b"x")
        (other,) = site.read("train").survey.passed_over
        assert (other.count, len(other.kinds)) == (60, 51)
        assert dict(other.kinds)["of other kinds"] == 10
        assert len(str(other)) < 200

    SHARD: ClassVar[list[tuple[str, bytes]]] = [
        ("1.jpg", RED),
        ("1.cls", b"red"),
        ("2", JPEG),
        ("2.json", b'{"label": "red"}'),
        ("3.JFIF", RED),
        ("3.cls", b"red"),
    ]

    def test_raw_pictures_beside_developed_ones_are_passed_over(self, site: Site) -> None:
        site.write("x.tar", tar([*self.SHARD, ("1.nef", PREVIEW), ("2.dng", PREVIEW)]))
        survey = site.read("x.tar").survey
        assert passed(survey) == {(What.UNREAD, True): {CAMERA: 2}}
        assert "(2 raw pictures of a camera: 1.nef, 2.dng)" in str(survey)

    def test_of_shards_everything_but_labels_is_counted(self, site: Site) -> None:
        more = [
            ("1.txt", b"a caption"),
            ("4.svg", SVG),
            ("empty", b""),
            (".hidden/5.jpg", RED),
            ("__MACOSX/._1.jpg", b"x"),
            ("._1.jpg", b"x"),
            ("about.json", b'{"by": "nobody"}'),
            ("long/" * 30 + "a.txt", b"x"),
        ]
        site.write("s-0.tar", tar([*self.SHARD, *more]))
        site.write("s-1.tar", tar([("6.png", RED), ("6.cls", b"red"), ("Thumbs.db", b"x")]))
        source = site.read("s-*.tar")
        check_sum(source.survey)
        assert len(source.images["red"]) == source.survey.used == 4
        assert passed(source.survey) == {
            (What.UNREAD, True): {"SVG": 1},
            (What.HIDDEN, True): {".jpg": 1},
            (What.EMPTY, False): {"without extension": 1},
            (What.OTHER, False): {".txt": 2, ".json": 1},
            (What.SYSTEM, False): {"__MACOSX": 1, "._*": 1, "Thumbs.db": 1},
        }
        assert str(source.survey).startswith("13 members seen, 9 passed over: 1 picture in formats")

    @pytest.mark.parametrize("name", ["", ".", "/", "..", "a/..", "a.", "...", "~", "\n", "a" * 99])
    def test_members_may_be_called_anything(self, site: Site, name: str) -> None:
        for kind in (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE):
            site.write("x.tar", header(name, size=0, kind=kind) + tar(self.SHARD))
            survey = site.read("x.tar").survey
            check_sum(survey)
            assert survey.used == 3

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_a_link_in_a_shard_is_counted_or_refused_where_an_image_should_be(
        self, site: Site, kind: bytes
    ) -> None:
        def shard(name: str) -> bytes:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "1.jpg"
            return member.tobuf(tarfile.USTAR_FORMAT) + tar(self.SHARD)

        site.write("x.tar", shard("more"))
        survey = site.read("x.tar").survey
        check_sum(survey)
        assert [each.what for each in survey.passed_over] in ([What.LINKS], [What.SPECIAL])
        site.write("x.tar", shard("9.jpg"))
        with pytest.raises(SettingsError, match=r"'9' .*link or a special file for an image"):
            site.images("x.tar")

    def test_a_folder_of_shards_may_hold_other_files_which_are_counted(self, site: Site) -> None:
        site.write("data/s.tar", tar(self.SHARD))
        for name in ("README.md", "Thumbs.db", "__MACOSX/s.tar", "example.jpg"):
            site.write(f"data/{name}", b"x")
        source = site.read("data")
        check_sum(source.survey)
        assert source.survey.used == 3
        assert passed(source.survey) == {
            (What.LOOSE, True): {".jpg": 1},
            (What.LOOSE, False): {".md": 1},
            (What.SYSTEM, False): {"Thumbs.db": 1, "__MACOSX": 1},
        }

    @pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
    def test_rows_that_say_the_same_are_used_once_and_counted(self, site: Site, name: str) -> None:
        paths, labels = ["1.jpg", "2.jpg", "1.jpg", "1.jpg"], ["red", "red", "red", "blue"]
        lines = [f"{path},{label}\n" for path, label in zip(paths, labels, strict=True)]
        is_csv = name.endswith("csv")
        text = "path,label\n" + "\n".join(lines)
        site.write(name, text.encode() if is_csv else parquet(paths, labels))
        source = site.read(name)
        check_sum(source.survey)
        assert {key: len(refs) for key, refs in source.images.items()} == {"blue": 1, "red": 2}
        assert (source.survey.things, source.survey.seen) == ("rows", 4)
        assert passed(source.survey) == {(What.REPEATED, False): {"red": 1}}
