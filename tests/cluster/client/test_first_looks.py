"""A command is a process that has seen nothing yet: what it says of a store that goes back."""

from cluster.client.client import Client
from cluster.config import Config
from tests.support.scenes.registry import ANNA, adapter, learn
from workers.registry.documents.layout import refs_key
from workers.registry.objects import FIRST_LOOKS
from workers.store import MemoryStore, Object
from workers.store.testing import WrappedStore

KEY = refs_key("main")


class EarlierStore(WrappedStore):
    """Answers the first reads of the refs with those of an earlier moment, and counts all."""

    earlier: Object
    reads = 0

    def get(self, key: str) -> Object:
        if key != KEY:
            return super().get(key)
        self.reads += 1
        return self.earlier if self.reads < FIRST_LOOKS else super().get(key)


def rolled_back() -> EarlierStore:
    """Return a store of two versions whose rollback is not in the first answers."""
    inner = MemoryStore()
    main = adapter(inner)
    learn(main, "a", "b")
    store = EarlierStore(inner)
    store.earlier = inner.get(KEY)
    main.rollback(1, by=ANNA)
    return store


def test_a_rollback_is_told_by_a_command_whose_first_answers_are_from_before_it() -> None:
    newest = next(iter(Client(Config(), store=rolled_back()).history()))
    assert newest.moves["production"] == (2, 1)
    assert Client(Config(), store=rolled_back()).aliases()["production"] == 1


def test_who_has_seen_refs_asks_once() -> None:
    store = rolled_back()
    client = Client(Config(), store=store)
    client.aliases()
    before = store.reads
    client.aliases()
    assert store.reads == before + 1
