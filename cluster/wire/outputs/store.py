"""Outputs about a store: what races for its keys have shown."""

from pydantic import BaseModel, Field


class RacedCondition(BaseModel):
    """One condition of writes."""

    condition: str
    holds: bool
    made: int | None = Field(default=None, description="Races; left out where none are needed.")
    by_several: int | None = Field(default=None, description="Won by more than one.")
    by_nobody: int | None = None


class StoreReads(BaseModel):
    """What was read of a store."""

    made: int
    before: int = Field(description="Older than an acknowledged write.")
    went_back: int = Field(description="Older than the read before.")
    denied: int = Field(description="Said not to be there, and was.")


class StoreListings(BaseModel):
    """What a store listed."""

    made: int
    incomplete: int


class StoreReport(BaseModel):
    """What races for the keys of one store have shown."""

    store: list[str]
    answered: str
    seconds: float
    processes: int
    fit: bool | None = Field(description="Null: it cannot be judged.")
    verdict: str
    conditions: list[RacedCondition]
    races: int
    won_by_several: int
    unanswered: int
    write_ms: dict[str, float] = Field(description="`median` and `p95`.")
    read_ms: dict[str, float]
    reads: StoreReads
    listings: StoreListings
