"""The probe: whether a store honours conditional writes, found out within three seconds.

Each condition is tried once by a writer who is alone, and then raced for. A store that checks a
condition and writes afterwards lets two writers win now and then, so that one race says little. If
that happens in a share p of the races, all of n races miss it with the probability (1 - p)^n:

    p = 1/5, n = 31   0.8^31 = 0.00099    the fewest that miss it in at most one start of 1,000
    p = 1/5, n = 56   0.8^56 = 0.0000037  what is run here, of each of the two conditions
    p = 1/8, n = 56   0.875^56 = 0.00057  so this too is found out in 999 starts of 1,000

Where 56 take longer than three seconds, the races go on until there were 31, however long these
take: fewer would let pass by luck what they are there to refuse, and to refuse a store for being
slow would be wrong. That it is slow is logged.

Two racers for a key are enough, and more are slower: a gateway that checks and then renames a file
let several win in a third of the races of two, of four and of eight alike, while a server that
makes writers of one key wait for each other, as SeaweedFS does, takes a hundred times longer for
races of three than for those of two. Eight races run at once, each for a key of its own, so that a
store that is far away is asked 56 times in the time of seven.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from adapters.errors import (
    MissingError,
    NacreError,
    SettingsError,
    StoreRefusedError,
    UnavailableError,
)
from adapters.guidance import Section
from workers.store.base import ObjectStore
from workers.store.conditions import WISHED, Condition, broken_alone
from workers.store.race import DOUBTS, Outcome, Racers
from workers.store.scratch import Scratch, new_body
from workers.store.servers import MEASURED, advice, server_of

logger = logging.getLogger("nacre.store")

RACERS = 2
RACES_AT_ONCE = 8
ROUNDS = 56
"""Races for each of the two conditions, where there is time for them."""
ENOUGH = 31
"""The fewest, however long they take."""
EXPECTED_S = 3.0

Result = TypeVar("Result")


def check_conditional_writes(
    store: ObjectStore, *, racers: int = RACERS, rounds: int = ROUNDS
) -> None:
    """Try the conditions and race for scratch keys; return when the store can be trusted.

    What passes (a node that starts and says 503, or 404 of what is there) is waited for, as long as
    the store's patience lasts.

    What is merely wished for and does not hold is logged.

    Raises:
        SettingsError: The store lets several writers win, or one who must lose: it must not be
            used. The message says what answers, and which condition does not hold.
        UnavailableError: The store cannot be reached.
    """
    with Scratch(store) as scratch:
        broken = check_alone(scratch)
        server = _patiently(store, lambda: server_of(scratch)) if broken else ""
        if set(broken) - set(WISHED):
            raise _refused(
                store,
                f"{server}: {'; '.join(f'it does not hold that {each.value}' for each in broken)}",
                advice(server, broken),
            )
        for each in broken:
            logger.warning(
                "of the store %s (%s) it does not hold that %s; nothing here depends on it; %s",
                *(store.url, server, each.value, advice(server, broken)),
            )
        with Racers(racers * RACES_AT_ONCE) as threads:
            # Nobody finds anything there; what stays is an open connection for each racer.
            nothing = scratch.new_key()
            threads.race([lambda _: store.get(nothing)])
            _run_races(scratch, threads, rounds)


def check_alone(scratch: Scratch) -> tuple[Condition, ...]:
    """Return which conditions do not hold even for one who writes alone; what passes is waited for.

    Raises:
        UnavailableError: The store cannot be reached.
    """
    return _patiently(scratch.store, lambda: broken_alone(scratch))


def _run_races(scratch: Scratch, threads: Racers, rounds: int) -> None:
    clock = scratch.store.patience.clock
    began, told = clock(), False
    for done in range(0, rounds, RACES_AT_ONCE):
        taken_s = clock() - began
        if taken_s > EXPECTED_S and done >= ENOUGH:
            return
        if taken_s > EXPECTED_S and not told:
            told = True
            logger.warning(
                "the store %s is slow: %d races for each condition took %.1f s, and %d are needed; "
                "they are gone on with",
                *(scratch.store.url, done, taken_s, ENOUGH),
            )
        _patiently(scratch.store, lambda: _run_round(scratch, threads))


def _run_round(scratch: Scratch, threads: Racers) -> None:
    """Race for new keys, some at once: to create them, and then to replace what the winners wrote.

    Raises:
        SettingsError: Several have won.
        UnavailableError, UnknownOutcomeError: Somebody was not told: none of the races counts.
    """
    store = scratch.store
    keys = [scratch.new_key() for _ in range(RACES_AT_ONCE)]
    created = threads.race([partial(_create, scratch, key) for key in keys])
    held = list(zip(keys, _winners(store, Condition.ONE_CREATES, created), strict=True))
    replaced = threads.race([partial(_replace, scratch, key, etag) for key, etag in held])
    for key, outcome in zip(keys, replaced, strict=True):
        if not outcome.won and not outcome.doubts:  # a node that starts does not find it
            store.get_existing(key, because="it has just been written")
    _winners(store, Condition.ONE_REPLACES, replaced)
    threads.each([partial(scratch.remove, key) for key in keys])


def _create(scratch: Scratch, key: str, _number: int) -> str:
    return scratch.store.create(key, new_body())


def _replace(scratch: Scratch, key: str, etag: str, _number: int) -> str:
    return scratch.store.replace(key, new_body(), etag)


def _winners(store: ObjectStore, condition: Condition, outcomes: Sequence[Outcome]) -> list[str]:
    """Return what the winner of each race was told, where each has one and nobody is in doubt."""
    most = max(outcomes, key=lambda outcome: len(outcome.won))
    if len(most.won) > 1:
        racers = len(most.won) + most.lost + len(most.doubts)
        raise _refused(
            store, f"expected that {condition.value}, found {len(most.won)} winners of {racers}"
        )
    for doubt in chain.from_iterable(outcome.doubts for outcome in outcomes):
        raise doubt
    if not all(outcome.won for outcome in outcomes):
        raise _NobodyError(f"expected that {condition.value}, found nobody")
    return [str(outcome.won[0]) for outcome in outcomes]


def _patiently(store: ObjectStore, attempt: Callable[[], Result]) -> Result:
    """Return what `attempt` returns, made again while what it meets may pass."""
    patience = store.patience.longer
    for wait_s in (*patience.waits_s, None):
        try:
            return attempt()
        except (StoreRefusedError, MissingError):  # a person must mend it; asked for long enough
            raise
        except DOUBTS as error:
            if wait_s is None:
                raise _final(store, error) from error
            patience.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


class _NobodyError(UnavailableError):
    """A race without a winner: a node that starts lets nobody win, and so does a wrong store."""


def _final(store: ObjectStore, error: NacreError) -> NacreError:
    if isinstance(error, _NobodyError):
        return _refused(store, error.message)
    return UnavailableError(error.message, url=store.url)


def _refused(store: ObjectStore, finding: str, what_to_do: str = MEASURED) -> SettingsError:
    return SettingsError(
        f"the object store {store.url} does not honour conditional writes ({finding}): two "
        f"writers could overwrite each other's versions; {what_to_do}; let `nacre doctor --store "
        "URL` look at the one you choose for longer",
        url=store.url,
        help=Section.STORE_UNFIT,
    )
