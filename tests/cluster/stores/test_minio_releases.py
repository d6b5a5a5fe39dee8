"""Releases of MinIO, as a server that looks at no more conditions than they did."""

import pytest

from adapters.errors import SettingsError
from cluster.stores.s3 import S3Store
from cluster.system.store_doctor import examine_store
from tests.support.fakes.odd_s3 import odd_s3
from tests.support.scenes.registry import live
from workers.store.conditional_writes import RACES_AT_ONCE, check_conditional_writes
from workers.store.conditions import Condition

JANUARY_2024 = frozenset({"if-none-match", "if-match"})
SUMMER_2024 = frozenset({"if-match"})
OCTOBER_2025 = frozenset[str]()


def unwatched(done: int, total: int) -> None:
    del done, total


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("MinIO", "(MinIO: it does not hold that a create where something is"),
        ("MinIO/RELEASE.2021-01-05T05-22-38Z", "(MinIO/RELEASE.2021-01-05T05-22-38Z: it does"),
        ("", "(a server that does not say its name: it does not hold that"),
    ],
)
def test_one_that_lets_all_creators_win_is_refused_by_name_with_what_to_do(
    server: str, told: str
) -> None:
    with odd_s3() as (held, settings):
        held.server, held.ignores = server, JANUARY_2024
        with pytest.raises(SettingsError) as caught:
            check_conditional_writes(S3Store(settings))
        found = examine_store([settings.url], report=unwatched, opened=lambda _: S3Store(settings))
    assert told in caught.value.message
    is_minio = server.startswith("MinIO")
    for release in ("June 2024", "September 2025"):
        assert (release in caught.value.message) is is_minio
    assert "docs/stores.md" in caught.value.message
    assert (found.broken, found.fit) == ((Condition.TAKEN, Condition.GONE), False)
    assert ("June 2024" in list(found.findings())[-1].remedy) is is_minio
    assert held.objects == {}


@pytest.mark.slow
def test_one_that_makes_what_is_not_there_is_used_and_loses_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with odd_s3() as (held, settings):
        held.server, held.ignores = "MinIO", SUMMER_2024
        store = S3Store(settings)
        check_conditional_writes(store, rounds=RACES_AT_ONCE)
        live(store)
    assert "(MinIO) it does not hold that a replace where nothing is" in caplog.text
    assert "MinIO honours it in releases of September 2025 and later" in caplog.text


def test_one_of_today_is_used_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with odd_s3() as (held, settings):
        held.server, held.ignores = "MinIO", OCTOBER_2025
        check_conditional_writes(S3Store(settings), rounds=RACES_AT_ONCE)
    assert "does not hold" not in caplog.text
