"""Names that somebody may have meant, for errors about those that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.6
"""How alike two names are, 0 to 1, before one is named for the other."""
MOST = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names what is nearest to `name`; empty where nothing is."""
    found = get_close_matches(name, sorted(set(known)), n=MOST, cutoff=ALIKE)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
