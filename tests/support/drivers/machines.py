"""State machines run by the thousands of commands, and how often they met each fault."""

import logging
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from benchmarks.table import Row

COMMANDS = "commands"
RUNS_AT_ONCE = 50
STEPS = 40


class Met:
    """How often each fault was met, in all runs of this process, and how many commands there were.

    Attributes:
        counts: By what was met.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, met: Counter[str]) -> None:
        """Add what one run has met."""
        self.counts.update(met)


def brief(runs: int, steps: int) -> settings:
    """Return how a machine runs in the tests."""
    return settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def proof(machine: type[RuleBasedStateMachine], met: Met, *, commands: int, name: str) -> list[Row]:
    """Run `machine` until it has given so many commands, and return what is to be told of it."""
    met.counts.clear()
    logging.getLogger("nacre").setLevel(logging.ERROR)  # every fault would be told, by thousands
    started = time.monotonic()
    long = settings(
        brief(RUNS_AT_ONCE, STEPS),
        database=None,
        phases=(Phase.generate,),  # what fails by chance is made smaller by hand
        print_blob=False,
    )
    while met.counts[COMMANDS] < commands:
        run_state_machine_as_test(machine, settings=long)
    return [
        Row(
            figure=f"{name}: commands",
            value=met.counts[COMMANDS],
            bar=f"at least {commands:,}, and all holds",
            holds=True,
        ),
        *(
            Row(figure=f"{name}: {what}", value=count)
            for what, count in sorted(met.counts.items())
            if what != COMMANDS
        ),
        Row(figure=name, value=time.monotonic() - started, unit="s"),
    ]
