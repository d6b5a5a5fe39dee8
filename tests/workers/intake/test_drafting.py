"""Drafting: what a bare source shows is what its task file says."""

import io
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pyarrow.parquet
import pytest

from adapters.errors import InputError, NotFoundError, SettingsError
from tests.support.conformance.sources import RED, tar
from workers.intake.drafting import Draft, draft_task, is_source, task_file_of
from workers.sources.columns import Columns
from workers.tasks.task_file import TaskFile, read_task_file

Files = dict[str, bytes]
CLASSES = ("red/1.jpg", "blue/1.jpg")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def classes(*folders: str) -> Files:
    """Return pictures of two classes in each folder."""
    return {f"{folder}/{name}": RED for folder in folders for name in CLASSES}


def parquet(columns: dict[str, list[Any]]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def as_read(draft: Draft) -> TaskFile:
    """Return what is read of the file that a draft would be."""
    reading = read_task_file(draft.path, draft.content)
    assert reading.findings == ()
    return TaskFile(**reading.values)


LIST = b"file,species\na/1.jpg,red\n"
SPLIT = b"file_name,split,label\n1.jpg,Train,red\n2.jpg,TEST,red\n3.jpg,val,red\n"
HOT = b"filename, cat, dog\n1.jpg,1,0\n2.jpg,0,1\n"
STEMS = b'{"classes": ["red"], "labels": {"1": 0}}'
TABLE = parquet({"image": [RED, RED], "label": ["red", "blue"], "split": ["train", "test"]})
SHARD = tar([("1.jpg", RED), ("1.cls", b"red")])

SHOWN: list[tuple[Files, str, TaskFile]] = [
    # files, the source, and what its task file says
    (classes("birds"), "birds", TaskFile(name="birds", images="birds")),
    (classes("birds"), "./birds/", TaskFile(name="birds", images="birds")),
    (
        classes("birds/train", "birds/test"),
        "birds",
        TaskFile(name="birds", images="birds/train", held_out="birds/test"),
    ),
    (
        classes("birds/Training Set", "birds/validation", "birds/held-out"),
        "birds",
        TaskFile(name="birds", images="birds/Training Set", held_out="birds/held-out"),
    ),
    (
        classes("birds/train", "birds/val"),
        "birds",
        TaskFile(name="birds", images="birds/train", held_out="birds/val"),
    ),
    (
        classes("My birds (2024)/images/train", "My birds (2024)/images/test"),
        "My birds (2024)",
        TaskFile(
            name="My-birds-2024",
            images="My birds (2024)/images/train",
            held_out="My birds (2024)/images/test",
        ),
    ),
    # a class may be called train
    (
        {"toys/train/1.jpg": RED, "toys/car/1.jpg": RED, "toys/test/1.jpg": RED},
        "toys",
        TaskFile(name="toys", images="toys"),
    ),
    (classes("birds/train"), "birds/train", TaskFile(name="birds", images="birds/train")),
    (
        {"birds.csv": LIST},
        "birds.csv",
        TaskFile(name="birds", images="birds.csv", columns=Columns(path="file", label="species")),
    ),
    (
        {"birds.csv": SPLIT},
        "birds.csv",
        TaskFile(
            name="birds",
            images="birds.csv#Train",
            held_out="birds.csv#TEST",
            columns=Columns(path="file_name"),
        ),
    ),
    (
        {"pets/_classes.csv": HOT, "pets/1.jpg": RED},
        "pets",
        TaskFile(
            name="pets",
            images="pets/_classes.csv",
            columns=Columns(path="filename", one_hot=("*",)),
        ),
    ),
    (
        {"birds/train.tsv": LIST.replace(b",", b"\t"), "birds/test.tsv": LIST},
        "birds",
        TaskFile(
            name="birds",
            images="birds/train.tsv",
            held_out="birds/test.tsv",
            columns=Columns(path="file", label="species"),
        ),
    ),
    (
        {"birds.jsonl": b'{"img": "1.jpg", "breed": "red", "size": 3}\n'},
        "birds.jsonl",
        TaskFile(name="birds", images="birds.jsonl", columns=Columns(path="img", label="breed")),
    ),
    # a list beside the one folder of its images; folders of classes go before lists
    (
        {"birds/labels.csv": LIST, "birds/a/1.jpg": RED},
        "birds",
        TaskFile(
            name="birds",
            images="birds/labels.csv",
            columns=Columns(path="file", label="species"),
        ),
    ),
    (
        {"birds/labels.csv": LIST, **classes("birds")},
        "birds",
        TaskFile(name="birds", images="birds"),
    ),
    (
        {f"set/{name}.tar": SHARD for name in ("s-train-00", "s-train-01", "s-test-00")},
        "set",
        TaskFile(name="set", images="set/s-train-*.tar", held_out="set/s-test-00.tar"),
    ),
    (
        {"birds-train-0.tar": SHARD, "birds-train-1.tar": SHARD},
        "birds-train-{0..1}.tar",
        TaskFile(name="birds", images="birds-train-{0..1}.tar"),
    ),
    ({"7/1.jpg": RED, "8/1.jpg": RED}, ".", TaskFile(name="", images=".")),
    # a list among the images of each split
    (
        {
            f"pets/{split}/{name}": HOT
            for split in ("train", "test")
            for name in ("_c.csv", "1.jpg")
        },
        "pets",
        TaskFile(
            name="pets",
            images="pets/train/_c.csv",
            held_out="pets/test/_c.csv",
            columns=Columns(path="filename", one_hot=("*",)),
        ),
    ),
    (
        {f"{split}/labels.json": STEMS for split in ("51/train", "51/test")},
        "51",
        TaskFile(name="51", images="51/train/labels.json", held_out="51/test/labels.json"),
    ),
    (
        {"birds.parquet": TABLE},
        "birds.parquet",
        TaskFile(name="birds", images="birds.parquet#train", held_out="birds.parquet#test"),
    ),
]


@pytest.mark.parametrize(("files", "source", "expected"), SHOWN, ids=[each[1] for each in SHOWN])
def test_a_source_shows_its_task_and_the_file_that_is_written_says_the_same(
    here: Path, files: Files, source: str, expected: TaskFile
) -> None:
    write(here, files)
    draft = draft_task(source)
    if expected.name:
        assert draft.file == expected
    assert as_read(draft) == draft.file
    assert as_read(draft_task(source)).images == expected.images


def test_a_task_file_elsewhere_names_the_source_from_there(here: Path) -> None:
    write(here, classes("sets/birds/train", "sets/birds/test"))
    draft = draft_task("sets/birds", folder=Path("tasks"))
    assert (draft.file.images, draft.path) == ("../sets/birds/train", Path("tasks/task.yaml"))
    whole = draft_task(str(here / "sets/birds"), folder=Path("tasks"))
    assert whole.file.images == str(here / "sets/birds/train")


def test_splits_that_are_left_alone_are_told(here: Path) -> None:
    write(here, classes("birds/train", "birds/test", "birds/val"))
    assert draft_task("birds").notes == ("left alone: birds/val",)


def test_pictures_beside_the_folder_that_is_read_are_told(here: Path) -> None:
    write(here, {f"river/{number}.jpg": RED for number in range(5)} | {"river/deep/er/1.jpg": RED})
    draft = draft_task("river")
    assert draft.file.images == "river/deep"
    told = "left alone: river/0.jpg, river/1.jpg, river/2.jpg, 2 more pictures there"
    assert draft.notes == (told,)


NAMES: list[tuple[str, str]] = [
    ("Ärzte & Vögel", "Arzte-Vogel"),
    ("鳥", "task"),
    ("-birds.", "birds"),
    ("x" * 90, "x" * 64),
    ("v1.0", "v1.0"),
]


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_a_name_is_made_lawful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    write(tmp_path, classes(folder))
    monkeypatch.chdir(tmp_path)
    found = draft_task(f"./{folder}").file.name
    assert found == name if name != "task" else found  # then it is that of the folder above


class TestWhatIsNoSource:
    WRONG: ClassVar[list[tuple[Files, str, str]]] = [
        ({}, "gone.csv", "at .*gone.csv .*, found nothing"),
        ({}, "gone", "at .*gone .*, found nothing"),
        (
            {"x.csv": b"a,b,c\n1,2,3\n"},
            "x.csv",
            r"paths and one of classes in .*x\.csv, found \['a'",
        ),
        (
            {"x.csv": b"a/1.jpg,red,big\na/2.jpg,red,big\n"},
            "x.csv",
            r"found \['a/1.jpg', 'red', 'big'\]; the first row names the columns",
        ),
        ({"x.jsonl": b"[1]\n"}, "x.jsonl", "expected a JSON object on each line"),
        ({"x.jsonl": b'{"a": 1, "a": 2}\n'}, "x.jsonl", "on line 1: the key 'a' is there twice"),
        ({"x.parquet": b"PAR1"}, "x.parquet", "to be a Parquet file"),
    ]

    @pytest.mark.parametrize(("files", "source", "message"), WRONG)
    def test_says_so(self, here: Path, files: Files, source: str, message: str) -> None:
        write(here, files)
        with pytest.raises(InputError, match=message) as caught:
            draft_task(source)
        assert isinstance(caught.value, NotFoundError | SettingsError)

    def test_a_task_file_is_no_source_and_a_folder_that_holds_one_is_it(self, here: Path) -> None:
        write(here, {"birds/task.yaml": b"name: birds\nimages: train\n", "fish/a/1.jpg": RED})
        assert not is_source("birds/task.yaml")
        assert not is_source("birds")
        assert task_file_of("birds") == Path("birds/task.yaml")
        assert is_source("fish")
        assert is_source("s3://bucket/birds")
        assert is_source("shards/train-{000..012}.tar")
        assert not is_source("gone")
        assert not is_source("task.json")
