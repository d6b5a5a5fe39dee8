"""The registry's machine on a store whose drives and nodes come and go, and that answers so.

Beside the two writers there is somebody who only looks: no serial goes down before their eyes, and
whatever the store denies, nobody is told that what exists does not.
"""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from adapters.errors import ConflictError, UnavailableError
from tests.support.conformance.registry_machine import Faulted, RegistryMachine
from tests.support.drivers.machines import COMMANDS, Met
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_odds import STORMY
from tests.support.fakes.quorum_store import QuorumStore
from workers.registry import RegisteredAdapter, Registry
from workers.registry.documents.refs import Refs
from workers.store import ObjectStore

MET = Met()


class QuorumRegistryMachine(RegistryMachine):
    """The same model, and a store that is calm only for who compares the two."""

    # One that was decided on refs from before: whoever is told so looks, and decides again.
    failures = (*RegistryMachine.failures, ConflictError)

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        self.quorum = Quorum(seed=seed)
        super().start()
        self.watchers = [Registry(self.way()).adapter("main") for _ in range(2)]
        self.seen = [0, 0]
        self.quorum.odds = STORMY

    def new_store(self) -> ObjectStore:
        return QuorumStore(self.quorum, calm=True)

    @property
    def truth(self) -> RegisteredAdapter:
        return Registry(self.new_store()).adapter("main")

    def way(self) -> ObjectStore:
        return QuorumStore(self.quorum)

    def settled(self) -> Refs:
        return self.truth.writer.settle()

    def _run(
        self,
        writer: int,
        fault: Faulted,
        command: Callable[[RegisteredAdapter], object],
        effect: Callable[[], object],
    ) -> None:
        self.quorum.met[COMMANDS] += 1
        super()._run(writer, fault, command, effect)

    @invariant()
    def no_serial_goes_down(self) -> None:
        for number, watcher in enumerate(self.watchers):
            with suppress(UnavailableError):
                serial = watcher.refs().serial
                assert serial >= self.seen[number]
                self.seen[number] = serial

    def teardown(self) -> None:
        if hasattr(self, "quorum"):
            MET.add(self.quorum.met)
