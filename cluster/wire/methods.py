"""Documents of methods and encoders: what can be named in configurations and task files."""

from pydantic import BaseModel, Field, JsonValue


class DescribedMethod(BaseModel):
    """A method by which tasks are learnt."""

    name: str = Field(examples=["lada"])
    settings: dict[str, JsonValue] = Field(
        description="The JSON schema of its settings, with defaults, as task files have them."
    )
    shared: list[str] = Field(
        description="Settings that must be the same in all tasks of an adapter."
    )
    trouble: str | None = Field(description="Why it cannot be used here; null where it can.")


class DescribedEncoder(BaseModel):
    """An encoder that embeds images."""

    model: str = Field(examples=["tiny"], description="Without the folders of a path.")
    ships: bool = Field(description="Whether it comes with nacre.")
    fingerprint: str | None = Field(description="Of the one that is in use; null for the others.")
