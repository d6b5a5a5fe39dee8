"""One queue of real tasks while everything in it is killed; `make prove-queue` does it 20 times."""

from pathlib import Path

import pytest
import torch

from tests.support.drivers.killing import STAGES
from tests.support.drivers.queue_tasks import expected_digests, write_tasks
from tests.support.drivers.queue_trial import running_site, trial
from tests.support.drivers.s3_server import S3Server
from tests.support.fakes.weather import Weather
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

SEED = 20
# The other kinds are in `make prove-queue`.
WEATHER = {Weather.AWAY: 8.0, Weather.FORBIDDEN: 6.0, Weather.DENYING: 5.0}

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]


def test_whoever_is_killed_every_task_is_published_once_in_order_and_as_without_kills(
    s3_server: S3Server, examples: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    tasks = write_tasks(examples, tmp_path / "tasks", per_adapter=3)
    expected = expected_digests(Encoder(EncoderSettings()), tasks)
    with running_site(s3_server, tmp_path / "site", "trial") as (site, proxy):
        outcome = trial(site, proxy, seed=SEED, tasks=tasks, expected=expected, weather=WEATHER)
    assert outcome.problems == ()
    assert set(outcome.weather) == set(WEATHER)
    assert set(STAGES) <= set(outcome.kills)
