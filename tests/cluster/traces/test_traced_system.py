"""A submission and a request as traces: from submit to served, through decode, batch and score."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import torch

from cluster.client.client import Client
from cluster.client.remote_client import RemoteClient
from cluster.config import Config, ServeConfig
from cluster.runtime.logs import JsonFormatter
from cluster.stores.open import open_store
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.keeping_spans import Spans, id_of, keeping_spans, said, tree
from tests.support.drivers.learning import small_task
from workers.coordination.local_coordinator import coordinating
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.queue.progress import known_ticket
from workers.queue.ticket import Stage

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FROM_US = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=" + "x" * 10_000}
TIMEOUT_S = 600.0
pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One submission that was learnt while the spans were kept, and a replica that serves it.

    Attributes:
        api: Asks the replica.
        spans: What was kept.
        submission_id: What was learnt.
        picture: Of what it has learnt.
        client: Of the same store.
    """

    api: httpx.Client
    spans: Spans
    submission_id: str
    picture: bytes
    client: Client


def awaited(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Let two tasks be learnt, the second one as somebody else traces it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("traced")
    examples = Path(__file__).parents[3] / "cluster" / "examples"
    config = Config(store=f"file://{folder}/store", serve=ServeConfig(poll_s=0.05))
    store, encoder = open_store(config.store), Encoder(EncoderSettings())
    client = Client(config, store=store, by="anna")
    first = small_task(examples, folder, "digits", classes=2)
    second = small_task(examples, folder, "fashion", classes=2)
    with coordinating(store, encoder):
        submitted = client.submit(first).submission
        for _ in client.watch(submitted):
            pass
        with (
            keeping_spans() as spans,
            ApiServer(config) as server,
            server.client(**FROM_US) as api,
        ):
            sent = RemoteClient(config, url=server.url)
            accepted = sent.submit(second)
            api.get("/v1/tasks")
            name = accepted.submission.submission_id
            awaited(lambda: client.state(name).ticket.stage is Stage.PUBLISHED)
            awaited(lambda: bool(spans.named("served")))
            picture = next((examples / "fashion" / "test").glob("*/*")).read_bytes()
            yield Scene(api=api, spans=spans, submission_id=name, picture=picture, client=client)
            sent.close()


def test_a_submission_is_one_trace_from_submit_to_served(scene: Scene) -> None:
    ticket = known_ticket(open_store(scene.client.config.store), scene.submission_id)
    assert ticket is not None
    found = scene.spans.of(ticket.traceparent[3:35])
    parts = tree(found)
    assert parts["POST /v1/tasks"] == {"submit"}
    assert parts["submit"] == {"submission published"}
    stages = {"accepted", "encoding", "waiting", "training", "compressing", "checking"}
    assert parts["submission published"] == {*stages, "served"}
    assert "embed shard" in parts["encoding"]
    assert parts["training"] >= {"train"}
    assert parts["train"] == {"read features"}
    assert parts["checking"] == {"publish"}
    assert parts["publish"] == {"measure", "commit"}
    (commit,) = [each for each in found if each.name == "commit"]
    (served,) = [each for each in found if each.name == "served"]
    assert said(commit, "version") == said(served, "version") == 2


def test_stages_follow_one_another_without_a_gap(scene: Scene) -> None:
    ticket = known_ticket(open_store(scene.client.config.store), scene.submission_id)
    assert ticket is not None
    found = {each.name: each for each in scene.spans.of(ticket.traceparent[3:35])}
    order = ["accepted", "encoding", "waiting", "training", "compressing", "checking"]
    for before, after in pairwise(order):
        assert found[before].end_time == found[after].start_time
    whole = found["submission published"]
    assert (whole.start_time, whole.end_time) == (
        found["accepted"].start_time,
        found["checking"].end_time,
    )


def predicted(scene: Scene, **headers: str) -> httpx.Response:
    files = [("images", ("one.png", scene.picture)), ("images", ("two.png", scene.picture))]
    return scene.api.post("/v1/predict", files=files, headers=headers)


def test_a_request_is_a_part_of_whoever_asks_and_has_decode_batch_and_score(scene: Scene) -> None:
    trace = "1" * 32
    answer = predicted(scene, traceparent=f"00-{trace}-{SPAN}-01")
    assert answer.status_code == 200
    answered = answer.headers["traceparent"]
    assert answered.startswith(f"00-{trace}-")
    awaited(lambda: "POST /v1/predict" in {each.name for each in scene.spans.of(trace)})
    found = scene.spans.of(trace)
    parts = tree(found)
    assert parts[""] == {"POST /v1/predict"}
    assert parts["POST /v1/predict"] == {"decode", "answer"}
    assert parts["answer"] == {"batch"}
    assert parts["batch"] == {"forward", "score"}
    (request,) = [each for each in found if each.name == "POST /v1/predict"]
    assert said(request, "version") == "main@2"
    assert said(request, "request") == answer.headers["x-request-id"]
    assert answered[36:52] == id_of(request)
    shared = {
        f"{link.context.span_id:016x}"
        for each in found
        if each.name == "batch"
        for link in each.links
    }
    whole = [each for each in scene.spans.all() if id_of(each) in shared]
    assert {each.name for each in whole} == {"batch"}
    (answering,) = [each for each in found if each.name == "answer"]
    linked = {f"{link.context.span_id:016x}" for each in whole for link in each.links}
    assert id_of(answering) in linked


def test_who_asks_not_to_be_recorded_is_not(scene: Scene) -> None:
    trace = "2" * 32
    before = len(scene.spans.named("batch"))
    answer = predicted(scene, traceparent=f"00-{trace}-{SPAN}-00")
    assert answer.headers["traceparent"].startswith(f"00-{trace}-")
    assert scene.spans.of(trace) == []
    assert len(scene.spans.named("batch")) <= before + 1


@pytest.mark.parametrize("sent", ["", "x", "x" * 10_000, f"00-{'0' * 32}-{SPAN}-01", "é"])
def test_a_malformed_header_is_passed_over(scene: Scene, sent: str) -> None:
    answer = scene.api.get("/v1/tasks", headers={b"traceparent": sent.encode()})
    assert answer.status_code == 200
    assert answer.headers["traceparent"][3:35] != TRACE


def test_a_request_without_the_header_begins_a_trace_also_on_a_connection_that_had_one(
    scene: Scene,
) -> None:
    with httpx.Client(base_url=scene.api.base_url, timeout=180) as plain:
        first = plain.get("/v1/tasks", headers=FROM_US)
        second, third = plain.get("/v1/tasks"), plain.get("/v1/tasks")
    traces = [answer.headers["traceparent"][3:35] for answer in (first, second, third)]
    assert traces[0] == TRACE
    assert len(set(traces)) == 3


def test_probes_are_no_traces(scene: Scene) -> None:
    before = len(scene.spans.all())
    answer = scene.api.get("/v1/health/live")
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers
    assert "GET /v1/health/live" not in {each.name for each in scene.spans.all()[before:]}


def test_two_headers_are_none(scene: Scene) -> None:
    sent = [("traceparent", FROM_US["traceparent"]), ("traceparent", FROM_US["traceparent"])]
    plain = httpx.Client(base_url=scene.api.base_url, timeout=180)
    answer = plain.get("/v1/tasks", headers=sent)
    assert answer.status_code == 200
    assert answer.headers["traceparent"][3:35] != TRACE
    plain.close()


def test_the_log_of_a_request_bears_its_ids_and_its_version(scene: Scene) -> None:
    trace, written, logger = "3" * 32, io.StringIO(), logging.getLogger("nacre.requests")
    handler, level = logging.StreamHandler(written), logger.level
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        answer = predicted(scene, traceparent=f"00-{trace}-{SPAN}-01")
        awaited(lambda: trace in written.getvalue())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    lines = map(json.loads, written.getvalue().splitlines())
    (line,) = [each for each in lines if each.get("trace_id") == trace]
    assert line["span_id"] == answer.headers["traceparent"][36:52]
    assert line["version"] == "main@2"
    assert line["request_id"] == answer.headers["x-request-id"]


def test_what_workers_wrote_bears_the_id_of_the_trace(scene: Scene) -> None:
    ticket = scene.client.state(scene.submission_id).ticket
    for log in scene.client.worker_logs(scene.submission_id):
        assert log.trace == ticket.traceparent[3:35]
