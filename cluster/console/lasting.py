"""Pages that are sent while something goes on that takes long: first how far it is, then the rest.

A browser shows what has come of a page. So how far something is needs no script: each step is one
more paragraph, of which styles show the last alone, and none once there is what was found.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from adapters.errors import NacreError
from cluster.api.lasting.answers import FAULT, Begun
from cluster.console.shown.look import Page
from cluster.console.shown.rendering import Rendered, rendered_step, rendered_wrong

LOOKED_S, SIGN_S = 0.25, 1.0
"""How often is looked how far it is, and how often that is said where nothing has moved."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
logger = logging.getLogger("nacre.console")


class LastingPage(StreamingResponse):
    """A page of something that is under way; it ends where nobody waits for it.

    Args:
        begun: What is under way.
        pieces: The page.
        kept: What the work needs until it has ended, such as files that were sent.
    """

    def __init__(
        self, begun: Begun[Page], pieces: AsyncIterator[str], kept: AsyncExitStack
    ) -> None:
        super().__init__(pieces, 200, HEADERS, "text/html")
        self._begun = begun
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page."""
        async with self._kept:
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._begun.watch.leave()
                await asyncio.wait({self._begun.working})


async def pieces(
    begun: Begun[Page],
    shell: Rendered,
    region: str,
    *,
    render: Callable[[Page], Awaitable[Rendered]],
    said: Callable[[NacreError], str],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[str]:
    """Yield a page piece by piece.

    Args:
        begun: What is under way.
        shell: The page as long as nothing is found.
        region: Which of its regions shows how far it is, and then what was found.
        render: Renders the page with what was found.
        said: Returns what is said of an error.
        clock: Gives seconds that never go back.
    """
    empty = shell.regions[region]
    before, after = shell.html.split(empty, 1)
    opening, closing = empty[: empty.index(">") + 1], empty[empty.rindex("<") :]
    yield f'{before}{opening}<div class="steps">\n'
    since, told, at = clock(), None, 0.0
    while not begun.working.done():
        latest, now = begun.watch.latest, clock()
        if latest != told or now - at >= SIGN_S:
            told, at = latest, now
            yield rendered_step(latest.what, latest.done, latest.total, now - since)
        await asyncio.wait({begun.working}, timeout=LOOKED_S)
    yield f"</div>{await _found(begun, region, render, said)}{closing}{after}"


async def _found(
    begun: Begun[Page],
    region: str,
    render: Callable[[Page], Awaitable[Rendered]],
    said: Callable[[NacreError], str],
) -> str:
    """Return what was found as the content of its region, or why nothing was."""
    try:
        whole = (await render(begun.working.result())).regions[region]
    except NacreError as error:
        return rendered_wrong(said(error))
    except Exception:
        logger.exception("what a page shows while it goes on broke")
        return rendered_wrong(FAULT)
    return whole[whole.index(">") + 1 : whole.rindex("<")]
