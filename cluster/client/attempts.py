"""Retries of HTTP requests: when one is sent again, and what its last answer means.

Decides only; whoever sends waits for as long as it is told (`cluster.client.http_api`). Everything
that is asked this way changes nothing, so that asking twice does no harm.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx
from pydantic import BaseModel

from adapters import errors
from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    NothingPublishedError,
    UnavailableError,
)
from cluster.wire.headers import TIMEOUT_MS

SOON_S = 2.0
"""So long somebody may be starting who listens there, or a replica may not know of the first
version yet; later nobody is, and there is none."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0
BUSY = frozenset({429, 502, 503})
TOO_LATE = 504

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[Answer]):
    """A request that may be sent more than once.

    Attributes:
        kind: What its answer is.
        verb: GET or POST.
        path: After the endpoint.
        arguments: What httpx is to send with it.
        patient: Whether it is sent again when nobody answers, or somebody is too busy to.
    """

    kind: type[Answer]
    verb: str
    path: str
    arguments: Mapping[str, object]
    patient: bool = True


class Attempts(Generic[Answer]):
    """The attempts of one call until its deadline.

    Args:
        call: What is asked.
        endpoint: Of whom, for the errors.
        timeout_s: Seconds for all attempts together.
        clock: Gives seconds that never go back.
        rng: Gives the jitter of the waits.
    """

    # Owns: how often it was tried, and what the service has said to it last.

    def __init__(
        self,
        call: Call[Answer],
        endpoint: str,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._call = call
        self._endpoint = endpoint
        self._clock = clock
        self._rng = rng or random.Random()
        self._begun = clock()
        self._deadline = self._begun + timeout_s
        self._failed = 0
        self._refusal: NacreError | None = None

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, at least a millisecond."""
        return max(0.001, self._deadline - self._clock())

    @property
    def headers(self) -> dict[str, str]:
        """What tells the service how long anybody waits for its answer."""
        return {TIMEOUT_MS: str(max(1, int(1000 * self.left_s)))}

    def after_error(self, error: httpx.TransportError) -> float:
        """Return the seconds to wait after nobody has answered.

        Raises:
            UnavailableError: it is not tried again.
            NacreError: what the service has said before, where only the time for the last attempt
                was too short.
        """
        refused = isinstance(error, httpx.ConnectError)
        wait_s = None if refused and self._is_late() else self._wait_s(None)
        if wait_s is not None:
            return wait_s
        if self._refusal is not None and isinstance(error, httpx.TimeoutException):
            raise self._refusal from error
        hint = "; start it with `nacre up`" if refused else ""
        raise UnavailableError(
            f"nothing answers at {self._endpoint} ({error or type(error).__name__}){hint}",
            endpoint=self._endpoint,
        ) from error

    def after_refusal(self, response: httpx.Response) -> float:
        """Return the seconds to wait after an answer that is an error.

        Raises:
            NacreError: it is not tried again; what the service has said before, where only the
                time for the last attempt was too short.
        """
        if response.status_code == TOO_LATE and self._refusal is not None:
            raise self._refusal
        self._refusal = error_of(response)
        lasts = isinstance(self._refusal, NothingPublishedError) and self._is_late()
        busy = response.status_code in BUSY and not lasts
        wait_s = self._wait_s(response.headers.get("retry-after")) if busy else None
        if wait_s is None:
            raise self._refusal
        return wait_s

    def answer(self, response: httpx.Response) -> Answer:
        """Return what was answered.

        Raises:
            UnavailableError: it is no answer of nacre.
        """
        try:
            return self._call.kind.model_validate_json(response.content)
        except ValueError as error:
            raise UnavailableError(
                f"expected an answer of nacre at {self._endpoint}, found {response.text[:80]!r}; "
                "is another service on that port?",
                endpoint=self._endpoint,
            ) from error

    def _is_late(self) -> bool:
        return self._clock() - self._begun >= SOON_S

    def _wait_s(self, asked: str | None) -> float | None:
        """Return how long to wait; None where there is no time for another attempt."""
        if not self._call.patient:
            return None
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**self._failed)
        self._failed += 1
        wait_s = self._rng.uniform(longest / 2, longest)
        if asked is not None and asked.isdecimal():
            wait_s += float(asked)
        return wait_s if self._clock() + wait_s < self._deadline else None


def error_of(response: httpx.Response) -> NacreError:
    """Return the error that a problem document names, or the one that its status stands for."""
    try:
        title, detail = str(response.json()["title"]), str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        title, detail = "", f"the API answered {response.status_code}: {response.text[:200]}"
    return named_error(title, detail, response.status_code)


def named_error(title: str, detail: str, status: int) -> NacreError:
    """Return the error that the title of a problem names, or the one that its status stands for."""
    named = getattr(errors, title, None)
    if isinstance(named, type) and issubclass(named, NacreError):
        return named(detail, status=status)
    by_status: dict[int, type[NacreError]] = {
        404: NotFoundError,
        409: ConflictError,
        429: UnavailableError,
    }
    otherwise = InputError if status < 500 else UnavailableError
    return by_status.get(status, otherwise)(detail, status=status)
