"""The memory store."""

import pytest

from adapters.errors import InputError
from tests.support.conformance.store import StoreSuite
from workers.store import MemoryStore, ObjectStore, open_local_store


class TestMemoryStore(StoreSuite):
    durable = False

    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore()


def test_a_named_memory_store_is_the_same_for_the_whole_process() -> None:
    open_local_store("memory://shared").put("a", b"1")
    assert open_local_store("memory://shared").get("a").data == b"1"
    assert list(open_local_store("memory://").list("")) == []


@pytest.mark.parametrize("url", ["ftp://host/x", "file://host/x", "relative/folder", "file:"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected memory://NAME or file:///FOLDER"):
        open_local_store(url)
