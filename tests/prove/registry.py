"""The long proofs of the registry: `make prove-registry`.

Eight processes commit to one adapter for 30 seconds, in a folder and on a real S3 server, and
nothing is lost. The registry agrees with a dictionary over some ten thousand commands, with two
writers, lost answers and deaths between any two operations on the store; and again on a model of a
store whose drives and nodes come and go. There replicas follow, and go behind nothing; and where
two writers may win, what was lost is noticed, and published again.

With NACRE_PROVE_STORE=s3://BUCKET/PREFIX?endpoint=... the eight processes commit to that server
alone; NACRE_PROVE_KILL and NACRE_PROVE_RESTART are shell commands that are called now and then
meanwhile.
"""

import os
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypothesis.stateful import run_state_machine_as_test

from benchmarks.table import Row, report
from cluster.stores.s3_settings import S3Settings
from tests.support.conformance import (
    followers_machine,
    forks_machine,
    quorum_registry_machine,
)
from tests.support.conformance.registry_machine import RegistryMachine
from tests.support.drivers.committers import Tally, commit_at_once
from tests.support.drivers.machines import brief, proof
from tests.support.drivers.outages import Hooks, outages
from tests.support.drivers.s3_server import seaweedfs

PROCESSES = 8
SECONDS = 30.0
EXAMPLES = 300
STEPS = 40
COMMANDS = 10_000


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run all proofs, print what was found, and return 0 when all of them hold."""
    url = environment.get("NACRE_PROVE_STORE")
    if url:
        return report("prove-registry", _on_a_server(url, environment))
    with tempfile.TemporaryDirectory() as folder:
        rows = [*_in_a_folder(Path(folder) / "store"), *_on_s3(Path(folder) / "s3")]
    return report("prove-registry", [*rows, *_machine(), *_on_a_model()])


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


def _on_a_server(url: str, environment: Mapping[str, str]) -> list[Row]:
    """Commit below a prefix of its own, which is left there, while a node comes and goes."""
    settings = S3Settings.from_url(url, environment)
    own = replace(settings, prefix=f"{settings.prefix}prove-{uuid.uuid4().hex[:8]}/").url
    kill, restart = environment.get("NACRE_PROVE_KILL"), environment.get("NACRE_PROVE_RESTART")
    hooks = Hooks(kill=kill, restart=restart) if kill and restart else None
    with outages(hooks) as kills:
        tally = _race(own, {})
    return [
        *_judged(f"s3://{settings.bucket}", tally),
        Row(figure="nodes killed and restarted", value=kills()),
    ]


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
        Row(figure=f"{name}: told to try again later", value=tally.refusals, unit="commits"),
        Row(figure=f"{name}: outcome never known", value=len(tally.doubtful), unit="commits"),
        Row(figure=f"{name}: lost or torn", value=lost, bar="none", holds=lost == "none"),
    ]


def _machine() -> list[Row]:
    started = time.monotonic()
    run_state_machine_as_test(RegistryMachine, settings=brief(runs=EXAMPLES, steps=STEPS))
    name = f"state machine, {EXAMPLES:,} runs of up to {STEPS} commands"
    return [
        Row(figure=name, value="agrees", bar="agrees with the model", holds=True),
        Row(figure="state machine", value=time.monotonic() - started, unit="s"),
    ]


def _on_a_model() -> list[Row]:
    proofs = (
        (quorum_registry_machine.QuorumRegistryMachine, quorum_registry_machine.MET, "a model"),
        (followers_machine.FollowersMachine, followers_machine.MET, "followers"),
        (forks_machine.ForksMachine, forks_machine.MET, "two winners"),
    )
    return [
        row
        for machine, met, name in proofs
        for row in proof(machine, met, commands=COMMANDS, name=name)
    ]


if __name__ == "__main__":
    sys.exit(main())
