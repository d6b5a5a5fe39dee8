"""Figures and times as people read them, and as browsers can set them in local time."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

from workers.queue.ticket import ENDED, Stage

STEPS = tuple(stage.value for stage in Stage if stage not in ENDED)
"""In which a submission is on its way, in order."""
OUTCOMES = tuple(stage.value for stage in Stage if stage in ENDED)
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
DIGEST_SHOWN = 12
_ISO = "%Y-%m-%dT%H:%M:%SZ"
_READABLE = "%Y-%m-%d %H:%M:%S UTC"


def moment(seconds: float) -> Markup:
    """Return a time as an element that a browser can show in local time."""
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return Markup("–")
    return Markup('<time datetime="{}">{}</time>').format(at.strftime(_ISO), at.strftime(_READABLE))


def duration(seconds: float | None) -> str:
    """Return a duration, such as `1.4 s`, `3 min` or `2 h 05 min`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        minutes, rest = divmod(round(seconds), MINUTE_S)
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(round(seconds), HOUR_S)
    if hours < 48:
        return f"{hours} h {rest // MINUTE_S:02d} min"
    return f"{hours // 24} days"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent; a dash where it was not measured."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def points(fraction: float | None) -> str:
    """Return a difference of fractions in points of a percent, with its sign."""
    if fraction is None:
        return "–"
    return "0.0" if abs(fraction) < 0.0005 else f"{100 * fraction:+.1f}"


def told(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    parts = str(sentence).split("`")
    if len(parts) % 2 == 0:  # one of them has no other end
        return escape(sentence)
    made = [
        Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    ]
    return Markup("").join(made)


def size(count: int) -> str:
    """Return a number of bytes, such as `41 kB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: int, noun: str, many: str = "") -> str:
    """Return a number of things, such as `1 task` or `12,000 images`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def short(digest: str) -> str:
    """Return the beginning of a digest."""
    return digest[:DIGEST_SHOWN]


def summary(stages: Sequence[tuple[str, int]]) -> str:
    """Return how many submissions are in each stage in a sentence, for whoever cannot see it."""
    waiting = sum(number for name, number in stages if name in STEPS)
    named = [("open", waiting), *((name, number) for name, number in stages if name in OUTCOMES)]
    return ", ".join(f"{number} {name}" for name, number in named if number) or "the queue is empty"
