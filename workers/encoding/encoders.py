"""The encoders of one process: the configured one, and those of versions that have another.

A version whose encoder nobody has noted is refused by a process that is configured with another.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from cachetools import LRUCache

from adapters.errors import EncoderMismatchError
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.known_encoders import note_encoder, read_encoder, settings_of
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission

MOST = 3
"""So many encoders a process keeps loaded besides the configured one, those used last."""

Role = TypeVar("Role")
Load = Callable[[EncoderSettings], Encoder]


class Encoders:
    """Loads encoders when they are first needed, and keeps the latest used ones.

    One that is in use elsewhere is never there twice.

    Args:
        configured: The configured encoder, which is always there.
        store: Knows how others are loaded.
        load: Loads one of them.

    Attributes:
        configured: The same.
    """

    # Owns: `_kept`, `_alive` and `_named`, guarded by `_lock`. One is loaded at a time, under
    # `_turn`, and whoever needs another that is loaded already does not wait for that.

    def __init__(self, configured: Encoder, store: ObjectStore, load: Load) -> None:
        self.configured = configured
        self._store = store
        self._load = load
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._kept: LRUCache[str, Encoder] = LRUCache(MOST)
        self._alive: WeakValueDictionary[str, Encoder] = WeakValueDictionary()
        self._named: dict[EncoderSettings, str] = {}

    def of(self, fingerprint: str) -> Encoder:
        """Return the encoder called `fingerprint`.

        Raises:
            EncoderMismatchError: nobody has noted how it is loaded, or something else lies there.
            SettingsError, UnavailableError: its weights cannot be loaded.
        """
        known = self._known(fingerprint)
        if known is not None:
            return known
        with self._turn:
            return self._known(fingerprint) or self._found(fingerprint)

    def begun_by(self, submission: Submission) -> Encoder:
        """Return the encoder under which a submission is learnt where it builds on nothing.

        Where that is another one than the configured, how both are loaded is noted first.

        Raises:
            SettingsError, UnavailableError: its weights cannot be loaded.
        """
        if submission.branch is None:
            return self.configured
        settings = settings_of(submission.branch.encoder)
        if settings == self.configured.settings:
            return self.configured
        with self._turn:
            known = self._known(self._named.get(settings, ""))
            if known is not None:
                return known
            loaded = self._load(settings)
            for each in (self.configured, loaded):
                note_encoder(self._store, each.fingerprint, each.settings)
            self._named[settings] = loaded.fingerprint
            return self._keep(loaded)

    def _known(self, fingerprint: str) -> Encoder | None:
        if fingerprint == self.configured.fingerprint:
            return self.configured
        with self._lock:
            found = self._alive.get(fingerprint)
        return found and self._keep(found)

    def _keep(self, encoder: Encoder) -> Encoder:
        with self._lock:
            self._alive[encoder.fingerprint] = self._kept[encoder.fingerprint] = encoder
        return encoder

    def _found(self, fingerprint: str) -> Encoder:
        settings = read_encoder(self._store, fingerprint)
        if settings is None:
            raise _unknown(fingerprint, self.configured.fingerprint)
        loaded = self._load(settings)
        if loaded.fingerprint != fingerprint:
            raise EncoderMismatchError(
                f"expected encoder {fingerprint} in {settings.model!r}, found "
                f"{loaded.fingerprint}: its weights or its configuration were changed; put the "
                "former ones back",
                expected=fingerprint,
                found=loaded.fingerprint,
            )
        return self._keep(loaded)


def loads_like(first: Encoder) -> Load:
    """Return what loads encoders as `first` was loaded: of its class, onto its device."""
    return lambda settings: type(first)(settings, device=str(first.device))


class PerEncoder(Generic[Role]):
    """A role for each encoder that is asked for, made when it first is.

    Args:
        encoders: The encoders.
        make: Makes the role of one.
    """

    # Owns: the roles, guarded by `_lock`.

    def __init__(self, encoders: Encoders, make: Callable[[Encoder], Role]) -> None:
        self.encoders = encoders
        self._make = make
        self._lock = threading.Lock()
        self._roles: LRUCache[str, Role] = LRUCache(MOST + 1)
        self.of(encoders.configured.fingerprint)

    @property
    def configured(self) -> Role:
        """The role of the configured encoder."""
        return self.of(self.encoders.configured.fingerprint)

    def of(self, fingerprint: str) -> Role:
        """Return the role of the encoder called `fingerprint`; errors as of `Encoders.of`."""
        encoder = self.encoders.of(fingerprint)
        with self._lock:
            if fingerprint not in self._roles:
                self._roles[fingerprint] = self._make(encoder)
            return self._roles[fingerprint]


def _unknown(wanted: str, configured: str) -> EncoderMismatchError:
    return EncoderMismatchError(
        f"expected encoder {wanted}, found {configured} configured, and nothing in the store that "
        "says how the other is loaded: set `encoder:` to the one that the adapter was learnt "
        "under, and learn it anew under another with `nacre relearn`",
        expected=wanted,
        found=configured,
    )
