"""Documents of access: named tokens, and what the audit log says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workers.access.roles import RoleName as Role

LIFETIME = "90d"
"""Of a token that names no other."""
AUDIT_DAYS = 7
"""So many are looked through, today among them, where no number is named."""
MOST_CALLS = 1000
"""Of an audit log, in one answer."""
SECRET = f"nacre_{'x' * 43}"


class NamedTokenState(BaseModel):
    """A named token, without its secret."""

    name: str = Field(examples=["ci"])
    roles: dict[str, Role] = Field(
        description="By adapter; `*` is all.", examples=[{"birds": "operator"}]
    )
    created_by: str
    created: float = Field(description="Seconds since 1970.")
    expires: float | None = Field(description="Seconds since 1970; null: never.")
    revoked: float | None = Field(description="Seconds since 1970; null: it was not.")
    revoked_by: str = Field(description="Empty where nobody did.")
    state: Literal["valid", "expired", "revoked"]


class NewToken(NamedTokenState):
    """A named token with its secret, which is shown once and kept nowhere."""

    token: str = Field(description="The secret.", examples=[SECRET])


class TokenRequest(BaseModel):
    """A wish to make a token."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "ci", "role": "operator", "adapters": ["birds"], "lifetime": "30d"}
            ]
        },
    )

    name: str = Field(max_length=64)
    role: Role
    adapters: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="`*` is all; the configured one where empty.",
    )
    lifetime: str = Field(
        default=LIFETIME, max_length=40, description="`12h`, `30d`, `8w`, `never`."
    )


class SessionState(BaseModel):
    """What a login has left in somebody's browser, without its secret."""

    id: str = Field(
        description="Names it; nobody can log in with it.", examples=["0f3a9c2b71d4e8a6"]
    )
    who: str = Field(examples=["oidc:8f3a1c"])
    created: float = Field(description="When they have logged in, in seconds since 1970.")
    expires: float = Field(description="Seconds since 1970.")


class EndSessionsRequest(BaseModel):
    """A wish to end sessions."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "oidc:8f3a1c"}]}
    )

    name: str = Field(max_length=200, description="The id of one, or whose: then all of theirs.")


class AuditedCall(BaseModel):
    """A call that changed something, or was denied."""

    at: float = Field(description="When it was made, in seconds since 1970.")
    who: str = Field(examples=["token:ci"])
    road: str = Field(
        description="How it came in.", examples=["cli", "http", "console", "python", "job"]
    )
    verb: str = Field(examples=["rollback"])
    adapter: str = Field(description="`*`: of none, or of all.")
    target: str = Field(description="Such as a version, a task or a token.", examples=["3"])
    outcome: Literal["begun", "done", "denied", "failed", "unknown"] = Field(
        description="`begun`: how it ended was not written down. `unknown`: it may have happened."
    )
    reason: str = Field(description="Why it was not done.")
    request_id: str = Field(description="Over HTTP.")
    times: int = Field(description="How many calls alike it stands for.")
