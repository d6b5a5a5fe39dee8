"""Many versions: the console reads the newest, and an older one when somebody looks at it."""

import pytest

from adapters.errors import NotFoundError
from cluster.console.known.snapshot import MOST_VERSIONS, Snapshot, read_snapshot
from tests.support.scenes.console import Console, learnt
from tests.support.scenes.registry import adapter, learn

OLDER = 5
ALL = MOST_VERSIONS + OLDER


@pytest.fixture(scope="module")
def many() -> Console:
    return learnt(*(f"task-{number}" for number in range(1, ALL + 1)))


def test_only_the_newest_versions_are_known(many: Console) -> None:
    found = read_snapshot(many.client, Snapshot()).adapters["main"]
    assert [version.number for version in found.versions] == list(range(ALL, OLDER, -1))
    assert (found.count, found.pointed) == (ALL, ())
    with pytest.raises(NotFoundError, match="no version '5'"):
        found.version(OLDER)


def test_what_an_alias_points_to_is_known_however_old_it_is() -> None:
    console = learnt(*(f"task-{number}" for number in range(MOST_VERSIONS)))
    first = read_snapshot(console.client, Snapshot())
    assert first.adapters["main"].count == MOST_VERSIONS
    console.client.promote(1)
    learn(adapter(console.store), "one-more", "and-more")
    console.client.alias("canary", 2)
    console.client.promote(1)
    after = read_snapshot(console.client, first).adapters["main"]
    assert [version.number for version in after.versions][-1] == 3
    assert [(version.number, version.aliases) for version in after.pointed] == [
        (2, ["canary"]),
        (1, ["production"]),
    ]
    assert after.version("production").number == 1
    assert after == read_snapshot(console.client, Snapshot()).adapters["main"]
    learn(adapter(console.store), "the-last")
    later = read_snapshot(console.client, read_snapshot(console.client, first)).adapters["main"]
    assert later == read_snapshot(console.client, Snapshot()).adapters["main"]


def test_pages_show_older_versions(many: Console) -> None:
    with many.visited() as anna:
        newest = anna.shown("/adapters/main/versions")
        assert f"1 to {MOST_VERSIONS} of {ALL}" in newest
        assert 'id="v6"' in newest and 'id="v5"' not in newest
        older = anna.shown(f"/adapters/main/versions?from={MOST_VERSIONS}")
        assert [f'id="v{number}"' in older for number in (6, 5, 4, 3, 2, 1)] == [False] + [True] * 5
        assert "/versions/4" in anna.shown("/adapters/main/versions/3")  # what was made of it
        compared = anna.shown(f"/adapters/main/compare?before=2&after={ALL}")
        assert '<option value="2" selected>' in compared
        assert "main@1" in anna.shown("/adapters/main/errors?version=1")
        assert "to version 2" in anna.shown("/adapters/main/rollback/2")
        assert f"The {OLDER} oldest versions are left out." in anna.shown("/adapters/main/matrix")
        assert "/console/adapters/main/versions/3" in anna.shown("/search?q=main@3")
        assert "Nothing has" in anna.shown(f"/search?q=main@{ALL + 1}")
        assert anna.get(f"/adapters/main/versions/{ALL + 1}").status_code == 404


def test_a_version_that_was_made_of_an_old_one_much_later_is_shown_with_it() -> None:
    console = learnt(*(f"task-{number}" for number in range(1, ALL + 1)))
    console.client.rollback(2)
    learn(adapter(console.store), "made-of-the-second")
    with console.visited() as anna:
        shown = anna.shown("/adapters/main/versions/2")
    assert f"/versions/{ALL + 1}" in shown and "/versions/3" in shown
