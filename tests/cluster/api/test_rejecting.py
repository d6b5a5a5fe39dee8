"""None of these, over HTTP, from Python and on the command line."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest
import torch
import yaml
from click.testing import CliRunner, Result

from adapters.contract.records import Record, encode_record
from adapters.errors import InputError
from cluster.cli.main import cli
from cluster.client.remote_client import RemoteClient
from cluster.config import Config, ServeConfig
from cluster.stores.open import open_store
from cluster.wire.outputs.schemas import schema_of
from cluster.wire.predictions import PredictAnswer
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.learning import published_by_hand, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import AddRecord, Author, Commit, Inline, Registry
from workers.registry.record_cache import Versions

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
BY = Author(who="anna", why="a test", now=0.0)
RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class Rejecting:
    """Versions of four adapters.

    `main` has learnt fashion (1) and digits (2) with own_metric. `before` has the same records as
    an earlier release left them (1), and `half` only the first of them so (1). `lada` and `means`,
    of nearest_mean, have digits.

    Attributes:
        url: Of the service.
        known: Pictures of what has been learnt, which were not learnt from.
        foreign: Clip art, which nobody has learnt.
    """

    url: str
    known: list[bytes]
    foreign: list[bytes]


def pictures(task: str, classes: int, *, most: int = 3) -> list[bytes]:
    keys = [path.name for path in sorted((EXAMPLES / task / "train").iterdir())][:classes]
    files = [sorted((EXAMPLES / task / "test" / key).iterdir())[-most:] for key in keys]
    return [path.read_bytes() for several in files for path in several]


def drafted(folder: Path, name: str, adapter: str) -> Path:
    path = small_task(EXAMPLES, folder / adapter, name, classes=4, images=12)
    content = {**yaml.safe_load(path.read_text()), "adapter": adapter}
    if adapter != "lada":
        del content["settings"]
    path.write_text(yaml.safe_dump(content))
    return path


def committed(registry: Registry, adapter: str, records: list[Record]) -> None:
    """Publish records as they are."""
    registry.create(adapter).commit(
        Commit(
            updates=tuple(
                AddRecord(
                    task=record.task,
                    submission=f"{record.task}-{adapter}",
                    record=Inline(encode_record(record)),
                    classes=len(record.classes),
                )
                for record in records
            ),
            encoder=records[0].encoder,
            method="own_metric",
            settings=dict(records[0].settings),
            aliases=("head", "production"),
        ),
        by=BY,
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rejecting]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("rejecting")
    config = Config(
        store=f"file://{folder}/store",
        serve=ServeConfig(adapters=("before", "half", "lada", "means"), poll_s=0.05, decoders=2),
    )
    store, encoder = open_store(config.store), Encoder(EncoderSettings())
    for number, name in enumerate(("fashion", "digits")):
        task = submitted(store, drafted(folder, name, "main"), now=float(number))
        published_by_hand(store, encoder, task, method="own_metric")
    task = submitted(store, drafted(folder, "digits", "lada"), now=5.0)
    published_by_hand(store, encoder, task)
    task = submitted(store, drafted(folder, "digits", "means"), now=6.0, method="nearest_mean")
    published_by_hand(store, encoder, task, method="nearest_mean")
    versions = Versions(store)
    learnt = list(versions.records("main", versions.resolve("main", "head") or 0))
    before = [replace(record, thresholds=None) for record in learnt]
    committed(versions.registry, "before", before)
    committed(versions.registry, "half", [before[0], learnt[1]])
    with ApiServer(config) as running:
        yield Rejecting(
            url=running.url,
            known=pictures("fashion", 4),
            foreign=pictures("clip-art", 4),
        )


@pytest.fixture
def api(scene: Rejecting) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scene.url, timeout=300) as client:
        yield client


def asked(api: httpx.Client, images: list[bytes], adapter: str = "main", **fields: Any) -> Any:
    encoded = [{"data": base64.b64encode(image).decode()} for image in images]
    return api.post(f"/v1/adapters/{adapter}/predict", json={"images": encoded, **fields})


def answered(api: httpx.Client, images: list[bytes], adapter: str = "main", **fields: Any) -> Any:
    response = asked(api, images, adapter, **fields)
    assert response.status_code == 200, response.text
    PredictAnswer.model_validate_json(response.content)
    return response.json()


def refusal(api: httpx.Client, image: bytes, adapter: str = "main", **fields: Any) -> str:
    response = asked(api, [image], adapter, **fields)
    assert response.status_code == 422, response.text
    return str(response.json()["detail"])


def test_a_request_that_rejects_nothing_is_answered_as_before(
    api: httpx.Client, scene: Rejecting
) -> None:
    found = answered(api, scene.known)
    assert {key for result in found["results"] for key in result} == {"predictions"}
    rejecting = answered(api, scene.known, reject=RATE)
    for before, now in zip(found["results"], rejecting["results"], strict=True):
        assert now["predictions"] == before["predictions"]
        assert now.keys() == {"predictions", "unknown", "familiarity"}


def test_pictures_of_no_learnt_class_are_unknown_and_those_of_learnt_ones_seldom(
    api: httpx.Client, scene: Rejecting
) -> None:
    known = [each["unknown"] for each in answered(api, scene.known, reject=RATE)["results"]]
    foreign = [each["unknown"] for each in answered(api, scene.foreign, reject=RATE)["results"]]
    assert sum(known) <= len(known) / 4
    assert sum(foreign) >= len(foreign) / 2
    fewer = [each["unknown"] for each in answered(api, scene.known, reject=0.05)["results"]]
    assert all(often or not seldom for often, seldom in zip(known, fewer, strict=True))


def test_a_form_rejects_as_json_does(api: httpx.Client, scene: Rejecting) -> None:
    files = [("images", ("one.png", scene.foreign[0]))]
    path = "/v1/adapters/main/predict"
    beside = api.post(path, files=files, data={"reject": str(RATE)})
    in_address = api.post(f"{path}?reject={RATE}", files=files)
    as_json = answered(api, scene.foreign[:1], reject=RATE)
    assert beside.json() == in_address.json() == as_json


def test_a_pinned_version_and_one_task_are_judged_by_what_they_have(
    api: httpx.Client, scene: Rejecting
) -> None:
    first = answered(api, scene.known, reject=RATE, version=1)
    only = answered(api, scene.known, reject=RATE, tasks=["fashion"])
    assert first["version"] == "main@1"
    for one, other in zip(first["results"], only["results"], strict=True):
        assert one["familiarity"] == pytest.approx(other["familiarity"], rel=1e-4, abs=1e-4)
        assert one["unknown"] == other["unknown"]


def test_what_is_said_twice_is_refused_wherever_it_is_said(
    api: httpx.Client, scene: Rejecting
) -> None:
    files, path = [("images", ("one.png", scene.foreign[0]))], "/v1/adapters/main/predict"
    twice = f"reject=0.01&reject={RATE}"
    in_address = api.post(f"{path}?{twice}", files=files)
    in_json = api.post(f"{path}?{twice}", json={"images": [{"data": ""}]})
    beside = api.post(path, files=files, data={"reject": ["0.01", str(RATE)]})
    listed = api.get("/v1/adapters/main/versions?limit=1&limit=2")
    for response in (in_address, in_json, beside, listed):
        assert response.status_code == 422, response.text
        assert "is there 2 times in the " in response.json()["detail"]
    several = {"tasks": ["fashion", "digits"], "candidate_labels": ["a", "b"]}
    assert api.post(path, files=files, data=several).status_code == 200


def test_a_truth_is_no_number_of_classes(api: httpx.Client, scene: Rejecting) -> None:
    assert "expected a number, found a truth" in refusal(api, scene.known[0], top_k=True)
    assert answered(api, scene.known[:1], top_k="2") == answered(api, scene.known[:1], top_k=2)


@pytest.mark.parametrize("rate", [0, -0.05, 0.21, 2, "often", True])
def test_what_is_no_rate_is_refused(api: httpx.Client, scene: Rejecting, rate: object) -> None:
    assert "reject" in refusal(api, scene.known[0], reject=rate)


def test_a_rate_that_nothing_was_measured_for_names_the_lowest(
    api: httpx.Client, scene: Rejecting
) -> None:
    said = refusal(api, scene.known[0], reject=0.001)
    assert "measured, 0.03 to 0.2, found 0.001" in said


def test_tasks_of_an_earlier_release_are_said(api: httpx.Client, scene: Rejecting) -> None:
    assert "`replaces: `" in refusal(api, scene.known[0], "before", reject=RATE)
    assert len(answered(api, scene.known, "before")["results"]) == len(scene.known)
    half = answered(api, scene.known, "half", reject=RATE)["results"]
    of_old = [each for each in half if each["predictions"][0]["task"] == "fashion"]
    assert of_old
    assert all(each["unknown"] is None and each["familiarity"] is None for each in of_old)


def test_a_method_that_cannot_is_said(api: httpx.Client, scene: Rejecting) -> None:
    assert "method 'nearest_mean'" in refusal(api, scene.known[0], "means", reject=RATE)


def test_the_default_method_rejects_too(api: httpx.Client, scene: Rejecting) -> None:
    known = pictures("digits", 4)
    told = answered(api, [*known, *scene.foreign], "lada", reject=RATE)["results"]
    unknown = [each["unknown"] for each in told]
    assert sum(unknown[: len(known)]) <= len(known) / 4
    assert sum(unknown[len(known) :]) >= len(scene.foreign) / 2


def test_a_label_that_nobody_has_learnt_is_not_measured(
    api: httpx.Client, scene: Rejecting
) -> None:
    labels = ["animal", "tool", "food", "plant", "computer", "drawing", "flag", "music"]
    found = answered(api, scene.foreign, candidate_labels=labels, reject=RATE)["results"]
    by_label = [each["predictions"][0]["class_id"] is None for each in found]
    assert any(by_label)
    for each, is_label in zip(found, by_label, strict=True):
        assert (each["unknown"] is None) is is_label


def test_requests_that_come_together_are_answered_as_each_was_asked(
    api: httpx.Client, scene: Rejecting
) -> None:
    rates = [None, RATE, 0.2, None, 0.001, RATE, 2, None]  # two of them are refused

    def ask(rate: float | None) -> tuple[int, Any]:
        fields: dict[str, Any] = {} if rate is None else {"reject": rate}
        response = asked(api, scene.foreign, **fields)
        return response.status_code, response.json()

    alone = [ask(rate) for rate in rates]
    with ThreadPoolExecutor(len(rates)) as pool:
        together = list(pool.map(ask, rates))
    assert [status for status, _ in together] == [200, 200, 200, 200, 422, 200, 422, 200]
    for rate, (_, one), (_, other) in zip(rates, alone, together, strict=True):
        for each, also in zip(one.get("results", ()), other.get("results", ()), strict=True):
            assert each.keys() == also.keys()
            assert ("unknown" in each) is (rate is not None)
            assert each.get("unknown") == also.get("unknown")


def test_python_is_told_too(scene: Rejecting) -> None:
    with RemoteClient(url=scene.url) as client:
        plain = client.predict(scene.foreign)
        told = client.predict(scene.foreign, reject=RATE)
        assert [each.unknown for each in plain.results] == [None] * len(scene.foreign)
        assert any(each.unknown for each in told.results)
        assert all(each.familiarity is not None for each in told.results)
        for rate in (2, 0, float("nan"), float("inf"), True):
            with pytest.raises(InputError, match="reject"):
                client.predict(scene.foreign[:1], reject=rate)
            with pytest.raises(InputError, match="reject"):
                client.evaluate(reject=rate)
        told_by_numpy = client.predict(scene.foreign, reject=numpy.float64(RATE))
        assert told_by_numpy == told


def run(scene: Rejecting, folder: Path, *words: str) -> Result:
    (folder / "one.png").write_bytes(scene.foreign[0])
    return CliRunner().invoke(cli, ["--url", scene.url, "predict", str(folder / "one.png"), *words])


def test_the_command_line_says_it(scene: Rejecting, tmp_path: Path) -> None:
    with RemoteClient(url=scene.url) as client:
        unknown = next(
            image
            for image in scene.foreign
            if client.predict([image], reject=RATE).results[0].unknown
        )
    there = replace(scene, foreign=[unknown])
    told = run(there, tmp_path, "--reject", str(RATE), "--top-k", "1")
    assert told.exit_code == 0, told.output
    assert "none of these" in told.stdout
    assert told.stdout.splitlines()[1].endswith("yes")
    assert "none of these" not in run(there, tmp_path, "--top-k", "1").stdout
    as_json = run(there, tmp_path, "--reject", str(RATE), "--output", "json")
    document = schema_of("predict").validate_json(as_json.stdout)
    assert document.results[0].unknown is True
    plain = json.loads(run(there, tmp_path, "--output", "json").stdout)
    assert plain["results"][0].keys() == {"predictions"}


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
@pytest.mark.parametrize("rate", ["nan", "inf", "0", "0.3", "-1"])
def test_the_command_line_refuses_what_is_no_rate(
    scene: Rejecting, tmp_path: Path, verb: str, rate: str
) -> None:
    (tmp_path / "one.png").write_bytes(scene.foreign[0])
    images = [str(tmp_path / "one.png")] if verb == "predict" else []
    ended = CliRunner().invoke(cli, ["--url", scene.url, verb, *images, "--reject", rate])
    assert ended.exit_code == 2 or isinstance(ended.exception, InputError)
    assert "reject" in (ended.output or str(ended.exception))


def test_the_command_line_says_what_was_not_measured(scene: Rejecting, tmp_path: Path) -> None:
    there = replace(scene, foreign=scene.known)
    told = run(there, tmp_path, "--adapter", "half", "--reject", str(RATE))
    assert "not measured" in told.stdout
    assert "`replaces: `" in told.stdout
