"""Replicas that follow while processes commit, on a store whose drives and nodes come and go."""

from collections import Counter
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from adapters.errors import UnavailableError
from tests.support.conformance.committing_processes import KINDS, Process, Site, Wish
from tests.support.drivers.machines import Met
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_odds import STORMY
from tests.support.fakes.quorum_store import QuorumStore
from tests.support.scenes.serving import Replica, Replicas
from workers.registry import VersionRef

MET = Met()
PROCESSES = 3
WISHES = st.lists(
    st.builds(
        Wish,
        process=st.integers(0, PROCESSES - 1),
        kind=st.sampled_from(KINDS),
        back=st.integers(0, 2),
    ),
    min_size=1,
    max_size=3,
)


class Watched:
    """A replica, and what it has answered with.

    Attributes:
        answers: In order, without repetitions.
        serial: Of the refs that it has seen.
    """

    def __init__(self, quorum: Quorum) -> None:
        self.replica = Replica(QuorumStore(quorum))
        self.answers: list[VersionRef] = []
        self.serial = 0

    def look(self) -> None:
        """Let it look, and note what answers then, and that no serial goes down."""
        with suppress(UnavailableError):
            self.replica.follower.follow()
        with suppress(UnavailableError):
            serial = self.replica.versions.registry.adapter("main").refs().serial
            assert serial >= self.serial, "a serial was seen to go down"
            self.serial = serial
        self.note()

    def note(self) -> None:
        """Note what answers."""
        current = self.replica.follower.state.current
        if current is not None and [current.ref] != self.answers[-1:]:
            self.answers.append(current.ref)


class FollowersMachine(RuleBasedStateMachine):
    """Nothing acknowledged is lost or made twice, and nobody goes behind what has answered."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        self.quorum = Quorum(seed=seed)
        self.watched = [Watched(self.quorum) for _ in range(3)]
        # One of them is told of nothing, and finds everything out by looking.
        audience = Replicas(*(each.replica for each in self.watched[1:]))
        self.site = Site(self.quorum, processes=PROCESSES, audience=audience)
        self.gone: list[Process] = []
        self.quorum.odds = STORMY

    @rule(wishes=WISHES)
    def carry_out(self, wishes: list[Wish]) -> None:
        self.site.carry_out(wishes)
        for each in self.watched:
            each.note()

    @rule(follower=st.integers(0, 2))
    def look(self, follower: int) -> None:
        self.watched[follower].look()

    @rule(process=st.integers(0, PROCESSES - 1))
    def start_a_process_again(self, process: int) -> None:
        self.gone.append(self.site.processes[process])
        fresh = Process(self.quorum, seed=PROCESSES + len(self.gone))
        self.site.processes[process] = fresh

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            return
        self.site.truth.writer.settle()
        made = Counter(int(entry.author.why) for entry in self.site.truth.history())
        assert max(made.values(), default=0) <= 1, "made twice"
        for process in (*self.gone, *self.site.processes):
            assert self.site.lost(process) == [], "acknowledged and lost"
            published = [n for n, moved in process.acknowledged.items() if moved is None]
            assert [n for n in published if n not in made] == [], "called published and is not"
        for each in self.watched:
            self._check_answers(each.answers)
        self.quorum.met["commands that were acknowledged"] += sum(
            len(process.acknowledged) for process in (*self.gone, *self.site.processes)
        )
        self.quorum.met["versions that answered"] += sum(len(w.answers) for w in self.watched)
        MET.add(self.quorum.met)

    def _check_answers(self, answers: list[VersionRef]) -> None:
        """Find what has answered among what was in production, in order.

        A version that was published by a write which failed may have answered, too, where somebody
        saw it before it vanished.
        """
        served = [refs.find("production") for refs in self.site.chain()]
        vanished = [refs.find("production") for refs in self.site.vanished()]
        at = 0
        for answer in answers:
            if answer in served[at:]:
                at = served.index(answer, at)
            else:
                assert answer in vanished, f"{answer.number} answered behind {served[at]}"
                self.quorum.met["answers of a write that failed"] += 1
