"""Routes with which people log in and out in a browser: with a named token, or with a provider."""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote, unquote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from adapters.errors import (
    ForbiddenError,
    InputError,
    NacreError,
    UnauthorizedError,
    printable,
)
from cluster.api.access.browsers import SESSION, check_comes_from_here, cookie_of, set_cookie
from cluster.api.access.known_tokens import KnownSessions
from cluster.api.access.requesters import NOBODY, Access
from cluster.api.access.routes import CALLBACK, LOGIN, LOGOUT, START
from cluster.api.access.subjects import Subjects
from cluster.api.login_pages import login_page, logout_page, onward_page, refused_page
from cluster.api.middleware import Doors
from cluster.api.store_threads import StoreThreads
from cluster.client.requester import Requester
from cluster.config import OidcConfig
from cluster.provider.connecting import Connecting
from cluster.provider.known_provider import KnownProvider
from cluster.provider.login import AGAIN, LoginAttempt, ProviderLogin
from cluster.provider.provider import read_provider
from cluster.provider.signed_tokens import SignedTokens
from cluster.wire.problems import status_of
from workers.access.audit import LONGEST_REASON, Outcome, audited
from workers.access.kept_sessions import end_session, keep_session
from workers.access.sessions import (
    LIFETIME_S,
    Session,
    new_secret,
    session_of_subject,
    session_of_token,
)
from workers.access.tokens import PREFIX
from workers.queue.machine import EVERY_ADAPTER
from workers.store.base import ObjectStore

ATTEMPT, ATTEMPT_S = "nacre-login", 600
"""The cookie of a login that was begun, and for how long it may take, in seconds."""
STATE_SHOWN = 8
"""So many characters of its state are in that name, so that several may be under way at once."""
ONTO = "/docs"
LONGEST_PATH, LONGEST_SAID = 2000, 80
SEE = 303
Answering = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedIn:
    """Somebody who has logged in.

    Attributes:
        who: As history and audit log name them.
        secret: Of the session, for their browser.
        onto: The path that is shown to them next.
    """

    who: str
    secret: str
    onto: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Logins:
    """Lets people in and out.

    Attributes:
        store: Where sessions are kept.
        known: The sessions, as this replica knows them.
        doors: Who comes in, and who is told of denials.
        threads: In which the store is asked.
        provider: With which people log in; None where with a token alone.
        clock: Gives seconds since the epoch.
    """

    store: ObjectStore
    known: KnownSessions
    doors: Doors
    threads: StoreThreads
    provider: ProviderLogin | None = None
    clock: Callable[[], float] = time.time

    async def who(self, request: Request) -> str:
        """Return who is logged in; empty for nobody."""
        secret = cookie_of(request.scope, SESSION)
        try:
            found = await self.doors.requesters.of([], "", session=secret) if secret else None
        except NacreError:
            return ""
        return found.name if found else ""

    async def with_token(self, request: Request) -> LoggedIn:
        """Log in whoever has filled in a named token.

        Raises:
            UnauthorizedError: nobody knows the token, or it is over.
        """
        form = await request.form(max_files=0, max_fields=4)
        given, onto = str(form.get("token", "")).strip(), path_of_here(str(form.get("next", ONTO)))
        token = await self.doors.known.holder(given) if given.startswith(PREFIX) else None
        if token is None:
            raise UnauthorizedError(
                f"expected a named token that counts, which begins with {PREFIX!r}, found another "
                "one; `nacre token create` makes one"
            )
        requester = await self.doors.requesters.of([f"Bearer {given}"], "")
        secret = new_secret()
        session = session_of_token(secret, token, now=self.clock())
        await self._keep(request, requester, session)
        return LoggedIn(who=session.who, secret=secret, onto=onto)

    async def begin(self, request: Request) -> Response:
        """Return the answer that sends a browser to the provider."""
        provider, onto = self._provider(), path_of_here(request.query_params.get("next", ONTO))
        if request.headers.get("host") != provider.url.partition("://")[2]:
            # There the provider sends people back to, with the cookies of that host alone.
            return RedirectResponse(f"{provider.url}{START}?{urlencode({'next': onto})}", SEE)
        attempt = LoginAttempt.begin()
        answer = RedirectResponse(await provider.address(attempt), SEE)
        value = f"{attempt.secret}.{quote(onto, safe='')}"
        set_cookie(request.scope, answer, _cookie(attempt.state), value, age_s=ATTEMPT_S)
        return answer

    async def with_provider(self, request: Request) -> LoggedIn:
        """Log in whoever comes back from the provider.

        Raises:
            UnauthorizedError: this browser has not begun it, or the provider has let nobody in.
            ForbiddenError: they have no role here.
        """
        provider, given = self._provider(), request.query_params
        state = given.get("state", "")
        secret, _, onto = cookie_of(request.scope, _cookie(state)).partition(".")
        attempt = LoginAttempt(secret=secret)
        if not secret or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise UnauthorizedError(
                "expected a login that this browser has begun within the last "
                f"{ATTEMPT_S // 60} minutes, found another; {AGAIN}"
            )
        if given.get("iss", provider.issuer) != provider.issuer:
            raise UnauthorizedError(f"the answer is of another provider; {AGAIN}")
        if "code" not in given:
            said = printable(given.get("error", "no reason"))[:LONGEST_SAID]
            raise UnauthorizedError(f"the provider has let nobody in ({said}); {AGAIN}")
        assert self.doors.subjects is not None
        subject = await provider.subject(attempt, given["code"])
        requester = self.doors.subjects.requester(subject)
        if not requester.grants.roles:
            raise ForbiddenError(
                f"{requester.name!r} has no role here; ask {requester.contact} for one",
                who=requester.name,
            )
        counting, new = self.doors.subjects.mapping.counting(subject), new_secret()
        await self._keep(request, requester, session_of_subject(new, counting, now=self.clock()))
        return LoggedIn(who=requester.name, secret=new, onto=path_of_here(unquote(onto)))

    async def out(self, request: Request) -> None:
        """End the session of a browser, or all of whoever it is of."""
        form = await request.form(max_files=0, max_fields=4)
        session = await self.known.holder(cookie_of(request.scope, SESSION))
        if session is None:
            return
        by, everywhere = replace(_asking(request), name=session.who), "everywhere" in form

        def end() -> None:
            with audited(self.store, by.entry("logout", EVERY_ADAPTER)):
                end_session(self.store, session, everywhere=everywhere, now=self.clock())

        await self.threads(end)
        self.known.forget()

    def denied(self, request: Request, error: NacreError) -> None:
        """Have the audit log say that somebody was not let in."""
        by = replace(_asking(request), name=str(error.fields.get("who") or NOBODY))
        entry = by.entry("login", EVERY_ADAPTER)
        reason = error.message[:LONGEST_REASON]
        self.doors.denied(replace(entry, outcome=Outcome.DENIED, reason=reason))

    async def _keep(self, request: Request, requester: Requester, session: Session) -> None:
        by = replace(requester, request_id=_asking(request).request_id)

        def keep() -> None:
            with audited(self.store, by.entry("login", EVERY_ADAPTER)):
                keep_session(self.store, session, now=self.clock())

        await self.threads(keep)
        self.known.forget()

    def _provider(self) -> ProviderLogin:
        if self.provider is None:
            raise InputError(
                "people log in here with a named token alone: no provider is named under `access: "
                "oidc: login:` in the configuration"
            )
        return self.provider


def routes(logins: Logins) -> APIRouter:
    """Return the routes of the login, which are pages for people and no part of the API."""
    router = APIRouter(include_in_schema=False)
    issuer = logins.provider.issuer if logins.provider else ""

    async def show(request: Request) -> Response:
        onto = path_of_here(request.query_params.get("next", ONTO))
        return login_page(who=await logins.who(request), issuer=issuer, onto=onto)

    async def with_token(request: Request) -> Response:
        check_comes_from_here(request.method, request.headers)
        found = await logins.with_token(request)
        return _let_in(request, RedirectResponse(found.onto, SEE), found)

    async def back(request: Request) -> Response:
        found = await logins.with_provider(request)
        answer = _let_in(request, onward_page(who=found.who, onward=found.onto), found)
        begun = _cookie(request.query_params["state"])
        set_cookie(request.scope, answer, begun, "", age_s=0)
        return answer

    async def show_out(request: Request) -> Response:
        return logout_page(who=await logins.who(request))

    async def out(request: Request) -> Response:
        check_comes_from_here(request.method, request.headers)
        await logins.out(request)
        answer = RedirectResponse(LOGOUT, SEE)
        set_cookie(request.scope, answer, SESSION, "", age_s=0)
        return answer

    def told(answering: Answering) -> Answering:
        async def answer(request: Request) -> Response:
            try:
                return await answering(request)
            except NacreError as error:
                if isinstance(error, UnauthorizedError | ForbiddenError):
                    logins.denied(request, error)
                return refused_page(wrong=error.message, status=status_of(error))

        return answer

    for path, verb, answering in (
        (LOGIN, "GET", show),
        (LOGIN, "POST", with_token),
        (START, "GET", logins.begin),
        (CALLBACK, "GET", back),
        (LOGOUT, "GET", show_out),
        (LOGOUT, "POST", out),
    ):
        router.add_api_route(path, told(answering), methods=[verb], response_model=None)
    return router


def provider_of(
    oidc: OidcConfig | None, access: Access
) -> tuple[Subjects | None, ProviderLogin | None]:
    """Return what a provider decides: who sends a signed token, and who logs in."""
    if oidc is None:
        return None, None
    connecting = Connecting()
    known = KnownProvider(partial(read_provider, oidc.issuer, connecting))
    tokens = SignedTokens(oidc.issuer, known)
    subjects = Subjects(oidc=oidc, tokens=tokens)
    if oidc.login is None:
        return subjects, None
    provider = ProviderLogin(
        oidc,
        oidc.login,
        tokens=tokens,
        known=known,
        connecting=connecting,
        secret=access.provider_secret or "",
    )
    return subjects, provider


def path_of_here(given: str) -> str:
    """Return a path of this service; InputError for whatever a browser would take for another."""
    if (
        not given.startswith("/")
        or given.startswith("//")
        or "\\" in given
        or not given.isascii()
        or not given.isprintable()
        or len(given) > LONGEST_PATH
    ):
        raise InputError(
            f"expected a path of this service to go on to, such as {ONTO}, found another address; "
            "leave `next` out"
        )
    return given


def _let_in(request: Request, answer: Response, found: LoggedIn) -> Response:
    set_cookie(request.scope, answer, SESSION, found.secret, age_s=int(LIFETIME_S))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _cookie(state: str) -> str:
    return f"{ATTEMPT}-{state[:STATE_SHOWN]}"


def _asking(request: Request) -> Requester:
    found: Requester = request.state.requester
    return found
