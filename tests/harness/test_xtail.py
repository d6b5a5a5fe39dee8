"""A suite from its file to its report: every run once, whatever stops it, and the same figures."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.errors import CorruptionError, NotFoundError
from adapters.methods import METHODS
from cluster.cli.main import cli
from cluster.evaluation.benching import opened
from harness.labelled import Labelled
from harness.measured_set import accuracies_of
from harness.results import RunName, run_names
from harness.sequence import run_sequence
from harness.sequence_run import SequenceRun
from harness.suite import read_suite
from harness.xtail import Xtail
from tests.harness.conftest import suite_in
from tests.support.drivers.printed import as_promised
from tests.support.scenes.vision import random_clip
from workers.images.pixels import Decoder
from workers.images.views import Views

pytestmark = pytest.mark.slow

LADA = RunName(title="LADA", order="I", seed=0)


def measuring(path: Path) -> Xtail:
    folder = path.parent
    return Xtail(read_suite(path), results=folder / "results", cache=folder / "cache")


def accuracies(run: SequenceRun) -> list[Any]:
    return [(step.accuracies, step.alike, step.kept_bytes) for step in run.steps] + [
        run.finish.confusion,
        run.finish.answered,
    ]


class StopError(Exception):
    """Whoever ran it was stopped."""


DMC = {"adapter": "feature", "image_epochs": 2, "prompt_epochs": 2, "context": 4}
LINES = {
    "lada": {"text": "none", "steps": 5},
    # Its version has shared state beside the records.
    "dmc_ot": DMC,
}


@pytest.mark.parametrize("method", LINES)
def test_a_run_that_was_stopped_goes_on_and_gives_the_same(
    write_suite: Callable[..., Path], method: str
) -> None:
    path = write_suite(methods=[{"label": LADA.title, "method": method, "settings": LINES[method]}])
    expected = accuracies(measuring(path).run(LADA))
    for file in (path.parent / "results").rglob("*.json"):
        file.unlink()
    done: list[int] = []

    def stop(what: str, tasks: int, total: int) -> None:
        del total
        if what == str(LADA):
            done.append(tasks)
            if tasks == 1:
                raise StopError

    with pytest.raises(StopError):
        measuring(path).run(LADA, stop)
    assert measuring(path).folder(LADA).finished() is None
    going_on: list[int] = []
    run = measuring(path).run(LADA, lambda _what, tasks, _total: going_on.append(tasks))
    assert done == [0, 1]
    assert going_on == [1, 2]
    assert accuracies(run) == expected


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random encoder whose tower is a vision transformer."""
    return random_clip(tmp_path_factory.mktemp("encoder") / "vit")


CHANGING = {
    "cl_lora": {"epochs": 1, "rank": 2},
    "dmc_ot": {"image_epochs": 1, "prompt_epochs": 1, "context": 2, "rank": 2},
}


@pytest.mark.parametrize("method", CHANGING)
def test_a_version_with_a_tower_of_its_own_is_measured_through_it(
    write_suite: Callable[..., Path], transformer: Path, method: str
) -> None:
    path = write_suite(
        methods=[{"label": LADA.title, "method": method, "settings": CHANGING[method]}],
        encoder={"model": str(transformer)},
    )
    seen = list[AdapterState]()
    found = measuring(path)
    sets = found.measured_sets("I", 0)
    run = run_sequence(
        METHODS[method],
        sets,
        settings=[CHANGING[method]] * 2,
        seed=0,
        keep=lambda state, _step: seen.append(state),
    )
    adapter = Adapter(seen[-1].records, shared=seen[-1].shared)
    base = sets[0].images.tower
    assert base is not None
    tower = adapter.image_tower(base)
    pixels = torch.cat([_test_view(found, image) for image in found.images["colors"].test])
    expected = adapter.predict(
        tower.features(pixels), encoder=adapter.fingerprint, logit_scale=sets[0].text.logit_scale
    )
    right = sum(a == b for a, b in zip(expected, sets[0].truth, strict=True))
    assert run.matrix[-1][0] == pytest.approx(100 * right / len(expected))
    assert adapter.fingerprint != adapter.encoder
    assert run.finish.request_cost is not None
    assert run.steps[-1].shared_bytes > 0
    assert accuracies(found.run(LADA)) == accuracies(run)


def _test_view(found: Xtail, image: Labelled) -> torch.Tensor:
    decoder = Decoder(found.encoder.transform)
    content = image.read()
    return decoder.decode([content], [hashlib.sha256(content).hexdigest()], Views())


def test_a_finished_run_is_read_and_not_measured_again(write_suite: Callable[..., Path]) -> None:
    path = write_suite()
    first = measuring(path).run(LADA)
    again = measuring(path)
    assert asdict(again.run(LADA)) == asdict(first)
    assert list(again.finished()) == [LADA]


def test_another_setting_is_another_run(write_suite: Callable[..., Path]) -> None:
    measuring(write_suite()).run(LADA)
    changed = [{"label": "LADA", "method": "lada", "settings": {"text": "none", "steps": 6}}]
    assert measuring(write_suite(methods=changed)).finished() == {}


def test_a_default_that_is_said_is_no_other_run(write_suite: Callable[..., Path]) -> None:
    # The run's name is made of complete settings: another default would be another run.
    measuring(write_suite()).run(LADA)
    default = METHODS["lada"].check_settings({})["batch_size"]
    settings = {"text": "none", "steps": 5, "batch_size": default}
    said = [{"label": "LADA", "method": "lada", "settings": settings}]
    assert list(measuring(write_suite(methods=said)).finished()) == [LADA]


def test_a_damaged_result_is_named(write_suite: Callable[..., Path]) -> None:
    path = write_suite()
    measuring(path).run(LADA)
    (file,) = (path.parent / "results").rglob("run.json")
    file.write_text('{"steps": 1}')
    with pytest.raises(CorruptionError, match=r"run\.json"):
        measuring(path).finished()


def test_before_its_task_a_set_is_answered_as_by_the_encoder_alone(
    write_suite: Callable[..., Path],
) -> None:
    found = measuring(write_suite())
    alone = found.zero_shot("I").accuracies
    run = found.run(RunName(title="zero_shot", order="I", seed=0))
    for row in run.matrix:
        assert list(row) == pytest.approx([alone["colors"], alone["shades"]])


def test_a_name_of_two_tasks_is_right_as_either_in_the_second_figure(
    write_suite: Callable[..., Path],
) -> None:
    found = measuring(write_suite())
    colors, shades = (found._measured(name, 0, lambda *_: None) for name in ("colors", "shades"))
    blue = next(entry for entry in colors.task.classes if entry.name == "blue")
    assert {entry.name for entry in shades.task.classes} == {"blue", "dark", "light"}
    same, alike = accuracies_of([blue] * len(shades.test_features), shades)
    assert same == 0
    assert alike == pytest.approx(1 / 3)


def test_seeds_draw_other_images_and_the_same_seed_the_same(
    write_suite: Callable[..., Path],
) -> None:
    found = measuring(write_suite())
    first, second = (found._measured("colors", seed, lambda *_: None) for seed in (0, 1))
    assert len(first.task.labels) == 9
    assert not first.task.features.equal(second.task.features)
    again = measuring(write_suite())._measured("colors", 0, lambda *_: None)
    assert again.task.features.equal(first.task.features)


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a suite that the command has measured; nobody changes it."""
    path = suite_in(tmp_path_factory.mktemp("measured"))
    opened.cache_clear()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(path.parent)
        patched.setenv("NACRE_HOME", str(path.parent / "home"))
        result = CliRunner().invoke(cli, ["bench", "xtail", str(path), "--output", "json"])
    assert result.exit_code == 0, result.output
    (path.parent / "found.json").write_text(result.stdout)
    return path.parent


@pytest.fixture
def measured(measured_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of that folder, from which the next command is called."""
    folder = tmp_path / "measured"
    shutil.copytree(measured_once, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NACRE_HOME", str(folder / "home"))
    return folder


def test_the_command_measures_everything_and_writes_a_page_that_needs_nothing_else(
    measured_once: Path,
) -> None:
    found = as_promised("bench xtail", (measured_once / "found.json").read_text())
    assert set(found["orders"]) == {"I", "II"}
    assert set(found["orders"]["I"]["methods"]) == {"zero_shot", "means", "LADA"}
    mean, half = found["orders"]["I"]["methods"]["means"]["Last"]
    assert 0 <= mean <= 100
    assert half is not None
    assert found["collisions"] == {"blue": ["colors/blue", "shades/blue"]}
    page = (measured_once / found["report"]).read_text()
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert 'src="data:image/jpeg;base64,' in page
    assert "not finished yet" not in page
    assert "<td>LADA</td>" in page.replace("\n", "")
    lines = (measured_once / "suite" / "accuracies.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3 * 2 * 4  # orders, methods, seeds, cells
    assert (measured_once / "suite" / "matrix-i-lada.png").is_file()
    assert (measured_once / "suite" / "curves-i.png").is_file()


def test_the_second_time_nothing_is_measured_and_the_page_is_the_same(
    measured: Path,
) -> None:
    before = (measured / "suite" / "report.html").read_bytes()
    runs = {path: path.stat().st_mtime_ns for path in (measured / "suite").rglob("run.json")}
    assert len(runs) == 2 * 3 * 2
    opened.cache_clear()
    result = CliRunner().invoke(cli, ["bench", "xtail", str(measured / "suite.yaml")])
    assert result.exit_code == 0, result.output
    assert "encoder alone" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    assert (measured / "suite" / "report.html").read_bytes() == before


def test_the_command_reads_the_sets_where_it_is_told_to(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (measured / "data").rename(measured / "elsewhere")
    arguments = ["bench", "xtail", str(measured / "suite.yaml")]
    opened.cache_clear()
    missing = CliRunner().invoke(cli, arguments)
    assert isinstance(missing.exception, NotFoundError)
    monkeypatch.chdir(measured)
    found = CliRunner().invoke(cli, [*arguments, "--root", "elsewhere"])
    assert found.exit_code == 0, found.output


def test_a_suite_runs_on_the_sets_that_are_there_and_says_which_are_missing(
    write_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [
        {"name": "colors"},
        {"name": "dtd", "layout": "coop"},
        {"name": "hub", "layout": "source", "images": "train.csv", "held_out": "test.csv"},
    ]
    lines = [{"method": "zero_shot"}, {"label": "means", "method": "nearest_mean"}]
    suite = write_suite(sets=sets, orders={}, methods=lines, seeds=[0], published="xtail-16-shot")
    monkeypatch.chdir(tmp_path)
    opened.cache_clear()
    ended = CliRunner().invoke(cli, ["bench", "xtail", str(suite), "--output", "json"])
    assert isinstance(ended.exception, NotFoundError)
    assert ended.exception.message.startswith("small (1 of 3 sets): left out dtd, hub, which are")
    said = as_promised("bench xtail", ended.stdout)
    assert list(said["orders"]["I"]["zero_shot"]) == ["colors"]
    assert list(said["missing"]) == ["dtd", "hub"]
    assert "Describable Textures page" in said["missing"]["dtd"]
    assert "train.csv" in said["missing"]["hub"]


def test_another_order_of_the_classes_is_another_run(write_suite: Callable[..., Path]) -> None:
    means = RunName(title="means", order="I", seed=0)
    measuring(write_suite(split={"classes": 1})).run(means)
    assert list(measuring(write_suite(split={"classes": 1})).finished()) == [means]
    assert measuring(write_suite(split={"classes": 1, "seed": 1993})).finished() == {}
    assert measuring(write_suite(split={"classes": 1}, candidates="seen")).finished() == {}


def test_fewer_test_images_are_the_same_for_every_seed_and_another_run(
    write_suite: Callable[..., Path],
) -> None:
    means = RunName(title="means", order="I", seed=0)
    measuring(write_suite()).run(means)
    found = measuring(write_suite(tests=2))
    assert found.finished() == {}
    first, second = (found.measured_sets("I", seed) for seed in (0, 1))
    assert [len(one.test_labels) for one in first] == [6, 6]
    assert all(a.test_features.equal(b.test_features) for a, b in zip(first, second, strict=True))


def test_a_divided_set_is_learnt_class_by_class_and_measured_on_what_is_learnt(
    write_suite: Callable[..., Path],
) -> None:
    path = write_suite(
        sets=[{"name": "colors"}],
        orders={},
        split={"classes": 1, "seed": 1993},
        candidates="seen",
        shots=None,
    )
    run = measuring(path).run(RunName(title="means", order="I", seed=0))
    assert [len(row) for row in run.matrix] == [1, 2, 3]
    # One class alone is never wrong, and the last row is that of the whole set at once.
    assert run.matrix[0] == (100.0,)
    whole = measuring(write_suite(sets=[{"name": "colors"}], orders={}, shots=None))
    assert run.last_of_images == pytest.approx(
        whole.run(RunName(title="means", order="I", seed=0)).last
    )
    assert run.average_of_images == pytest.approx(
        sum(sum(row) / len(row) for row in run.matrix) / 3
    )


def test_the_command_shows_a_divided_set_and_goes_on_with_it(
    write_suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_suite(split={"classes": 1, "first": 2}, candidates="seen", orders={})
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("NACRE_HOME", str(path.parent / "home"))
    arguments = ["bench", "xtail", str(path), "--output", "json", "--seeds", "1"]
    opened.cache_clear()
    part = CliRunner().invoke(cli, [*arguments, "--method", "means"])
    assert part.exit_code == 0, part.output
    unknown = CliRunner().invoke(cli, [*arguments, "--method", "means", "--method", "meens"])
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "found 'meens'; did you mean 'means'?" in unknown.stderr
    opened.cache_clear()
    found = as_promised("bench xtail", CliRunner().invoke(cli, arguments).stdout)
    lines = found["orders"]["I"]["methods"]
    before = as_promised("bench xtail", part.stdout)["orders"]["I"]["methods"]
    assert lines["means"] == before["means"]
    assert lines["LADA"]["Transfer"] is None
    assert set(found["orders"]["I"]["zero_shot"]) == {
        "colors.01",
        "colors.02",
        "shades.01",
        "shades.02",
    }
    assert "what is learnt" in Path(found["report"]).read_text()


def test_all_runs_are_named_once(write_suite: Callable[..., Path]) -> None:
    names = run_names(read_suite(write_suite()))
    assert len(names) == len(set(names)) == 2 * 3 * 2
