"""What people get wrong with their first task file: each error says what to write instead."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import InputError
from workers.tasks.task import load_task

WriteTask = Callable[..., Path]


def folder_of_pictures(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (20, 20), (90 * number, 9, 9)).save(folder / f"{number}.png")
    return folder


def refusal(path: Path, content: str | None = None) -> str:
    """Return why a task file is refused, be it given as a path alone."""
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as raised:
        load_task(path)
    return raised.value.message


def test_a_folder_in_place_of_the_task_file_is_told_what_such_a_file_says(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path / "My pets" / "cat")
    said = refusal(tmp_path / "My pets")
    assert "found a folder; a task file is a YAML file beside it" in said
    assert "`images: My pets`" in said


def test_a_mistyped_task_file_is_told_which_one_is_there(write_task: WriteTask) -> None:
    assert "found none; did you mean 'task.yaml'?" in refusal(write_task().with_name("task.yml"))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("My pets", "; 'My-pets' can be one"),
        ("Vögel & Käfer", "; 'V-gel-K-fer' can be one"),
        ("動物", ""),  # no letter that a name may have
    ],
)
def test_a_name_with_blanks_or_other_letters_is_told_one_that_can_be(
    tmp_path: Path, name: str, found: str
) -> None:
    folder_of_pictures(tmp_path / "pets" / "cat")
    assert refusal(tmp_path / "a.yaml", f"name: {name}\nimages: pets").endswith(
        f"underscores, found {name!r}{found}"
    )


def test_pictures_without_folders_of_classes_are_told_where_they_belong(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path / "pets")
    said = refusal(tmp_path / "a.yaml", "name: pets\nimages: pets")
    assert "each class is a folder with its images directly in it" in said
    assert "2 pictures beside the folders of the classes" in said


def test_a_folder_above_those_of_the_classes_is_told_to_name_one_further_down(
    tmp_path: Path,
) -> None:
    folder_of_pictures(tmp_path / "all" / "pets" / "cat")
    said = refusal(tmp_path / "a.yaml", "name: pets\nimages: all")
    assert "name one of these as `images`" in said
    empty = tmp_path / "all" / "pets" / "cat"
    for picture in empty.iterdir():
        picture.unlink()
    assert "name one of these" not in refusal(tmp_path / "a.yaml")


def test_the_sign_of_ones_home_folder_is_told_to_be_written_out(tmp_path: Path) -> None:
    said = refusal(tmp_path / "a.yaml", "name: pets\nimages: ~/pets")
    assert "`~` stands for no folder here: write the whole path" in said
