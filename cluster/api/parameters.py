"""Request parameters that several routes have."""

from typing import Annotated

from fastapi import Path

AdapterPath = Annotated[
    str, Path(examples=["main"], description="Name of an adapter.", max_length=200)
]
