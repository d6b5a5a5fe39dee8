"""The named tokens in the store: one small document, changed by condition alone.

access/tokens.json
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from adapters.errors import NotFoundError
from workers.access.roles import AccessRole
from workers.access.tokens import (
    NamedToken,
    TokenList,
    live_token,
    new_secret,
    new_token,
    tokens_from_bytes,
    with_token,
)
from workers.formats.documents import next_count
from workers.store.base import ObjectStore
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap

KEY = "access/tokens.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedToken:
    """A token that was made.

    Attributes:
        token: What is kept of it.
        secret: What whoever has it sends; kept nowhere.
    """

    token: NamedToken
    secret: str

    def __repr__(self) -> str:
        return f"CreatedToken(token={self.token!r})"


def read_tokens(store: ObjectStore) -> TokenList:
    """Return the named tokens; an empty list where none was ever made.

    Raises:
        MissingError: this process has seen one, and it is not to be found now.
        CorruptionError: the list is damaged.
    """
    try:
        return _swap(store).document.read().content
    except NotFoundError:
        return TokenList()


def create_token(
    store: ObjectStore,
    name: str,
    roles: Mapping[str, AccessRole],
    *,
    by: str,
    now: float,
    lifetime: str,
) -> CreatedToken:
    """Make a token; see `new_token` and `with_token` for what is refused."""
    secret = new_secret()
    token = new_token(secret, name, roles, by=by, now=now, lifetime=lifetime)
    _change(store, lambda tokens: with_token(tokens, token, now=now))
    return CreatedToken(token=token, secret=secret)


def revoke_token(store: ObjectStore, name: str, *, by: str, now: float) -> NamedToken:
    """Revoke the token of that name, and return it.

    Raises:
        NotFoundError: none of that name counts.
    """
    revoked: list[NamedToken] = []

    def changed(tokens: TokenList) -> tuple[NamedToken, ...]:
        if any(each in tokens.tokens for each in revoked):
            return tokens.tokens  # done before, by an attempt whose answer was lost
        there = live_token(tokens, name, now=now)
        ended = replace(there, revoked=now, revoked_by=by)
        revoked[:] = [ended]
        return tuple(ended if each is there else each for each in tokens.tokens)

    _change(store, changed)
    return revoked[0]


def _change(
    store: ObjectStore, changed: Callable[[TokenList], tuple[NamedToken, ...]]
) -> TokenList:
    def decide(held: Held[TokenList] | None) -> TokenList:
        if held is None:
            return TokenList(serial=1, tokens=changed(TokenList()))
        return TokenList(
            serial=next_count(held.above, "the serial of the tokens"),
            before=held.digest,
            tokens=changed(held.content),
        )

    return _swap(store).change(decide).content


def _swap(store: ObjectStore) -> SerialSwap[TokenList]:
    return SerialSwap(store, KEY, tokens_from_bytes)
