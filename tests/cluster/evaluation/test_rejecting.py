"""`nacre evaluate --reject`: known and foreign images, and versions that reject nothing."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from adapters.errors import InputError
from cluster.client.client import Client
from tests.cluster.evaluation.conftest import parsed, run
from tests.support.drivers.learning import carried_out, published_by_hand, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry.record_cache import Versions
from workers.store import FileStore

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"


pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    """Return a store with versions 1 (digits) and 2 (digits, fashion) of `main`, and two others.

    `main` is learnt by own_metric, `single` by LADA from one class, `other` by nearest_mean.
    """
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("rejecting")
    store, encoder = FileStore(folder / "store"), Encoder(EncoderSettings())
    submissions = []
    for number, name in enumerate(("digits", "fashion"), 1):
        path = small_task(EXAMPLES, folder, name, classes=3, images=12)
        content = yaml.safe_load(path.read_text())
        del content["settings"]
        path.write_text(yaml.safe_dump(content))
        submissions.append(submitted(store, path, now=float(number), method="own_metric"))
    carried_out(store, encoder, *submissions, method="own_metric")
    path = small_task(EXAMPLES, folder / "single", "digits", classes=1, images=12)
    path.write_text(path.read_text() + "\nadapter: single\n")
    published_by_hand(store, encoder, submitted(store, path, now=8.0))
    path = small_task(EXAMPLES, folder / "other", "digits", classes=2)
    content = {**yaml.safe_load(path.read_text()), "adapter": "other"}
    del content["settings"]
    path.write_text(yaml.safe_dump(content))
    task = submitted(store, path, now=9.0, method="nearest_mean")
    published_by_hand(store, encoder, task, method="nearest_mean")
    return store


def foreign(folder: Path) -> str:
    source = folder / "foreign"
    keys = sorted((EXAMPLES / "clip-art" / "test").iterdir())[:4]
    for key in keys:
        shutil.copytree(key, source / key.name)
    return f"foreign={source}"


def test_known_images_are_seldom_rejected_and_foreign_ones_often(tmp_path: Path) -> None:
    found = parsed("--reject", "0.1", "--set", foreign(tmp_path))
    assert [each["name"] for each in found["sets"]] == ["digits", "fashion", "foreign"]
    digits, fashion, others = found["versions"][1]["rejected"]
    for known, column in zip((digits, fashion), found["sets"][:2], strict=True):
        assert known["images"] == column["images"]
        assert known["unknown"] <= 0.4
    assert others["unknown"] >= 0.5
    assert others["unknown"] > max(digits["unknown"], fashion["unknown"])
    # Before it is learnt, a task is foreign to the version before it.
    before = found["versions"][0]["rejected"]
    assert before[1]["unknown"] > fashion["unknown"]


def test_a_version_of_one_class_is_measured_by_what_it_rejects(tmp_path: Path) -> None:
    asked = ("--adapter", "single", "--reject", "0.1", "--set", foreign(tmp_path))
    found = parsed(*asked, "--report", "single")
    digits, others = found["versions"][0]["rejected"]
    assert found["versions"][0]["served_candidates"] == 1
    assert digits["unknown"] <= 0.5 < others["unknown"]


def test_it_is_printed_where_it_was_asked_and_nowhere_else(tmp_path: Path) -> None:
    told = run("--reject", "0.1", "--set", foreign(tmp_path)).stdout
    assert "of none of the learnt classes" in told
    assert "of none of the learnt classes" not in run().stdout
    assert [version["rejected"] for version in parsed()["versions"]] == [None, None]


def test_the_report_shows_it_where_it_was_asked(tmp_path: Path) -> None:
    assert run("--reject", "0.1", "--report", "asked").exit_code == 0
    assert run("--report", "plain").exit_code == 0
    asked = (tmp_path / "asked" / "report.html").read_text()
    assert "of none of the learnt classes; bold: learnt" in asked
    assert "<code>reject</code> at 10.0&nbsp;%" in asked
    found = parsed("--reject", "0.1")["versions"]
    for version in found:
        for share in version["rejected"]:
            assert f"{100 * share['unknown']:.1f}" in asked
    # Version 1 has learnt one of the two sets, version 2 both.
    table = asked.partition("bold: learnt</h2>")[2].partition("</table>")[0]
    assert table.count("<strong>") == 3
    assert "none of the learnt classes" not in (tmp_path / "plain" / "report.html").read_text()


def test_accuracies_are_the_same_with_it_and_without() -> None:
    plain, told = parsed(), parsed("--reject", "0.2")
    for before, after in zip(plain["versions"], told["versions"], strict=True):
        assert before | {"rejected": None} == after | {"rejected": None}


@pytest.mark.parametrize("rate", ["0", "0.3", "-1", "2", "often", "nan"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    ended = run("--reject", rate)
    assert ended.exit_code == 2 or isinstance(ended.exception, InputError)
    assert "reject" in (ended.output or str(ended.exception))


@pytest.mark.parametrize("rate", [float("nan"), 0.0, 2.0])
def test_what_is_no_rate_is_refused_before_anything_is_embedded(
    rate: float, tmp_path: Path
) -> None:
    with Client() as client, pytest.raises(InputError, match="reject"):
        client.evaluate(reject=rate, sets={"absent": str(tmp_path / "nothing here")})


def test_where_no_version_rejects_anything_it_is_said_why() -> None:
    ended = run("--adapter", "other", "--reject", "0.1")
    assert isinstance(ended.exception, InputError)
    assert "method 'nearest_mean'" in ended.exception.message
    assert isinstance(run("--reject", "0.001").exception, InputError)


def test_the_queue_keeps_thresholds_in_every_record(store: FileStore) -> None:
    versions = Versions(store)
    records = versions.records("main", versions.resolve("main", "head") or 0)
    kept = [record.thresholds for record in records]
    assert [each.least_rate for each in kept if each is not None] == [0.03, 0.03]  # of 36 images
