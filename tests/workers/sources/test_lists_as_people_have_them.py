"""Lists of numbers, of names without an ending, and of rows that say yes or no of a split."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import InputError, SettingsError
from workers.intake.drafting import draft_task, is_source
from workers.intake.other_files import check_no_other_file
from workers.sources import Source, read_source
from workers.sources.columns import Columns, split_said
from workers.tasks.task import Task, load_task

Draw = Callable[..., None]


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Return a function that draws pictures of these names in the working folder."""
    monkeypatch.chdir(tmp_path)

    def drawn(*names: str) -> None:
        for number, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (number, 0, 0)).save(path, "png")

    return drawn


def listed(name: str, *rows: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return name


def files_of(source: Source) -> Mapping[str, list[str]]:
    return {key: [ref.name for ref in refs] for key, refs in source.images.items()}


def drafted(source: str) -> Task:
    draft = draft_task(source)
    return load_task(draft.path, content=draft.content)


def test_names_without_an_ending_are_those_of_files_in_a_folder_beside_the_list(draw: Draw) -> None:
    draw("dogs/train/00a.jpg", "dogs/train/01.b.jpg", "dogs/test/02c.jpg", "dogs/bare")
    listed("dogs/labels.csv", "id,breed", "00a,pug", "01.b,collie", "bare,pug", "train/00a,pug")
    task = drafted("dogs")
    assert {key: [ref.name for ref in refs] for key, refs in task.images.items()} == {
        "collie": ["01.b"],  # which has an ending, and is not there
        "pug": ["bare", "train/00a.jpg"],
    }


def test_a_competition_is_read_by_its_list_and_its_test_images_are_left_alone(draw: Draw) -> None:
    draw("birds/train/1.png", "birds/train/2.png", "birds/test/3.png")
    listed("birds/train.csv", "image_id,label", "1,wren", "2,owl")
    listed("birds/test.csv", "image_id", "3")
    listed("birds/sample_submission.csv", "image_id,label", "3,owl")
    draft = draft_task("birds")
    assert (draft.file.images, draft.file.held_out) == ("birds/train.csv", None)
    assert draft.notes == ("left alone: birds/test.csv",)
    assert load_task(draft.path, content=draft.content).classes == {"owl": "owl", "wren": "wren"}


def test_paths_may_begin_in_a_folder_beside_the_list(draw: Draw) -> None:
    draw("whales/train/a/1.jpg", "whales/train/2.jpg", "whales/test/3.jpg")
    listed("whales/labels.csv", "Image,Id", "a/1.jpg,blue", "2.jpg,fin", "gone.jpg,fin")
    assert files_of(
        read_source("whales/labels.csv", columns=Columns(path="Image", label="Id"))
    ) == {
        "blue": ["train/a/1.jpg"],
        "fin": ["train/2.jpg", "train/gone.jpg"],
    }


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("l.csv", ("a b/my  1.jpg,3", "2.jpg,3")),
        ("l.tsv", ("a b/my  1.jpg\t3", "2.jpg\t3")),
        ("l.txt", ("a b/my  1.jpg 3", "2.jpg 3  ", "")),
        ("l.txt", ("a b/my  1.jpg  3\r", "2.jpg\t3\r", "\r")),
    ],
)
def test_a_list_whose_first_row_is_an_image_and_its_class_needs_no_names(
    draw: Draw, name: str, rows: tuple[str, ...]
) -> None:
    draw("a b/my  1.jpg", "2.jpg")
    draft = draft_task(listed(name, *rows))
    assert is_source(name)
    assert (draft.file.columns, draft.file.name) == (Columns(), "l")
    task = load_task(draft.path, content=draft.content)
    assert [ref.name for ref in task.images["3"]] == ["2.jpg", "a b/my  1.jpg"]


def test_a_text_that_names_no_image_is_no_list(draw: Draw) -> None:
    draw("1.jpg")
    assert not is_source(listed("task.txt", "name: birds", "images: train"))
    assert not is_source("gone.txt")
    with pytest.raises(SettingsError, match="first row names the columns"):
        read_source(listed("l.csv", "1.jpg,owl,brown"))


def test_a_list_has_as_many_rows_as_it_may_and_no_more(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("a.png", "b.png", "c.png")
    monkeypatch.setattr("workers.sources.csv_rows.MOST_SEEN", 3)
    rows = ["path,label", "a.png,x", "b.png,x", "c.png,y"]
    assert files_of(read_source(listed("list.csv", *rows))) == {
        "x": ["a.png", "b.png"],
        "y": ["c.png"],
    }
    with pytest.raises(SettingsError, match="expected at most 3 rows in "):
        read_source(listed("list.csv", *rows, "a.png,x"))


def test_a_cell_may_be_as_long_as_a_line(draw: Draw) -> None:
    draw("1.jpg", "2.jpg")
    words = "word " * 50_000
    source = listed("l.csv", "path,caption,label", f'1.jpg,"{words}",owl', f"2.jpg,{words},wren")
    assert list(read_source(source).images) == ["owl", "wren"]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (
            ("001.Black_footed", "002.Laysan"),
            {"001.Black_footed": "Black footed", "002.Laysan": "Laysan"},
        ),
        (
            ("n02085620-Chihuahua", "n02112137-chow"),
            {"n02085620-Chihuahua": "Chihuahua", "n02112137-chow": "chow"},
        ),
        (("1_a", "2_a"), {}),  # one name
        (("1_a", "b"), {}),
        (("2014-01", "2014-02"), {}),
        (("0", "1"), {}),
    ],
)
def test_numbers_before_the_names_of_all_classes_are_left_out_of_what_they_are_called(
    draw: Draw, folders: tuple[str, ...], names: Mapping[str, str]
) -> None:
    draw(*(f"cub/images/{each}/1.jpg" for each in folders))
    assert draft_task("cub").file.classes == names


def test_pictures_in_one_folder_are_no_class_of_that_name(draw: Draw) -> None:
    draw("pets/images/beagle_1.jpg", "pets/images/pug_1.jpg")
    with pytest.raises(SettingsError, match=r"found all pictures in images; move them"):
        draft_task("pets")
    draw("pets2/train/beagle.1.jpg", "pets2/train/pug.1.jpg", "pets2/test1/1.jpg")
    with pytest.raises(SettingsError, match=r"found all pictures in test1 and train; move them"):
        draft_task("pets2")
    draw("owls/owl/1.jpg")
    assert draft_task("owls").file.images == "owls"


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"PK\3\4", "birds.zip", "a ZIP archive; unpack it"),
        (b"PK\3\4", "birds.npz", "an archive of NumPy arrays; write its pictures as files"),
        (b"\x89HDF\r\n", "birds.h5", "HDF5; write"),
        (b"\x80\x04", "data_batch_1", "a pickle; name it as torchvision does"),
        (b"\0\0\x08\x03\0", "train-images-idx3-ubyte", "an array as MNIST has them; name it"),
        (b"MATLAB 5.0 MAT-file", "setid.mat", "a file of MATLAB; write"),
    ],
)
def test_files_of_other_kinds_are_told_by_what_they_are(
    tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(said)):
        check_no_other_file(tmp_path / name)
    check_no_other_file(tmp_path / "gone")


def test_numbers_of_a_table_are_names_too(draw: Draw) -> None:
    draw("train/1.png", "train/2.png")
    listed("train.jsonl", '{"id": 1, "label": 0}', '{"id": 2, "label": 1}')
    found = read_source("train.jsonl", columns=Columns(path="id"))
    assert files_of(found) == {"0": ["train/1.png"], "1": ["train/2.png"]}


def test_a_name_of_two_files_is_refused_and_so_are_names_of_none(draw: Draw) -> None:
    draw("a/1.png", "b/1.png", "a/2.png")
    source = listed("l.csv", "path,label", "1,x", "2,y")
    with pytest.raises(SettingsError, match=r"one image called '1' .* found a/1.png and b/1.png"):
        read_source(source)
    source = listed("l.csv", "path,label", "3,x", "4,y")
    with pytest.raises(SettingsError, match=r"names without an ending, as '3', .* 'train/3.jpg'"):
        read_source(source)
    # One of many that is not there is told when it is read, and may be skipped.
    source = listed("l.csv", "path,label", "2,x", "4,y")
    assert files_of(read_source(source)) == {"x": ["a/2.png"], "y": ["4"]}


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (("1.0", "2.0", "10.000"), ["1", "10", "2"]),
        (("1.0", "2.0", "1"), ["1", "1.0", "2.0"]),
        (("1.0", "1.5", "2.0"), ["1.0", "1.5", "2.0"]),
        (("1.0", "1.00", "2.0"), ["1.0", "1.00", "2.0"]),
    ],
)
def test_labels_that_are_all_whole_numbers_with_a_point_are_whole_numbers(
    draw: Draw, labels: tuple[str, ...], keys: list[str]
) -> None:
    names = [f"{number}.png" for number in range(len(labels))]
    draw(*names)
    rows = (f"{name},{label}" for name, label in zip(names, labels, strict=True))
    assert list(read_source(listed("l.csv", "path,label", *rows)).images) == keys


def test_numbers_of_a_column_of_floats_are_classes_where_they_are_whole(draw: Draw) -> None:
    draw("1.png", "2.png")
    source = listed("l.jsonl", '{"path": "1.png", "label": 1.0}', '{"path": "2.png", "label": 0.0}')
    assert list(read_source(source).images) == ["0", "1"]
    source = listed("l.jsonl", '{"path": "1.png", "label": 1.5}')
    with pytest.raises(SettingsError, match="text or a whole number"):
        read_source(source)


@pytest.mark.parametrize(
    ("column", "yes", "no", "held_out"),
    [
        ("is_train", "1", "0", "test"),
        ("Is_Train", "True", "False", "test"),
        ("is_test", "0.0", "1.0", "test"),
        ("is_valid", "False", "True", "validation"),
    ],
)
def test_a_column_that_says_of_each_row_whether_it_is_of_a_split(
    draw: Draw, column: str, yes: str, no: str, held_out: str
) -> None:
    draw("1.png", "2.png", "3.png")
    rows = ("1.png,x," + yes, "2.png,y," + yes, "3.png,x," + no)
    draft = draft_task(listed("l.csv", f"file,label,{column}", *rows))
    assert (draft.file.images, draft.file.held_out) == ("l.csv#train", f"l.csv#{held_out}")
    task = load_task(draft.path, content=draft.content)
    assert [list(map(len, refs.values())) for refs in (task.images, task.held_out)] == [
        [1, 1],
        [1, 0],
    ]
    assert f"1 row of other splits (1 {held_out}: 3.png)" in str(task.surveys["train"])


@pytest.mark.parametrize("cell", ["", "perhaps", "2"])
def test_a_cell_that_says_neither_is_of_a_split_of_its_own(cell: str) -> None:
    assert split_said("is_train", cell) == cell


def test_pictures_that_the_list_in_their_folder_does_not_name_are_counted(draw: Draw) -> None:
    draw("train/1.png", "train/2.png", "train/3.png", "train/more/4.png", "train/.hidden/5.png")
    listed("train/metadata.csv", "file_name,label", "1.png,x", "2.png,y", "2.png,y")
    task = drafted("train")
    assert str(task.surveys["train"]) == (
        "5 rows and files seen, 3 passed over: 2 pictures that the list in their folder does not "
        "name (2 .png: 3.png, more/4.png); 1 row with path and label of another (1 y: 2.png)"
    )
