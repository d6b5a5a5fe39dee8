"""How much memory and disk one container takes, by role, while it learns the five examples."""

import time
from collections.abc import Iterator

from benchmarks.table import Row
from tests.support.drivers.container_memory import killed, peaks, watched
from tests.support.drivers.containers import (
    HARDENED,
    Containers,
    from_outside,
    wait_until_ready,
)
from tests.support.drivers.image_trial import EXAMPLES, NEW, answer, keep_token
from tests.support.drivers.s3_server import free_port

LIMIT = "4g"
"""What the documents say is enough."""
SHOWN = ("api", "shard_encoder", "trainer", "mixture_fitter", "publisher", "coordinator", "console")
"""The roles of one container."""
KEPT = "/var/lib/nacre"
TASKS = sorted(EXAMPLES.glob("*/task.yaml"))


def taken(own: Containers) -> Iterator[Row]:
    """Learn all examples in a container that may use so much memory, and say what it took."""
    print(f"five tasks in a container of {LIMIT}", flush=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    limits = ("--memory", LIMIT, "--memory-swap", LIMIT)
    place = ("-d", "-p", f"127.0.0.1:{port}:8000", "-v", f"sizes:{KEPT}")
    own.podman("run", *HARDENED, *limits, *place, "--name", "sized", NEW)
    with watched(own, ["sized"]) as seen:
        wait_until_ready(url)
        token_file = own.folder / "token"
        keep_token(token_file, own.podman("exec", "sized", "cat", f"{KEPT}/keys/NACRE_TOKEN"))
        yield Row(
            figure="memory of one container, ready", value=seen.most["sized"] / 1e6, unit="MB"
        )
        before = _stored(own)
        begun = time.monotonic()
        for task in TASKS:
            from_outside(url, token_file, "submit", str(task), "--wait")
        learnt_s = time.monotonic() - begun
        version = answer(url, token_file)["version"]
    yield Row(
        figure=f"tasks learnt with {LIMIT}",
        value=f"answered by {version}",
        bar=f"main@{len(TASKS)}",
        holds=version == f"main@{len(TASKS)}",
    )
    yield Row(figure="they took", value=learnt_s, unit="s")
    lost = killed(seen.groups["sized"])
    yield Row(figure="processes that the limit killed", value=lost, bar="0", holds=lost == 0)
    yield Row(figure="memory at its highest", value=seen.most["sized"] / 1e6, unit="MB")
    found = peaks(own.pid("sized"))
    for role in SHOWN:
        yield Row(
            figure=f"{role}, its process at its highest, libraries included",
            value=found.get(role, 0) / 1e6,
            unit="MB",
            bar="there is one",
            holds=role in found,
        )
    rest = {name: most for name, most in found.items() if name not in SHOWN}
    for name, most in sorted(rest.items(), key=lambda each: -each[1])[:4]:
        yield Row(figure=f"{name}, likewise", value=most / 1e6, unit="MB")
    kept = (_stored(own) - before) / len(TASKS)
    yield Row(figure="disk of the volume for each task", value=kept / 1e6, unit="MB")
    own.podman("rm", "--force", "--time", "0", "sized")


def _stored(own: Containers) -> int:
    said = own.podman("exec", "sized", "du", "-s", "--block-size=1", f"{KEPT}/store")
    return int(said.split()[0])
