"""The long proofs of the registry: `make prove-registry`.

Eight processes commit to one adapter for 30 seconds, in a folder and on a real S3 server, and
nothing is lost; and the registry agrees with a dictionary over some ten thousand commands, with
two writers, lost answers and deaths between any two operations on the store.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.table import Row, report
from tests.support.conformance.registry_machine import RegistryMachine
from tests.support.drivers.committers import Tally, commit_at_once
from tests.support.drivers.s3_server import seaweedfs

PROCESSES = 8
SECONDS = 30.0
EXAMPLES = 300
STEPS = 40


def main() -> int:
    """Run all proofs, print what was found, and return 0 when all of them hold."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [*_in_a_folder(Path(folder) / "store"), *_on_s3(Path(folder) / "s3"), *_machine()]
    return report("prove-registry", rows)


def _in_a_folder(folder: Path) -> list[Row]:
    return _judged("file://", _race(folder.as_uri(), {}))


def _on_s3(folder: Path) -> list[Row]:
    server = seaweedfs(folder)
    if server is None:
        return [Row(figure="S3", value="no `weed`", bar="an S3 server", holds=False)]
    server.start()
    try:
        url = replace(server.settings, prefix="prove/").url
        return _judged("s3://", _race(url, dict(server.environment)))
    finally:
        server.stop()


def _race(url: str, environment: dict[str, str]) -> Tally:
    return commit_at_once(
        url, processes=PROCESSES, seconds=SECONDS, most=10**9, environment=environment
    )


def _judged(where: str, tally: Tally) -> list[Row]:
    try:
        tally.check()
        lost = "none"
    except AssertionError as error:
        lost = str(error)
    name = f"{where} {PROCESSES} processes, {SECONDS:.0f} s"
    return [
        Row(figure=f"{name}: acknowledged commits", value=len(tally.acknowledged), unit="commits"),
        Row(figure=f"{name}: races told as lost", value=tally.conflicts, unit="commits"),
        Row(figure=f"{name}: lost or torn", value=lost, bar="none", holds=lost == "none"),
    ]


def _machine() -> list[Row]:
    started = time.monotonic()
    run_state_machine_as_test(
        RegistryMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    name = f"state machine, {EXAMPLES:,} runs of up to {STEPS} commands"
    return [
        Row(figure=name, value="agrees", bar="agrees with the model", holds=True),
        Row(figure="state machine", value=time.monotonic() - started, unit="s"),
    ]


if __name__ == "__main__":
    sys.exit(main())
