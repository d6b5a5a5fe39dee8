"""YAML that people write: what it looks like is what is read, or a sentence says what to write."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from adapters.errors import InputError, SettingsError
from workers.formats.yaml_nodes import DEFAULT_LIMITS, YamlLimits
from workers.formats.yaml_reading import nodes_of
from workers.formats.yaml_settings import read_settings, settings_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Nest:
    eggs: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bird:
    name: str = "owl"
    legs: int = 2
    weight: float = 1.0
    flies: bool = True
    ring: str | None = None
    size: Literal["small", "large"] = "small"
    calls: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    nests: tuple[Nest, ...] = ()


def read(text: str) -> Bird:
    return settings_of(Bird, text.encode(), "bird.yaml")


# What some parser or other takes for a number, a truth, a date, nothing, or an instruction.
LOOKS = (
    *("007", "010", "0o17", "0x1f", "0b11", "1_000", "1e-3", "1.50", "+1", ".5", "5.", "1:30"),
    *("no", "NO", "off", "yes", "on", "y", "n", "true", "False"),
    *("2001-01-01", "2001-99-99", "2001-01-01 10:00:00", "12:30:45"),
    *("~", "null", "NULL", "=", "<<", ".inf", ".nan", "1e999", "9" * 5000),
)


@pytest.mark.parametrize("text", LOOKS)
def test_where_text_is_expected_text_is_read_as_it_was_written(text: str) -> None:
    assert read(f"name: {text}").name == text
    assert read(f"names: {{a: {text}}}").names == {"a": text}
    assert read(f"calls: [{text}, {text}]").calls == (text, text)
    assert read(f"names:\n  ? {text}\n  : bird").names == {text: "bird"}


def test_names_that_differ_as_text_are_different_keys() -> None:
    assert read("names: {7: a, 007: b, 0o7: c, 7.0: d}").names == {
        "7": "a",
        "007": "b",
        "0o7": "c",
        "7.0": "d",
    }


NUMBERS: list[tuple[str, float]] = [
    ("12", 12),
    ("-3", -3),
    ("+4", 4),
    ("1_000", 1000),
    ("0x1f", 31),
    ("0o17", 15),
    ("0b11", 3),
    ("1e3", 1000),
    ("0", 0),
    ("'12'", 12),
]


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_where_a_number_is_expected_a_number_is_read(text: str, number: float) -> None:
    found = read(f"legs: {text}\nweight: {text}")
    assert (found.legs, found.weight) == (number, number)


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), (".5", 0.5), ("1.5E+2", 150.0)])
def test_fractions_are_read_with_and_without_a_point(text: str, number: float) -> None:
    assert read(f"weight: {text}").weight == number
    assert read(f"other: {{rate: {text}}}").other == {"rate": number}


TRUTHS = {"true": True, "yes": True, "On": True, "FALSE": False, "no": False, "off": False}


@pytest.mark.parametrize(("text", "truth"), TRUTHS.items())
def test_where_a_truth_is_expected_the_words_of_both_versions_are_read(
    text: str, truth: bool
) -> None:
    assert read(f"flies: {text}").flies is truth


def test_nothing_is_nothing_where_that_is_permitted() -> None:
    assert [read(f"ring: {text}").ring for text in ("", "~", "null", "'~'", "none")] == [
        None,
        None,
        None,
        "~",
        "none",
    ]


def test_what_cannot_be_mistaken_is_read_where_anything_is_expected() -> None:
    text = "{a: 1, b: 1.5, c: true, d: null, e: [x, '007'], f: 2001-01-01, g: 1_000, h: {i: '1'}}"
    assert read(f"other: {text}").other == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": ["x", "007"],
        "f": "2001-01-01",
        "g": 1000,
        "h": {"i": "1"},
    }


MISTAKES: list[tuple[str, str]] = [
    # twice, as people copy lines
    ("name: a\nlegs: 2\nname: b", r"'name' is there twice in bird\.yaml \(lines 1 and 3\)"),
    ("names:\n  p: pear\n  p: plum", r"'p' is there twice in bird\.yaml \(lines 2 and 3\)"),
    ("names: {p: pear, 'p': plum}", "'p' is there twice"),
    ("other: {a: {b: 1, b: 1}}", "'b' is there twice"),
    # numbers and truths
    ("legs: 010", "legs in bird.yaml, line 1: 010 is octal .* or write 10 if it is decimal"),
    ("\nother: {a: 007}", "other.a in bird.yaml, line 2: 007 is octal .*quote it .*or write 7 if"),
    ("other: {a: no}", "no is text to some readers and false to others; quote it .*write false"),
    ("other: {a: [On]}", "On is text .* true to others; quote it"),
    ("legs: 1:30", "legs .*expected a number, found '1:30'"),
    ("legs: true", "legs .*expected a number, found 'true'"),
    ("legs: " + "9" * 4301, "legs .*at most 18 digits, found 4301"),
    ("other: {a: " + "9" * 4301 + "}", "at most 18 digits, found 4301"),
    ("legs: 0x" + "f" * 4301, "at most 18 digits"),
    ("legs: '" + "9" * 4301 + "'", "legs in bird.yaml: "),
    ("legs: 1.5", "legs in bird.yaml: .*found 1.5"),
    ("flies: 1", "flies .*expected true or false, found 1"),
    ("flies: maybe", "flies .*expected true or false, found 'maybe'"),
    ("weight: heavy", "weight .*expected a number, found 'heavy'"),
    # text
    ("name:", "name .*expected text, found nothing; write ''"),
    ("name: [a]", "name .*expected text, found .'a'."),
    ("name: {a: b}", "name .*expected text, found keys and values"),
    ('name: "a\\0b"', "name .*found a NUL or half a character in 'a.x00b'"),
    ("names: {<<: {p: pear}}", "names.<< .*expected text, found keys and values"),
    ("size: middle", "size .*'small' or 'large', found 'middle'"),
    ("calls: hoo", "calls .*expected a list, found 'hoo'"),
    ("names: [a, b, c, d]", r"names .*expected keys and values, found \['a', 'b', 'c', …\]"),
    ("nests: [{egs: 1}]", "unknown key 'egs' in nests.0 .*did you mean 'eggs'"),
    ("nests: [1]", "expected keys and values in nests.0 .*found 1"),
    # what no reader here follows
    ("calls: &a [x]\nnames: {p: *a}", r"line 2: \*a is an alias.*write out"),
    ("name: *.tar", "line 1: .*quote values that begin with \\* or &"),
    ("name: !!python/object/apply:os.system [x]", "tags such as .*os.system' are not read"),
    ("legs: !!int 5", "tags such as"),
    ("{[a]: b}", "a key is a list or a mapping"),
    ("name: a\n---\nname: b", "line 3: a second document begins"),
    # what editors and spreadsheets make of it
    ("name:\towl\nnames:\n\tp: pear", "not valid YAML in line .*spaces, not with tabs"),
    ("name: a: b", "line 1: .*quote values that hold a colon"),
    ("name: @home", "quote values that begin with @"),
    ("name: 'a", "not valid YAML in line 1"),
    ("name: [a\nlegs: 2", "not valid YAML in line 2: .*flow sequence of line 1"),
    ("5", "expected keys and values in bird.yaml, found 5"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s){message}") as caught:
        read(text)
    assert "bird.yaml" in caught.value.message
    assert len(caught.value.message) < 500


BYTES: list[tuple[bytes, str]] = [
    ("name: café".encode("latin-1"), "byte 9 is no UTF-8; save the file as UTF-8"),
    ("name: owl".encode("utf-16"), "byte 0 is no UTF-8"),
    (b"name: a\0b", "not valid YAML: .*not allowed"),
    (b'name: "\\ud800"', "not valid YAML in line 1: .*escape"),
    (b'{"name": "\\ud800"}', "name .*NUL or half a character"),
    (b'{"name": "a", "name": "b"}', "'name' is there twice in bird.yaml; leave one out"),
    (b'{"weight": NaN}', "weight .*expected a number, found 'NaN'"),
]


@pytest.mark.parametrize(("content", "message"), BYTES)
def test_bytes_that_are_no_text_are_named(content: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        settings_of(Bird, content, "bird.yaml")


WRITTEN: list[bytes] = [
    b"name: owl\nlegs: 2\n",
    b"\xef\xbb\xbfname: owl\r\nlegs: 2\r\n",
    b"# a comment\n---\nname: owl\nlegs: 2\n...\n",
    b'{"name": "owl", "legs": 2}',
    b"{name: owl, legs: 2}",
    b"name: !!str owl\nlegs: 2",
    b"name: &here owl\nlegs: 2",
]


@pytest.mark.parametrize("content", WRITTEN)
def test_one_bird_is_written_in_many_ways(content: bytes) -> None:
    assert settings_of(Bird, content, "bird.yaml") == Bird(name="owl", legs=2)


def test_json_is_read_as_json_is_written_with_every_character_escaped() -> None:
    fields = {"name": "owl 🦉 café", "ring": None, "flies": False, "legs": 10, "weight": 1e-3}
    found = settings_of(Bird, json.dumps(fields).encode(), "the body")
    assert found == Bird(**fields)  # type: ignore[arg-type]


def bomb(levels: int) -> str:
    """Return YAML whose aliases stand for ten times more with every line."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, levels):
        below = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{below}]")
    return "\n".join(lines)


LARGE: list[tuple[str, str]] = [
    (bomb(7), r"\*a0 is an alias"),
    ("name: " + "[" * 50_000, "more than 32 inside each other"),
    ("name: " + "{a: " * 50_000, "more than 32 inside each other"),
    ("- " * 50_000, "more than 32 inside each other"),
    ('{"name": ' * 50_000, "more than 32 inside each other"),
    ('{"name": ' + "[" * 100 + "]" * 100 + "}", "more than 32 inside each other"),
    ("calls: [" + "a," * 300_000 + "]", "more than 200000 values"),
    ("\n".join(f"k{number}:" for number in range(200_000)), "more than 200000 values"),
    ("name: " + "a" * DEFAULT_LIMITS.size_bytes, "at most 4194304 bytes"),
]


@pytest.mark.parametrize(("text", "message"), LARGE)
def test_what_is_made_of_a_file_is_bounded(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read(text)
    assert len(caught.value.message) < 300


def test_everything_within_the_limits_is_read() -> None:
    limits = YamlLimits(depth=3, nodes=8)
    assert nodes_of(b"{a: [[x]], b: [y]}", "x", limits=limits) is not None
    with pytest.raises(SettingsError, match="more than 3 inside each other"):
        nodes_of(b"{a: [[[x]]]}", "x", limits=limits)
    with pytest.raises(SettingsError, match="more than 8 values"):
        nodes_of(b"{a: [1, 2], b: [3, 4], c: 5}", "x", limits=limits)


def test_a_folder_or_a_name_that_no_file_has_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for name in ("loop.yaml", "a" * 300, "a\0b", "a/b\udce9"):
        with pytest.raises(InputError, match=r"cannot be read|expected a file"):
            read_settings(Bird, tmp_path / name)
