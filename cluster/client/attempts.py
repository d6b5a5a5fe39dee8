"""Retries of HTTP requests: when one is sent again, and what its last answer means.

Decides only; whoever sends waits for as long as it is told (`cluster.client.http_api`). What
changes nothing may be asked twice. What changes something is sent again only where it has not
arrived, or was turned away at the door; where its answer was lost, nobody knows what became of it.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Generic
from urllib.parse import urlsplit

import httpx

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    NothingPublishedError,
    UnavailableError,
    UnknownOutcomeError,
    error_called,
)
from adapters.guidance import HELP, help_of_kind
from cluster.client.remote.call import Answer, Call
from cluster.client.remote.readings import Ended, Reading
from cluster.wire.headers import TIMEOUT_MS
from cluster.wire.problems import how_to_look

SOON_S = 2.0
"""So long somebody may be starting who listens there, or a replica may not know of the first
version yet; later nobody is, and there is none."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0
LONGEST_ASKED_S = 10.0
"""A change that is to wait for longer is refused: nobody would hear of it for an hour, as where
somebody has as many open submissions as they may."""
LONGEST_SILENT_S = 2.0
"""Whoever waits for longer is told why."""
BUSY = frozenset({429, 502, 503})
TURNED_AWAY = 429
NOTHING_DONE = frozenset({501, 503})
TOO_LATE = 504
START = "; start it with `nacre up`; one that runs elsewhere is named by `--url` or NACRE_URL"
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


logger = logging.getLogger("nacre.client")


class Attempts(Generic[Answer]):
    """The attempts of one call until its deadline.

    Args:
        call: What is asked.
        endpoint: Of whom, for the errors.
        is_here: Whether it is what `nacre up` starts on this machine, for the advice.
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
        is_here: bool = False,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._call = call
        self._endpoint = endpoint
        self._is_here = is_here
        self._clock = clock
        self._rng = rng or random.Random()
        self._begun = clock()
        self._deadline = self._begun + timeout_s
        self._failed = 0
        self._refusal: NacreError | None = None
        self._waits_s = 0.0

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
        if self._call.changes and not isinstance(error, NOT_SENT):
            raise self._unknown(f"was not answered ({error or type(error).__name__})") from error
        refused = isinstance(error, httpx.ConnectError)
        wait_s = None if refused and self._is_late() else self._wait_s(None)
        if wait_s is not None:
            # Who is refused by the machine hears of it within two seconds anyhow.
            return wait_s if refused else self._told(wait_s, f"nothing answers at {self._endpoint}")
        if self._refusal is not None and isinstance(error, httpx.TimeoutException):
            raise self._refusal from error
        hint = START if refused and self._is_here else ""
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
        if response.is_redirect:
            raise self._led_elsewhere(response)
        if self._call.changes:
            return self._after_refused_change(response)
        if response.status_code == TOO_LATE and self._refusal is not None:
            raise self._refusal
        self._refusal = error_of(response)
        lasts = isinstance(self._refusal, NothingPublishedError) and self._is_late()
        busy = response.status_code in BUSY and not lasts
        wait_s = self._wait_s(response.headers.get("retry-after")) if busy else None
        if wait_s is None:
            raise self._refusal
        return self._told(wait_s, self._refusal.message)

    @contextmanager
    def reading(self, headers: Mapping[str, str]) -> Iterator[Reading]:
        """Give what reads the answer to an attempt, which begins with these headers.

        Raises:
            UnavailableError: it is no answer of nacre, or has broken off.
            UnknownOutcomeError: so has that to a change.
            NacreError: it says how what took long has failed.
        """
        reading = self._call.reading(headers)
        try:
            yield reading
        except Ended as ended:
            problem = ended.problem
            raise named_error(problem.title, problem.detail, problem.status) from None
        except EOFError as error:
            if self._call.changes:
                raise self._unknown("was answered in part") from error
            raise UnavailableError(
                f"the answer of {self._endpoint} has broken off; ask again",
                endpoint=self._endpoint,
            ) from error
        except ValueError as error:
            raise UnavailableError(
                f"expected an answer of nacre at {self._endpoint}, found {reading.begun!r}; is "
                "another service on that port?",
                endpoint=self._endpoint,
            ) from error

    def _after_refused_change(self, response: httpx.Response) -> float:
        """Return the seconds to wait where a change was turned away before it began.

        Raises:
            UnknownOutcomeError: whoever stands between has not heard what became of it.
            NacreError: it was refused.
        """
        status = response.status_code
        broke = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in NOTHING_DONE
        if broke and kind_of(response) is None:
            raise self._unknown(f"was answered with {status}, which says nothing of it")
        asked = response.headers.get("retry-after", "")
        is_soon = not asked.isdecimal() or float(asked) <= LONGEST_ASKED_S
        wait_s = self._wait_s(asked) if status == TURNED_AWAY and is_soon else None
        if wait_s is None:
            raise error_of(response)
        return self._told(wait_s, error_of(response).message)

    def _told(self, wait_s: float, why: str) -> float:
        """Return a wait; where people would wonder by then, it is said why."""
        known, self._waits_s = self._waits_s, self._waits_s + wait_s
        if wait_s >= LONGEST_SILENT_S or known < LONGEST_SILENT_S <= self._waits_s:
            logger.warning("asking again in %.0f s: %s", wait_s, why)
        return wait_s

    def _unknown(self, why: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"{self._call.verb} {self._call.path} at {self._endpoint} {why}; "
            f"{how_to_look(self._call.path)}",
            endpoint=self._endpoint,
        )

    def _led_elsewhere(self, response: httpx.Response) -> InputError:
        there = urlsplit(response.headers.get("location", ""))
        where = f"{there.scheme}://{there.hostname}" if there.hostname else "another path"
        return InputError(
            f"expected nacre at {self._endpoint}, found {response.status_code} that sends on to "
            f"{where}, which is not followed: the token is for this address alone; name the one "
            "that answers",
            endpoint=self._endpoint,
        )

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
    answered = f"the API answered {response.status_code}: {response.text[:200]}"
    title, detail, more = _problem(response) or ("", answered, "")
    return named_error(title, detail, response.status_code, more=more)


def named_error(title: str, detail: str, status: int, *, more: str = "") -> NacreError:
    """Return the error of nacre that is called `title`, or the one that a status stands for.

    Args:
        title: Its name.
        detail: Its sentence.
        status: Of HTTP.
        more: Where more is said of it, as a problem document has it.
    """
    named = error_called(title)
    if named is not None:
        own = {HELP: more.partition("#")[2]} if more and more != help_of_kind(named) else {}
        return named(detail, status=status, **own)
    by_status: dict[int, type[NacreError]] = {
        404: NotFoundError,
        409: ConflictError,
        429: UnavailableError,
    }
    otherwise = InputError if status < HTTPStatus.INTERNAL_SERVER_ERROR else UnavailableError
    return by_status.get(status, otherwise)(detail, status=status)


def kind_of(response: httpx.Response) -> type[NacreError] | None:
    """Return which of nacre's own errors an answer is; None where it is none of them."""
    problem = _problem(response)
    return error_called(problem[0]) if problem else None


def _problem(response: httpx.Response) -> tuple[str, str, str] | None:
    try:
        found = response.json()
        return str(found["title"]), str(found["detail"]), str(found.get("help") or "")
    except (ValueError, KeyError, TypeError):
        return None
