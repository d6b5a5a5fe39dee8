"""Odds of the faults of a model of a store."""

from dataclasses import dataclass

NEVER = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Odds:
    """How probable it is, at every request that it can happen to, that something goes wrong.

    Attributes:
        half_made: A write is kept by less than a majority of the drives, and answered with 503.
        busy: A request is refused with 503 before anything is done.
        away: A drive goes away, and comes back later with what it had.
        blind: A node starts again, and denies for some requests what exists; it lists it.
        before: A read is answered with what was there before.
        late: A write waits for the lock of a node that died; it is carried out when its client has
            given up.
        lost: A write is carried out, and its answer does not arrive.
        two_winners: A condition is checked against what was there before: of two writers both win.
    """

    half_made: float = NEVER
    busy: float = NEVER
    away: float = NEVER
    blind: float = NEVER
    before: float = NEVER
    late: float = NEVER
    lost: float = NEVER
    two_winners: float = NEVER


CALM = Odds()
STORMY = Odds(half_made=0.04, busy=0.02, away=0.03, blind=0.03, before=0.08, late=0.03, lost=0.04)
