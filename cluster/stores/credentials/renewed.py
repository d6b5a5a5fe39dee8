"""Renewed credentials: those that a source has given last, asked for anew before they end.

Requests to a store take what is held and wait for nobody, as long as it counts. One thread asks,
when a quarter of the time is left or fifteen minutes, and once more when the store has refused what
is held. Only who has nothing to send waits for it, and not without an end.

Time is counted from the moment of the answer, by the clock of whoever gave it where it says its
time: two machines may differ by an hour.

While a process that counts what it does has used them within the last hour, they are also kept when
no request comes. So what is told of them is true of idle processes, and trouble ends by itself.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import ParseError

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from adapters.errors import NacreError, SettingsError
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.files import is_sendable
from cluster.stores.credentials.requests import SILENT_S, Asking
from cluster.stores.credentials.sources import LONGEST_S, NONE, Source

EARLY_S = 900.0
EARLY_SHARE = 0.25
"""So long before their end they are asked for anew: this, or this part of their time, if less. If
they are not given, somebody has about so long to do something about it."""
LEAST_S = 10.0
"""So long they are kept where they are said to have ended already, and so long passes until others
are asked for once more because a store has refused these: it may have yet to hear of them."""
LEAST_SHARE, LEAST_AT_ALL_S = 0.25, 0.2
"""Of the time of those that are said to end within a minute; and the least of all."""
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
"""Between two attempts in vain, twice as long each time, in seconds."""
USED_S = 3600.0
"""So long after their last use they are still kept, in seconds."""
GIVEN, REFUSED, UNANSWERED, ENDED = "given", "refused", "unanswered", "ended"
ANSWERS = (GIVEN, REFUSED, UNANSWERED, ENDED)
"""What comes of asking: the last are credentials whose end lies behind."""
WAIT_S = 12.0
"""How long a request waits for credentials, in seconds: some answers of whoever gives them."""
logger = logging.getLogger("nacre.store")


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Credentials that were given.

    Attributes:
        credentials: They.
        given_at: When, in seconds of a clock that never goes back.
        lasts_s: For how long from then they count, in seconds; None where nothing is said.
        number: Counts what was given, so that whoever was refused can say with which.
    """

    credentials: Credentials
    given_at: float
    lasts_s: float | None
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How credentials stand now.

    Attributes:
        left_s: For how long they still count, in seconds; None where no end is known.
        trouble_s: For how long it has been asked for them in vain, in seconds; 0 where it was not.
        answers: How often asking came to what, since somebody looked last.
    """

    left_s: float | None
    trouble_s: float
    answers: Mapping[str, int]


class Renewed(Provider):
    """Gives credentials to minio's client. Safe between threads.

    Args:
        source: Where they come from.
        clock: Gives seconds that never go back.
        now: Gives the time.
        wait_s: How long a request waits where there are none, in seconds.
    """

    # Owns: what is held, and the thread that asks; guarded by `_changed`.

    def __init__(
        self,
        source: Source,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait_s: float = WAIT_S,
    ) -> None:
        self.source = source
        self._clock = clock
        self._now = now
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._held: Held | None = None
        self._is_asking = False
        self._over = 0
        self._forced_at = -math.inf
        self._failed = 0
        self._next_at = 0.0
        self._error: NacreError | NotGivenError | None = None
        self._used_at = -math.inf
        self._vain_since: float | None = None
        self._answers: Counter[str] = Counter()

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("credentials are not pickled; each process asks for its own")

    @property
    def held(self) -> Held | None:
        """What is held now, whether it counts or not."""
        return self._held

    def retrieve(self) -> Credentials:
        """Return credentials that count.

        Raises:
            NotGivenError: there are none now.
            SettingsError: there will be none.
        """
        with self._changed:
            self._used_at = self._clock()
            if self._is_due():
                self._begin()
            if self._counts():
                return self._present().credentials
            self._changed.wait_for(lambda: not self._is_asking, self._wait_s)
            if self._counts():
                return self._present().credentials
            if self._is_asking:
                raise NotGivenError(
                    f"the credentials of {self.source.said} have not come within "
                    f"{self._wait_s:.0f} s: check that whoever gives them answers",
                    passes=True,
                )
            raise _again(self._error)

    def refused(self, number: int, *, surely: bool) -> bool:
        """Hear that a store has refused credentials, and return whether to ask it once more.

        Args:
            number: Which of those that were given; see `Held`.
            surely: Whether it has said that they are the reason. It may have yet to hear of new
                ones, and then they are sent again.
        """
        if not self.source.renews:
            return False
        with self._changed:
            if self._held is None or self._held.number != number:
                return True
            since_s = self._clock() - self._forced_at
            if since_s < self._least_s() * (1.0 if surely else 6.0) and not self.source.file_s:
                return surely
            self._forced_at = self._clock()
            if surely and not self.source.file_s:
                self._over = number
            self._begin()
            self._changed.wait_for(lambda: not self._is_asking, self._wait_s)
            return self._over == number or self._held.number != number

    def keep(self) -> Standing | None:
        """Have them renewed where it is time to, and return how they stand; never waits.

        None where nobody has used them for an hour, and where nobody has configured them and there
        are none: whoever needs them is told.
        """
        with self._changed:
            used = self._clock() - self._used_at < USED_S
            if not used or (self.source.is_guess and self._held is None):
                return None
            if self._is_due():
                self._begin()
            held, left_s = self._held, None
            if held is not None and held.lasts_s is not None:
                left_s = 0.0 if self._over == held.number else max(0.0, held.lasts_s - self._age())
            since = self._vain_since
            trouble_s = 0.0 if since is None else max(1e-3, self._clock() - since)
            answers, self._answers = self._answers, Counter()
            return Standing(left_s=left_s, trouble_s=trouble_s, answers=answers)

    def _is_due(self) -> bool:
        held = self._held
        if held is None or self._over == held.number:
            return True
        if self._age() < self._least_s() and not self.source.file_s:
            return False
        lasts = self._lasts_s(held)
        return lasts is not None and self._age() >= lasts - min(EARLY_S, EARLY_SHARE * lasts)

    def _counts(self) -> bool:
        """Whether what is held may be sent."""
        held = self._held
        if held is None or self._over == held.number:
            return False
        if held.lasts_s is None or self._age() < self._least_s():
            return True
        return self._age() < held.lasts_s

    def _lasts_s(self, held: Held) -> float | None:
        if self.source.file_s:
            return self.source.file_s
        if not self.source.renews:
            return None
        return LONGEST_S if held.lasts_s is None else min(LONGEST_S, held.lasts_s)

    def _least_s(self) -> float:
        lasts_s = self._held.lasts_s if self._held else None
        if lasts_s is None or lasts_s <= 0:
            return LEAST_S
        return max(LEAST_AT_ALL_S, min(LEAST_S, LEAST_SHARE * lasts_s))

    def _age(self) -> float:
        return self._clock() - self._present().given_at

    def _present(self) -> Held:
        assert self._held is not None
        return self._held

    def _begin(self) -> None:
        """Have a thread ask, unless one does, or the latest was in vain a moment ago."""
        if self._is_asking or (self._clock() < self._next_at and self._error is not None):
            return
        self._is_asking = True
        try:
            threading.Thread(target=self._ask, name="credentials", daemon=True).start()
        except RuntimeError:  # of a machine that has no more threads
            self._is_asking = False
            said = f"no thread can be started to ask for the credentials of {self.source.said}"
            self._fail(NotGivenError(f"{said}: end what uses so many", passes=True))

    def _ask(self) -> None:
        asking = Asking(silent_s=self.source.silent_s or SILENT_S)
        found: Credentials | None = None
        try:
            found = _sendable(self.source.build(asking).retrieve())
            error: NacreError | NotGivenError | None = None
        except (NacreError, NotGivenError) as failed:
            error = failed
        except Exception as failed:  # noqa: BLE001 - whatever it is: its text may have a secret
            error = _unreadable(self.source, asking, failed)
        finally:
            asking.close()
        if error is not None and self.source.is_guess and self._held is None:
            error = SettingsError(f"{NONE} ({_short(error)})")
        with self._changed:
            self._is_asking = False
            if found is not None:
                self._take(found, asking.date)
            else:
                self._fail(error)
            self._changed.notify_all()

    def _take(self, found: Credentials, date: datetime | None) -> None:
        before = self._held
        lasts_s = None
        if found.expiration is not None:
            ends = found.expiration.replace(tzinfo=UTC)  # minio keeps it so, without its zone
            lasts_s = (ends - (date or self._now())).total_seconds()
            if lasts_s <= 0:
                logger.warning(
                    "%s has given credentials that ended %.0f s before: they are tried all the "
                    "same; look at its clock, and at that of this machine",
                    self.source.said,
                    -lasts_s,
                )
        number = before.number + 1 if before else 1
        if before and before.credentials == found and self.source.file_s:
            number = before.number
        self._held = Held(credentials=found, given_at=self._clock(), lasts_s=lasts_s, number=number)
        if self._failed:
            logger.info("%s gives credentials again", self.source.said)
        self._failed, self._error = 0, None
        has_ended = lasts_s is not None and lasts_s <= 0
        self._note(ENDED if has_ended else GIVEN)

    def _note(self, answer: str) -> None:
        """Note what came of asking."""
        self._answers[answer] += 1
        if answer == GIVEN:
            self._vain_since = None
        elif self._vain_since is None:
            self._vain_since = self._clock()

    def _fail(self, error: NacreError | NotGivenError | None) -> None:
        self._error = error
        passes = isinstance(error, NotGivenError) and error.passes
        self._note(UNANSWERED if passes else REFUSED)
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(self._failed, 10))
        self._next_at = self._clock() + rest_s
        self._failed += 1
        if self._held is not None and self._failed == 1:
            left = (self._held.lasts_s or 0.0) - self._age()
            still = f"; those that are held count for another {left:.0f} s" if left > 0 else ""
            logger.warning("no new credentials: %s%s", error, still)

    def said(self) -> str:
        """Return where they come from and until when they count, for people, without a secret."""
        held = self._held
        if held is None:
            return f"of {self.source.said}"
        if held.lasts_s is None:
            how_long = "read anew every 30 s" if self.source.file_s else "no end is known"
            return f"of {self.source.said}; {how_long}"
        left_s = held.lasts_s - self._age()
        ends = datetime.fromtimestamp(self._now().timestamp() + left_s, UTC)
        count = "they count" if left_s > 0 else "they counted"
        return f"of {self.source.said}; {count} until {ends:%Y-%m-%d %H:%M:%S} UTC"


def _sendable(found: Credentials) -> Credentials:
    """Return credentials whose parts are texts that can stand in headers.

    Whoever sends others says in an error what they are.
    """
    parts = (found.access_key, found.secret_key, found.session_token or "")
    if not all(isinstance(part, str) and is_sendable(part) for part in parts):
        raise ValueError("credentials that cannot be sent")
    return found


def _short(error: NacreError | NotGivenError) -> str:
    text = error.said if isinstance(error, NotGivenError) else error.message
    return text.partition(": check")[0]


def _unreadable(source: Source, asking: Asking, error: Exception) -> NotGivenError:
    """Return what to say of an answer that a provider could not take apart.

    What it was, is not said: a provider's own words may have parts of what was sent and answered.
    """
    readable = (ValueError, KeyError, TypeError, AttributeError, ParseError)
    kind = "" if isinstance(error, readable) else f" ({type(error).__name__})"
    who = asking.asked or source.said
    return NotGivenError(
        f"{who} answers, and not with credentials{kind}: check the address, and what changes its "
        "answers on the way",
        passes=True,
    )


def _again(error: NacreError | NotGivenError | None) -> Exception:
    """Return an error as a new one: several threads raise it."""
    if isinstance(error, NacreError):
        return type(error).rebuild(error.message, error.fields)
    if error is None:  # it was given, and has ended by now
        return NotGivenError("the credentials ended before they could be used", passes=True)
    return NotGivenError(error.said, passes=error.passes)
