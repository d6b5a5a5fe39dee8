"""Load while versions move and replicas die; `make prove-serve` is ten minutes of it."""

from pathlib import Path

import pytest

from tests.support.drivers.s3_server import S3Server
from tests.support.drivers.serve_plan import Plan
from tests.support.drivers.serve_trial import example_pictures, serving, trial
from tests.support.drivers.serve_verdict import Allowance
from tests.support.fakes.s3_proxy import S3Proxy
from tests.support.fakes.weather import Weather

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

# Machines differ: how fast replicas move is for `make prove-serve` to say.
ALLOWED = Allowance(grace_s=20.0, missed_s=20.0, kill_s=60.0)
WEATHER = {
    Weather.AWAY: 5.0,
    Weather.BUSY: 3.0,
    Weather.FORBIDDEN: 4.0,
    Weather.READ_ONLY: 2.0,
    Weather.DENYING: 3.0,
    Weather.HANGING: 3.0,
}
PLAN = Plan(seconds=40.0, versions=6, replicas=1, controllers=1, weather=WEATHER, seed=1)


def test_under_load_every_answer_comes_from_one_version_and_the_right_one(
    s3_server: S3Server, examples: Path
) -> None:
    with (
        S3Proxy(s3_server.port) as proxy,
        serving(s3_server, proxy, prefix="trial-serve") as (config, straight),
    ):
        pictures = example_pictures(examples)
        found = trial(config, straight, proxy, plan=PLAN, pictures=pictures, allowance=ALLOWED)
    assert found.kills == {"replica": 1, "controller": 1}
    assert found.moves == 2 * PLAN.versions - 2
    assert found.sent > PLAN.clients
    assert (found.mixed, found.wrong_pins, found.unexplained) == (0, 0, [])
    assert found.wrong == []
