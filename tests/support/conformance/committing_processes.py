"""Processes that commit, move aliases and look, each in the midst of what another one does.

What is drawn for one may happen between reading and replacing the refs of another. Whether anything
was lost is read from the history at the end: every change names the command that made it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from adapters.contract.canonical import digest_of
from adapters.contract.records import encode_record
from adapters.errors import (
    ConflictError,
    InputError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.drivers.machines import COMMANDS
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_answers import Copy
from tests.support.fakes.quorum_store import QuorumStore
from tests.support.scenes.registry import ANNA, registry
from tests.support.scenes.serving import small_record
from workers.registry import AddRecord, Author, Commit, Inline, RegisteredAdapter, SubmissionAbsent
from workers.registry.audience import Audience
from workers.registry.documents.history import Entry, entry_from_bytes
from workers.registry.documents.layout import refs_key
from workers.registry.documents.refs import Refs, refs_from_bytes
from workers.store import ObjectStore
from workers.store.testing import WrappedStore

REFS_KEY = refs_key("main")
FAILURES = (ConflictError, InputError, UnavailableError, UnknownOutcomeError)
"""A command that failed so has told nobody that it was carried out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A command.

    Attributes:
        process: Who gives it.
        kind: One of `KINDS`; `publish alone` moves no alias but `head`.
        back: For a move, how far behind the newest version its aim is.
    """

    process: int
    kind: str
    back: int = 0


KINDS = ("publish", "publish alone", "rollback", "serving only", "promote")


class InterruptedStore(WrappedStore):
    """A way to a store on which others act right before the refs are replaced, once.

    Attributes:
        meanwhile: What they do.
        acknowledged: The write ids of the refs that the store has acknowledged.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.meanwhile: Callable[[], object] | None = None
        self.acknowledged: set[str] = set()

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        etag = super().replace(key, data, expected_etag)
        self.acknowledged.add(refs_from_bytes(data, key).write_id)
        return etag


class Process:
    """One that commits.

    Attributes:
        store: Its way to the store.
        adapter: What it changes.
        acknowledged: The commands of which it was told that they were carried out, by number, and
            for moves the version that they moved to.
    """

    def __init__(self, quorum: Quorum, *, seed: int, audience: Audience | None = None) -> None:
        self.store = InterruptedStore(QuorumStore(quorum))
        self.adapter = registry(self.store, seed=seed, audience=audience).adapter("main")
        self.acknowledged: dict[int, int | None] = {}

    def carry_out(self, number: int, wish: Wish) -> None:
        """Carry out command `number`, and note whether it is said to have been."""
        by = replace(ANNA, why=str(number))
        with suppress(*FAILURES):
            if wish.kind.startswith("publish"):
                both = wish.kind == "publish"
                aliases = ("head", "production") if both else ("head",)
                self.publish(f"t{number}", by=by, aliases=aliases)
                self.acknowledged[number] = None
            else:
                self.acknowledged[number] = self._moved(wish, by)

    def publish(self, task: str, *, by: Author = ANNA, aliases: Sequence[str] = ("head",)) -> None:
        """Publish a version with a task that is called so."""
        record = small_record(task)
        added = AddRecord(
            task=task,
            submission=task,
            record=Inline(encode_record(record)),
            classes=len(record.classes),
        )
        commit = Commit(
            updates=(added,),
            requirements=(SubmissionAbsent(task),),
            encoder=record.encoder,
            method="lada",
            settings={},
            aliases=tuple(aliases),
        )
        self.adapter.commit(commit, by=by)

    def _moved(self, wish: Wish, by: Author) -> int:
        version = max(1, self.adapter.refs().next_version - 1 - wish.back)
        if wish.kind == "promote":
            return self.adapter.promote(version, by=by)
        return self.adapter.rollback(version, by=by, serving_only=wish.kind == "serving only")


class Site:
    """A store with drives that come and go, processes that commit, and what really happened.

    Args:
        quorum: The store.
        processes: How many commit.
        audience: Is told by the first of them.
    """

    def __init__(self, quorum: Quorum, *, processes: int, audience: Audience | None = None) -> None:
        self.quorum = quorum
        self.commands = 0
        # No two have one seed: they would have the same write ids.
        registry(QuorumStore(quorum, calm=True), seed=2 * 10**9).create("main")
        self.processes = [
            Process(quorum, seed=number, audience=audience if number == 0 else None)
            for number in range(processes)
        ]

    def carry_out(self, wishes: Sequence[Wish]) -> None:
        """Carry out the first wish, and the others in the midst of it, each in the one before."""
        if not wishes:
            return
        number, self.commands = self.commands, self.commands + 1
        self.quorum.met[COMMANDS] += 1
        process = self.processes[wishes[0].process]
        rest = [wish for wish in wishes[1:] if wish.process != wishes[0].process]
        process.store.meanwhile = lambda: self.carry_out(rest)
        process.carry_out(number, wishes[0])
        process.store.meanwhile = None
        self._check_what_it_was_told(process.acknowledged.get(number), wishes[0])

    def _check_what_it_was_told(self, version: int | None, wish: Wish) -> None:
        """Check that an alias is where somebody was told that it is, though they wrote nothing."""
        if version is None or self.quorum.odds.two_winners:
            return
        refs = self.truth.refs()
        moved = {"rollback": ("production", "head")}.get(wish.kind, ("production",))
        found = {alias: at.number for alias in moved if (at := refs.find(alias))}
        # A rollback leaves `production` alone where there is none.
        assert set(found.values()) == {version}, f"told {version}, found {found}"

    @property
    def truth(self) -> RegisteredAdapter:
        """The adapter as it is, for somebody who has never looked before."""
        store = QuorumStore(self.quorum, calm=True)
        return registry(store, seed=10**9 + self.quorum.requests).adapter("main")

    def lost(self, process: Process) -> list[Entry]:
        """Return the moves that were acknowledged to `process` and are not in the history."""
        made = {entry.write_id for entry in self.truth.history()}
        told = process.store.acknowledged
        return [e for e in self._entries() if e.write_id in told and e.write_id not in made]

    def _entries(self) -> Iterator[Entry]:
        """Yield every history entry that was ever written, whether it took effect or not."""
        for key, written in self.quorum.written.items():
            if "/history/" in key:
                yield entry_from_bytes(written[0][0].data or b"", key)

    def chain(self) -> list[Refs]:
        """Return the refs that are there now after all those that they follow from, in order."""
        by_digest = {digest_of(copy.data or b""): copy.data for copy, _ in self._refs_written()}
        refs = self.truth.refs()
        chain = [refs]
        while refs.before:
            refs = refs_from_bytes(by_digest[refs.before] or b"", refs.before)
            chain.append(refs)
        return chain[::-1]

    def vanished(self) -> list[Refs]:
        """Return the refs that some drive has had, and that are not in the chain."""
        serials = {refs.write_id for refs in self.chain()}
        written = [refs_from_bytes(copy.data or b"", "refs") for copy, _ in self._refs_written()]
        return [refs for refs in written if refs.write_id not in serials]

    def _refs_written(self) -> list[tuple[Copy, bool]]:
        return self.quorum.written[REFS_KEY]
