"""What things are called on Ray."""

NAMESPACE = "nacre"
COORDINATOR = "coordinator"
API = "api"


def application(role: str) -> str:
    """Return the name of the Serve application that a role is."""
    return f"nacre-{role}"
