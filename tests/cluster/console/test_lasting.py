"""What takes long: its page shows how far it is, and then what was found, also without scripts."""

import asyncio
import io
import tarfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from PIL import Image

from adapters.errors import InputError, UnavailableError
from cluster.api.lasting.answers import Begun, LastingCalls, Watch
from cluster.console.lasting import LastingPage, pieces
from cluster.console.shown.look import Page
from cluster.console.shown.rendering import Rendered
from tests.support.scenes.console import Visitor, learnt
from tests.support.scenes.pictures import encoded, noise

EMPTY = '<div id="found" data-live></div>'
SHELL = Rendered(html=f"<main>{EMPTY}</main></body>", regions={"found": EMPTY})
NOTHING = Page(template="", title="")


async def rendered(_: Page) -> Rendered:
    found = '<div id="found" data-live><p>all is well</p></div>'
    return Rendered(html="", regions={"found": found})


def page_of(begun: Begun[Page]) -> AsyncIterator[str]:
    return pieces(begun, SHELL, "found", render=rendered, said=lambda error: error.message)


def shown(work: Callable[[Watch], Page], *, when: Callable[[str], object] = len) -> str:
    """Return the page of some work; `when` is called with what there is of it so far."""

    async def scene() -> str:
        html = ""
        async for piece in page_of(LastingCalls().begin(work)):
            html += piece
            when(html)
        return html

    return asyncio.run(scene())


def test_how_far_it_is_comes_before_what_was_found() -> None:
    seen = threading.Event()

    def work(watch: Watch) -> Page:
        watch.step("checking", 3, 12)
        seen.wait()
        return NOTHING

    def when(html: str) -> None:
        if "checking: 3 of 12" in html and not seen.is_set():
            assert "all is well" not in html
            seen.set()

    html = shown(work, when=when)
    assert html.startswith('<main><div id="found" data-live><div class="steps">')
    assert html.endswith("</p></div><p>all is well</p></div></main></body>")
    assert '<progress max="12" value="3"' in html


def test_an_error_is_said_in_place_of_what_was_found() -> None:
    def work(_: Watch) -> Page:
        raise InputError("there is no `main`")

    html = shown(work)
    assert '<div class="note bad" role="alert"><p>there is no <code>main</code></p></div>' in html
    assert html.endswith("</div></div></main></body>")


def test_who_leaves_ends_what_they_asked_for_and_what_it_needed_is_given_back() -> None:
    ended: list[str] = []

    def work(watch: Watch) -> Page:
        try:
            while True:
                watch.step("checking", 0, 0)
        except UnavailableError:
            ended.append("work")
            raise

    async def scene() -> None:
        kept = AsyncExitStack()
        kept.callback(ended.append, "files")
        begun = LastingCalls().begin(work)
        page = LastingPage(begun, page_of(begun), kept)

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            pass

        await page({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    asyncio.run(scene())
    assert ended == ["work", "files"]


@pytest.fixture(scope="module")
def anna() -> Iterator[Visitor]:
    with learnt("cars").visited() as visitor:
        yield visitor


def test_health_verifies_every_byte_and_looks_for_garbage(anna: Visitor) -> None:
    html = anna.send("/health", do="verify", adapter="main").text
    assert "<progress" in html
    assert "every byte is what it should be" in html
    assert "nothing leads to" in anna.send("/health", do="gc", adapter="main").text


def archive() -> bytes:
    """Return a tar with two classes, a file that is there twice, and one that is no image."""
    first, second = (encoded(noise("RGB", size)) for size in ((40, 30), (30, 40)))
    files = {
        "train/oak/1.png": first,
        "train/oak/2.png": encoded(Image.new("RGB", (32, 32), "green")),
        "train/elm/1.png": first,
        "train/elm/2.png": second,
        "train/elm/3.png": b"this is no image",
        "test/oak/4.png": encoded(Image.new("RGB", (32, 32), "brown")),
        "test/elm/4.png": encoded(Image.new("RGB", (32, 32), "blue")),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_a_task_is_checked_before_it_is_submitted(anna: Visitor) -> None:
    sent = {"name": "trees", "images": "train", "held_out": "test"}
    images = {"archive": ("images.tar", archive())}
    html = anna.upload("/tasks/new", images, do="check", **sent).text
    assert "It would be refused as it is." in html
    assert "train/elm/3.png" in html
    assert "2 files in two classes" in html
    assert html.count('src="data:image/jpeg;base64,') == 1
    assert "/tmp/" not in html
    assert 'value="trees"' in html
    assert "trees" not in anna.shown("/queue")
