"""The client: the store alone for most calls, and a real HTTP server for predictions."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from adapters.errors import (
    ConflictError,
    CorruptionError,
    ImageError,
    InputError,
    NacreError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    UnknownOutcomeError,
)
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors, add_access
from cluster.api.problems import add_problems
from cluster.api.uploads import received_images, received_question
from cluster.client.async_client import AsyncClient
from cluster.client.client import Client
from cluster.config import PREDICT_TOKEN, TOKEN, Config, ServeConfig
from cluster.serving.metrics import Metrics
from cluster.wire.health import AdapterState, Ready
from cluster.wire.predictions import EmbedAnswer, ImageAnswer, PredictAnswer, Prediction
from tests.support.scenes.registry import learn
from tests.support.scenes.tickets import set_ticket
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.store import FileStore

WriteTask = Callable[..., Path]
START_TIMEOUT_S = 180

ANSWER = PredictAnswer(
    version="main@2",
    digest="ab" * 32,
    results=[
        ImageAnswer(
            predictions=[
                Prediction(label="bag", class_id="fashion/bag", task="fashion", score=0.75)
            ]
        )
    ],
)


STATE = AdapterState(version="main@2", refused=None, reason=None, seen_s=0.1, stale=False)
READY = Ready(encoder="f" * 32, adapters={"main": STATE}, loaded=["main@2"])
SECRET = "a-long-secret"


@dataclass
class Service:
    """What the server answers, and what it was asked."""

    port: int = 0
    answers: list[Response | NacreError] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def api(self) -> FastAPI:
        api = FastAPI()
        add_problems(api)
        add_access(api, Doors(access=Access(predict_token=SECRET, change_token=SECRET)), Metrics())

        @api.post("/v1/adapters/{adapter}/predict", response_model=None)
        async def predict(request: Request, adapter: str) -> Response | PredictAnswer:
            files, question = await received_question(request)
            fields = question.model_dump(exclude_unset=True, exclude={"images"})
            waited = request.headers["x-request-timeout-ms"]
            self.asked.append({"adapter": adapter, "files": files, "waited": waited, **fields})
            return self.given() or ANSWER

        @api.post("/v1/embed", response_model=None)
        async def embed(request: Request) -> Response | EmbedAnswer:
            files = await received_images(request)
            return self.given() or EmbedAnswer(encoder="f" * 32, features=[[1.0]] * len(files))

        @api.get("/v1/health/ready", response_model=None)
        async def ready() -> Response | Ready:
            return self.given() or READY

        return api

    def given(self) -> Response | None:
        """Return what is to be answered next; the last one again and again."""
        if not self.answers:
            return None
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, NacreError):
            raise answer
        return None if answer is FINE else answer


FINE = Response()


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    service = Service()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    service.port = listening.getsockname()[1]
    config = uvicorn.Config(service.api(), log_level="warning", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    listening.listen()  # whoever asks now is answered as soon as the server runs
    thread.start()
    yield service
    server.should_exit = True
    thread.join(START_TIMEOUT_S)
    listening.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def service(running: Service) -> Service:
    running.answers.clear()
    running.asked.clear()
    return running


def client_of(folder: Path, *, port: int = 1) -> Client:
    """Return a client of a store in `folder`; nobody ever listens on port 1."""
    return Client(Config(store=f"file://{folder}/store", serve=ServeConfig(port=port)))


@pytest.fixture
def client(service: Service, tmp_path: Path) -> Iterator[Client]:
    with client_of(tmp_path, port=service.port) as found:
        yield found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "bag.png"
    path.write_bytes(b"a bag")
    return path


def sent(service: Service) -> list[dict[str, Any]]:
    """Return what was asked, but for how long somebody waits."""
    return [{k: v for k, v in asked.items() if k != "waited"} for asked in service.asked]


def test_images_are_sent_as_they_are(client: Client, service: Service, image: Path) -> None:
    assert client.predict([image, str(image), b"a boot"], top_k=3, version=2) == ANSWER
    files = [("bag.png", b"a bag")] * 2 + [("images[2]", b"a boot")]
    assert sent(service) == [{"adapter": "main", "files": files, "top_k": 3, "version": "2"}]


def test_candidates_are_sent_along(client: Client, service: Service, image: Path) -> None:
    client.predict([image], adapter="other", tasks=["fashion"], candidate_labels=["zebra", "okapi"])
    (asked,) = sent(service)
    assert asked["adapter"] == "other"
    assert asked["tasks"] == ["fashion"]
    assert asked["candidate_labels"] == ["zebra", "okapi"]


def test_production_answers_where_no_version_is_pinned(
    client: Client, service: Service, image: Path
) -> None:
    client.predict([image])
    files = [("bag.png", b"a bag")]
    assert sent(service) == [{"adapter": "main", "files": files, "top_k": 5}]


def test_features_are_asked_for_in_the_same_way(client: Client, image: Path) -> None:
    assert client.embed([image, image]).features == [[1.0], [1.0]]


def test_ready_says_what_answers(client: Client) -> None:
    assert client.ready() == READY
    assert client.answering() == "main@2"
    assert client.answering("other") is None


BUSY: list[Response | NacreError] = [
    UnavailableError("no version yet"),
    JSONResponse({"title": "busy", "detail": "later"}, 429),
    PlainTextResponse("bad gateway", 502),
]


@pytest.mark.parametrize("busy", BUSY)
def test_who_is_too_busy_is_asked_again(
    client: Client, service: Service, image: Path, busy: Response | NacreError
) -> None:
    service.answers += [busy, FINE]
    assert client.predict([image]) == ANSWER
    assert len(service.asked) == 2


def test_the_service_is_told_how_long_somebody_waits(
    client: Client, service: Service, image: Path
) -> None:
    service.answers += [JSONResponse({}, 429), FINE]
    client.predict([image], timeout_s=5)
    first, second = (int(asked["waited"]) for asked in service.asked)
    assert 0 < second < first <= 5000


def test_after_the_deadline_the_last_refusal_is_raised(
    client: Client, service: Service, image: Path
) -> None:
    service.answers.append(UnavailableError("no version yet"))
    with pytest.raises(UnavailableError, match="no version yet"):
        client.predict([image], timeout_s=0.3)
    assert len(service.asked) >= 1


def test_a_probe_is_sent_once(client: Client, service: Service) -> None:
    service.answers += [UnavailableError("no version yet"), FINE]
    with pytest.raises(UnavailableError):
        client.ready()


def test_the_token_that_permits_to_ask_will_do(
    client: Client, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN)
    with pytest.raises(UnauthorizedError, match="Authorization: Bearer"):
        client.predict([image])
    monkeypatch.setenv(PREDICT_TOKEN, SECRET)
    assert client.predict([image]) == ANSWER


def test_an_event_loop_asks_for_many_at_once(client: Client, service: Service, image: Path) -> None:
    async def scene() -> None:
        async with AsyncClient(client.config) as asking:
            answers = await asyncio.gather(*(asking.predict([image]) for _ in range(8)))
            assert answers == [ANSWER] * 8
            assert (await asking.embed([b"a boot"])).features == [[1.0]]
            assert await asking.ready() == READY
            service.answers += [JSONResponse({}, 429), FINE]
            assert await asking.predict([image]) == ANSWER

    asyncio.run(scene())


def test_an_event_loop_gets_the_same_errors(tmp_path: Path) -> None:
    async def scene() -> None:
        async with AsyncClient(client_of(tmp_path).config) as asking:
            with pytest.raises(UnavailableError, match="nothing answers"):
                await asking.predict([b"a boot"], timeout_s=0.2)
            with pytest.raises(NotFoundError, match=r"gone\.png"):
                await asking.predict([Path("gone.png")])

    asyncio.run(scene())


def test_when_nothing_answers_the_way_out_is_named(tmp_path: Path, image: Path) -> None:
    with (
        client_of(tmp_path) as client,
        pytest.raises(UnavailableError, match=r"nothing answers at .*:1 .*`nacre up`"),
    ):
        client.predict([image], timeout_s=0.2)


def test_an_image_that_does_not_exist_is_never_sent(client: Client, service: Service) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.png"):
        client.predict([Path("gone.png")])
    assert service.asked == []


ERRORS: list[tuple[NacreError, type[NacreError]]] = [
    (ImageError("bag.png is not an image"), InputError),
    (NotFoundError("no version 7"), NotFoundError),
    (ConflictError("head moved"), ConflictError),
    (UnavailableError("no version yet"), UnavailableError),
    # waiting does not help against either: a person must know which it was
    (CorruptionError("a record is damaged"), CorruptionError),
    (UnknownOutcomeError("the answer was lost"), UnknownOutcomeError),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS)
def test_an_error_of_the_service_is_raised_with_its_sentence(
    client: Client, service: Service, image: Path, error: NacreError, kind: type[NacreError]
) -> None:
    service.answers.append(error)
    with pytest.raises(kind) as caught:
        client.predict([image], timeout_s=0.2)
    assert caught.value.message == error.message


STRANGERS: list[tuple[Response, type[NacreError], str]] = [
    # a proxy in between, not nacre
    (PlainTextResponse("bad gateway", 502), UnavailableError, "answered 502: bad gateway"),
    (PlainTextResponse("x" * 1_000, 413), InputError, "answered 413: x{200}$"),
    (JSONResponse(["no document"], 500), UnavailableError, "answered 500"),
    (JSONResponse({"error": 5}, 404), NotFoundError, "answered 404"),
    # something else listens on that port
    (PlainTextResponse("welcome", 200), NacreError, "welcome|answer"),
    (JSONResponse({"hello": "world"}, 200), NacreError, "answer"),
    (Response(status_code=302, headers={"Location": "/"}), NacreError, "302"),
]


@pytest.mark.parametrize(("answer", "kind", "message"), STRANGERS)
def test_what_is_no_answer_of_nacre_is_an_error_all_the_same(
    client: Client,
    service: Service,
    image: Path,
    answer: Response,
    kind: type[NacreError],
    message: str,
) -> None:
    service.answers.append(answer)
    with pytest.raises(kind, match=message):
        client.predict([image], timeout_s=0.2)


def test_submitting_needs_no_server(tmp_path: Path, write_task: WriteTask) -> None:
    client = client_of(tmp_path)
    first = client.submit(write_task(), adapter="canary")
    again = client.submit(str(write_task()), adapter="canary")
    assert (first.is_new, again.is_new) == (True, False)
    assert first.submission.adapter == "canary"
    (state,) = client.queue().states
    assert state.ticket.submission_id == first.submission.submission_id
    assert state.ticket.stage is Stage.ACCEPTED


def test_watching_ends_with_the_submission(tmp_path: Path, write_task: WriteTask) -> None:
    client = client_of(tmp_path)
    submission = client.submit(write_task()).submission
    name = submission.submission_id
    ticket = set_ticket(FileStore(tmp_path / "store"), name, stage=Stage.PUBLISHED, version=1)
    assert [state.ticket for state in client.watch(submission)] == [ticket]
    assert [state.ticket for state in client.watch(name)] == [ticket]


def test_a_submission_is_found_by_its_id_or_its_task(tmp_path: Path, write_task: WriteTask) -> None:
    client = client_of(tmp_path)
    submission = client.submit(write_task()).submission
    for name in (submission.submission_id, "colors"):
        assert client.find(name).ticket.submission_id == submission.submission_id
    with pytest.raises(NotFoundError, match="'shapes'"):
        client.find("shapes")


def test_watching_ends_when_the_time_is_over(tmp_path: Path, write_task: WriteTask) -> None:
    client = client_of(tmp_path)
    submission = client.submit(write_task()).submission
    with pytest.raises(UnavailableError, match=f"{submission.submission_id} has not ended"):
        list(client.watch(submission, timeout_s=0))


def test_versions_are_listed_newest_first_with_their_aliases(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    assert client.versions() == []
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "fashion", "digits")
    versions = client.versions()
    assert [entry.manifest.number for entry in versions] == [2, 1]
    assert [entry.aliases for entry in versions] == [("head", "production"), ()]
    assert versions[1].accuracies[0].task == "fashion"
    assert client.versions("another") == []


def test_a_rollback_moves_both_aliases_or_production_alone(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    adapter = Registry(FileStore(tmp_path / "store")).create("main")
    learn(adapter, "fashion", "digits", "letters")
    assert client.rollback(2, serving_only=True, why="slow") == 2
    assert [entry.aliases for entry in client.versions()] == [("head",), ("production",), ()]
    assert client.rollback("1") == 1
    assert [entry.aliases for entry in client.versions()] == [(), (), ("head", "production")]
    assert [entry.author.why for entry in adapter.history()][:2] == ["", "slow"]


@pytest.mark.parametrize("version", [7, "7", "canary"])
def test_a_rollback_to_nowhere_is_refused(tmp_path: Path, version: int | str) -> None:
    learn(Registry(FileStore(tmp_path / "store")).create("main"), "fashion")
    with pytest.raises(NotFoundError, match=str(version)):
        client_of(tmp_path).rollback(version)
