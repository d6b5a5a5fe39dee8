"""`nacre evaluate` on two real versions: what it measures is what was measured at publication."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from adapters.errors import ImageError, InputError, NotFoundError, UnavailableError
from cluster.client.client import Client
from harness.answers import SHOWN
from tests.cluster.evaluation.conftest import parsed, run
from tests.support.drivers.browser import colors_shown, shades_of_the_heat_map
from tests.support.drivers.learning import carried_out, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.shard_encoder import ShardEncoder
from workers.images.views import Views
from workers.registry import Registry
from workers.store import FileStore

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"


pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    """Return a store with versions 1 (digits) and 2 (digits, fashion)."""
    folder = tmp_path_factory.mktemp("evaluating")
    store = FileStore(folder / "store")
    tasks = [small_task(EXAMPLES, folder, name, classes=2) for name in ("digits", "fashion")]
    submissions = [submitted(store, path, now=float(n)) for n, path in enumerate(tasks, 1)]
    carried_out(store, Encoder(EncoderSettings()), *submissions)
    return store


def names(found: Any) -> list[str]:
    return [column["name"] for column in found["sets"]]


def test_the_matrix_is_what_was_measured_when_the_versions_were_published(
    store: FileStore,
) -> None:
    found = parsed()
    assert names(found) == ["digits", "fashion"]
    assert [version["number"] for version in found["versions"]] == [1, 2]
    adapter = Registry(store).adapter("main")
    measured = {entry.task: entry.accuracy for entry in adapter.accuracies(2)}
    last = found["versions"][1]["accuracies"]
    assert [entry["accuracy"] for entry in last] == pytest.approx(
        [measured["digits"], measured["fashion"]]
    )
    assert found["versions"][1]["digest"] == adapter.version(2).manifest.sha256
    assert [column["images"] for column in found["sets"]] == [6, 6]


def test_every_accuracy_says_how_sure_it_is_and_among_which_classes_it_was_decided() -> None:
    found = parsed()
    assert [found["zero_shot_candidates"], *(row["candidates"] for row in found["versions"])] == [
        *(4, 4, 4)
    ]
    for cell in (*found["zero_shot"], *found["versions"][1]["accuracies"]):
        assert cell["low"] <= cell["accuracy"] <= cell["high"]
        assert cell["low"] < cell["high"]
    text = run().stdout
    assert "by the protocol of the papers, among all 4 classes of 2 sets:" in text
    assert "95 % interval" in text


def test_probabilities_are_measured_over_the_images_that_a_version_has_learnt(
    store: FileStore,
) -> None:
    first, last = (version["reliability"] for version in parsed()["versions"])
    assert [first["images"], last["images"]] == [6, 12]  # the second task comes later
    for found in (first, last):
        assert 0 <= found["error"] <= 1 and 0 <= found["brier"] <= 2
        assert sum(each["images"] for each in found["bins"]) == found["images"]
        sure = [each["confidence"] for each in found["bins"]]
        assert sure == sorted(sure)
    # The same answers as are kept beside the version: as many right, as probable in the mean.
    sheet = Registry(store).adapter("main").answer_sheet(2)
    assert sheet is not None
    kept = [each for task in sheet.tasks for each in task.answers.confidences]
    measured = sum(each["images"] * each["confidence"] for each in last["bins"]) / 12
    assert measured == pytest.approx(sum(kept) / 12, abs=1e-3)
    right = sum(task.answers.right for task in sheet.tasks)
    assert sum(each["images"] * each["accuracy"] for each in last["bins"]) == pytest.approx(right)
    assert "calibration error" in run().stdout


def test_first_is_said_what_predict_answers_among_the_learnt_classes(store: FileStore) -> None:
    first, last = parsed()["versions"]
    assert [first["served_candidates"], last["served_candidates"]] == [2, 4]
    assert last["served"] == last["accuracies"]
    digits, fashion = first["served"]
    assert fashion is None
    # As it was measured when it was published, and fewer candidates are easier to tell apart.
    (published,) = Registry(store).adapter("main").accuracies(1)
    assert digits["accuracy"] == pytest.approx(published.accuracy)
    assert digits["accuracy"] >= first["accuracies"][0]["accuracy"]
    lines = [line.split() for line in run().stdout.splitlines()]
    said = "as `predict` answers, among the 2 to 4 classes that each version has learnt:"
    assert lines[0] == said.split()
    tables = [line[1:] for line in lines if line[:1] == ["main@1"]]
    assert tables[0][1] == "–"
    assert "–" not in tables[1]


def test_what_the_last_version_gets_wrong_is_listed_by_confidence(store: FileStore) -> None:
    found = parsed()
    sheet = Registry(store).adapter("main").answer_sheet(2)
    assert sheet is not None
    for each, column in zip(found["mistakes"], found["versions"][1]["accuracies"], strict=True):
        assert each["right"] / each["images"] == pytest.approx(column["accuracy"])
        confidences = [image["confidence"] for image in each["wrong"]]
        assert confidences == sorted(confidences, reverse=True)
        assert len(confidences) + each["more_wrong"] == each["images"] - each["right"]
        assert sum(one["images"] for one in each["classes"]) == each["images"]
        # The same candidates as when it was published, so the same answers.
        kept = sheet.sets[each["set"]]
        assert {image["place"] for image in each["wrong"]} <= {
            place for place, is_right in enumerate(kept.is_right) if not is_right
        }


def test_the_last_version_is_compared_with_the_one_before_it() -> None:
    found = parsed()
    before, after = (row["accuracies"] for row in found["versions"])
    for each, was, now in zip(found["compared"], before, after, strict=True):
        change = round((now["accuracy"] - was["accuracy"]) * now["images"])
        assert each["won"] - each["lost"] == change
        assert 0 < each["p"] <= 1
    assert parsed("--versions", "2")["compared"] == []


def test_transfer_is_the_accuracy_before_a_task_was_learnt() -> None:
    found = parsed()
    before = found["versions"][0]["accuracies"][1]["accuracy"]
    last = [entry["accuracy"] for entry in found["versions"][1]["accuracies"]]
    assert found["metrics"]["transfer"] == pytest.approx(before)
    assert found["metrics"]["last"] == pytest.approx(sum(last) / 2)
    assert found["metrics_alike"]["last"] >= found["metrics"]["last"]


@pytest.mark.parametrize(
    ("versions", "numbers"),
    [("1..2", [1, 2]), ("2", [2]), ("production", [2]), ("2,1", [2, 1]), ("1..production", [1, 2])],
)
def test_versions_are_numbers_aliases_and_ranges(versions: str, numbers: list[int]) -> None:
    found = parsed("--versions", versions)
    assert [version["number"] for version in found["versions"]] == numbers


def test_rows_that_are_no_sequence_have_no_transfer() -> None:
    assert parsed("--versions", "2")["metrics"] is None
    assert "versions that each add the next task" in run("--versions", "2").stdout


def test_a_task_that_a_version_has_not_learnt_is_measured_if_it_is_named() -> None:
    found = parsed("--versions", "1", "--task", "fashion")
    assert names(found) == ["digits", "fashion"]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("--versions", "9"), NotFoundError, "no version '9'"),
        (("--versions", "newest"), InputError, "the aliases are head, production"),
        (("--adapter", "birds"), NotFoundError, "expected an adapter of main"),
        (("--task", "birds"), NotFoundError, "birds"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: tuple[str, ...], kind: type[Exception], sentence: str
) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert sentence in str(result.exception)


@pytest.fixture
def changed(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a client of a copy of the store, in which something may be changed."""
    shutil.copytree(Path(store.url.removeprefix("file://")), tmp_path / "store")
    monkeypatch.setenv("NACRE_STORE", f"file://{tmp_path / 'store'}")
    return Client()


def test_after_a_purge_what_can_be_served_is_measured(changed: Client) -> None:
    changed.drop("fashion", promoted=True)
    changed.purge("fashion")
    found = parsed()
    assert names(found) == ["digits"]
    assert [version["number"] for version in found["versions"]] == [1, 3]
    assert "tasks of them were purged: 2" in found["remarks"][0]
    assert [v["number"] for v in parsed("--versions", "1..3")["versions"]] == [1, 3]
    refused = run("--versions", "2").exception
    assert isinstance(refused, InputError)
    assert "held task 'fashion', which was purged" in refused.message
    changed.drop("digits")
    changed.remove_alias("production")
    changed.purge("digits")
    assert isinstance(run("--versions", "1..3").exception, NotFoundError)


def test_the_columns_are_the_tasks_of_head(changed: Client) -> None:
    changed.rollback(1)
    found = parsed()
    assert names(found) == ["digits"]
    assert [version["number"] for version in found["versions"]] == [1, 2]
    assert names(parsed("--versions", "2")) == ["digits", "fashion"]


def test_an_imported_version_is_measured_on_what_is_here_and_says_on_what_not(
    changed: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed.export(2, tmp_path / "two.tar")
    elsewhere = FileStore(tmp_path / "elsewhere")
    entry = submitted(elsewhere, small_task(EXAMPLES, tmp_path / "tasks", "clip-art", classes=2))
    monkeypatch.setenv("NACRE_STORE", elsewhere.url)
    other = Client()
    other.import_(tmp_path / "two.tar")
    assert isinstance(run().exception, NotFoundError)
    assert "(the version was imported) or were purged: digits, fashion" in str(run().exception)
    carried_out(elsewhere, Encoder(EncoderSettings()), entry)
    found = parsed()
    assert names(found) == ["clip-art"]
    assert "digits, fashion" in found["remarks"][0]


def test_a_task_that_no_version_has_learnt_takes_part_zero_shot(
    store: FileStore, tmp_path: Path
) -> None:
    waiting = submitted(store, small_task(EXAMPLES, tmp_path, "clip-art", classes=2))
    result = run("--task", waiting.submission_id)
    assert isinstance(result.exception, UnavailableError)
    assert waiting.submission_id in str(result.exception)
    for shard in waiting.of_split("held_out"):
        for _ in ShardEncoder(Encoder(EncoderSettings()), store).embed(shard, Views()):
            pass
    found = parsed("--task", waiting.submission_id)
    assert names(found) == ["digits", "fashion", "clip-art"]
    # Two versions are a sequence of the tasks that they have learnt, whatever else is measured.
    assert found["metrics"]["last"] == pytest.approx(
        sum(entry["accuracy"] for entry in found["versions"][1]["accuracies"][:2]) / 2
    )


def test_a_set_called_as_a_task_measures_its_classes_on_other_images() -> None:
    # The test images, from their folder: the same figures, in a column of its own.
    folder = str(EXAMPLES / "digits" / "test")
    found = parsed("--set", f"digits={folder}")
    assert names(found) == ["digits", "fashion", f"digits ({folder})"]
    assert found["sets"][2]["classes"] == 10
    (remark,) = found["remarks"]
    assert remark.startswith("classes of the set digits that are not of the task digits take part")
    assert "8 of 10, such as digits/" in remark


def test_a_set_of_learnt_classes_alone_adds_no_candidate(tmp_path: Path) -> None:
    for key in [path.name for path in sorted((EXAMPLES / "digits" / "train").iterdir())][:2]:
        target = tmp_path / "again" / key
        target.mkdir(parents=True)
        for path in sorted((EXAMPLES / "digits" / "test" / key).iterdir())[:3]:
            shutil.copy(path, target)
    found = parsed("--set", "digits=again")
    for version in found["versions"]:
        assert version["accuracies"][2] == version["accuracies"][0]
    assert found["remarks"] == []
    assert not found["collisions"]


def test_a_set_is_embedded_once_and_anew_where_an_image_has_changed(tmp_path: Path) -> None:
    for name, color in (("red", "red"), ("blue", "blue")):
        (tmp_path / "colors" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), color).save(tmp_path / "colors" / name / "0.png")
    cached = tmp_path / "home" / "features"
    found = parsed("--set", "colors=colors")
    assert names(found) == ["digits", "fashion", "colors"]
    assert parsed("--set", "colors=colors") == found
    assert len(list(cached.rglob("set-colors-*.safetensors"))) == 1
    Image.new("RGB", (32, 32), "green").save(tmp_path / "colors" / "blue" / "0.png")
    parsed("--set", "colors=colors")
    assert len(list(cached.rglob("set-colors-*.safetensors"))) == 2


def test_pictures_that_a_set_leaves_out_are_told(tmp_path: Path) -> None:
    for name in ("red", "red/more"):
        (tmp_path / "colors" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), "red").save(tmp_path / "colors" / name / "0.png")
    (remark,) = parsed("--set", "colors=colors")["remarks"]
    assert "the set colors: 2 files seen, 1 passed over: 1 picture in folders inside" in remark
    assert "(1 .png: red/more/0.png)" in remark


def test_a_damaged_image_of_a_set_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "colors" / "red").mkdir(parents=True)
    Image.new("RGB", (32, 32), "red").save(tmp_path / "colors" / "red" / "0.png")
    whole = (tmp_path / "colors" / "red" / "0.png").read_bytes()
    (tmp_path / "colors" / "red" / "1.png").write_bytes(whole[:60])
    result = run("--set", "colors=colors")
    assert isinstance(result.exception, ImageError)
    assert "colors/red/1.png" in str(result.exception)


@pytest.mark.parametrize("written", ["colors", "=colors", "colors=", "a/b=colors"])
def test_a_set_needs_a_name_and_a_source(written: str) -> None:
    result = run("--set", written)
    assert result.exit_code == 2
    assert "NAME=SOURCE" in result.stderr


def test_a_source_that_is_not_there_is_named() -> None:
    result = run("--set", "colors=nowhere")
    assert isinstance(result.exception, NotFoundError)
    assert "--set colors" in str(result.exception)


def test_several_adapters_give_means_and_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path / "store")
    monkeypatch.setenv("NACRE_STORE", store.url)
    for seed in (0, 1):
        adapter = f"seed-{seed}"
        for number, name in enumerate(("digits", "fashion")):
            path = small_task(EXAMPLES, tmp_path / adapter, name, classes=2)
            content = {**yaml.safe_load(path.read_text()), "adapter": adapter, "seed": seed}
            path.write_text(yaml.safe_dump(content))
            entry = submitted(store, path, now=float(number))
            carried_out(store, Encoder(EncoderSettings()), entry)
    result = run("--adapter", "seed-0", "--adapter", "seed-1", "--output", "json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    found = json.loads(result.stdout)
    lasts = [100 * each["metrics"]["last"] for each in found["adapters"]]
    assert found["over_adapters"]["last"]["mean"] == pytest.approx(sum(lasts) / 2)
    assert found["over_adapters"]["last"]["half"] == pytest.approx(
        12.706 * abs(lasts[0] - lasts[1]) / 2
    )
    assert "over 2 adapters: transfer" in run("--adapter", "seed-0", "--adapter", "seed-1").stdout


def test_the_report_holds_every_cell(tmp_path: Path) -> None:
    result = run("--report", "matrix")
    assert result.exit_code == 0, result.output
    assert "zero-shot" in result.stdout
    assert "main@2" in result.stdout
    assert "transfer" in result.stdout
    written = (tmp_path / "matrix" / "accuracies.csv").read_text()
    lines = list(csv.DictReader(written.splitlines()))
    candidates = [(line["version"], line["set"], line["candidates"]) for line in lines]
    assert candidates == [
        *(("zero-shot", "digits", "4"), ("zero-shot", "fashion", "4")),
        *(("1", "digits", "2"), ("1", "digits", "4"), ("1", "fashion", "4")),
        *(("2", "digits", "4"), ("2", "fashion", "4")),
    ]
    assert {line["version"] for line in lines} == {"zero-shot", "1", "2"}
    assert (tmp_path / "matrix" / "matrix.png").stat().st_size > 1000


def test_a_browser_shows_the_report(tmp_path: Path) -> None:
    assert run("--report", "matrix", "--task", "fashion").exit_code == 0
    page = tmp_path / "matrix" / "report.html"
    written = page.read_text()
    assert "main@2" in written
    assert "reliability of main@2" in written
    wrong = [each["images"] - each["right"] for each in parsed("--task", "fashion")["mistakes"]]
    shown = sum(min(count, SHOWN.images) for count in wrong)
    assert shown > 0  # wrong images, besides those that were won and lost
    assert written.count("data:image/jpeg;base64,") >= shown
    assert written.count("wrong: it is") >= shown
    assert "http" not in written.replace("http://www.w3.org", "")  # it needs nothing else
    colors = colors_shown(page, tmp_path)
    assert {(0x4E, 0x79, 0xA7), (0xF2, 0x8E, 0x2B)} <= colors  # the curves of the two tasks
    assert len(shades_of_the_heat_map(colors)) > 3
