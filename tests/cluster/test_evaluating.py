"""`nacre evaluate` on two real versions: what it measures is what was measured at publication."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.errors import InputError, NotFoundError
from cluster.cli.main import cli
from tests.suites.learning import carried_out, small_task, submitted
from workers.encoder import Encoder
from workers.encoder_settings import EncoderSettings
from workers.registry import Registry
from workers.store import FileStore

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    """Return a store with versions 1 (digits) and 2 (digits, fashion)."""
    folder = tmp_path_factory.mktemp("evaluating")
    store = FileStore(folder / "store")
    tasks = [small_task(EXAMPLES, folder, name, classes=2) for name in ("digits", "fashion")]
    submissions = [submitted(store, path, now=float(n)) for n, path in enumerate(tasks, 1)]
    carried_out(store, Encoder(EncoderSettings()), *submissions)
    return store


@pytest.fixture(autouse=True)
def configured(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NACRE_STORE", store.url)
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *arguments])


def parsed(*arguments: str) -> Any:
    result = run(*arguments, "--output", "json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


def test_the_matrix_is_what_was_measured_when_the_versions_were_published(
    store: FileStore,
) -> None:
    found = parsed()
    assert found["tasks"] == ["digits", "fashion"]
    assert [version["number"] for version in found["versions"]] == [1, 2]
    adapter = Registry(store).adapter("main")
    measured = {entry.task: entry.accuracy for entry in adapter.accuracies(2)}
    last = found["versions"][1]["accuracies"]
    assert [share["accuracy"] for share in last] == pytest.approx(
        [measured["digits"], measured["fashion"]]
    )
    assert found["versions"][1]["digest"] == adapter.version(2).manifest.sha256
    assert found["images"] == [6, 6]


def test_transfer_is_the_accuracy_before_a_task_was_learnt() -> None:
    found = parsed()
    before = found["versions"][0]["accuracies"][1]["accuracy"]
    last = [share["accuracy"] for share in found["versions"][1]["accuracies"]]
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
    assert "where each version adds the next" in run("--versions", "2").stdout


def test_a_task_that_a_version_has_not_learnt_is_measured_if_it_is_named() -> None:
    found = parsed("--versions", "1", "--task", "fashion")
    assert found["tasks"] == ["digits", "fashion"]


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("--versions", "9"), NotFoundError, "no version '9'"),
        (("--versions", "newest"), InputError, "the aliases are head, production"),
        (("--adapter", "birds"), NotFoundError, "has no versions yet"),
        (("--task", "birds"), NotFoundError, "birds"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: tuple[str, ...], kind: type[Exception], sentence: str
) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert sentence in str(result.exception)


def test_the_report_holds_every_cell(tmp_path: Path) -> None:
    result = run("--report", "matrix")
    assert result.exit_code == 0, result.output
    assert "zero-shot" in result.stdout
    assert "main@2" in result.stdout
    assert "transfer" in result.stdout
    written = (tmp_path / "matrix" / "accuracies.csv").read_text()
    lines = list(csv.DictReader(written.splitlines()))
    assert len(lines) == 3 * 2
    assert {line["version"] for line in lines} == {"zero-shot", "1", "2"}
    assert (tmp_path / "matrix" / "matrix.png").stat().st_size > 1000
