"""Numbers and names in documents, as strict as they are meant."""

from typing import Annotated

from pydantic import Field, Strict

WholeNumber = Annotated[int, Strict()]
"""No truth, no fraction and no text: `{"version": true}` is not version 1."""
Label = Annotated[str, Field(min_length=1, max_length=200)]
