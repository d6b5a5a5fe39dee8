"""Named tokens as a replica knows them: few reads, and a revoked one is out within seconds."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from adapters.errors import UnauthorizedError, UnavailableError
from cluster.api.access.known_tokens import FRESH_S, OLD_S, YOUNG_S, KnownTokens
from cluster.api.access.requesters import OVER_HTTP, Access, Requesters
from cluster.client.requester import Requester
from tests.support.fakes.doubtful_store import VirtualTime
from tests.support.fakes.tokens import HeldTokens, held
from workers.access.kept_tokens import create_token, read_tokens, revoke_token
from workers.access.roles import EVERYTHING, AccessRole
from workers.access.tokens import TokenList
from workers.store import MemoryStore

ROLES = {"birds": AccessRole.OPERATOR}
HOUR = 3600.0


class Scene:
    """A store with tokens, a replica that knows them, and the time."""

    def __init__(self) -> None:
        self.store, self.clock, self.reads = MemoryStore(), VirtualTime(), 0
        self.error: Exception | None = None
        self.hangs: threading.Event | None = None
        self.has_taken = threading.Event()
        self.known = KnownTokens(self._read, clock=self.clock, wait_s=60, sleep=self._sleep)

    def _read(self) -> TokenList:
        self.reads += 1
        if self.error is not None:
            raise self.error
        tokens = read_tokens(self.store)
        if self.hangs is not None:
            self.has_taken.set()
            self.hangs.wait(60)
        return tokens

    async def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def create(self, name: str) -> str:
        return create_token(self.store, name, ROLES, by="anna", now=0.0, lifetime="never").secret

    async def knows(self, secret: str) -> bool:
        """Return whether a secret is known, also while the store has never answered."""
        try:
            return await self.known.holder(secret) is not None
        except UnavailableError:
            return False

    async def counts(self, secret: str) -> bool:
        found = await self.known.holder(secret)
        return found is not None and found.revoked is None


def run(test: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    asyncio.run(test(Scene()))


def test_a_token_counts_and_is_not_read_again_with_every_request() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        for _ in range(100):
            assert await scene.counts(secret)
        assert scene.reads == 1

    run(test)


def test_a_revoked_token_is_out_after_a_known_time_however_seldom_it_is_sent() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        assert await scene.counts(secret)
        revoke_token(scene.store, "ci", by="ben", now=1.0)
        assert await scene.counts(secret)
        scene.clock.sleep(OLD_S)
        assert not await scene.counts(secret)

    run(test)


def test_under_load_the_tokens_are_read_beside_the_requests() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        await scene.counts(secret)
        revoke_token(scene.store, "ci", by="ben", now=1.0)
        scene.clock.sleep(FRESH_S)
        assert await scene.counts(secret)  # does not wait for the store
        while await scene.counts(secret):
            await asyncio.sleep(0)
        assert scene.reads == 2

    run(test)


def test_a_token_that_was_just_made_counts_at_once() -> None:
    async def test(scene: Scene) -> None:
        await scene.counts(scene.create("ci"))
        for name, since_s in [("nightly", YOUNG_S), ("weekly", YOUNG_S / 10), ("daily", 1e-3)]:
            scene.clock.sleep(since_s)
            assert await scene.counts(scene.create(name))

    run(test)


def test_a_token_that_was_made_while_they_were_read_is_looked_for_again() -> None:
    async def test(scene: Scene) -> None:
        await scene.counts(scene.create("ci"))
        scene.clock.sleep(YOUNG_S)
        scene.hangs = threading.Event()
        guess = asyncio.ensure_future(scene.counts("nacre_guessed"))
        await asyncio.to_thread(scene.has_taken.wait)
        secret = scene.create("nightly")
        scene.clock.sleep(YOUNG_S / 10)
        found = asyncio.ensure_future(scene.counts(secret))
        await asyncio.sleep(0)  # it waits for the reading that has passed by its token
        scene.hangs.set()
        assert await found
        assert not await guess

    run(test)


def test_guesses_read_the_store_only_so_often_and_wait_for_it_together() -> None:
    async def test(scene: Scene) -> None:
        await scene.counts(scene.create("ci"))
        begun = scene.clock()
        for _ in range(20):
            scene.clock.sleep(YOUNG_S / 10)
            found = await asyncio.gather(*(scene.counts("nacre_guessed") for _ in range(50)))
            assert not any(found)
        assert scene.reads - 1 <= (scene.clock() - begun) / YOUNG_S + 1

    run(test)


def test_while_the_store_is_away_nobody_is_called_unknown() -> None:
    async def test(scene: Scene) -> None:
        await scene.counts(scene.create("ci"))
        scene.clock.sleep(YOUNG_S)
        scene.error = UnavailableError("away")
        with pytest.raises(UnavailableError, match="does not answer; try again later"):
            await scene.known.holder(scene.create("nightly"))

    run(test)


def test_while_the_store_is_away_what_was_known_goes_on() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        await scene.counts(secret)
        scene.error = UnavailableError("away")
        scene.clock.sleep(HOUR)
        assert await scene.counts(secret)
        assert await scene.counts(secret)
        assert scene.reads == 2  # and it is not asked with every request

    run(test)


def test_a_fault_of_ours_ends_no_request_either() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        await scene.counts(secret)
        scene.error = ZeroDivisionError()
        scene.clock.sleep(HOUR)
        assert await scene.counts(secret)

    run(test)


def test_before_the_tokens_were_ever_read_nobody_is_called_unknown() -> None:
    async def test(scene: Scene) -> None:
        secret = scene.create("ci")
        scene.error = UnavailableError("away")
        with pytest.raises(UnavailableError, match="does not answer"):
            await scene.known.holder(secret)
        scene.error = None
        scene.clock.sleep(FRESH_S)
        assert await scene.counts(secret)

    run(test)


def test_a_store_that_hangs_keeps_nobody_for_ever() -> None:
    async def test(scene: Scene) -> None:
        scene.known = KnownTokens(scene._read, clock=scene.clock, wait_s=0.01)
        secret = scene.create("ci")
        while not await scene.knows(secret):
            scene.clock.sleep(FRESH_S)
        scene.hangs = threading.Event()
        scene.clock.sleep(HOUR)
        assert await scene.counts(secret)
        assert await scene.counts(secret)
        scene.hangs.set()

    run(test)


def of(authorization: str, *, access: Access) -> Requester:
    tokens = HeldTokens(
        ci=held("ci", ROLES),
        over=held("over", ROLES, now=1.0 - HOUR, lifetime="1h"),
        gone=replace(held("gone", ROLES), revoked=2.0, revoked_by="ben"),
    )
    requesters = Requesters(access, tokens, clock=lambda: 5.0)
    return asyncio.run(requesters.of([authorization], "a-request"))


GUARDED = Access(change_token="who-may-change", predict_token="who-may-ask")


def test_a_named_token_is_a_requester_with_its_roles() -> None:
    found = of("Bearer nacre_ci", access=GUARDED)
    assert (found.name, found.road, found.request_id) == ("token:ci", "http", "a-request")
    assert found.grants.roles == ROLES


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("nacre_over", "token 'over' has expired on 1970-01-01 at 00:00 UTC; ask anna, who made"),
        ("nacre_gone", "token 'gone' was revoked by ben on 1970-01-01 at 00:00 UTC; ask anna"),
        ("nacre_guessed", "found one that nobody knows.*ask an admin of this service"),
        ("who-may-chang", "found another one, or a part of one; ask an admin of this service"),
        ("", "found none; ask an admin of this service"),
    ],
)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_whoever_is_not_let_in_hears_why_and_whom_to_ask(scheme: str, token: str, why: str) -> None:
    with pytest.raises(UnauthorizedError, match=why) as raised:
        of(f"{scheme} {token}", access=GUARDED)
    assert not token or token not in raised.value.message


def test_where_everybody_may_do_everything_a_named_token_still_says_who_asks() -> None:
    assert of("", access=Access()).name == OVER_HTTP.name
    assert of("Bearer whatever", access=Access()).grants == EVERYTHING
    assert of("Bearer nacre_ci", access=Access()).grants.roles == ROLES
    with pytest.raises(UnauthorizedError):
        of("Bearer nacre_gone", access=Access())
