"""Processes that commit to a store which lets two writers win one race in five.

Acknowledged changes are lost on such a store. Whoever was told of one notices it with its next
change, or by settling the refs, and says so in the refs; from then on nothing is published, until
somebody has settled it: then what was lost is published again, and everything goes on.
"""

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from adapters.errors import ForkedError
from tests.support.conformance.committing_processes import Process, Site, Wish
from tests.support.conformance.followers_machine import PROCESSES, WISHES
from tests.support.drivers.machines import Met
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_odds import CALM, STORMY, Odds
from tests.support.scenes.registry import ANNA
from workers.housekeeping.settling import settle
from workers.registry.documents.history import Entry
from workers.registry.reach import published_versions

MET = Met()
ONE_IN_FIVE = 0.2


class ForksMachine(RuleBasedStateMachine):
    """What is lost is noticed by the one who was told that it was made, and comes back."""

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
        lost = [entry for process in self.site.processes for entry in self.site.lost(process)]
        self._check_that_it_is_noticed(lost)
        settle(self.site.truth, by=ANNA)
        self._check_that_it_is_there_again(lost)
        self.quorum.met["acknowledged changes that were lost and noticed"] += len(lost)
        MET.add(self.quorum.met)

    def _check_that_it_is_noticed(self, lost: list[Entry]) -> None:
        forks = {fork.write_id for fork in self.site.truth.refs().forks}
        assert [entry for entry in lost if entry.write_id not in forks] == []
        if forks:
            with pytest.raises(ForkedError):
                self._fresh().publish("too-early")

    def _check_that_it_is_there_again(self, lost: list[Entry]) -> None:
        truth = self.site.truth
        there = {
            task.submission
            for manifest in published_versions(truth, truth.refs())
            for task in manifest.tasks
        }
        published = [entry.detail["submission"] for entry in lost if entry.published is not None]
        assert [submission for submission in published if submission not in there] == []
        for process in self.site.processes:
            process.adapter.writer.settle()
        assert truth.refs().forks == (), "settled, and noted again"
        self._fresh().publish("late-enough")

    def _fresh(self) -> Process:
        return Process(self.quorum, seed=10**6 + self.quorum.requests)
