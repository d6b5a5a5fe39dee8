"""The plan of the serving trial leaves somebody who can answer."""

import random

from hypothesis import given
from hypothesis import strategies as some

from tests.support.drivers.serve_plan import REPLACED_S, Plan, replica_kills
from tests.support.fakes.weather import Weather

BAD_S = 230.0
SECONDS = 600.0


@given(seed=some.integers(0, 10**6), bad_at=some.floats(120.0, 240.0))
def test_of_two_replicas_one_lives_while_the_store_is_bad(seed: int, bad_at: float) -> None:
    plan = Plan(seconds=SECONDS, weather={Weather.AWAY: BAD_S})
    kills = replica_kills(plan, random.Random(seed), bad_at=bad_at)
    assert len(kills) == plan.replicas
    assert kills == sorted(kills)
    assert kills[-1] < SECONDS
    in_it = [at for at in kills if bad_at - REPLACED_S < at < bad_at + BAD_S]
    assert len(in_it) <= 1


def test_in_good_weather_kills_are_where_they_were_drawn() -> None:
    plan = Plan(seconds=SECONDS, weather={})
    draw = random.Random(7)
    drawn = sorted(draw.uniform(0.05, 0.9) * SECONDS for _ in range(plan.replicas))
    assert replica_kills(plan, random.Random(7), bad_at=200.0) == drawn
