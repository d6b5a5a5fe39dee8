"""The named tokens in the store: one small document, changed by condition alone.

access/tokens.json
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from workers.access.roles import AccessRole
from workers.access.serial_list import KeptList
from workers.access.tokens import (
    NamedToken,
    TokenList,
    live_token,
    new_secret,
    new_token,
    tokens_from_bytes,
    with_token,
)
from workers.store.base import ObjectStore

KEY = "access/tokens.json"
_KEPT = KeptList(key=KEY, decode=tokens_from_bytes, empty=TokenList())


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
    return _KEPT.read(store)


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


def _change(store: ObjectStore, changed: Callable[[TokenList], tuple[NamedToken, ...]]) -> None:
    _KEPT.change(store, lambda tokens: replace(tokens, tokens=changed(tokens)))
