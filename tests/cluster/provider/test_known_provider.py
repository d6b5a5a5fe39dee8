"""The provider as a replica knows it: rotated keys, floods of unknown ones, times without it."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from joserfc.jwk import ECKey

from adapters.errors import UnauthorizedError, UnavailableError
from cluster.provider.known_provider import FRESH_S, LOST_S, YOUNG_S, KnownProvider
from cluster.provider.provider import Provider
from cluster.provider.signed_tokens import SignedTokens
from tests.support.fakes.doubtful_store import VirtualTime
from tests.support.scenes.signing import AUDIENCE, ISSUER, Signer, forged


class Scene:
    """A provider, a replica that knows it, and the time."""

    def __init__(self) -> None:
        self.signer, self.clock, self.reads = Signer(), VirtualTime(), 0
        self.error: Exception | None = None
        self.going = asyncio.Event()
        self.going.set()
        self.known = KnownProvider(self._read, clock=self.clock, wait_s=60)
        self.tokens = SignedTokens(ISSUER, self.known)

    async def _read(self) -> Provider:
        self.reads += 1
        await self.going.wait()
        if self.error is not None:
            raise self.error
        return await self.signer.read()

    async def counts(self, token: str) -> bool:
        try:
            await self.tokens.claims(token, audience=AUDIENCE)
        except UnauthorizedError:
            return False
        return True

    async def knows(self, token: str) -> bool:
        """Return whether a token counts, also while the provider has never answered."""
        try:
            return await self.counts(token)
        except UnavailableError:
            return False


def run(test: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def begun() -> None:
        await test(Scene())

    asyncio.run(begun())


def unknown(number: int = 0) -> str:
    return Signer().token(header={"kid": f"made-up-{number}"})


def test_the_provider_is_not_asked_with_every_request() -> None:
    async def test(scene: Scene) -> None:
        for _ in range(100):
            assert await scene.counts(scene.signer.token())
        assert scene.reads == 1
        scene.clock.sleep(FRESH_S)
        assert await scene.counts(scene.signer.token())  # is not kept waiting for it
        await asyncio.sleep(0)
        assert scene.reads == 2

    run(test)


def test_a_rotated_key_counts_at_once_and_the_old_one_no_more() -> None:
    async def test(scene: Scene) -> None:
        old = scene.signer.token()
        assert await scene.counts(old)
        scene.clock.sleep(YOUNG_S)
        scene.signer.rotate()
        assert await scene.counts(scene.signer.token())
        assert not await scene.counts(old)

    run(test)


def test_a_rotated_key_that_is_called_as_the_one_before_counts_at_once() -> None:
    async def test(scene: Scene) -> None:
        old = scene.signer.keys[-1]
        assert await scene.counts(scene.signer.token())
        scene.clock.sleep(YOUNG_S)
        scene.signer.rotate(ECKey.generate_key("P-256", {"kid": str(old.kid)}))
        assert await scene.counts(scene.signer.token())
        assert not await scene.counts(scene.signer.token(key=old))
        # Nor is a wrong signature a way to have the provider asked all the time.
        reads = scene.reads
        for _ in range(100):
            assert not await scene.counts(scene.signer.token(key=old))
        assert scene.reads == reads

    run(test)


def test_all_who_come_with_a_rotated_key_at_once_are_let_in_by_one_question() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.counts(scene.signer.token())
        scene.clock.sleep(YOUNG_S)
        scene.signer.rotate()
        new = scene.signer.token()
        assert all(await asyncio.gather(*(scene.counts(new) for _ in range(50))))
        assert scene.reads == 2

    run(test)


def test_a_flood_of_unknown_keys_is_no_flood_of_questions() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.counts(scene.signer.token())
        for second in range(20):
            for number in range(20):
                assert not await scene.counts(unknown(20 * second + number))
            scene.clock.sleep(1.0)
        assert scene.reads <= 1 + 20 / YOUNG_S

    run(test)


def test_a_flood_does_not_keep_a_rotated_key_out() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.counts(scene.signer.token())
        for number in range(200):
            assert not await scene.counts(unknown(number))
            scene.clock.sleep(0.1)
        scene.signer.rotate()
        waited = 0.0
        while not await scene.counts(scene.signer.token()):
            assert not await scene.counts(unknown(1000))
            scene.clock.sleep(0.1)
            waited += 0.1
        assert waited <= YOUNG_S

    run(test)


def test_no_algorithm_of_nobody_makes_a_question() -> None:
    async def test(scene: Scene) -> None:
        for algorithm in ("none", "HS256"):
            assert not await scene.counts(forged({"alg": algorithm, "kid": "x"}, {}))
        assert not await scene.counts("a.b.c")
        assert scene.reads == 0

    run(test)


def test_while_the_provider_is_away_what_it_has_said_goes_on() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.counts(scene.signer.token())
        scene.error = UnavailableError("https://id.example.com answered 500")
        scene.clock.sleep(LOST_S - 1)
        assert await scene.counts(scene.signer.token())
        assert await scene.counts(scene.signer.token())
        assert scene.reads == 2

    run(test)


def test_what_was_said_a_day_ago_does_not_count_for_ever() -> None:
    async def test(scene: Scene) -> None:
        assert await scene.counts(scene.signer.token())
        scene.error = UnavailableError("https://id.example.com answered 500")
        scene.clock.sleep(LOST_S)
        with pytest.raises(UnavailableError, match=r"answered 500; try again later"):
            await scene.counts(scene.signer.token())

    run(test)


def test_nobody_is_called_unknown_by_a_replica_that_cannot_ask() -> None:
    async def test(scene: Scene) -> None:
        scene.error = UnavailableError("https://id.example.com answered 500")
        with pytest.raises(UnavailableError, match=r"asked for its keys: https://id\.example"):
            await scene.counts(scene.signer.token())
        scene.error = None
        scene.clock.sleep(YOUNG_S)
        assert await scene.counts(scene.signer.token())
        # Nor for a key that may be a new one.
        scene.error = UnavailableError("https://id.example.com answered 500")
        scene.clock.sleep(YOUNG_S)
        with pytest.raises(UnavailableError, match="answered 500"):
            await scene.counts(unknown())
        assert await scene.counts(scene.signer.token())

    run(test)


def test_a_provider_that_hangs_keeps_nobody_for_ever() -> None:
    async def test(scene: Scene) -> None:
        scene.known = KnownProvider(scene._read, clock=scene.clock, wait_s=0.01)
        scene.tokens = SignedTokens(ISSUER, scene.known)
        scene.going.clear()
        with pytest.raises(UnavailableError, match="it does not answer; try again later"):
            await scene.counts(scene.signer.token())
        scene.going.set()
        while not await scene.knows(scene.signer.token()):
            await asyncio.sleep(0)
        scene.going.clear()
        scene.clock.sleep(LOST_S - 1)
        assert await scene.counts(scene.signer.token())
        with pytest.raises(UnavailableError, match="it does not answer; try again later"):
            await scene.counts(unknown())

    run(test)
