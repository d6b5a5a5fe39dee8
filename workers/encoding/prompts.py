"""Prompts as an encoder reads them: those that are longer are cut at its last token."""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from adapters.contract.class_names import Tokens, cleaned
from workers.encoding.encoder import tokenizer_of
from workers.encoding.encoder_settings import EncoderSettings

_SURELY_READ = 60
"""Bytes of a prompt that every encoder reads to its end: CLIP's read 77 tokens, SigLIP's 64, of at
least a byte each, two of which mark beginning and end."""


class PromptReader:
    """Says which prompts an encoder cuts.

    Args:
        settings: The encoder. Its tokenizer is loaded with the first prompt that may be too long.
    """

    # Owns: nothing that changes.

    def __init__(self, settings: EncoderSettings) -> None:
        self._settings = settings

    def cut(self, prompts: Sequence[str]) -> dict[str, Tokens]:
        """Return, of those `prompts` that are too long, the tokens that are read."""
        long = [each for each in dict.fromkeys(prompts) if _may_be_long(each)]
        if not long:
            return {}
        tokenizer = _tokenizer(self._settings)
        if tokenizer is None:
            return {}
        read = tokenizer(long)
        # A tokenizer that is given room for one token more uses it where there is one.
        more = tokenizer(long, context_length=read.shape[1] + 1)[:, : read.shape[1]]
        return {
            prompt: tuple(tokens.tolist())
            for prompt, tokens, longer in zip(long, read, more, strict=True)
            if not tokens.equal(longer)
        }


@lru_cache(maxsize=2)
def _tokenizer(settings: EncoderSettings) -> Any:
    # Who submits need not have what the system has: nothing is known of prompts then.
    with suppress(OSError, ValueError, RuntimeError, KeyError, AssertionError):
        return tokenizer_of(settings)
    return None


def _may_be_long(prompt: str) -> bool:
    return len(cleaned(prompt).encode()) > _SURELY_READ
