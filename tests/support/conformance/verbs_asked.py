"""The common ground of the machine of verbs: two worlds, a verb called, a verb counted."""

import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from adapters.errors import NacreError
from tests.support.conformance.verbs_model import HEAD, PRODUCTION
from tests.support.conformance.verbs_world import ADAPTERS, TASKS, Exported, World
from tests.support.drivers.machines import COMMANDS, Met

MET = Met()
REFUSED = ", refused"
OWN = ("canary", "berlin")
SITES = st.integers(0, 1)
NAMED = st.sampled_from(ADAPTERS)
NAMES = st.sampled_from(TASKS)
VERSIONS = st.integers(1, 6) | st.sampled_from((HEAD, PRODUCTION, *OWN))
Answer = TypeVar("Answer")


class Asked(RuleBasedStateMachine):
    """Two worlds, and files that were exported from either."""

    @initialize()
    def start(self) -> None:
        self.met: Counter[str] = Counter()
        self.folder = tempfile.TemporaryDirectory()
        self.files = count()
        self.exports: list[Exported] = []
        self.evaluations = 0
        self.worlds = (World(), World())

    def teardown(self) -> None:
        if hasattr(self, "worlds"):
            MET.add(self.met)
            self.folder.cleanup()
            for world in self.worlds:
                world.close()

    def asked(
        self, verb: str, call: Callable[[], Answer], refused: type[NacreError] | None = None
    ) -> Answer | None:
        """Call a verb, and return its answer; None where it is refused, as it should be."""
        self.met[COMMANDS] += 1
        self.met[verb] += 1
        if refused is None:
            return call()
        self.met[f"{verb}{REFUSED}"] += 1
        with pytest.raises(refused):
            call()
        return None
