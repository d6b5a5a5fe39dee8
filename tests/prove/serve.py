"""The proof of serving: `make prove-serve`.

Sixteen clients ask for ten minutes while thirty versions are published, promoted and rolled back,
replicas and Serve's controller are killed, and the store is away, refuses and denies what it has
for three minutes. Every answer must come from one version, and from the right one.
`python -m tests.prove.serve 600 haproxy` does the same behind HAProxy; with a third word, `BEFORE`
or `DENYING`, the store is so for the rest of the time as well.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row, report
from tests.support.drivers.s3_server import seaweedfs
from tests.support.drivers.serve_plan import Plan
from tests.support.drivers.serve_trial import example_pictures, serving, trial
from tests.support.drivers.serve_verdict import Allowance, Verdict
from tests.support.fakes.s3_proxy import S3Proxy
from tests.support.fakes.weather import Climate, Weather

ALLOWED = Allowance()
WEATHER = {
    Weather.AWAY: 30.0,
    Weather.BUSY: 20.0,
    Weather.FORBIDDEN: 120.0,
    Weather.READ_ONLY: 10.0,
    Weather.DENYING: 10.0,
    Weather.HANGING: 30.0,
    Weather.STALLING: 10.0,
}
"""How the store is for a while, and for how many of 600 seconds."""
EXAMPLES = Path(__file__).parents[2] / "cluster" / "examples"


CLIMATES = {
    "": None,
    "BEFORE": Climate(weather=Weather.BEFORE, lasts_s=1.0, each_s=1.0),
    "DENYING": Climate(weather=Weather.DENYING, lasts_s=1.0, each_s=4.0),
}


def main(seconds: float = 600.0, ingress: str = "proxy", climate: str = "") -> int:
    """Run the trial, print what was found, and return 0 when all of it holds."""
    share = seconds / 600.0
    plan = Plan(
        seconds=seconds,
        weather={kind: share * lasts for kind, lasts in WEATHER.items()},
        climate=CLIMATES[climate],
    )
    with tempfile.TemporaryDirectory() as name:
        server = seaweedfs(Path(name) / "s3")
        if server is None:
            row = Row(figure="S3", value="no `weed`", bar="an S3 server", holds=False)
            return report("prove-serve", [row])
        server.start()
        try:
            with (
                S3Proxy(server.port) as proxy,
                serving(server, proxy, prefix="serve", haproxy=ingress == "haproxy") as (
                    config,
                    straight,
                ),
            ):
                pictures = example_pictures(EXAMPLES)
                found = trial(config, straight, proxy, plan=plan, pictures=pictures)
        finally:
            server.stop()
    return report("prove-serve", list(_rows(plan, found)))


def _rows(plan: Plan, found: Verdict) -> Iterator[Row]:
    failed = ", ".join(f"{status}: {count}" for status, count in sorted(found.failed.items()))
    yield Row(figure="clients", value=plan.clients)
    yield Row(figure="seconds", value=plan.seconds)
    yield Row(figure="moves of production", value=found.moves)
    for who, count in found.kills.items():
        yield Row(figure=f"killed: {who}", value=count)
    for kind, seconds in plan.weather.items():
        yield Row(figure=f"the store: {kind.value}", value=seconds, unit="s")
    for met, count in sorted(found.met.items()):
        yield Row(figure=f"its requests that met: {met}", value=count)
    yield Row(figure="requests sent", value=found.sent)
    yield Row(figure="requests failed, by status (0: connection broken)", value=failed or "none")
    figure = "of these, pins that a replica had not met before the store went away"
    yield Row(figure=figure, value=found.failed_pins_away)
    for figure, value in (
        ("requests failed without a kill around", len(found.unexplained)),
        ("answers that mix versions", found.mixed),
        ("pinned answers of another version", found.wrong_pins),
        (
            f"followed answers of a version not in production ({ALLOWED.grace_s} s)",
            len(found.wrong),
        ),
    ):
        yield Row(figure=figure, value=value, bar="none", holds=value == 0)
    lags = sorted(found.lags)
    yield Row(
        figure="last old answer after a move, median", value=statistics.median(lags), unit="s"
    )
    yield Row(
        figure="last old answer after a move, longest",
        value=lags[-1],
        unit="s",
        bar=f"at most {ALLOWED.grace_s}",
        holds=lags[-1] <= ALLOWED.grace_s,
    )
    missed = max(found.missed_lags, default=0.0)
    yield Row(
        figure="the same for moves that replicas were not told of",
        value=missed,
        unit="s",
        bar=f"at most {ALLOWED.missed_s}",
        holds=missed <= ALLOWED.missed_s,
    )
    figure = "a client saw the new version, then the old: after a move that replicas were told of"
    yield Row(figure=figure, value=found.returned, bar="none", holds=found.returned == 0)
    figure = "the same after others, which one replica sees before the other"
    yield Row(figure=figure, value=found.missed_returned)


if __name__ == "__main__":
    asked = dict(zip(("seconds", "ingress", "climate"), sys.argv[1:], strict=False))
    seconds, ingress = float(asked.get("seconds", "600")), asked.get("ingress", "proxy")
    sys.exit(main(seconds, ingress, asked.get("climate", "")))
