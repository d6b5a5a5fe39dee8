"""Task files: what each mistake is answered with, and what is filled in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import ClassNameError, InputError, NotFoundError, SettingsError
from workers.task import load_task

WriteTask = Callable[..., Path]


def test_what_is_left_out_has_its_default(write_task: WriteTask) -> None:
    task = load_task(write_task(images=3, classes=("red", "light_blue")))
    assert task.classes == {"light_blue": "light blue", "red": "red"}
    assert [len(paths) for paths in task.images.values()] == [3, 3]
    assert (task.name, task.adapter, task.prompt) == ("colors", "main", "a photo of a {}.")
    assert (task.held_out, task.settings, task.seed) == ({}, {}, 0)
    assert task.augmentation == "crop-mirror"


def test_what_is_given_is_taken(write_task: WriteTask) -> None:
    keys = """
held_out: images
classes: {blue: sky blue, red: blood red}
prompt: "the color {}."
adapter: canary
augmentation: crop
settings: {steps: 5}
seed: 3
"""
    task = load_task(write_task(keys=keys))
    assert list(task.classes.items()) == [("blue", "sky blue"), ("red", "blood red")]
    assert task.held_out == task.images
    assert (task.prompt, task.adapter, task.augmentation) == ("the color {}.", "canary", "crop")
    assert (task.settings, task.seed) == ({"steps": 5}, 3)


def test_the_order_of_the_classes_is_that_of_the_file(write_task: WriteTask) -> None:
    task = load_task(write_task(keys="classes: {red: r, blue: b}"))
    assert list(task.classes) == list(task.images) == ["red", "blue"]


def test_a_folder_that_is_not_among_the_classes_is_left_alone(write_task: WriteTask) -> None:
    task = load_task(write_task(keys="classes: {red: red}"))
    assert list(task.images) == ["red"]


def test_numbers_need_no_quotes(write_task: WriteTask) -> None:
    task = load_task(write_task(classes=("0", "1"), keys="classes: {0: zero, 1: 1}"))
    assert task.classes == {"0": "zero", "1": "1"}


def test_files_that_are_no_images_are_passed_over(write_task: WriteTask) -> None:
    path = write_task(images=2)
    (path.parent / "images" / "red" / "notes.txt").write_text("remember")
    (path.parent / "images" / "readme.md").write_text("remember")
    assert len(load_task(path).images["red"]) == 2


MISTAKES: list[tuple[str, type[InputError], str]] = [
    # keys of the file, the error, what the message says
    ("promt: x", SettingsError, "unknown key 'promt'.*did you mean 'prompt'"),
    ("heldout: x", SettingsError, "did you mean 'held_out'"),
    ("settings: {step: 5}", SettingsError, "unknown setting 'step'; did you mean 'steps'"),
    ("settings: {steps: many}", SettingsError, "'steps': expected a whole number"),
    ("settings: 5", SettingsError, "settings"),
    ("name: a/b", SettingsError, "expected name.*letters, digits.*found 'a/b'"),
    ("name: 7", SettingsError, "name.*found 7"),
    ("name: " + "n" * 65, SettingsError, "1 to 64 letters"),
    ("adapter: .hidden", SettingsError, "expected adapter.*found '.hidden'"),
    ("prompt: a photo", SettingsError, "exactly one {}.* in the prompt.*found 'a photo'"),
    ("prompt: 'a {} and a {}'", SettingsError, "exactly one {}"),
    ("prompt: 5", SettingsError, "prompt.*found 5"),
    # other fields would stop the training much later
    ("prompt: 'a {} in {place}'", SettingsError, "prompt"),
    ("prompt: 'a {} of 100 {'", SettingsError, "prompt"),
    # doubled braces are an escape: the class's name would appear nowhere
    ("prompt: 'a {{}}'", SettingsError, "prompt"),
    (
        "augmentation: mirror",
        SettingsError,
        "augmentation.*'crop-mirror' or 'crop', found 'mirror'",
    ),
    ("classes: [red, blue]", SettingsError, "classes.*found .'red', 'blue'."),
    ("classes: {red: ''}", InputError, "red"),
    ("classes: {red: }", InputError, "red"),
    ("classes: {green: green}", ClassNameError, "class 'green'.*has no images"),
    ("seed: x", SettingsError, "seed"),
    ("images: nowhere", NotFoundError, "nowhere.*'images'.*relative to the task file"),
    ("images: 5", InputError, "images"),
    ("images: ", InputError, "images"),
    ("images: task.yaml", SettingsError, "columns path and label"),
    ("held_out: nowhere", NotFoundError, "nowhere.*'held_out'"),
    ("held_out: 5", InputError, "held_out"),
]


@pytest.mark.parametrize(("keys", "kind", "message"), MISTAKES)
def test_a_mistake_is_named(
    write_task: WriteTask, keys: str, kind: type[InputError], message: str
) -> None:
    path = write_task()
    key = keys.partition(":")[0]
    kept = [line for line in path.read_text().splitlines() if line.partition(":")[0] != key]
    path.write_text("\n".join([*kept, keys]))
    with pytest.raises(kind, match=f"(?s){message}"):
        load_task(path)


@pytest.mark.parametrize("key", ["name", "images"])
def test_a_key_that_every_task_needs_is_missed(write_task: WriteTask, key: str) -> None:
    path = write_task()
    kept = [line for line in path.read_text().splitlines() if not line.startswith(key)]
    path.write_text("\n".join(kept))
    with pytest.raises(SettingsError, match=f"expected the key '{key}'.*task.yaml"):
        load_task(path)


CONTENTS: list[tuple[bytes, str]] = [
    (b"name: [", "not valid YAML"),
    (b"\xff\xfe\x00", "not valid YAML"),
    (b"", "expected the key 'name'"),
    (b"- a\n- b", "expected keys and values.*found .'a', 'b'."),
]


@pytest.mark.parametrize(("content", "message"), CONTENTS)
def test_a_file_that_is_no_task_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        load_task(path)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"expected a file at .*missing\.yaml"):
        load_task(tmp_path / "missing.yaml")


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "task.yaml").write_text("name: empty\nimages: images\n")
    with pytest.raises(ClassNameError, match="at least one folder of images"):
        load_task(tmp_path / "task.yaml")


def test_a_class_without_images_is_refused(write_task: WriteTask) -> None:
    path = write_task()
    (path.parent / "images" / "green").mkdir()
    with pytest.raises(ClassNameError, match=r"class 'green'.*has no images.*\.png"):
        load_task(path)


def test_a_held_out_class_that_is_not_learnt_is_refused(write_task: WriteTask) -> None:
    path = write_task(keys="held_out: test")
    folder = path.parent / "test" / "green"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "0.png")
    with pytest.raises(ClassNameError, match=r"held-out class 'green'.*not among.*blue, red"):
        load_task(path)


def listed(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "list.csv").write_bytes(content)
    path = tmp_path / "task.yaml"
    path.write_text("name: listed\nimages: list.csv\n")
    return path


LISTS: list[bytes] = [
    b"path,label\nb/2.png,red\na/1.png,red\nc.png,light_blue\n",
    # other columns do not disturb, whatever their order
    b"label,size,path\nred,5,b/2.png\nred,5,a/1.png\nlight_blue,5,c.png\n",
    # a spreadsheet's file: a byte-order mark and Windows line ends
    b"\xef\xbb\xbfpath,label\r\nb/2.png,red\r\na/1.png,red\r\nc.png,light_blue\r\n",
]


@pytest.mark.parametrize("content", LISTS)
def test_a_csv_lists_images_beside_itself(tmp_path: Path, content: bytes) -> None:
    task = load_task(listed(tmp_path, content))
    assert task.classes == {"light_blue": "light blue", "red": "red"}
    assert task.images["red"] == (tmp_path / "a/1.png", tmp_path / "b/2.png")


BAD_LISTS: list[tuple[bytes, str]] = [
    (b"", "columns path and label"),
    (b"file,label\na.png,red\n", "columns path and label.*'file', 'label'"),
    (b"path,label\n", "at least one"),
    # a row that ends early
    (b"path,label\na.png\n", "list.csv"),
    (b"path,label\na.png,\n", "list.csv"),
    (b"path,label\n,red\n", "list.csv"),
    (b"path,label\n\xff.png,red\n", "list.csv"),
]


@pytest.mark.parametrize(("content", "message"), BAD_LISTS)
def test_a_csv_with_a_mistake_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = listed(tmp_path, content)
    with pytest.raises(InputError, match=f"(?s){message}"):
        load_task(path)


def test_every_example_task_loads(examples: Path) -> None:
    tasks = [load_task(path) for path in sorted(examples.glob("*/task.yaml"))]
    assert len(tasks) == 5
    assert all(task.held_out for task in tasks)
