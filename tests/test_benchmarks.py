"""Benchmarks without what they measure on: a sentence that says what to set, and exit code 2."""

import io
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.cifar10 import TRAIN, as_published
from benchmarks.scale import PARTS, taken
from benchmarks.scale_curves import PANELS, draw, points
from benchmarks.sentences import Lawful, forms, ridge, with_one
from benchmarks.systems import COLUMNS
from benchmarks.table import Row, kept_rows, report
from harness.image_sets import read_image_set
from harness.sequence_run import Finish, SequenceRun, Step
from harness.suite import SetConfig
from harness.table import figures
from tests.support.drivers.command import Ended
from workers.images.decode import decode_image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NEEDING = [
    # module, and what its sentence names
    ("features", "NACRE_FEATURES"),
    ("methods", "NACRE_FEATURES"),
    ("beyond", "NACRE_FEATURES"),
    ("beyond_trials", "NACRE_FEATURES"),
    ("advice", "NACRE_FEATURES"),
    ("replay", "NACRE_FEATURES"),
    ("encoder", "NACRE_DATASETS"),
]


def ended(module: str, *arguments: str | Path, features: Path) -> Ended:
    """Return how a benchmark ended that found features and image sets in one folder.

    It is run as `python -m` runs it, but in this process, which has loaded torch.
    """
    path = ROOT / "benchmarks" / f"{module}.py"
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.chdir(ROOT)
        patched.setenv("NACRE_FEATURES", str(features))
        patched.setenv("NACRE_DATASETS", str(features))
        patched.setattr(sys, "argv", [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            runpy.run_path(str(path), run_name="__main__")
    return Ended(code=int(exited.value.code or 0), out=out.getvalue(), err=err.getvalue())


@pytest.mark.parametrize(
    ("module", "variable", "folder"),
    [(*NEEDING[0], "empty"), *((*needing, "absent") for needing in NEEDING)],
)
def test_what_is_missing_is_said_in_a_sentence(
    tmp_path: Path, module: str, variable: str, folder: str
) -> None:
    (tmp_path / "empty").mkdir()
    end = ended(module, features=tmp_path / folder)
    assert end.code == 2, end.err
    assert end.out == ""
    (line,) = end.err.splitlines()
    assert line.startswith("expected ")
    assert str(tmp_path / folder) in line
    assert variable in line


def test_missing_images_are_said_before_an_hour_of_measuring(tmp_path: Path) -> None:
    names = ("caltech101", "oxford_flowers", "oxford_pets", "stanford_cars", "dtd")
    for name in names:
        (tmp_path / f"{name}.npz").touch()
    end = ended("beyond", "--root", tmp_path / "nowhere", features=tmp_path)
    assert end.code == 2, end.err
    assert end.err.startswith("expected the image sets caltech101, chess_pieces")
    assert f"in {tmp_path / 'nowhere'}, found none; name their folder with --root" in end.err


def test_missing_images_are_said_before_towers_are_trained(tmp_path: Path) -> None:
    end = ended("systems", "--root", tmp_path / "nowhere", features=tmp_path)
    assert end.code == 2, end.err
    assert f"in {tmp_path / 'nowhere'}, found none; name it by --root" in end.err


def test_the_benchmark_of_a_gpu_runs_on_tensors_of_the_processor(tmp_path: Path) -> None:
    end = ended("gpu", "--device", "cpu", "--small", features=tmp_path)
    assert end.code == 0, end.out + end.err
    for figure in ("no card: cpu", "the whole path", "a step", "scored", "answered over"):
        assert figure in end.out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_says_so_in_a_sentence(tmp_path: Path) -> None:
    end = ended("gpu", features=tmp_path)
    assert (end.code, end.out) == (2, "")
    (line,) = end.err.splitlines()
    assert line.startswith("expected a GPU") and "--device cpu --small" in line


def test_cifar_from_its_package_has_every_image_with_its_label(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    draw = np.random.default_rng(0)
    sheets = {
        name: draw.integers(0, 256, (2, 1024, 3), np.uint8) for name in (*TRAIN, "test_batch")
    }
    for name, sheet in sheets.items():
        Image.fromarray(sheet).save(package / f"{name}.png")
    (package / "train_lables.json").write_text(json.dumps(list(range(10))))
    (package / "test_lables.json").write_text(json.dumps([3, 8]))
    as_published(package, tmp_path / "cifar10")
    found = read_image_set(SetConfig(name="cifar10", layout="cifar"), tmp_path / "cifar10")
    assert [image.label for image in (*found.train, *found.test)] == [*range(10), 3, 8]
    picture = decode_image(found.train[3].read(), origin="image 3")
    assert (np.asarray(picture) == sheets["data_batch_2"][1].reshape(32, 32, 3)).all()


def test_a_curve_goes_through_the_figures_of_its_name_in_its_unit() -> None:
    rows: list[dict[str, object]] = [
        {"figure": "verify, 1,000 tasks", "value": 4012, "unit": "requests"},
        {"figure": "verify, 1,000 tasks", "value": 4.1, "unit": "CPU s"},
        {"figure": "verify, 10 tasks", "value": "0.03, limit 0.01", "unit": "CPU s"},
        {"figure": "no verify, 10 tasks", "value": 7, "unit": "CPU s"},
    ]
    assert points(rows, r"verify, ([\d,]+) tasks") == [(10, 0.03), (1000, 4.1)]


def part(*seconds: float) -> Callable[[], Iterator[Row]]:
    """Return a part of the benchmark of scale that measures verifying at 10 and 100 tasks."""

    def figures() -> Iterator[Row]:
        for tasks, taken_s in zip((10, 100), seconds, strict=True):
            holds = taken_s < 1
            yield Row(
                figure=f"verify, {tasks} tasks", value=taken_s, bar="below 1", holds=holds, unit="s"
            )

    return figures


def stopped() -> Iterator[Row]:
    yield Row(figure="verify, 10 tasks", value=0.5, unit="s")
    raise KeyboardInterrupt


def verified(out: Path, name: str) -> list[float | str]:
    rows = kept_rows(f"scale_{name}", out) or []
    return [row.value for row in rows if row.figure.startswith("verify")]


def test_parts_that_were_measured_before_a_stop_are_not_measured_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        taken({"opening": part(0.1, 0.2), "queue": stopped}, missing=False, out=tmp_path)
    assert verified(tmp_path, "opening") == [0.1, 0.2]
    assert verified(tmp_path, "queue") == []
    report("scale_memory", [Row(figure="verify, 10 tasks", value=9.0)], tmp_path)  # by itself
    again = {"opening": part(7, 7), "queue": part(0.3, 0.4), "memory": part(0.5, 0.6)}
    assert taken(again, missing=True, out=tmp_path) == 0
    found = [verified(tmp_path, name) for name in again]
    assert found == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    lines = [row.figure for row in kept_rows("scale", tmp_path) or []]
    assert lines == ["part opening", "part queue", "part memory", "all of these"]


def test_a_bar_that_did_not_hold_before_a_stop_still_fails(tmp_path: Path) -> None:
    assert taken({"queue": part(0.1, 2.0)}, missing=False, out=tmp_path) == 1
    assert taken({"queue": part(0.1, 0.1)}, missing=True, out=tmp_path) == 1
    assert taken({"queue": part(0.1, 0.1)}, missing=False, out=tmp_path) == 0


def test_curves_are_drawn_of_the_parts_that_have_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "scale.svg"
    assert not draw(tmp_path, picture)
    assert not picture.exists()
    taken({"queue": part(0.1, 0.2)}, missing=False, out=tmp_path)
    assert draw(tmp_path, picture)
    first = picture.read_bytes()
    assert first.startswith(b"<?xml") and b"</svg>" in first
    assert draw(tmp_path, picture) and picture.read_bytes() == first
    rows = [Row(figure="1,000 tasks of 10 classes: one more followed, float32", value=3.0)]
    report("scale_opening", rows, tmp_path)
    assert draw(tmp_path, picture) and picture.read_bytes() != first


def test_every_panel_is_of_a_part_that_is_measured() -> None:
    assert {panel.part for panel in PANELS} <= set(PARTS)


def test_what_a_task_adds_is_told_apart_from_what_every_version_has() -> None:
    steps = tuple(
        Step(
            accuracies=(90.0, 60.0)[: place + 1],
            alike=(90.0, 60.0)[: place + 1],
            learning_s=9.0,
            processor_s=5.0,
            kept_bytes=kept,
            shared_bytes=shared,
        )
        for place, (kept, shared) in enumerate([(3000, 1000), (6000, 2000)])
    )
    finish = Finish(
        building_s=0.0,
        scoring_ms=0.0,
        request_cost=2.5,
        peak_bytes=0,
        confusion=(),
        answered=(),
    )
    run = SequenceRun(steps=steps, finish=finish, classes=4, images=(100, 300))
    found = {heading: figure and figure.mean for heading, figure in figures([run], COLUMNS).items()}
    assert found == {
        "Transfer": None,
        "Average": pytest.approx((90 + 67.5) / 2),
        "Last": pytest.approx(67.5),  # the second task has three times as many images
        "kB a task": 3.0,
        "kB a version": 2.0,
        "learning s": 10.0,
        "request": 2.5,
    }


def test_missing_images_are_said_before_packages_are_fetched(tmp_path: Path) -> None:
    end = ended("sentences", "--root", tmp_path / "nowhere", features=tmp_path)
    assert end.code == 2, end.err
    assert f"in {tmp_path / 'nowhere'}, found none; name their folder with --root" in end.err


def test_a_map_of_sentences_is_a_weighted_ridge_regression() -> None:
    draws = torch.Generator().manual_seed(0)
    given = torch.randn(50, 4, generator=draws)
    wanted = given @ torch.randn(4, 3, generator=draws) + 2
    wrong = torch.cat([wanted, torch.full((1, 3), 99.0)])
    weights = torch.cat([torch.ones(50), torch.zeros(1)])  # the last one does not count
    solution = ridge(torch.cat([given, torch.ones(1, 4)]), wrong, weights, 1e-12)
    torch.testing.assert_close(with_one(given) @ solution, wanted, atol=1e-4, rtol=0)
    pulled = ridge(given, wanted, torch.ones(50), 1e6)
    assert pulled[:-1].abs().max() < 1e-3  # all but the intercept is pulled towards zero


def test_images_of_one_label_are_a_direction_from_the_centre_of_their_kind() -> None:
    centre = torch.tensor([5.0, 5.0])
    away = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    lawful = Lawful(
        features=torch.cat([centre + away, away]),
        labels=["cat", "cat", "hat", "hat"] * 2,
        kinds=["sketch"] * 4 + ["emoji"] * 4,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("benchmarks.sentences.KINDS", ("sketch", "emoji"))
        found = lawful.means(["hat", "cat"])
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    assert forms("Sea_Urchins") == {"sea urchins", "sea urchinss", "sea urchin"}
