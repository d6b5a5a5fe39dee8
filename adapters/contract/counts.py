"""Counts as sentences say them: `1 image`, `2 images`."""

_IRREGULAR = {
    **{"class": "classes", "copy": "copies", "entry": "entries"},
    **{"is": "are", "was": "were", "has": "have", "stays": "stay"},
}


def counted(number: int, noun: str) -> str:
    """Return a number and what is counted: `1 class`, `2 classes`, `2 test images`.

    Args:
        number: How many.
        noun: One of them; of several words the last one gets the plural.
    """
    return f"{number} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun, a verb or several words, of which the last one gets it."""
    first, space, last = noun.rpartition(" ")
    return f"{first}{space}{_IRREGULAR.get(last, f'{last}s')}"


def agreeing(number: int, word: str) -> str:
    """Return a verb or noun in the number that goes with `number`: `is` or `are`."""
    return word if number == 1 else plural(word)
