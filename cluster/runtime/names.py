"""Names of applications, deployments and actors on Ray."""

NAMESPACE = "nacre"
COORDINATOR = "coordinator"
API = "api"
ROLES = ("shard_encoder", "trainer", "mixture_fitter", "publisher")
"""Each is a Serve application, named like the class that it runs."""


def application(role: str) -> str:
    """Return the name of the Serve application that a role is."""
    return f"nacre-{role}"
