"""Processes that commit to a store which lets two writers win one race in five.

Acknowledged changes are lost on such a store. Whoever was told of one notices it with its next
change, or by settling the refs, and says so in the refs; from then on nothing is published.
"""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from adapters.errors import ForkedError
from tests.support.conformance.committing_processes import MET, Process, Site, Wish
from tests.support.conformance.followers_machine import PROCESSES, WISHES
from tests.support.fakes.quorum import CALM, STORMY, Odds, Quorum
from tests.support.scenes.registry import ANNA, addition

ONE_IN_FIVE = 0.2


class ForksMachine(RuleBasedStateMachine):
    """What is lost is noticed by the one who was told that it was made."""

    @initialize(seed=st.integers(0, 2**32 - 1), weather=st.sampled_from([CALM, STORMY]))
    def start(self, seed: int, weather: Odds) -> None:
        self.quorum = Quorum(seed=seed)
        self.site = Site(self.quorum, processes=PROCESSES)
        self.site.carry_out([Wish(process=0, kind="publish")])
        self.quorum.odds = replace(weather, two_winners=ONE_IN_FIVE)

    @rule(wishes=WISHES)
    def carry_out(self, wishes: list[Wish]) -> None:
        self.site.carry_out(wishes)

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            return
        self.quorum.odds = CALM
        for process in self.site.processes:
            process.adapter.writer.settle()
        forks = self.site.truth.refs().forks
        for process in self.site.processes:
            self._check_that_losses_are_noticed(process, {fork.write_id for fork in forks})
        if forks:
            with pytest.raises(ForkedError):
                self.site.truth.commit(addition("one more", parent=None), by=ANNA)
        MET.update(self.quorum.met)
        MET["commands"] += self.site.commands

    def _check_that_losses_are_noticed(self, process: Process, noticed: set[str]) -> None:
        lost = self.site.lost(process)
        MET["acknowledged changes that were lost"] += len(lost)
        assert [entry for entry in lost if entry.write_id not in noticed] == []
