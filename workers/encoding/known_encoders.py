"""Known encoders: how each is loaded, by its fingerprint. This needs no torch.

encoders/<fingerprint>.json    how the encoder so called is loaded

It is written before anything is learnt under a second encoder, for that one and for the configured
one, so that whoever is to serve a version finds its encoder by what the manifest says.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from adapters.errors import NotFoundError
from workers.encoding.encoder_settings import EncoderSettings
from workers.formats.documents import encode, validated
from workers.store.base import ObjectStore

PREFIX = "encoders/"


def encoder_key(fingerprint: str) -> str:
    """Return where it is noted how an encoder is loaded."""
    return f"{PREFIX}{fingerprint}.json"


def read_encoder(store: ObjectStore, fingerprint: str) -> EncoderSettings | None:
    """Return how the encoder called `fingerprint` is loaded; None where nobody has noted it.

    Raises:
        CorruptionError: what was noted is damaged.
    """
    key = encoder_key(fingerprint)
    try:
        found = store.get(key)
    except NotFoundError:
        return None
    return validated(EncoderSettings, found.data, f"{key!r} in {store.url}")


def settings_of(named: Mapping[str, Any]) -> EncoderSettings:
    """Return the settings of an encoder as a submission has them.

    Raises:
        CorruptionError: they are none.
    """
    return validated(EncoderSettings, encode(dict(named)), "the encoder of a submission")


def note_encoder(store: ObjectStore, fingerprint: str, settings: EncoderSettings) -> None:
    """Note in the store how an encoder is loaded."""
    store.put(encoder_key(fingerprint), encode(asdict(settings)))
