"""What tells Ray goes on for ever, whatever goes wrong once."""

import logging
import threading

import pytest

from cluster.metrics.ray_tally import RayTally

TIMEOUT_S = 180.0


class Failing(RayTally):
    """Cannot tell anything three times, and then tells."""

    def __init__(self) -> None:
        self.times, self.told = 0, threading.Event()
        super().__init__(every_s=0.01)

    def tell(self) -> None:
        self.times += 1
        if self.times <= 3:
            raise ValueError("no agent")
        self.told.set()
        self._ending.set()


def test_what_cannot_be_told_now_is_told_later_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="nacre.metrics"):
        assert Failing().told.wait(TIMEOUT_S)
    assert [record.message for record in caplog.records] == ["Ray is not told what is counted"]
