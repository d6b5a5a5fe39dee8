"""Tars within bounds: nothing is taken for the end, and nothing is read that is too large."""

import bz2
import gzip
import io
import lzma
import random
import re
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import SettingsError
from workers.formats.decompressed import MEMORY_BYTES, decompressed
from workers.formats.tar_headers import BLOCK, Kind, TarLimits
from workers.formats.tar_members import bounded_members

FILES = [("1.jpg", b"red" * 300), ("1.cls", b"r"), ("a/2.jpg", b"" * 9), ("2.cls", b"b" * 512)]
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar(
    files: list[tuple[str, bytes]], kind: str = "ustar", headers: dict[str, str] | None = None
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=FORMATS[kind], errors="surrogateescape"
    ) as file:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(content), dict(headers or {})
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


class OnlyForward(io.RawIOBase):
    """A stream that nobody can go back in, and that gives few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1, /) -> bytes:
        return self._inner.read(min(size, 700))


OPENERS: list[Callable[[bytes], io.IOBase]] = [io.BytesIO, OnlyForward]


def listed(content: bytes, **limits: int) -> list[tuple[str, bytes]]:
    """Return names and contents of all files in a tar, read with and without going back."""
    found = []
    for opener in OPENERS:
        members = bounded_members(opener(content), limits=TarLimits(**limits))
        found.append([(each.name, each.read(each.size)) for each in members])
    assert found[0] == found[1]
    return found[0]


def refused(content: bytes, **limits: int) -> str:
    """Return why a tar is refused, with and without going back."""
    said = []
    for opener in OPENERS:
        with pytest.raises(SettingsError) as caught:
            list(bounded_members(opener(content), limits=TarLimits(**limits)))
        said.append(caught.value.message)
    one, other = (re.split(", (?:at|before) byte", each)[0] for each in said)
    assert one == other
    return said[0]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_names_and_contents(kind: str) -> None:
    assert listed(tar(FILES, kind)) == FILES


LONG = "a folder/" * 40 + "café.jpg"


@pytest.mark.parametrize("kind", ["gnu", "pax"])
@pytest.mark.parametrize("name", [LONG, "caf\udce9.jpg", "咖啡.jpg"])
def test_long_names_and_names_that_are_no_utf_8_are_read(kind: str, name: str) -> None:
    assert listed(tar([(name, b"x"), *FILES], kind)) == [(name, b"x"), *FILES]


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "1e400", "x"])
def test_times_are_nobodys_business(time: str) -> None:
    assert listed(tar(FILES, "pax", {"mtime": time, "comment": "café"})) == FILES


def test_what_is_no_file_is_told_apart() -> None:
    kinds = {
        b"5": Kind.FOLDER,
        b"1": Kind.LINK,
        b"2": Kind.LINK,
        b"3": Kind.OTHER,
        b"6": Kind.OTHER,
        b"7": Kind.FILE,
        b"Z": Kind.OTHER,
    }
    content = b"".join(header("x", kind=kind) for kind in kinds) + bytes(1024)
    assert [each.kind for each in bounded_members(io.BytesIO(content))] == list(kinds.values())


WHOLE = tar(FILES)
END = max(index for index, byte in enumerate(WHOLE) if byte) // BLOCK * BLOCK + BLOCK
SECOND = 3 * BLOCK
"""Where the second member of FILES begins."""

BROKEN: list[tuple[str, bytes, str]] = [
    # what was done to it, and what is said
    ("empty", b"", "it is empty"),
    ("text", b"no tar at all" * 100, "does not begin as a tar does"),
    ("short", b"no tar", "does not begin as a tar does"),
    ("gzip", gzip.compress(WHOLE), r"compressed \(gzip\); decompress it"),
    ("zip", b"PK\3\4" + bytes(600), r"compressed \(ZIP\)"),
    ("cut in a header", WHOLE[: SECOND + 100], "ends too early"),
    ("cut in a content", WHOLE[: SECOND - 700], "ends too early"),
    ("cut between two members", WHOLE[:SECOND], "mark of its end is missing"),
    ("cut before the end", WHOLE[:END], "mark of its end is missing"),
    ("a header of 0xff", WHOLE[:SECOND] + b"\xff" * BLOCK + WHOLE[SECOND + BLOCK :], "damaged at"),
    ("one bit of a header", WHOLE[:SECOND] + b"\x01" + WHOLE[SECOND + 1 :], "damaged at byte 1536"),
    ("a header of zeros", WHOLE[:SECOND] + bytes(BLOCK) + WHOLE[SECOND + BLOCK :], "behind it"),
    ("a member of zeros", WHOLE[:SECOND] + bytes(2 * BLOCK) + WHOLE[SECOND + 1024 :], "further"),
    ("two, one behind another", WHOLE + WHOLE, "further members .*tar --concatenate"),
    ("text behind the end", WHOLE + b"signed by nobody", "bytes of something else follow"),
    ("far behind the end", WHOLE + bytes(3_000_000) + b"x", "bytes of something else follow"),
    ("zeros without end", WHOLE + bytes(2**24 + 1), "more than 16777216 zeros"),
    ("negative size", header("x", size=-1) + bytes(1024), "damaged|begin as a tar"),
    ("a size of all numbers", header("x", size=2**80) + bytes(1024), "damaged"),
    ("more than there is", header("x", size=2**40) + bytes(1024), "ends too early"),
]


@pytest.mark.parametrize(
    ("content", "message"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_a_damaged_tar_is_never_a_shorter_one(content: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        raise SettingsError(refused(content))


ENDS = [0, BLOCK, 2 * BLOCK, 2 * BLOCK + 100, 10240, 2**20]


@pytest.mark.parametrize("zeros", ENDS[1:])
def test_the_end_is_a_block_of_zeros_and_any_number_more(zeros: int) -> None:
    assert listed(WHOLE[:END] + bytes(zeros)) == FILES


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(str(length)) + len(key) + len(value) + 3 != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def pax(content: bytes, *, size: int | None = None, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header("x", size=len(content) if size is None else size, kind=kind) + padded(content)


HEADERS: list[tuple[bytes, str]] = [
    # a header before a member, and what is said
    (pax(b"", size=8 * 2**30), "at most 1048576 bytes of names and attributes"),
    (header("x", size=2**30, kind=b"L"), "at most 1048576 bytes of names and attributes"),
    (header("x", size=2**30, kind=b"K"), "at most 1048576 bytes of names and attributes"),
    (pax(record(b"path", b"x" * 5000)), "name of at most 4096 bytes .*found 5000"),
    (pax(record(b"path", b"a\0b")), "name of at most 4096 bytes without a NUL"),
    (pax(record(b"size", b"many")), "damaged"),
    (pax(record(b"size", b"9" * 5000)), "damaged"),
    (pax(record(b"size", b"-1")), "damaged"),
    (pax(b"999 path=x\n"), "damaged"),
    (pax(b"0 path=x\n"), "damaged"),
    (pax(b"9" * 5000), "damaged"),
    (pax(b"12 path=abcd\n1 x"), "damaged"),
    (pax(record(b"size", b"3"), kind=tarfile.XGLTYPE), "all members one name or one size"),
    (pax(record(b"comment", b"x"))[:700], "damaged"),
    (pax(record(b"comment", b"x")) + bytes(1024), "damaged"),
    (pax(record(b"comment", b"x" * 600_000)) * 2, "at most 1048576 bytes of names"),
]


@pytest.mark.parametrize(("before", "message"), HEADERS)
def test_what_precedes_a_member_is_checked_before_it_is_read(before: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        raise SettingsError(refused(before + WHOLE))


def test_a_header_for_all_members_and_one_of_many_small_records_are_read() -> None:
    comment = pax(record(b"comment", b"x"), kind=tarfile.XGLTYPE)
    many = pax(b"5 a=\n" * 200_000)
    named = pax(record(b"path", b"caf\xe9") + record(b"size", b"3")) + header("x") + padded(b"abc")
    assert listed(comment + many + named + WHOLE) == [("caf\udce9", b"abc"), *FILES]


def test_members_and_bytes_are_bounded() -> None:
    assert listed(WHOLE, members=4, size_bytes=END) == FILES
    assert "at most 3 members" in refused(WHOLE, members=3)
    assert f"at most {END - 1} bytes" in refused(WHOLE, size_bytes=END - 1)
    assert "at most 1000 bytes" in refused(header("x", size=2**50) + bytes(1024), size_bytes=1000)


def test_a_content_is_read_in_pieces_and_no_further_than_its_end() -> None:
    (member, *_) = (each for each in bounded_members(io.BytesIO(WHOLE)) if each.name == "1.jpg")
    assert member.size == 900
    pieces = bounded_members(OnlyForward(WHOLE))
    first = next(pieces)
    assert [len(first.read(500)) for _ in range(3)] == [500, 400, 0]
    assert next(pieces).name == "1.cls"


COMPRESSIONS: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, lzma.compress]


def members_of(content: bytes) -> list[tuple[str, bytes]]:
    return [
        (each.name, each.read(each.size))
        for each in bounded_members(decompressed(io.BytesIO(content)))
    ]


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_what_is_compressed_is_read_as_it_was(compress: Callable[[bytes], bytes]) -> None:
    whole = tar([*FILES, ("noise", random.Random(1).randbytes(300_000))])
    assert members_of(compress(whole)) == listed(whole)
    # pigz and `cat` put several pieces one behind another, and some programs zeros behind them
    halves = compress(whole[:1000]) + compress(whole[1000:]) + bytes(64)
    assert members_of(halves) == listed(whole)
    assert members_of(whole) == listed(whole)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_what_is_compressed_is_read_to_its_end(compress: Callable[[bytes], bytes]) -> None:
    content = compress(WHOLE)
    for broken, message in (
        (content[:-5], "ends too early, within"),
        (content[: len(content) // 2], "ends too early, within"),
        (content + b"something else", "bytes of something else follow the end of its"),
        (content + compress(WHOLE), "further members follow"),
        (content[:20] + b"\xff\x00\xff\x00" + content[24:], "damaged|ends too early|else"),
    ):
        with pytest.raises(SettingsError, match=message):
            members_of(broken)


def test_a_small_file_does_not_become_a_large_header_or_a_large_archive() -> None:
    header_of_600_mib = pax(b"", size=600 * 2**20) + bytes(2**20)
    with pytest.raises(SettingsError, match="bytes of names and attributes"):
        members_of(lzma.compress(header_of_600_mib))
    zeros = gzip.compress(header("x", size=2**26) + bytes(2**26) + bytes(1024))
    limits = TarLimits(size_bytes=2**20)
    with pytest.raises(SettingsError, match="at most 1048576 bytes"):
        list(bounded_members(decompressed(io.BytesIO(zeros)), limits=limits))


def test_xz_is_given_no_more_memory_than_it_needs() -> None:
    dictionary = {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2 * MEMORY_BYTES}
    content = lzma.compress(WHOLE, filters=[dictionary])
    with pytest.raises(SettingsError, match=r"xz is damaged .*[Mm]emory"):
        members_of(content)


def test_other_compressions_are_named() -> None:
    for content, name in ((b"\x28\xb5\x2f\xfd" + bytes(9), "Zstandard"), (b"PK\3\4", "ZIP")):
        with pytest.raises(SettingsError, match=f"compressed with {name}; expected gzip"):
            decompressed(io.BytesIO(content))


LAST = ("name/" * 19 + "of the last", random.Random(2).randbytes(2000))
"""More than what is changed below, so that the end cannot be moved before it."""


@settings(max_examples=300)
@given(st.data())
def test_any_change_of_an_archive_is_noticed_or_leaves_every_member(data: st.DataObject) -> None:
    content = bytearray(tar([*FILES, LAST], data.draw(st.sampled_from(sorted(FORMATS)))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.binary(min_size=1, max_size=600))
        content[at : at + len(change)] = change
    try:
        found = list(bounded_members(io.BytesIO(bytes(content))))
    except SettingsError:
        return
    assert len(found) >= len(FILES) + 1
