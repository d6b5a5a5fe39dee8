"""Webhooks from end to end: a coordinator, real requests, and a real receiver on loopback."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from standardwebhooks import Webhook as Verifying

from cluster.client.client import Client
from cluster.config import Config
from tests.support.drivers.receiving import Handler, Request, receiver, yes
from tests.support.drivers.telling import permitted, telling
from tests.support.scenes.registry import learn
from tests.support.scenes.submissions import announced, submission
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.registry import Author, Registry
from workers.store import FileStore

ANNA = Author(who="anna", why="a test", now=1_790_000_000.0)
EVENTS = 100
BIRDS = submission("birds")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.set_num_threads(1)
    return Encoder(EncoderSettings())


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def client_of(store: FileStore, url: str) -> Client:
    return Client(Config(store=store.url, events=permitted(url)), by="anna", store=store)


def events(requests: list[Request], secret: str) -> Iterator[dict[str, Any]]:
    """Yield what was received, each verified at the time when it came."""
    for request in requests:
        yield {
            **Verifying(secret).verify(request.body, request.headers),
            "header": request.headers["webhook-id"],
        }


def test_a_failed_task_is_told_with_its_reason(store: FileStore, encoder: Encoder) -> None:
    with receiver(yes) as running, telling(store, encoder, permitted(running.url)) as crew:
        crew.raises["embed", "birds"] += [RuntimeError("no such birds")] * 10
        secret = client_of(store, running.url).add_webhook("pager", running.url).secrets[0].value
        announced(store, BIRDS)
        running.until(lambda requests: len(requests) == 2)
    accepted, failed = events(running.requests, secret)
    assert (accepted["type"], failed["type"]) == ("submission.accepted", "submission.failed")
    data = failed["data"]
    assert data["reason"] == "RuntimeError('no such birds')"
    assert (data["submission"], data["task"], data["round"]) == (BIRDS.submission_id, "birds", 1)


def test_what_is_away_wrong_and_broken_off_is_told_everything_in_order_and_again_under_one_id(
    store: FileStore, encoder: Encoder
) -> None:
    main = Registry(store).create("main")
    learn(main, "birds", "boats")
    count = 0

    def answering(handler: Handler) -> None:
        nonlocal count
        count += 1
        if count % 5 == 0:
            handler.answer(500)
        elif count % 7 == 0:
            handler.close_connection = True  # after it was received: told again
        else:
            handler.answer(204)

    with receiver(yes) as found:
        url = found.url
    client = client_of(store, url)
    secret = client.add_webhook("away", url).secrets[0].value
    port = int(url.split(":")[2].split("/")[0])
    for number in range(EVENTS):
        main.alias("canary", 1 + number % 2, by=ANNA)
        if number == EVENTS // 4:
            with telling(store, encoder, permitted(url)):  # nobody is there to receive
                _until(lambda: client.webhook("away")[1].failing)
    with receiver(answering, port=port) as running:
        for part in (EVENTS // 2, EVENTS):  # stopped in between, and started again
            with telling(store, encoder, permitted(url)):
                running.until(partial(_has, part))
    received = list(events(running.requests, secret))
    firsts = list({event["id"]: event for event in reversed(received)}.values())[::-1]
    sequences = [event["data"]["sequence"] for event in firsts]
    assert sequences == sorted(sequences)
    assert len(firsts) == EVENTS
    assert len(received) > EVENTS
    assert all(event["id"] == event["header"] for event in received)
    moves = [event["data"]["moves"] for event in firsts]
    assert moves[0] == {"canary": {"from": None, "to": 1}}
    assert moves[1:3] == [{"canary": {"from": 1, "to": 2}}, {"canary": {"from": 2, "to": 1}}]


def _has(count: int, requests: list[Request]) -> bool:
    return len(_ids(requests)) >= count


def _ids(requests: list[Request]) -> set[str]:
    return {request.headers["webhook-id"] for request in requests}


def _until(holds: Callable[[], object]) -> None:
    passed = threading.Event()
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        passed.wait(0.02)
