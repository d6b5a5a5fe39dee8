"""Numbers and names in documents, as strict as they are meant."""

from typing import Annotated

from pydantic import BeforeValidator, Field, Strict

WholeNumber = Annotated[int, Strict()]
"""No truth, no fraction and no text: `{"version": true}` is not version 1."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, found a truth")  # noqa: TRY004
    return value


FieldNumber = Annotated[int, BeforeValidator(_no_truth)]
"""A whole number that a form may write as text; no truth."""
Label = Annotated[str, Field(min_length=1, max_length=200)]
