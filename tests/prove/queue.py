"""The proof of the queue: `make prove-queue`.

Twenty queues of twelve real tasks over two adapters, on a real Ray and a real S3 server. In each,
somebody is killed in every stage, the submitter and the head included; in every fifth the store
then is away, refuses, is read-only, breaks, denies what it has and is silent, for as long as
`WEATHER` says.
Every task must end published exactly once, in order, with the very bytes of an undisturbed run.
In two more nobody is killed, and the store denies what it has for one second in four, or answers
every second read from before: every task must be published at its first attempt then, under one
coordinator.
Before that the queue agrees with a plain model over some ten thousand events, with everything that
it knows on a model of a store whose drives and nodes come and go.
`python -m tests.prove.queue 5 10` runs five of the trials, from the eleventh on, and only those.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.table import Row, report
from tests.support.conformance import quorum_queue_machine
from tests.support.drivers.killing import STAGES
from tests.support.drivers.machines import proof
from tests.support.drivers.queue_tasks import expected_digests, write_tasks
from tests.support.drivers.queue_trial import Outcome, running_site, trial, undisturbed
from tests.support.drivers.s3_server import seaweedfs
from tests.support.fakes.weather import Climate, Weather
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

TRIALS = 20
COMMANDS = 10_000
WEATHER = {
    Weather.AWAY: 60.0,
    Weather.BUSY: 30.0,
    Weather.FORBIDDEN: 120.0,
    Weather.READ_ONLY: 60.0,
    Weather.BROKEN: 60.0,
    Weather.DENYING: 20.0,
    Weather.HANGING: 45.0,
    Weather.DRIPPING: 30.0,
    Weather.STALLING: 30.0,
}
"""How the store is, one after another, and for how many seconds."""
CLIMATES = (
    Climate(weather=Weather.DENYING, lasts_s=1.0, each_s=4.0),
    Climate(weather=Weather.BEFORE, lasts_s=1.0, each_s=1.0),
)

EXAMPLES = Path(__file__).parents[2] / "cluster" / "examples"


def main(trials: int = TRIALS, first: int = 0) -> int:
    """Run so many trials, print what was found, and return 0 when all of them hold.

    Args:
        trials: How many.
        first: Seed of the first. Those that do not begin with 0 are the rest of others: without
            the model, and without the climates.
    """
    torch.set_num_threads(1)
    machine, met = quorum_queue_machine.QuorumQueueMachine, quorum_queue_machine.MET
    modelled = [] if first else proof(machine, met, commands=COMMANDS, name="a model")
    climates = () if first else CLIMATES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = write_tasks(EXAMPLES, folder / "tasks")
        expected = expected_digests(Encoder(EncoderSettings()), tasks)
        server = seaweedfs(folder / "s3")
        if server is None:
            row = Row(figure="S3", value="no `weed`", bar="an S3 server", holds=False)
            return report("prove-queue", [*modelled, row])
        server.start()
        try:
            outcomes = []
            for seed in range(first, first + trials):
                with running_site(server, folder / f"site-{seed}", f"trial-{seed}") as (
                    site,
                    proxy,
                ):
                    outcomes.append(
                        trial(
                            site,
                            proxy,
                            seed=seed,
                            tasks=tasks,
                            expected=expected,
                            weather=WEATHER if seed % 5 == 0 else {},
                        )
                    )
                _say(f"seed {seed}", outcomes[-1])
            throughout = []
            for number, climate in enumerate(climates):
                prefix = f"climate-{number}"
                with running_site(server, folder / prefix, prefix) as (site, proxy):
                    throughout.append(
                        undisturbed(site, proxy, tasks=tasks, expected=expected, climate=climate)
                    )
                _say(climate.weather.value, throughout[-1])
        finally:
            server.stop()
    rows = [*_rows(outcomes, trials), *_climate_rows(climates, throughout)]
    return report("prove-queue", [*modelled, *rows])


def _say(what: str, outcome: Outcome) -> None:
    now = time.strftime("%H:%M:%S")
    print(f"{now} {what}: {outcome.seconds:.0f} s, {dict(outcome.kills)}", flush=True)
    for problem in outcome.problems:
        print(f"  {problem}", flush=True)


def _rows(outcomes: list[Outcome], trials: int) -> list[Row]:
    kills = sum((outcome.kills for outcome in outcomes), Counter[str]())
    victims = sum((outcome.victims for outcome in outcomes), Counter[str]())
    met = sum((outcome.weather for outcome in outcomes), Counter[Weather]())
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    return [
        *(
            Row(
                figure=f"kills while {stage}",
                value=kills[stage],
                bar=f"at least {trials}",
                holds=kills[stage] >= trials,
            )
            for stage in STAGES
        ),
        *(Row(figure=f"killed: {victim}", value=count) for victim, count in victims.items()),
        Row(figure="heads that died", value=kills["head"]),
        Row(figure="submitters that died", value=kills["submitter"]),
        *(
            Row(figure=f"requests that met: {kind.value} ({WEATHER[kind]:.0f} s)", value=met[kind])
            for kind in WEATHER
        ),
        Row(figure="tasks", value=12 * len(outcomes)),
        Row(
            figure="lost, doubled, out of order or different",
            value=len(problems),
            bar="none",
            holds=not problems,
        ),
    ]


def _climate_rows(climates: Sequence[Climate], outcomes: list[Outcome]) -> Iterator[Row]:
    for climate, outcome in zip(climates, outcomes, strict=True):
        weather = climate.weather
        kind = f"{weather.value}, {climate.lasts_s:.0f} of {climate.each_s:.0f} s throughout"
        yield Row(figure=f"requests that met: {kind}", value=outcome.weather[weather])
        yield Row(
            figure=f"tried again, second coordinators, lost or different: {weather.value}",
            value=len(outcome.problems),
            bar="none",
            holds=not outcome.problems,
        )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
