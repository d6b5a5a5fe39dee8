"""The long proofs of the probe: `make prove-probe`.

A store that lets two writers win one race in five, of those to create, to replace, or of both, is
accepted at none of 1,000 starts; SeaweedFS is refused at none of 100, which take three seconds.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from adapters.errors import SettingsError
from benchmarks.table import Row, report
from cluster.stores.s3 import S3Store
from tests.support.drivers.s3_server import seaweedfs
from tests.support.fakes.lenient_store import LenientStore
from workers.store.base import ObjectStore
from workers.store.conditional_writes import EXPECTED_S, check_conditional_writes

LENIENT_STARTS = 1_000
STARTS = 100
ONE_IN_FIVE = 0.2
LENIENT: Mapping[str, tuple[float, float]] = {
    "to create and to replace": (ONE_IN_FIVE, ONE_IN_FIVE),
    "to create": (ONE_IN_FIVE, 0.0),
    "to replace": (0.0, ONE_IN_FIVE),
}
"""Shares of the races to create and to replace that two may win."""


def main() -> int:
    """Run all starts, print what was found, and return 0 when all bars hold."""
    with tempfile.TemporaryDirectory() as folder:
        return report("prove-probe", [*_lenient(), *_on_s3(Path(folder) / "s3")])


def _lenient() -> Iterator[Row]:
    for name, (creating, replacing) in LENIENT.items():
        accepted = sum(
            _is_accepted(LenientStore(creating=creating, replacing=replacing, seed=seed))
            for seed in range(LENIENT_STARTS)
        )
        yield Row(
            figure=f"two win one race in five {name}: accepted in {LENIENT_STARTS:,} starts",
            value=accepted,
            bar="0",
            holds=accepted == 0,
        )


def _on_s3(folder: Path) -> Iterator[Row]:
    server = seaweedfs(folder)
    if server is None:
        yield Row(figure="S3", value="no `weed`", bar="an S3 server", holds=False)
        return
    server.start()
    try:
        store = S3Store(replace(server.settings, prefix="prove/"))
        seconds = list(_starts(store))
        left = sum(1 for _ in store.list(""))
    finally:
        server.stop()
    refused = STARTS - len(seconds)
    yield Row(
        figure=f"SeaweedFS: refused in {STARTS} starts", value=refused, bar="0", holds=refused == 0
    )
    yield Row(figure="SeaweedFS: objects left", value=left, bar="0", holds=left == 0)
    yield Row(figure="SeaweedFS: a start, median", value=statistics.median(seconds), unit="s")
    within = sorted(seconds)[int(0.95 * (len(seconds) - 1))]
    yield Row(
        figure="SeaweedFS: 95 of 100 starts within",
        value=within,
        unit="s",
        bar=f"at most {EXPECTED_S:.0f}",
        holds=within <= EXPECTED_S,
    )
    yield Row(figure="SeaweedFS: a start, the longest", value=max(seconds), unit="s")


def _starts(store: ObjectStore) -> Iterator[float]:
    """Yield how long each start took that was not refused."""
    for _ in range(STARTS):
        began = time.monotonic()
        if _is_accepted(store):
            yield time.monotonic() - began


def _is_accepted(store: ObjectStore) -> bool:
    try:
        check_conditional_writes(store)
    except SettingsError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
