"""Numbers that people write behind options."""

import math
from typing import Any

import click


class NumberRange(click.FloatRange):
    """A number within bounds. What is called `nan` or `inf` is none: JSON has no word for it."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"expected a number, found {value!r}", param, ctx)
        return found
