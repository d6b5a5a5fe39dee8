"""What callers give that is no number and no text: refused before anything is asked or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from adapters.errors import InputError, NotFoundError
from cluster.client.client import Client
from cluster.client.documents import DocumentClient
from cluster.client.remote.questions import predicting
from cluster.client.remote.versions import VersionCalls
from cluster.client.remote_client import RemoteClient
from cluster.config import Config
from tests.support.scenes.registry import learn
from workers.registry import Registry

REST: dict[str, Any] = {
    "version": None,
    "top_k": 1,
    "tasks": (),
    "candidate_labels": (),
    "reject": None,
}
NO_NUMBERS: list[Any] = [-1, True, "1", 1.5, float("nan"), None]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    found = Client(Config(store=f"file://{tmp_path}/store"))
    learn(Registry(found.store).create("main"), "fashion", "digits", "letters")
    return found


def listing(client: Client) -> list[Callable[..., Any]]:
    calls, documents = VersionCalls("main"), DocumentClient(client)
    return [client.versions, documents.versions, documents.history, calls.versions, calls.history]


@pytest.mark.parametrize("limit", NO_NUMBERS)
def test_what_is_no_limit_is_refused(client: Client, limit: Any) -> None:
    for call in listing(client):
        with pytest.raises(InputError, match="limit: expected a whole number from 0 on, found"):
            call(limit=limit)
    for call in (client.mistakes, VersionCalls("main").mistakes):
        with pytest.raises(InputError, match="limit: expected a whole number from 1 on, found"):
            call("head", limit=limit)


@pytest.mark.parametrize("before", NO_NUMBERS[:-1])
def test_what_is_no_place_in_a_list_is_refused(client: Client, before: Any) -> None:
    for call in (client.versions, VersionCalls("main").versions):
        with pytest.raises(InputError, match="before: expected a whole number from 0 on, found"):
            call(before=before)


def test_a_limit_that_no_list_reaches_lists_all(client: Client) -> None:
    for limit in (0, 2**63, 10**30, numpy.int64(7)):
        assert len(client.versions(limit=int(limit))) == 3
        assert len(DocumentClient(client).history(limit=int(limit))) == 3
    assert [each.manifest.number for each in client.versions(before=10**30)] == [3, 2, 1]


@pytest.mark.parametrize("version", [True, 1.0, None, b"1"])
def test_what_is_neither_a_number_nor_an_alias_is_no_version(client: Client, version: Any) -> None:
    for call in (client.show, client.rollback, client.promote):
        with pytest.raises(InputError, match="version: expected a whole number, found"):
            call(version)
    assert client.aliases() == {"head": 3, "production": 3}


def test_a_number_is_written_with_the_digits_that_everybody_reads(client: Client) -> None:
    for version in (1, "1", numpy.int64(1)):
        assert client.show(version).manifest.number == 1  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no alias"):
        client.rollback("\N{ARABIC-INDIC DIGIT ONE}")


@pytest.mark.parametrize("why", [None, 7, b"slow", "half \ud800"])
def test_a_reason_that_nobody_could_read_again_is_not_written(client: Client, why: Any) -> None:
    for change in (
        lambda: client.rollback(1, why=why),
        lambda: client.promote(1, why=why),
        lambda: client.alias("canary", 1, why=why),
        lambda: client.drop("digits", why=why),
        lambda: client.purge("digits", why=why),
    ):
        with pytest.raises(InputError, match="why: expected text for the history, found"):
            change()
    assert [entry.index for entry in client.history()] == [2, 1, 0]
    assert client.aliases() == {"head": 3, "production": 3}


NO_TEXT = "caf\udce9"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.predict([b"x"], candidate_labels=[NO_TEXT]),
        lambda client: client.predict([b"x"], tasks=[NO_TEXT]),
        lambda client: client.predict([b"x"], version=NO_TEXT),
        lambda client: client.predict([b"x"], adapter=NO_TEXT),
        lambda client: client.show(NO_TEXT),
        lambda client: client.diff(NO_TEXT, 1),
        lambda client: client.rollback(1, why=NO_TEXT),
        lambda client: client.find(NO_TEXT),
    ],
)
def test_what_is_no_utf8_is_not_sent(ask: Callable[[RemoteClient], object]) -> None:
    said = pytest.raises(InputError, match=r"expected text, found caf\\xe9, which is no UTF-8")
    with RemoteClient(url="http://127.0.0.1:9") as client, said:
        ask(client)


def test_an_adapter_is_a_part_of_the_path_and_nothing_else() -> None:
    call = predicting([b"x"], adapter="main/../b?reject=1#", **REST)
    assert call.path == "/v1/adapters/main%2F..%2Fb%3Freject%3D1%23/predict"
    assert predicting([b"x"], adapter="main@3", **REST).path == "/v1/adapters/main%403/predict"


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "caf\udce9.png"
    file.write_bytes(b"x")
    call = predicting([file], adapter="main", **REST)
    assert call.arguments["files"] == [("images", (r"caf\xe9.png", b"x"))]
    memory = Path("/proc/self/mem")
    with pytest.raises(NotFoundError, match=r"at /proc/self/mem, found a file that cannot be read"):
        predicting([memory], adapter="main", **REST)
