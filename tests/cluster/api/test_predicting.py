"""Asking what images show: both forms of a request, pins, candidates, one version each."""

import base64
import threading
from typing import Any

import httpx
import pytest

from cluster.wire.health import Ready
from cluster.wire.predictions import EmbedAnswer, PredictAnswer
from cluster.wire.problems import Problem
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer


def asked(api: httpx.Client, path: str, *images: bytes, **fields: Any) -> PredictAnswer:
    """Send JSON and return the answer."""
    encoded = [{"data": base64.b64encode(image).decode()} for image in images]
    response = api.post(path, json={"images": encoded, **fields})
    assert response.status_code == 200, response.text
    return PredictAnswer.model_validate_json(response.content)


def refused(api: httpx.Client, path: str, image: bytes, **fields: Any) -> Problem:
    """Send JSON and return why it was refused."""
    encoded = {"data": base64.b64encode(image).decode()}
    response = api.post(path, json={"images": [encoded], **fields})
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(response.content)
    assert problem.status == response.status_code
    return problem


def tasks_of(answer: PredictAnswer) -> set[str | None]:
    return {found.task for result in answer.results for found in result.predictions}


def test_every_answer_names_its_version_and_digest(api: httpx.Client, scene: Scene) -> None:
    answer = asked(api, "/v1/predict", scene.bag, scene.zero)
    assert answer.version == "main@2"
    versions = api.get("/v1/adapters/main/versions").json()
    assert answer.digest == versions[0]["digest"]
    assert len(answer.results) == 2


def test_scores_are_shares_of_all_candidates_best_first(api: httpx.Client, scene: Scene) -> None:
    (result,) = asked(api, "/v1/predict", scene.bag, top_k=1000).results
    scores = [found.score for found in result.predictions]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-5)


def test_a_form_is_answered_as_json_is(api: httpx.Client, scene: Scene) -> None:
    as_json = asked(api, "/v1/predict", scene.bag, top_k=3, tasks=["fashion"])
    files = [("images", ("bag.png", scene.bag))]
    response = api.post("/v1/predict", files=files, data={"top_k": "3", "tasks": ["fashion"]})
    assert PredictAnswer.model_validate_json(response.content) == as_json


def test_fields_may_stand_in_the_query_too(api: httpx.Client, scene: Scene) -> None:
    files = {"images": ("bag.png", scene.bag)}
    answer = PredictAnswer.model_validate(api.post("/v1/predict?top_k=1", files=files).json())
    assert len(answer.results[0].predictions) == 1


PINS = [
    ("/v1/adapters/main@1/predict", {}),
    ("/v1/adapters/main/predict", {"version": 1}),
    ("/v1/adapters/main/predict", {"version": "1"}),
    ("/v1/predict", {"version": 1}),
]


@pytest.mark.parametrize(("path", "fields"), PINS)
def test_a_version_may_be_pinned(
    api: httpx.Client, scene: Scene, path: str, fields: dict[str, Any]
) -> None:
    answer = asked(api, path, scene.bag, top_k=1000, **fields)
    assert answer.version == "main@1"
    assert tasks_of(answer) == {"fashion"}


@pytest.mark.parametrize("path", ["/v1/adapters/main@head/predict", "/v1/adapters/main@2/predict"])
def test_an_alias_pins_what_it_points_to(api: httpx.Client, scene: Scene, path: str) -> None:
    assert asked(api, path, scene.bag).version == "main@2"


def test_every_configured_adapter_answers(api: httpx.Client, scene: Scene) -> None:
    answer = asked(api, "/v1/adapters/other/predict", scene.zero, top_k=1000)
    assert answer.version == "other@1"
    assert tasks_of(answer) == {"digits"}


def test_tasks_narrow_the_candidates(api: httpx.Client, scene: Scene) -> None:
    answer = asked(api, "/v1/predict", scene.bag, tasks=["digits"], top_k=1000)
    assert tasks_of(answer) == {"digits"}
    scores = [found.score for found in answer.results[0].predictions]
    assert sum(scores) == pytest.approx(1, abs=1e-5)


def test_labels_that_nobody_has_learnt_are_candidates(api: httpx.Client, scene: Scene) -> None:
    labels = ["airplane", "automobile"]
    answer = asked(api, "/v1/predict", scene.bag, candidate_labels=labels, top_k=1000)
    new = [found for found in answer.results[0].predictions if found.task is None]
    assert {found.label for found in new} == set(labels)
    assert {found.class_id for found in new} == {None}
    # Known by now, and the same.
    assert asked(api, "/v1/predict", scene.bag, candidate_labels=labels, top_k=1000) == answer


NOWHERE = [
    ("/v1/adapters/nobody/predict", {}, "this service has: main, other"),
    ("/v1/adapters/main@7/predict", {}, "no version 7"),
    ("/v1/adapters/main@canary/predict", {}, "canary"),
    ("/v1/predict", {"version": 7}, "no version 7"),
    ("/v1/predict", {"tasks": ["letters"]}, "letters"),
]


@pytest.mark.parametrize(("path", "fields", "detail"), NOWHERE)
def test_what_does_not_exist_is_named(
    api: httpx.Client, scene: Scene, path: str, fields: dict[str, Any], detail: str
) -> None:
    problem = refused(api, path, scene.bag, **fields)
    assert problem.status == 404
    assert detail in problem.detail


WRONG: list[dict[str, Any]] = [
    {"top_k": 0},
    {"top_k": 1001},
    {"tasks": []},
    {"candidate_labels": [""]},
    {"candidate_labels": ["x"] * 1001},
    {"prompt": "no place for the label"},
    {"prompt": "{} and {}"},
    {"prompt": "{0.__class__}"},
    {"topk": 3},
]


@pytest.mark.parametrize("fields", WRONG)
def test_a_wrong_field_is_named(api: httpx.Client, scene: Scene, fields: dict[str, Any]) -> None:
    problem = refused(api, "/v1/predict", scene.bag, **fields)
    assert problem.status == 422
    assert next(iter(fields)) in problem.detail


def test_embeddings_are_unit_rows_in_order(api: httpx.Client, scene: Scene) -> None:
    def embedded(*images: bytes) -> EmbedAnswer:
        files = [("images", ("image", image)) for image in images]
        return EmbedAnswer.model_validate(api.post("/v1/embed", files=files).json())

    both = embedded(scene.bag, scene.zero)
    for row, image in zip(both.features, (scene.bag, scene.zero), strict=True):
        assert sum(value**2 for value in row) == pytest.approx(1, abs=1e-4)
        assert embedded(image).features[0] == pytest.approx(row, abs=1e-5)


def test_many_at_once_are_answered_each_with_its_own(api: httpx.Client, scene: Scene) -> None:
    images = [scene.bag, scene.zero] * 8
    alone = [asked(api, "/v1/predict", image).results[0] for image in images[:2]]
    answers: list[PredictAnswer | None] = [None] * len(images)

    def ask(index: int) -> None:
        answers[index] = asked(api, "/v1/predict", images[index])

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, answer in enumerate(answers):
        assert answer is not None
        best, expected = answer.results[0].predictions[0], alone[index % 2].predictions[0]
        assert best.class_id == expected.class_id
        assert best.score == pytest.approx(expected.score, abs=1e-4)


def test_ready_says_which_versions_answer(api: httpx.Client, server: ApiServer) -> None:
    ready = Ready.model_validate(api.get("/v1/health/ready").json())
    assert {name: state.version for name, state in ready.adapters.items()} == {
        "main": "main@2",
        "other": "other@1",
    }
    assert not any(state.stale or state.refused for state in ready.adapters.values())
    assert "main@2" in ready.loaded
    assert api.get("/v1/health/live").json() == {"status": "live"}
    assert server.service.ready().encoder == ready.encoder


def test_requests_and_batches_are_counted(api: httpx.Client, scene: Scene) -> None:
    asked(api, "/v1/predict", scene.bag)
    response = api.get("/v1/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'nacre_requests_total{adapter="main",code="200",route="/v1/predict"}' in response.text
    assert 'nacre_predictions_total{adapter="main",task="fashion"}' in response.text
    assert 'nacre_version_number{adapter="main",alias="production",replica="alone"} 2.0' in (
        response.text
    )
    assert "nacre_batch_images_count" in response.text
    assert "_created{" not in response.text
