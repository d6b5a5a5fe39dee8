"""Named tokens: a secret that is shown once, and what it lets whoever sends it do.

Everything here is a value or a pure function on values; `workers.access.kept_tokens` keeps them.
What is stored of a secret is its SHA-256. It has 256 random bits, so that nobody finds it by
trying, and a prefix by which scanners of code and logs find it: `nacre_[A-Za-z0-9_-]{43}`.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from pydantic import FiniteFloat

from adapters.contract.canonical import digest_of
from adapters.contract.nearest import did_you_mean
from adapters.errors import ConflictError, InputError, NotFoundError, UnauthorizedError
from workers.access.roles import AccessRole, Grants, of_adapter
from workers.access.serial_list import SerialList
from workers.formats.documents import Digest, unsealed
from workers.queue.machine import EVERY_ADAPTER
from workers.registry.documents.layout import check_adapter

PREFIX = "nacre_"
SECRET_BYTES = 32
MOST_TOKENS = 1000
"""Tokens that are kept, ended ones included."""
MOST_OF_ADAPTER = 200
"""The same for one adapter, so that its admins leave room for those of others."""
REMEMBERED_S = 90 * 24 * 3600.0
"""An ended token is remembered for this time, so that whoever still sends it hears what it was."""
NEVER = "never"
RESERVED = ("change", "predict")
"""The tokens of the environment are called so."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIFETIME = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNIT_S = {"h": 3600.0, "d": 24 * 3600.0, "w": 7 * 24 * 3600.0}


class OfSecret(Protocol):
    """What is kept of a secret."""

    @property
    def sha256(self) -> str:
        """The digest of the secret."""


Kept = TypeVar("Kept", bound=OfSecret)


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedToken:
    """One token.

    Attributes:
        name: Names whoever sends it, in history and audit log.
        sha256: Of the secret.
        roles: By adapter; `*` stands for all.
        created_by: Who made it.
        created: When, in seconds since the epoch.
        expires: From when on it counts no more, in seconds since the epoch; None for never.
        revoked: When it was revoked, in seconds since the epoch; None where it was not.
        revoked_by: Who revoked it; empty where nobody did.
    """

    name: str
    sha256: Digest
    roles: Mapping[str, AccessRole]
    created_by: str
    created: FiniteFloat
    expires: FiniteFloat | None = None
    revoked: FiniteFloat | None = None
    revoked_by: str = ""

    @property
    def grants(self) -> Grants:
        """What it lets whoever sends it do."""
        return Grants(roles=self.roles)

    def ended(self, *, now: float) -> float | None:
        """Return since when it does not count any more; None while it does."""
        over = [at for at in (self.revoked, self.expires) if at is not None and at <= now]
        return min(over, default=None)

    def check(self, *, now: float) -> None:
        """Raise UnauthorizedError where it does not count any more; the sentence says why."""
        ask = f"ask {self.created_by}, who made it, or another admin for a new one"
        if self.revoked is not None:
            raise UnauthorizedError(
                f"token {self.name!r} was revoked by {self.revoked_by} on {_day(self.revoked)}; "
                f"{ask}",
                token=self.name,
            )
        if self.expires is not None and self.expires <= now:
            raise UnauthorizedError(
                f"token {self.name!r} has expired on {_day(self.expires)}; {ask}", token=self.name
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenList(SerialList):
    """All named tokens of a store.

    Attributes:
        tokens: The tokens, the oldest first.
    """

    tokens: tuple[NamedToken, ...] = ()

    def holder(self, secret: str) -> NamedToken | None:
        """Return the token of a secret; None where nobody knows it."""
        return of_secret(self.tokens, secret)

    def of_digest(self, sha256: str) -> NamedToken | None:
        """Return the token whose secret has this digest; None where there is none."""
        return next((token for token in self.tokens if token.sha256 == sha256), None)

    def live(self, name: str, *, now: float) -> NamedToken | None:
        """Return the token of that name that counts; None where there is none."""
        named = (token for token in self.tokens if token.name == name)
        return next((token for token in named if token.ended(now=now) is None), None)


def tokens_from_bytes(data: bytes, what: str) -> TokenList:
    """Return the list in `data`; CorruptionError naming `what` when there is none."""
    return unsealed(TokenList, data, what)


def of_secret(held: Iterable[Kept], secret: str) -> Kept | None:
    """Return what is kept of a secret; None where nobody knows it.

    How long it takes says nothing of how near a guess was.
    """
    digest, found = digest_of(secret.encode()), None
    for each in held:
        if hmac.compare_digest(each.sha256, digest):
            found = each
    return found


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return f"{PREFIX}{secrets.token_urlsafe(SECRET_BYTES)}"


def new_token(
    secret: str,
    name: str,
    roles: Mapping[str, AccessRole],
    *,
    by: str,
    now: float,
    lifetime: str,
) -> NamedToken:
    """Return the token of a new secret.

    Args:
        secret: The secret, of which the digest is kept.
        name: As history and audit log will have it, behind `token:`.
        roles: By adapter; `*` stands for all.
        by: Who makes it.
        now: Seconds since the epoch.
        lifetime: As people write it: `12h`, `30d`, `8w` or `never`.

    Raises:
        InputError: no token can be called so, it has no role, or its lifetime cannot be read.
    """
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise InputError(
            f"{name!r} cannot name a token: expected 1 to 64 letters, digits, dots, dashes or "
            f"underscores, the first a letter or digit, and none of {', '.join(RESERVED)}",
            name=name,
        )
    if not roles:
        raise InputError("expected at least one adapter that the token is for, found none")
    return NamedToken(
        name=name,
        sha256=digest_of(secret.encode()),
        roles={
            adapter if adapter == EVERY_ADAPTER else check_adapter(adapter): role
            for adapter, role in roles.items()
        },
        created_by=by,
        created=now,
        expires=_expires(lifetime, now),
    )


def with_token(tokens: TokenList, token: NamedToken, *, now: float) -> tuple[NamedToken, ...]:
    """Return the tokens with a new one, without those that ended long ago.

    Raises:
        ConflictError: one of that name counts already.
        InputError: there are too many.
    """
    if any(each.sha256 == token.sha256 for each in tokens.tokens):
        return tokens.tokens  # written before, by an attempt whose answer was lost
    there = tokens.live(token.name, now=now)
    if there is not None:
        raise ConflictError(
            f"there is a token {token.name!r} already; revoke it first (`nacre token revoke "
            f"{token.name}`), or choose another name",
            name=token.name,
        )
    kept = tuple(
        each
        for each in tokens.tokens
        if (ended := each.ended(now=now)) is None or ended > now - REMEMBERED_S
    )
    if len(kept) >= MOST_TOKENS:
        raise InputError(
            f"expected at most {MOST_TOKENS} tokens, with those that ended within "
            f"{REMEMBERED_S / _UNIT_S['d']:.0f} days, found {len(kept)}; let fewer people and "
            "programs have one each"
        )
    for adapter in token.roles:
        there_are = sum(adapter in each.roles for each in kept)
        if there_are >= MOST_OF_ADAPTER:
            raise InputError(
                f"expected at most {MOST_OF_ADAPTER} tokens for {of_adapter(adapter)}, with those "
                f"that ended within {REMEMBERED_S / _UNIT_S['d']:.0f} days, found {there_are}; let "
                "fewer people and programs have one each",
                adapter=adapter,
            )
    return (*kept, token)


def live_token(tokens: TokenList, name: str, *, now: float) -> NamedToken:
    """Return the token of that name that counts.

    Raises:
        NotFoundError: there is none.
    """
    there = tokens.live(name, now=now)
    if there is None:
        known = [each.name for each in tokens.tokens if each.ended(now=now) is None]
        raise NotFoundError(
            f"expected the name of a token that counts, found {name!r}"
            f"; `nacre token list` lists them{did_you_mean(name, known)}",
            name=name,
        )
    return there


def _expires(lifetime: str, now: float) -> float | None:
    if lifetime == NEVER:
        return None
    found = _LIFETIME.fullmatch(lifetime)
    if found is None:
        raise InputError(
            f"expected a number of hours, days or weeks such as 12h, 30d or 8w, or {NEVER!r}, "
            f"found {lifetime[:40]!r}"
        )
    return now + int(found[1]) * _UNIT_S[found[2]]


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d at %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {at}"
