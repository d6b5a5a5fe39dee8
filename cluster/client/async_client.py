"""Asynchronous client of the HTTP API: every verb, for event loops."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

from cluster.client.http_api import AsyncHttpApi
from cluster.client.joined import configured
from cluster.client.remote.call import Answer, Call
from cluster.client.remote.submissions import POLL_S, WATCHED_S, not_ended, state_of
from cluster.client.remote.verbs import Calls
from cluster.client.remote_client import address_of
from cluster.config import Config
from cluster.wire.tasks import TaskState
from workers.queue.ticket import ENDED

P = ParamSpec("P")


def _awaited(
    build: Callable[Concatenate[Calls, P], Call[Answer]],
) -> "Callable[Concatenate[AsyncClient, P], Awaitable[Answer]]":
    """Return the verb that sends the call which `build` makes, and returns its answer."""

    @wraps(build)
    async def verb(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        # In a thread: files are looked for and read.
        return await self.ask(await asyncio.to_thread(build, self.calls, *args, **kwargs))

    return verb


class AsyncClient:
    """Does what `RemoteClient` does, for an event loop.

        async with AsyncClient() as client:
            answers = await asyncio.gather(*(client.predict([path]) for path in paths))

    Verbs, arguments, answers and errors are those of `RemoteClient`, each to be awaited, and so is
    which system is asked. Belongs to the event loop in which its block is entered.

    Args:
        config: Where the API is; looked for as `load_config` says where None.
        url: See `RemoteClient`.
        token_file: See `RemoteClient`.
        insecure: See `RemoteClient`.

    Attributes:
        config: The configuration.
        address: Where the system is.
        calls: Makes the calls that are sent.
    """

    # Owns: the connections, closed when its block ends.

    def __init__(
        self,
        config: Config | None = None,
        *,
        url: str | None = None,
        token_file: Path | str | None = None,
        insecure: bool = False,
    ) -> None:
        self.config = config or configured()
        self.address = address_of(self.config, url=url, token_file=token_file, insecure=insecure)
        self.calls = Calls(self.config.adapter)
        address = self.address
        self._api = AsyncHttpApi(address.url, token=address.token, is_here=address.is_here)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._api.__aexit__(kind, error, trace)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Send a call until it is answered or its time is over, and return the answer."""
        return await self._api.ask(call)

    submit = _awaited(Calls.submit)
    inspect = _awaited(Calls.inspect)
    queue = _awaited(Calls.queue)
    state = _awaited(Calls.state)
    find = _awaited(Calls.find)
    cancel = _awaited(Calls.cancel)
    retry = _awaited(Calls.retry)
    pause = _awaited(Calls.pause)
    resume = _awaited(Calls.resume)
    journal = _awaited(Calls.journal)
    worker_logs = _awaited(Calls.worker_logs)
    status = _awaited(Calls.status)

    async def watch(
        self, submission: str, *, timeout_s: float = WATCHED_S, poll_s: float = POLL_S
    ) -> AsyncIterator[TaskState]:
        """Yield the state of a submission again and again until it has ended.

        See `RemoteClient.watch`.

        Raises:
            UnavailableError: it has not ended after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        async with aclosing(self._api.lines(self.calls.following(submission))) as lines:
            async for line in lines:
                state = state_of(line)
                if state is None:
                    break
                yield state
                if state.stage in ENDED:
                    return
                if time.monotonic() >= deadline:
                    raise not_ended(submission, timeout_s)
        while True:
            state = await self.state(submission)
            yield state
            if state.stage in ENDED:
                return
            if time.monotonic() >= deadline:
                raise not_ended(submission, timeout_s)
            await asyncio.sleep(poll_s)

    adapters = _awaited(Calls.adapters)
    versions = _awaited(Calls.versions)
    show = _awaited(Calls.show)
    aliases = _awaited(Calls.aliases)
    history = _awaited(Calls.history)
    diff = _awaited(Calls.diff)
    mistakes = _awaited(Calls.mistakes)
    refusals = _awaited(Calls.refusals)
    behind = _awaited(Calls.behind)
    held = _awaited(Calls.held)
    rollback = _awaited(Calls.rollback)
    promote = _awaited(Calls.promote)
    alias = _awaited(Calls.alias)
    remove_alias = _awaited(Calls.remove_alias)
    drop = _awaited(Calls.drop)
    relearn = _awaited(Calls.relearn)
    export = _awaited(Calls.export)
    import_ = _awaited(Calls.import_)
    verify = _awaited(Calls.verify)
    settle = _awaited(Calls.settle)
    purge = _awaited(Calls.purge)
    gc = _awaited(Calls.gc)
    evaluate = _awaited(Calls.evaluate)
    methods = _awaited(Calls.methods)
    encoders = _awaited(Calls.encoders)
    create_token = _awaited(Calls.create_token)
    tokens = _awaited(Calls.tokens)
    revoke_token = _awaited(Calls.revoke_token)
    sessions = _awaited(Calls.sessions)
    end_sessions = _awaited(Calls.end_sessions)
    audit = _awaited(Calls.audit)
    predict = _awaited(Calls.predict)
    embed = _awaited(Calls.embed)
    ready = _awaited(Calls.ready)
    answering = _awaited(Calls.answering)
    add_webhook = _awaited(Calls.add_webhook)
    webhooks = _awaited(Calls.webhooks)
    webhook = _awaited(Calls.webhook)
    remove_webhook = _awaited(Calls.remove_webhook)
    rotate_webhook = _awaited(Calls.rotate_webhook)
    resume_webhook = _awaited(Calls.resume_webhook)
    test_webhook = _awaited(Calls.test_webhook)
