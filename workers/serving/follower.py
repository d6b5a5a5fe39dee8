"""Follower: hot-swaps the loaded version when an alias moves; prepare, then swap one reference.

A version is prepared first (new blobs fetched and verified, tensors built) and committed then.
Every request reads `current` once, so that it never mixes two versions. A version that cannot be
prepared is refused: what answers stays as it is, and the refusal can be seen.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from adapters.errors import (
    CorruptionError,
    MissingError,
    NotFoundError,
    NothingPublishedError,
    UnavailableError,
    reason_of,
)
from workers.registry import Refs, VersionRef
from workers.registry.documents.layout import PRODUCTION, Stored
from workers.registry.documents.purged import purged_versions
from workers.registry.record_cache import Versions
from workers.serving.version_cache import LoadedVersion, VersionCache

TRIED_AGAIN_S = 5.0
"""A version that was refused is fetched again after so long: it may have been repaired."""
ASKED_AGAIN = 5
"""A store that answers with refs from before is asked so often more: another node may know."""
APART_S = 0.02
"""Before each of these it waits up to so long: replicas that are told of a change in one moment ask
in turns otherwise, and of a store that answers in turns one of them is given every old answer."""
JITTER = random.Random()


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A version that could not be loaded.

    Attributes:
        label: Which one, as `adapter@number`.
        reason: Why.
        ref: The version.
        at: When loading it was last tried, by the follower's clock.
    """

    label: str
    reason: str
    ref: VersionRef
    at: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FollowerState:
    """What a follower answers with, replaced as a whole.

    Attributes:
        current: The version that answers; None before the first.
        seen_at: When the alias was last known to point to it, or to nothing yet, by the follower's
            clock.
        refusal: The version that the alias points to but that cannot be loaded, if that is so.
        newest: The number of the newest version, where the alias points to none; 0 where there is
            none either.
    """

    current: LoadedVersion | None = None
    seen_at: float = float("-inf")
    refusal: Refusal | None = None
    newest: int = 0


class Follower:
    """Answers with what `production` of one adapter points to.

    Args:
        cache: Loads versions.
        versions: Reads the adapter's aliases.
        adapter: Its name.
        clock: Gives seconds that never go back.

    Attributes:
        adapter: The same.
        has_looked: Whether it is known what the alias points to, or that there is none yet.
    """

    # Owns: `_state`, replaced as a whole under `_lock` and read without it; `_unpurged_in`, the
    # tombstones in which what answers was not found, guarded by `_lock`.

    def __init__(
        self,
        cache: VersionCache,
        versions: Versions,
        *,
        adapter: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._versions = versions
        self._clock = clock
        self._lock = threading.Lock()
        self._state = FollowerState()
        self._unpurged_in: tuple[str, Stored] | None = None
        self.adapter = adapter
        self.has_looked = False

    @property
    def state(self) -> FollowerState:
        """What is known now; read it once per request."""
        return self._state

    @property
    def current(self) -> LoadedVersion:
        """The version that answers now.

        Raises:
            NothingPublishedError: nothing has been published yet.
            UnavailableError: nothing that can be loaded.
        """
        state = self._state
        current, refusal = state.current, state.refusal
        if current is None and refusal is not None:
            raise UnavailableError(
                f"adapter {self.adapter!r} has nothing to answer with: {refusal.label} is in "
                f"production and cannot be loaded ({refusal.reason})",
                adapter=self.adapter,
            )
        if current is None and state.newest:
            raise NothingPublishedError(
                f"adapter {self.adapter!r} has no version in production, and its newest is "
                f"{state.newest}; `nacre promote {state.newest} --adapter {self.adapter}` serves "
                f"that, `nacre history --adapter {self.adapter}` says what was moved",
                adapter=self.adapter,
            )
        if current is None:
            raise NothingPublishedError(
                f"adapter {self.adapter!r} has no version in production yet; submit a task and "
                "wait until it is published",
                adapter=self.adapter,
            )
        return current

    def prepare(self, ref: VersionRef) -> None:
        """Load a version that `production` may soon point to; what answers stays as it is.

        Raises:
            NacreError: it cannot be loaded.
        """
        self._cache.load(self.adapter, ref)

    def follow(self, serial: int = 0, *, wary: bool = False) -> bool:
        """Look where `production` points to, move there, and return whether it had moved.

        Args:
            serial: Of a change of the refs that is known to have been made. Refs from before it
                are asked for again, some times, and so are the first ones; what answers until the
                next look is theirs then.
            wary: Whether the refs are asked for as often as at first.

        Raises:
            UnavailableError: the store cannot be reached; what answers stays as it is.
        """
        asked_at = self._clock()
        refs = self._refs(serial, wary=wary or not self.has_looked)
        with self._lock:
            before = self._state
            after = self._after(before, refs, asked_at)
            self._state = replace(after, current=self._unpurged(after.current, refs))
            self.has_looked = True
            return self._state.current is not before.current

    def _after(self, before: FollowerState, refs: Refs | None, asked_at: float) -> FollowerState:
        if asked_at < before.seen_at:
            return before  # somebody has looked since
        ref = refs.find(PRODUCTION) if refs else None
        if ref is None:
            # Nothing yet, or the alias was taken away: what answers goes on.
            newest = refs.next_version - 1 if refs else 0
            return replace(before, seen_at=asked_at, newest=newest)
        if before.current is not None and before.current.ref == ref:
            return FollowerState(current=before.current, seen_at=asked_at)
        return self._moved(before, ref, asked_at)

    def _unpurged(self, current: LoadedVersion | None, refs: Refs | None) -> LoadedVersion | None:
        """Return what goes on answering; None where `production` has left it and it was purged."""
        if current is None or refs is None or refs.tombstones is None:
            return current
        looked_at = current.digest, refs.tombstones
        if current.ref == refs.find(PRODUCTION) or looked_at == self._unpurged_in:
            return current
        handle = self._versions.registry.adapter(self.adapter)
        with suppress(CorruptionError, MissingError):
            if current.ref.number in purged_versions(handle.tombstones(refs)):
                return None
            self._unpurged_in = looked_at
        return current

    def _refs(self, serial: int, *, wary: bool) -> Refs | None:
        handle = self._versions.registry.adapter(self.adapter)
        try:
            refs = handle.newest_refs() if wary else handle.refs()
            for _ in range(ASKED_AGAIN):
                if refs.serial >= serial:
                    break
                time.sleep(JITTER.uniform(0.0, APART_S))
                refs = handle.refs()
        except NotFoundError as error:
            if self._state.current is None:
                return None  # nothing was ever learnt
            # Refs are never removed: whoever says that they are gone does not know.
            raise UnavailableError(
                f"the store says that adapter {self.adapter!r} is gone, which it cannot be: "
                f"{error.message}",
                adapter=self.adapter,
            ) from error
        return refs

    def _moved(self, before: FollowerState, ref: VersionRef, asked_at: float) -> FollowerState:
        refusal = before.refusal
        if refusal and refusal.ref == ref and asked_at - refusal.at < TRIED_AGAIN_S:
            return before
        try:
            loaded = self._cache.load(self.adapter, ref)
        except MissingError as error:
            return self._refused(before, ref, error, asked_at)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a method of its own may raise whatever it likes
            return self._refused(before, ref, error, asked_at)
        return FollowerState(current=loaded, seen_at=asked_at)

    def _refused(
        self, before: FollowerState, ref: VersionRef, error: Exception, asked_at: float
    ) -> FollowerState:
        label = f"{self.adapter}@{ref.number}"
        refusal = Refusal(label=label, reason=reason_of(error), ref=ref, at=asked_at)
        return FollowerState(current=before.current, seen_at=before.seen_at, refusal=refusal)
