"""Live pages: changes come by themselves, are read once for all, and end with whoever may look."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import replace
from html import unescape

import httpx
import pytest

from adapters.errors import UnavailableError
from cluster.client.client import Client
from cluster.console.known.snapshot import Snapshot, read_snapshot
from cluster.console.known.watcher import Watcher
from cluster.console.live import SharedRegions, events
from tests.support.drivers.console_site import ConsoleSite
from tests.support.scenes.console import Console, learnt, queued
from tests.support.scenes.registry import adapter, learn
from workers.queue.ticket import Stage


def of(console: Console) -> Client:
    return console.client


def test_a_snapshot_has_another_revision_only_where_something_has_changed() -> None:
    console = learnt("cars", "dogs")
    first = read_snapshot(of(console), Snapshot())
    assert first.revision == 1
    again = read_snapshot(of(console), first)
    assert again.revision == 1
    assert again.adapters["main"] is first.adapters["main"]
    learn(adapter(console.store), "cats")
    after = read_snapshot(of(console), again)
    assert after.revision == 2
    assert [version.number for version in after.adapters["main"].versions] == [3, 2, 1]
    assert after.adapters["main"].versions[2].aliases == []
    assert after.adapters["main"].versions[0].aliases == ["head", "production"]
    anew = read_snapshot(of(console), Snapshot())
    assert anew.adapters == after.adapters


def test_a_moved_alias_is_seen_without_reading_versions_again() -> None:
    console = learnt("cars", "dogs")
    first = read_snapshot(of(console), Snapshot())
    console.client.rollback(1)
    after = read_snapshot(of(console), first)
    assert after.adapters["main"].version("production").number == 1
    assert after.adapters == read_snapshot(of(console), Snapshot()).adapters


def test_while_the_store_is_away_what_was_known_stays_and_says_why() -> None:
    console = learnt("cars")
    first = read_snapshot(of(console), Snapshot())

    class Away(Client):
        def adapters(self) -> list[str]:
            raise UnavailableError("the store does not answer")

    away = read_snapshot(Away(console.config, store=console.store), first)
    assert away.away == "the store does not answer"
    assert away.adapters == first.adapters
    assert away.revision == 2
    assert read_snapshot(of(console), away).away == ""


def test_many_who_look_cost_one_reading_and_one_rendering() -> None:
    read, rendered = [], []

    def reading(before: Snapshot) -> Snapshot:
        read.append(before.revision)
        return replace(before, revision=before.revision + 1, at=1.0)

    async def scene() -> None:
        watcher, shared = Watcher(reading), SharedRegions()

        async def regions() -> dict[str, str]:
            rendered.append(1)
            return {"table": "<div id=table></div>"}

        async def look() -> str:
            stream = events(
                watcher, lambda snapshot: shared.of("/queue", snapshot, regions), after=1
            )
            return [event async for event in _first(stream, 2)][1]

        await watcher.known()
        looking = [asyncio.create_task(look()) for _ in range(200)]
        while watcher.viewers < 200:
            await asyncio.sleep(0)
        await watcher.fresh()
        found = await asyncio.gather(*looking)
        await watcher.stop()
        assert set(found) == {"id: 2\nevent: region\ndata: <div id=table></div>\n\n"}
        assert watcher.viewers == 0

    asyncio.run(scene())
    assert read == [0, 1]
    assert rendered == [1]


async def _first(stream: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    async for event in stream:
        yield event
        count -= 1
        if not count:
            break
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Console, ConsoleSite]]:
    console = learnt("cars")
    with ConsoleSite(console.config, store=console.store) as running:
        yield console, running


def listened(site: ConsoleSite, page: str, *, after: str = "", regions: int = 1) -> list[str]:
    """Return the first regions that come for an open page."""
    found: list[str] = []
    with httpx.stream(
        "GET", f"{site.url}/events", params={"page": page, "after": after}, timeout=180
    ) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "region":
                found.append(line.removeprefix("data: "))
            if sum(part.startswith("<div id=") for part in found) >= regions and not line:
                return found
    return found


def test_an_open_page_hears_of_what_happens(site: tuple[Console, ConsoleSite]) -> None:
    console, running = site
    html = httpx.get(f"{running.url}/queue", timeout=180).text
    revision = re.search(r'data-after="(\d+)"', html)
    assert revision
    queued(console.store, "birds", stage=Stage.WAITING)
    heard = "\n".join(listened(running, "/console/queue", after=revision[1], regions=3))
    assert "birds" in unescape(heard)


def test_who_comes_back_hears_only_of_what_was_missed(site: tuple[Console, ConsoleSite]) -> None:
    _, running = site
    first = listened(running, "/console/queue", regions=2)
    assert 'id="stages"' in "".join(first)


def test_only_live_pages_can_be_listened_to(site: tuple[Console, ConsoleSite]) -> None:
    _, running = site
    for page in ("/console/access", "/nothing", ""):
        answer = httpx.get(f"{running.url}/events", params={"page": page}, timeout=180)
        assert answer.status_code == 404
