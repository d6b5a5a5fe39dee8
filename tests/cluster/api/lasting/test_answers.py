"""Lasting verbs: lines, the answer or an error at the end, clients that leave, and one too many."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.responses import Response
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from adapters.errors import CorruptionError, InputError, UnavailableError
from cluster.api.lasting.answers import (
    LONGEST_S,
    PIECE_BYTES,
    Counted,
    Done,
    EndingResponse,
    LastingCalls,
    Watch,
)
from cluster.api.places import Places
from cluster.wire.lasting import LINES, LastingLine
from cluster.wire.outputs.maintenance import CheckedAdapter
from tests.support.drivers.running import TIMEOUT_S, play

ANSWER = CheckedAdapter(objects=3, size_bytes=9, problems=[], clean=True)


class Asker:
    """A client that has sent its request, and leaves when it is told to."""

    def __init__(self, deadline: asyncio.Timeout, accept: str = LINES) -> None:
        self.leaves = asyncio.Event()
        self.request = Request(
            {
                "type": "http",
                "headers": [(b"accept", accept.encode())],
                "state": {"deadline": deadline},
            },
            self._receive,
        )

    async def _receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def sent(self, response: Response) -> list[Message]:
        """Return what is sent to it of an answer."""
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        await response(self.request.scope, self._receive, send)
        return messages


async def lines_of(response: Response) -> AsyncIterator[LastingLine]:
    assert isinstance(response, EndingResponse)
    async for each in response.body_iterator:
        assert isinstance(each, bytes)
        yield LastingLine.model_validate_json(each)


def test_lines_say_how_far_it_is_and_at_last_what_has_come_of_it() -> None:
    looked = threading.Event()

    def work(watch: Watch) -> Done:
        watch.step("counting", 1, 2)
        assert looked.wait(TIMEOUT_S)
        watch.step("counting", 2, 2)
        return Done(document=ANSWER, files={"a.csv": b"x" * (PIECE_BYTES + 1)})

    async def scene() -> None:
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            response = await LastingCalls().answer(Asker(deadline).request, work)
            steps, content = [], b""
            results: list[object] = []
            async for each in lines_of(response):
                (kind,) = each.model_fields_set
                assert not results, "nothing follows the answer"
                if each.progress is not None:
                    steps.append((each.progress.what, each.progress.done, each.progress.total))
                    if steps[-1][1] == 1:
                        looked.set()
                if each.file is not None:
                    content += each.file.data
                if kind == "result":
                    results.append(each.result)
            assert steps[-2:] == [("counting", 1, 2), ("counting", 2, 2)]
            assert content == b"x" * (PIECE_BYTES + 1)
            assert results == [ANSWER.model_dump(mode="json")]
            assert response.media_type == LINES

    play(scene)


@pytest.mark.parametrize(
    ("error", "title", "status", "detail"),
    [
        (CorruptionError("memory://own/a is damaged"), "CorruptionError", 500, "the store"),
        (InputError("no such thing"), "InputError", 422, "no such thing"),
        (ValueError("a secret of ours"), "InternalError", 500, "a fault of the service"),
    ],
)
def test_an_error_in_the_middle_is_the_last_line(
    error: Exception,
    title: str,
    status: int,
    detail: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work(watch: Watch) -> Done:
        watch.progress(1, 2)
        raise error

    async def scene() -> None:
        calls = LastingCalls(Places(folders={"memory://own": "the store"}))
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            response = await calls.answer(Asker(deadline).request, work)
            *before, last = [each async for each in lines_of(response)]
        assert all(each.progress is not None for each in before)
        assert before[-1].progress is not None
        assert before[-1].progress.done == 1
        assert last.error is not None
        assert (last.error.title, last.error.status) == (title, status)
        assert detail in last.error.detail
        assert "secret" not in last.error.detail

    with caplog.at_level(logging.ERROR):
        play(scene)
    assert bool(caplog.records) == isinstance(error, ValueError)


def test_whoever_accepts_no_lines_waits_for_the_answer_or_the_error() -> None:
    def refuse(_: Watch) -> Done:
        raise InputError("not this")

    async def scene() -> None:
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            request = Asker(deadline, accept="application/json, */*").request
            calls = LastingCalls(most=1)
            response = await calls.answer(request, lambda _: Done(document=[ANSWER]))
            assert json.loads(bytes(response.body)) == [ANSWER.model_dump(mode="json")]
            with pytest.raises(InputError, match="not this"):
                await calls.answer(request, refuse)
            with pytest.raises(InputError, match=f"Accept: {LINES}"):
                await calls.answer(request, lambda _: Done(document=1, files={"a": b""}))

    play(scene)


def test_lines_may_come_for_longer_than_a_request_may_take() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            done = Done(document=ANSWER)
            await LastingCalls().answer(Asker(deadline, "*/*").request, lambda _: done)
            until = deadline.when()
            assert until is not None
            assert until <= loop.time() + TIMEOUT_S
            response = await LastingCalls().answer(Asker(deadline).request, lambda _: done)
            until = deadline.when()
            assert until is not None
            assert until > loop.time() + LONGEST_S / 2
            assert [each async for each in lines_of(response)][-1].result is not None

    play(scene)


class Ended:
    """Work that goes on until nobody waits for it."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, watch: Watch) -> Done:
        left = threading.Event()
        watch.when_left(left.set)
        self.begun.set()
        assert left.wait(TIMEOUT_S)
        try:
            watch.progress(1, 2)
        except UnavailableError:
            self.ended.set()
            raise
        return Done(document=ANSWER)


@pytest.mark.parametrize("accept", [LINES, "application/json"])
def test_work_ends_where_nobody_waits_for_it_any_more(accept: str) -> None:
    async def scene() -> None:
        work, calls = Ended(), LastingCalls(most=1)
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            asker = Asker(deadline, accept)

            async def asked() -> list[Message]:
                return await asker.sent(await calls.answer(asker.request, work))

            asking = asyncio.create_task(asked())
            assert await asyncio.to_thread(work.begun.wait, TIMEOUT_S)
            asker.leaves.set()
            if accept == LINES:
                assert not any(b"result" in each.get("body", b"") for each in await asking)
            else:
                with pytest.raises(ClientDisconnect):
                    await asking
            assert await asyncio.to_thread(work.ended.wait, TIMEOUT_S)

    play(scene)


def test_one_more_than_there_is_room_for_is_asked_to_come_again() -> None:
    go_on = threading.Event()

    def work(_: Watch) -> Done:
        assert go_on.wait(TIMEOUT_S)
        return Done(document=ANSWER)

    async def scene() -> None:
        async with asyncio.timeout(TIMEOUT_S) as deadline:
            calls, request = LastingCalls(most=1), Asker(deadline).request
            response = await calls.answer(request, work)
            for accept in (LINES, "*/*"):
                with pytest.raises(HTTPException, match="at most 1 call") as refused:
                    await calls.answer(Asker(deadline, accept).request, work)
                assert refused.value.status_code == 429
                assert refused.value.headers == {"Retry-After": "5"}
            go_on.set()
            assert [each async for each in lines_of(response)][-1].result is not None
            again = await calls.answer(request, work)
            assert [each async for each in lines_of(again)][-1].result is not None

    play(scene)


def test_a_result_that_nobody_waits_for_is_cleared_away() -> None:
    begun, go_on, cleared = threading.Event(), threading.Event(), asyncio.Event()

    def work(_: Watch) -> str:
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return "a file"

    async def scene() -> None:
        found: list[Any] = []

        def clear(result: str) -> None:
            found.append(result)
            cleared.set()

        async with asyncio.timeout(TIMEOUT_S) as deadline:
            asker = Asker(deadline)
            calls = LastingCalls()
            asking = asyncio.create_task(calls.result(asker.request, work, unused=clear))
            assert await asyncio.to_thread(begun.wait, TIMEOUT_S)
            asker.leaves.set()
            with pytest.raises(ClientDisconnect):
                await asking
            go_on.set()
            await cleared.wait()
        assert found == ["a file"]

    play(scene)


def test_what_is_counted_is_counted_no_more_when_it_has_ended() -> None:
    counted = Counted(1)
    for _ in range(3):
        end = counted.begin()
        with pytest.raises(HTTPException):
            counted.begin()
        end()
