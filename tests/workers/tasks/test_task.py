"""Task files: what each mistake is answered with, and what is filled in."""

import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from PIL import Image
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from adapters.errors import ClassNameError, InputError, NotFoundError, SettingsError
from tests.support.conformance.sources import tar
from workers.sources.places.absent import JOB_VARIABLE
from workers.sources.places.survey import What
from workers.tasks.task import TaskFile, load_task

WriteTask = Callable[..., Path]


def test_what_is_left_out_has_its_default(write_task: WriteTask) -> None:
    task = load_task(write_task(images=3, classes=("red", "light_blue")))
    assert task.classes == {"light_blue": "light blue", "red": "red"}
    assert [len(paths) for paths in task.images.values()] == [3, 3]
    assert (task.name, task.adapter, task.prompt) == ("colors", "main", "a photo of a {}.")
    assert (task.held_out, task.settings, task.seed) == ({}, {}, 0)
    assert task.augmentation == "crop-mirror"
    assert (task.shared_names, task.qualifier, task.domain) == (None, None, "colors")
    assert (task.skip_unreadable, task.priority, task.replaces) == (0, 0, None)


def test_what_is_given_is_taken(write_task: WriteTask) -> None:
    keys = """
held_out: images
classes: {blue: sky blue, red: blood red}
prompt: "the color {}."
adapter: canary
augmentation: crop
settings: {steps: 5}
seed: 3
shared_names: qualify
qualifier: paint
skip_unreadable: 0.02
priority: -2
replaces: old-colors
"""
    task = load_task(write_task(keys=keys))
    assert list(task.classes.items()) == [("blue", "sky blue"), ("red", "blood red")]
    assert task.held_out == task.images
    assert (task.prompt, task.adapter, task.augmentation) == ("the color {}.", "canary", "crop")
    assert (task.settings, task.seed) == ({"steps": 5}, 3)
    assert (task.shared_names, task.qualifier, task.domain) == ("qualify", "paint", "paint")
    assert (task.skip_unreadable, task.priority, task.replaces) == (0.02, -2, "old-colors")


DOMAINS = [("oxford-flowers", "oxford flowers"), ("x__y-", "x y"), ("fruit.2", "fruit.2")]


@pytest.mark.parametrize(("name", "domain"), DOMAINS)
def test_the_domain_is_the_tasks_name_as_words(
    write_task: WriteTask, name: str, domain: str
) -> None:
    assert replace(load_task(write_task()), name=name).domain == domain


def test_the_order_of_the_classes_is_that_of_the_file(write_task: WriteTask) -> None:
    task = load_task(write_task(keys="classes: {red: r, blue: b}"))
    assert list(task.classes) == list(task.images) == ["red", "blue"]


def test_a_folder_that_is_not_among_the_classes_is_left_alone(write_task: WriteTask) -> None:
    task = load_task(write_task(keys="classes: {red: red}"))
    assert list(task.images) == ["red"]


SPELLINGS = [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9"), ("T-shirt", "t-Shirt")]


@pytest.mark.parametrize(("learnt", "measured"), SPELLINGS)
def test_a_folder_whose_name_is_spelt_otherwise_is_the_same_class(
    write_task: WriteTask, learnt: str, measured: str
) -> None:
    path = write_task(images=4, classes=(learnt, "bar"), keys="held_out: test")
    shutil.copytree(path.parent / "images" / learnt, path.parent / "test" / measured)
    task = load_task(path)
    assert sorted(task.classes) == sorted(task.images) == sorted((learnt, "bar"))
    assert {key: len(refs) for key, refs in task.held_out.items()} == {learnt: 4, "bar": 0}
    path.write_text(f"{path.read_text()}\nclasses: {{{measured}: a, bar: b}}")
    assert list(load_task(path).images) == [measured, "bar"]


def test_folders_that_differ_in_spelling_alone_are_not_guessed_between(
    write_task: WriteTask,
) -> None:
    path = write_task(
        classes=("one", "caf\u00e9", "cafe\u0301"), keys="classes: {one: one, Caf\u00e9: x}"
    )
    with pytest.raises(ClassNameError, match="without images: 'Caf"):
        load_task(path)


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
    ("name: " + "n" * 65, SettingsError, "1 to 64 letters"),
    ("replaces: a/b", SettingsError, "expected replaces.*found 'a/b'"),
    ("shared_names: both", SettingsError, "shared_names.*'keep', 'merge' or 'qualify'.*'both'"),
    # a word that nothing would use
    ("qualifier: paint", SettingsError, "`shared_names: qualify` beside the key 'qualifier'"),
    ("qualifier: ' '\nshared_names: qualify", SettingsError, "a word and `shared_names"),
    ("skip_unreadable: 1.5", SettingsError, "skip_unreadable.*less than or equal to 1"),
    ("skip_unreadable: -0.1", SettingsError, "skip_unreadable.*greater than or equal to 0"),
    ("priority: urgent", SettingsError, "priority"),
    ("adapter: .hidden", SettingsError, "expected adapter.*found '.hidden'"),
    ("prompt: a photo", SettingsError, "exactly one {}.* in the prompt.*found 'a photo'"),
    ("prompt: 'a {} and a {}'", SettingsError, "exactly one {}"),
    ("prompt: 5", SettingsError, "prompt.*found '5'"),
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
    ("classes: {green: green, grey: grey}", ClassNameError, "without images: 'green', 'grey'"),
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
    with pytest.raises(NotFoundError, match=r"expected a task file at .*missing\.yaml"):
        load_task(tmp_path / "missing.yaml")


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "task.yaml").write_text("name: empty\nimages: images\n")
    with pytest.raises(ClassNameError, match="at least one class with images"):
        load_task(tmp_path / "task.yaml")


def test_a_class_without_images_is_refused(write_task: WriteTask) -> None:
    path = write_task()
    (path.parent / "images" / "green").mkdir()
    with pytest.raises(ClassNameError, match=r"task.yaml without images: 'green'; .*\.png"):
        load_task(path)


def test_a_held_out_class_that_is_not_learnt_is_refused(write_task: WriteTask) -> None:
    path = write_task(keys="held_out: test")
    folder = path.parent / "test" / "green"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "0.png")
    with pytest.raises(ClassNameError, match=r"not among.*: 'green'; expected .*'blue', 'red'"):
        load_task(path)


def test_held_out_images_that_are_promised_must_be_there(write_task: WriteTask) -> None:
    path = write_task(keys="held_out: test")
    (path.parent / "test" / "red").mkdir(parents=True)
    with pytest.raises(
        ClassNameError, match=r"expected test images \(`held_out`\) .*leave the key out"
    ):
        load_task(path)


def test_of_very_many_classes_without_images_some_are_shown(write_task: WriteTask) -> None:
    classes = ", ".join(f"c{number}: x" for number in range(30))
    with pytest.raises(ClassNameError, match=r"'c0', .*'c19' and 10 more") as caught:
        load_task(write_task(keys=f"classes: {{{classes}}}"))
    assert len(caught.value.fields["class_keys"]) == 30  # type: ignore[arg-type]


def test_settings_are_those_of_the_method_that_will_learn(write_task: WriteTask) -> None:
    path = write_task(keys="settings: {steps: 5}")
    with pytest.raises(SettingsError, match="unknown setting 'steps'"):
        load_task(path, method_of=lambda _adapter: "nearest_mean")


GONE = [
    ("name: x\nimages: gone\n", NotFoundError),
    ("name: x\nimages: gone.csv\n", NotFoundError),
    ("name: x\nimages: images\nheld_out: gone\n", NotFoundError),
    # what is left of a folder whose images .gitignore names
    ("name: x\nimages: empty\n", ClassNameError),
    (None, NotFoundError),
]
HINT = r"inside a Ray job.*\.gitignore.*512 MiB.*s3://.*RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1"


@pytest.mark.parametrize(("content", "kind"), GONE)
def test_inside_a_ray_job_the_causes_and_remedies_of_missing_files_are_named(
    write_task: WriteTask,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    kind: type[InputError],
) -> None:
    path = write_task()
    (path.parent / "empty" / "red").mkdir(parents=True)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    monkeypatch.delenv(JOB_VARIABLE, raising=False)
    with pytest.raises(kind) as outside:
        load_task(path)
    assert "Ray" not in outside.value.message
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    with pytest.raises(kind, match=HINT):
        load_task(path)


def test_the_variable_of_a_job_is_the_one_that_ray_sets() -> None:
    assert JOB_VARIABLE == RAY_JOB_CONFIG_JSON_ENV_VAR


def test_labels_of_a_list_are_the_classes(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label\nb/2.png,red\na/1.png,red\nc.png,light_blue\n")
    path = tmp_path / "task.yaml"
    path.write_text("name: listed\nimages: list.csv\n")
    task = load_task(path)
    assert task.classes == {"light_blue": "light blue", "red": "red"}
    origins = [ref.origin for ref in task.images["red"]]
    assert origins == [str(tmp_path / "a/1.png"), str(tmp_path / "b/2.png")]


def test_every_key_of_a_task_file_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text()
    assert [key.name for key in fields(TaskFile) if f"| `{key.name}` |" not in manual] == []


def test_every_example_task_loads(examples: Path) -> None:
    tasks = [load_task(path) for path in sorted(examples.glob("*/task.yaml"))]
    assert len(tasks) == 5
    assert all(task.held_out for task in tasks)


WRONG = """
heldout: test
held_out: nowhere
prompt: no braces
seed: many
skip_unreadable: 7
settings: {nothing: 5, views: 0}
adapter: a b
classes: {red: "", green: lawn}
"""


def test_everything_that_is_wrong_with_a_file_and_its_sources_is_said_at_once(
    write_task: WriteTask,
) -> None:
    path = write_task(keys=WRONG)
    with pytest.raises(InputError) as caught:
        load_task(path)
    for sentence in (
        "unknown key 'heldout' in",
        "seed in",
        "skip_unreadable in",
        "expected exactly one {}",
        "expected adapter in",
        "expected a readable name for class 'red'",
        "unknown setting 'nothing'",
        "setting 'views': expected",
        "task.yaml, relative to the task file), found nothing",
    ):
        assert sentence in caught.value.message
    assert len(caught.value.fields["problems"]) == 9  # type: ignore[arg-type]


def test_a_bad_list_and_a_missing_folder_are_said_at_once(write_task: WriteTask) -> None:
    path = write_task()
    (path.parent / "list.csv").write_text("path,label\n,red\nx.png,\n")
    path.write_text("name: colors\nimages: list.csv\nheld_out: gone\n")
    with pytest.raises(InputError, match=r"(?s)2 rows of .*gone .*found nothing"):
        load_task(path)


def test_what_follows_from_a_wrong_key_is_not_said(write_task: WriteTask) -> None:
    path = write_task(keys="clases: {red: red}")
    (path.parent / "images" / "empty").mkdir()
    with pytest.raises(SettingsError, match="did you mean 'classes'") as caught:
        load_task(path)
    assert "without images" not in caught.value.message


UNNAMED = [
    # a source with a class that is learnt and one whose name can be no class's, and its kind
    (b"images", r"'caf\xe9'"),
    (b"list.csv", r"'a\nb'"),
    (b"shard.tar", r"'a\nb'"),
]


@pytest.mark.parametrize(("source", "kind"), UNNAMED)
def test_a_class_that_is_not_named_may_be_called_anything(
    write_task: WriteTask, source: bytes, kind: str
) -> None:
    path = write_task(images=1, classes=("red", os.fsdecode(b"caf\xe9")))
    folder = path.parent
    (folder / "list.csv").write_text('path,label\nimages/red/0.png,red\nx.png,"a\nb"\n')
    picture = (folder / "images" / "red" / "0.png").read_bytes()
    members = [("1.png", picture), ("1.cls", b"red"), ("2.png", picture), ("2.cls", b"a\nb")]
    (folder / "shard.tar").write_bytes(tar(members))
    named = f"name: colors\nimages: {source.decode()}\n"
    path.write_text(named)
    with pytest.raises(SettingsError, match=r"cannot be class names|cannot be used"):
        load_task(path)
    path.write_text(f"{named}classes: {{red: red}}\n")
    survey = load_task(path).surveys["train"]
    (unnamed,) = survey.passed_over
    assert (unnamed.what, unnamed.kinds) == (What.UNNAMED, ((kind, 1),))
    assert str(survey).isprintable()
