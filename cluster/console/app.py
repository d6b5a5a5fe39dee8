"""The console as one application: its pages, their forms, and what makes them live."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import uvicorn
from cachetools import LRUCache
from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Match, Route

from adapters.errors import WAIT, ForbiddenError, LimitError, NacreError, NotFoundError
from cluster.api import login
from cluster.api.access.allowances import Allowances
from cluster.api.access.denials import Denials
from cluster.api.access.known_tokens import KnownSessions, KnownTokens
from cluster.api.access.requesters import Access
from cluster.api.forms import received_form
from cluster.api.lasting.answers import LastingCalls
from cluster.api.lasting.inspecting import InspectionHandlers
from cluster.api.limits import KIB, LIMITS, MIB, BodyLimit, BodyLimits, is_form
from cluster.api.login import Logins
from cluster.api.middleware import Doors
from cluster.api.places import Places
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.console.entrance import Entrance, Visitor, is_of_form
from cluster.console.known.journals import Journals
from cluster.console.known.pictures import PictureRef, Pictures
from cluster.console.known.replicas import Standing
from cluster.console.known.snapshot import Snapshot, read_snapshot
from cluster.console.known.watcher import Watcher
from cluster.console.lasting import LastingPage, pieces
from cluster.console.live import MOST_VIEWERS, SharedRegions, events
from cluster.console.pages.routes import PAGE_ROUTES
from cluster.console.shown.look import (
    Act,
    Done,
    Download,
    Lasting,
    Look,
    Page,
    PageRoute,
    Shown,
    Sources,
    Upload,
)
from cluster.console.shown.rendering import PREFIX, Frame, Rendered, render
from cluster.console.shown.static import static_files
from cluster.wire.problems import status_of
from workers.access.audit import write_entry
from workers.access.kept_sessions import read_sessions
from workers.access.kept_tokens import read_tokens

SEE = 303
FIELD_BYTES, MOST_FIELDS = 20_000, 2_000
KEPT_FOR_S = 31_536_000
TIMEOUT_S = 60.0
"""Of a request that looks."""


CONSOLE_LIMITS = (
    BodyLimit(
        path=re.compile(r"/console/tasks/new"),
        form_bytes=2048 * MIB,
        other_bytes=64 * KIB,
        held_forms=False,
        hint="submit larger tasks with `nacre submit`, where the object store can be reached",
    ),
    BodyLimit(
        path=re.compile(r"/console/playground"),
        form_bytes=64 * MIB,
        other_bytes=64 * KIB,
        hint="send smaller images",
    ),
    LIMITS[-1],
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What decides who comes in to the console.

    Attributes:
        access: The tokens of the environment.
        unnamed: Who somebody is where there are no tokens; as over HTTP where None.
    """

    access: Access
    unnamed: Requester | None = None


class ConsoleServer(uvicorn.Server):
    """Serves a console in a process of its own; open pages do not keep it from ending.

    Args:
        client: See `build_console`.
        identity: See `build_console`.
    """

    # Owns: the console.

    def __init__(self, client: Client, identity: Identity) -> None:
        self._console = build_console(client, identity)
        app = self._console
        super().__init__(uvicorn.Config(app, log_level="warning", ws="none"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what open pages listen to, and then everything."""
        await self._console.end()
        await super().shutdown(sockets)


def build_console(client: Client, identity: Identity) -> Entrance:
    """Return the console of one process, which belongs to one event loop.

    Args:
        client: Of the system; it reads the store, and needs nothing that runs.
        identity: Who comes in.
    """
    store, config = client.store, client.config
    sessions = KnownSessions(partial(read_sessions, store))
    subjects, provider = login.provider_of(config.access.oidc, identity.access)
    doors = Doors(
        access=identity.access,
        adapter=config.adapter,
        known=KnownTokens(partial(read_tokens, store)),
        sessions=sessions,
        subjects=subjects,
        denied=Denials(partial(write_entry, store)).note,
        allowances=Allowances(config.of_requester),
    )
    threads = StoreThreads()
    logins = Logins(store=store, known=sessions, doors=doors, threads=threads, provider=provider)
    pages = _Pages(client, threads, doors.allowances)
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=pages.lifespan)
    api.include_router(login.routes(logins))
    api.include_router(pages.routes())
    api.add_exception_handler(NacreError, pages.answer_error)
    api.add_exception_handler(HTTPException, pages.answer_error)
    entrance = Entrance(
        BodyLimits(api, limits=CONSOLE_LIMITS), doors=doors, unnamed=identity.unnamed, end=pages.end
    )
    pages.entrance = entrance
    return entrance


class _Pages:
    """Answers with pages, and does what their forms ask for."""

    # Owns: the watcher, what asks the replicas, what was rendered for open pages, what goes on that
    # takes long, and what was just done by whom.

    entrance: Entrance

    def __init__(self, client: Client, threads: StoreThreads, allowances: Allowances) -> None:
        places = Places.of(client.config)
        self._sources = Sources(
            client=client,
            journals=Journals(client),
            pictures=Pictures(client),
            tasks=TaskHandlers(client, places),
            inspections=InspectionHandlers(client, places),
            places=places,
        )
        self._threads = threads
        self._allowances = allowances
        self._lasting = LastingCalls(places)
        self._standing = Standing(client.config.endpoint)
        self._watcher = Watcher(partial(read_snapshot, client, standing=self._standing))
        self._shared = SharedRegions()
        self._done: LRUCache[str, Done] = LRUCache(1000)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Read what there is before the first page is asked for."""
        await self._watcher.known()
        yield
        await self.end()

    async def end(self) -> None:
        """End the streams of open pages, and the polling."""
        await self._watcher.stop()
        self._standing.close()

    def routes(self) -> APIRouter:
        """Return all routes of the console."""
        router = APIRouter(include_in_schema=False)
        for route in PAGE_ROUTES:
            path = f"{PREFIX}{route.path}"
            router.add_api_route(path, partial_of(self._show, route), methods=["GET"])
            if route.act is not None:
                router.add_api_route(path, partial_of(self._do, route), methods=["POST"])
        router.add_api_route("/", _home, methods=["GET"])
        for path, answering in (
            ("/events", self._events),
            ("/static/{name}", _static),
            ("/pictures/{submission}/{shard}/{place}", self._picture),
        ):
            router.add_api_route(f"{PREFIX}{path}", answering, methods=["GET"])
        return router

    async def answer_error(self, request: Request, error: Exception) -> Response:
        """Answer with a page that says what was wrong."""
        if isinstance(error, HTTPException):
            said = str(error.detail)
            status = error.status_code
            if (status, said) == (404, "Not Found"):
                said = "there is no such page; the menu has all of them"
        else:
            assert isinstance(error, NacreError)
            said, status = self._said(error), status_of(error)
        if "visitor" not in request.scope["state"]:
            return HTMLResponse(said, status)
        page = Page(template="error.html.j2", title=_title(status), content={"said": said})
        return await self._answer(
            request, _NOTHING, replace(page, status=status), await self._watcher.known()
        )

    async def _show(self, route: PageRoute, request: Request) -> Response:
        snapshot = await self._watcher.known()
        look = self._look(request, snapshot)
        async with asyncio.timeout(TIMEOUT_S):
            shown = await self._threads(route.show, look)
        return await self._answer(request, route, shown, snapshot)

    async def _do(self, route: PageRoute, request: Request) -> Response:
        assert route.act is not None
        snapshot = await self._watcher.known()
        look = self._look(request, snapshot)
        async with AsyncExitStack() as received:
            form = await received.enter_async_context(_received(request, route))
            _check_form(_visitor(request), form)
            act = Act(look=look, form=_fields(form), files=_files(form))
            try:
                if images := route.images(act):
                    self._allowances.images(look.requester.name, images)
                async with asyncio.timeout(route.timeout_s):
                    done = await self._threads(route.act, act)
            except NacreError as error:
                return await self._answer_wrong(request, route, act, error, snapshot)
            if isinstance(done, Lasting):
                return await self._answer_lasting(request, done, received)
        if not isinstance(done, Done):
            return await self._answer(request, route, done, snapshot)
        await self._watcher.fresh()
        self._done[_visitor(request).csrf] = done
        return RedirectResponse(done.onto, SEE)

    async def _answer_wrong(
        self, request: Request, route: PageRoute, act: Act, error: NacreError, snapshot: Snapshot
    ) -> Response:
        """Answer with the page as it was filled in, and why that was not done."""
        wrong = replace(act.filled, error=self._said(error))
        shown = await self._threads(route.show, wrong)
        assert isinstance(shown, Page)
        again = replace(shown, status=status_of(error))
        answer = await self._answer(request, route, again, snapshot, look=wrong)
        if (wait_s := error.fields.get(WAIT)) is not None:
            answer.headers["Retry-After"] = str(wait_s)
        return answer

    async def _answer_lasting(
        self, request: Request, lasting: Lasting, received: AsyncExitStack
    ) -> Response:
        """Answer with a page that shows how far something is, and then what was found."""
        visitor = _visitor(request)
        frame = Frame(csrf=visitor.csrf, is_live=False, logged_in=visitor.logged_in)

        async def rendering(page: Page) -> Rendered:
            return await self._threads(render, page, lasting.look, frame)

        shell = await rendering(lasting.begun)
        begun = self._lasting.begin(lasting.work)
        sent = pieces(begun, shell, lasting.region, render=rendering, said=self._said)
        return LastingPage(begun, sent, received.pop_all())

    async def _answer(
        self,
        request: Request,
        route: PageRoute,
        shown: Shown,
        snapshot: Snapshot,
        *,
        look: Look | None = None,
    ) -> Response:
        if isinstance(shown, Download):
            named = {"Content-Disposition": f'attachment; filename="{shown.name}"'}
            return Response(shown.content, media_type=shown.kind, headers=named)
        visitor = _visitor(request)
        done = self._done.pop(visitor.csrf, None)
        frame = Frame(
            csrf=visitor.csrf,
            said=done.said if done else "",
            undo=done.undo if done else None,
            is_live=route.is_live,
            logged_in=visitor.logged_in,
        )
        seen = look or self._look(request, snapshot)
        made = await self._threads(render, shown, seen, frame)
        return HTMLResponse(made.html, shown.status)

    async def _events(self, request: Request) -> Response:
        """Answer with the events of one open page, which `page` names."""
        if self._watcher.viewers >= MOST_VIEWERS:
            raise LimitError(f"expected at most {MOST_VIEWERS} open pages; close some")
        path, _, query = request.query_params.get("page", "").partition("?")
        route, named = _page_at(path)
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(last) if last.isdecimal() and len(last) < 15 else -1

        async def regions_of(snapshot: Snapshot) -> Mapping[str, str]:
            visitor = await self.entrance.visitor(request.scope)
            look = Look(
                requester=visitor.requester,
                known=snapshot,
                sources=self._sources,
                path=path,
                named=named,
                query=_parameters(query),
            )
            frame = Frame(csrf=visitor.csrf, logged_in=visitor.logged_in)
            key = (path, query, visitor.csrf, str(visitor.requester.grants))
            made = partial(self._threads, _regions, route, look, frame)
            return await self._shared.of(key, snapshot, made)

        await self._watcher.known()
        stream = events(self._watcher, regions_of, after=after)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_until_wrong(stream), 200, headers, "text/event-stream")

    async def _picture(self, request: Request) -> Response:
        named = request.path_params
        numbers = [named["shard"], named["place"].removesuffix(".jpg")]
        if not all(number.isdecimal() and len(number) < 8 for number in numbers):
            raise NotFoundError("there is no such picture")
        ref = PictureRef(
            submission_id=named["submission"], shard=int(numbers[0]), place=int(numbers[1])
        )
        pictures, requester = self._sources.pictures, _visitor(request).requester

        def made() -> bytes:
            requester.check("status", pictures.submission(ref.submission_id).adapter)
            return pictures.small(ref)

        headers = {"Cache-Control": f"private, max-age={KEPT_FOR_S}"}
        return Response(await self._threads(made), media_type="image/jpeg", headers=headers)

    def _look(self, request: Request, snapshot: Snapshot) -> Look:
        return Look(
            requester=_visitor(request).requester,
            known=snapshot,
            sources=self._sources,
            path=request.url.path,
            named=dict(request.path_params),
            query=dict(request.query_params),
        )

    def _said(self, error: NacreError) -> str:
        return self._sources.places.error(error).message


_NOTHING = PageRoute(path="", show=lambda _: Page(template="", title=""), is_live=False)


def partial_of(
    answering: Callable[[PageRoute, Request], Awaitable[Response]], route: PageRoute
) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of one page, with the one parameter that the framework looks for."""

    async def answer(request: Request) -> Response:
        return await answering(route, request)

    return answer


def _regions(route: PageRoute, look: Look, frame: Frame) -> Mapping[str, str]:
    shown = route.show(look)
    return render(shown, look, frame).regions if isinstance(shown, Page) else {}


async def _until_wrong(stream: AsyncIterator[str]) -> AsyncIterator[str]:
    """Pass events on until nobody is let in any more, or the page is gone."""
    try:
        async for event in stream:
            yield event
    except NacreError:
        return


def _page_at(path: str) -> tuple[PageRoute, dict[str, str]]:
    """Return the page at a path, and what the path names."""
    for route, pattern in _PATTERNS:
        match, found = pattern.matches({"type": "http", "method": "GET", "path": path})
        if match is Match.FULL and route.is_live:
            return route, found["path_params"]
    raise NotFoundError("expected the address of a live page in `page`, found another")


async def _nowhere(_: Request) -> Response:
    raise HTTPException(404)


_PATTERNS = [(route, Route(f"{PREFIX}{route.path}", _nowhere)) for route in PAGE_ROUTES]


def _parameters(query: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(query[:LONGEST_QUERY], max_num_fields=100))


LONGEST_QUERY = 10_000


def _visitor(request: Request) -> Visitor:
    found: Visitor = request.state.visitor
    return found


@asynccontextmanager
async def _received(request: Request, route: PageRoute) -> AsyncIterator[FormData]:
    if is_form(request.headers.get("content-type", "")):
        async with received_form(
            request,
            max_files=route.most_files,
            max_fields=MOST_FIELDS,
            max_part_size=FIELD_BYTES,
        ) as form:
            yield form
    else:
        yield await request.form(max_files=0, max_fields=MOST_FIELDS)


def _check_form(visitor: Visitor, form: FormData) -> None:
    if not is_of_form(visitor, str(form.get("csrf", ""))):
        raise ForbiddenError(
            "this form was made before the console was started again, or for somebody else; "
            "load its page again, and send it then"
        )


def _fields(form: FormData) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in form.multi_items()
        if isinstance(value, str) and name != "csrf"
    ]


def _files(form: FormData) -> dict[str, list[Upload]]:
    found: dict[str, list[Upload]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) and value.filename:
            upload = Upload(name=value.filename, file=value.file, size=value.size or 0)
            found.setdefault(name, []).append(upload)
    return found


def _title(status: int) -> str:
    return {403: "Not permitted", 404: "Not found", 503: "Try again later"}.get(status, "Not done")


async def _home() -> RedirectResponse:
    return RedirectResponse(PREFIX)


async def _static(name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise HTTPException(404)
    kind, content = found
    headers = {"Cache-Control": f"public, max-age={KEPT_FOR_S}, immutable"}
    return Response(content, media_type=kind, headers=headers)
