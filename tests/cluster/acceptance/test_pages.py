"""The documentation, done: what its pages tell people to do is done on one running system."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drivers.pages import PAGES, blocks_of
from tests.support.drivers.reader import Reader, fits

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Return somebody who reads; what the first page starts is stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not of pytest, whose names are too long for Ray's sockets.
    with tempfile.TemporaryDirectory(prefix="pages-") as temporary:
        reader = Reader(tmp_path_factory.mktemp("pages"), port, temporary=Path(temporary))
        yield reader
        started = reader.runs
        stopped = reader.stop()  # also what was started and cut short
        assert stopped.code == 0 or not started, stopped.err
        assert list(Path(temporary).glob("ray/session_*")) == []


def done_of(page: str) -> bool:
    """Return whether a page has something that is done."""
    return any(block.is_run or "file" in block.notes for block in blocks_of(page))


@pytest.mark.parametrize("page", [page for page in PAGES if done_of(page)])
def test_what_a_page_says_is_what_happens(page: str, reader: Reader) -> None:
    assert reader.runs or page == PAGES[0], f"{PAGES[0]} has not started a system"
    for block in blocks_of(page):
        if not block.is_run and "file" not in block.notes:
            continue
        did = reader.do(block)
        told = f"{block.where}\n{block.text}\nprinted\n{did.out}{did.err}"
        assert did.code == int(block.notes.get("ends with", "0")), told
        assert block.printed is None or fits(did.out or did.err, block.printed), told
