"""When credentials are asked for anew, on a clock of its own."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.renewed import Renewed
from cluster.stores.credentials.sources import Source

BEGAN = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass
class Giver(Provider):
    """Gives credentials for a while, at a time that is set.

    Attributes:
        lasts_s: For how long they count; None where it says nothing of that.
        at: Seconds since the beginning.
        asked: When it was asked.
        is_away: Whether it gives none.
    """

    lasts_s: float | None = 3600.0
    at: float = 0.0
    asked: list[float] = field(default_factory=list)
    is_away: bool = False

    def retrieve(self) -> Credentials:
        self.asked.append(self.at)
        if self.is_away:
            raise NotGivenError("it is away", passes=True)
        number, ends = len(self.asked), None
        if self.lasts_s is not None:
            ends = BEGAN + timedelta(seconds=self.at + self.lasts_s)
        return Credentials(f"key-{number}", "secret", "token", ends)

    def renewed(self) -> Renewed:
        """Return what asks it."""
        source = Source(said="a giver", kind="role", build=lambda _: self)
        now = lambda: BEGAN + timedelta(seconds=self.at)  # noqa: E731
        return Renewed(source, clock=lambda: self.at, now=now)

    def over(self, renewed: Renewed, until: float, *, every_s: float) -> list[float]:
        """Take credentials again and again, and return when it was asked for them."""
        self.asked.clear()
        while self.at < until:
            with suppress(NotGivenError):
                renewed.retrieve()
            self.settled(renewed)
            self.at += every_s
        return self.asked

    @staticmethod
    def settled(renewed: Renewed) -> None:
        """Wait until nobody asks."""
        with renewed._changed:
            assert renewed._changed.wait_for(lambda: not renewed._is_asking, 60)


def test_others_are_asked_for_a_quarter_of_an_hour_before_the_end() -> None:
    giver = Giver()
    assert giver.over(giver.renewed(), 3 * 2700.0 + 1, every_s=60) == [0, 2700, 5400, 8100]


def test_of_a_short_time_a_quarter_is_left() -> None:
    giver = Giver(lasts_s=60.0)
    assert giver.over(giver.renewed(), 200.0, every_s=5) == [0, 45, 90, 135, 180]


@pytest.mark.parametrize("lasts_s", [None, 235 * 365 * 86400.0])
def test_what_never_ends_is_asked_for_anew_all_the_same(lasts_s: float | None) -> None:
    giver = Giver(lasts_s=lasts_s)
    asked = giver.over(giver.renewed(), 86_000.0, every_s=300)
    assert asked == [0, 43_200 - 900, 2 * (43_200 - 900)]


def test_who_is_away_is_asked_less_and_less() -> None:
    giver = Giver(is_away=True)
    asked = giver.over(giver.renewed(), 3600.0, every_s=0.5)
    assert asked[:6] == [0, 1, 3, 7, 15, 31]
    assert len(asked) < 70


def test_what_is_held_counts_to_its_end_and_no_longer() -> None:
    giver = Giver()
    renewed = giver.renewed()
    renewed.retrieve()
    giver.is_away, giver.at = True, 3599.0
    assert renewed.retrieve().access_key == "key-1"
    giver.settled(renewed)
    giver.at = 3601.0
    with pytest.raises(NotGivenError, match="it is away"):
        renewed.retrieve()
    giver.is_away, giver.at = False, 3610.0
    assert renewed.retrieve().access_key.startswith("key-")
    assert "they count until 2026-11-30 14:00:10 UTC" in renewed.said()


def test_a_store_that_denies_a_right_does_not_make_others_asked_for_all_the_time() -> None:
    giver = Giver()
    renewed = giver.renewed()
    renewed.retrieve()
    for second in range(120):
        giver.at = float(second)
        held = renewed.held
        assert held is not None
        renewed.refused(held.number, surely=False)
    assert giver.asked == [0, 0, 60]


def test_new_ones_that_a_store_has_yet_to_hear_of_are_sent_again_and_not_asked_for() -> None:
    giver = Giver()
    renewed = giver.renewed()
    renewed.retrieve()
    assert renewed.refused(1, surely=True)
    assert renewed.retrieve().access_key == "key-2"
    assert renewed.refused(2, surely=True)
    assert not renewed.refused(2, surely=False)
    assert (renewed.retrieve().access_key, len(giver.asked)) == ("key-2", 2)
    giver.at = 11.0
    assert renewed.refused(2, surely=True)
    assert renewed.retrieve().access_key == "key-3"
    assert renewed.refused(2, surely=True)  # it was sent with the ones before
    assert len(giver.asked) == 3
