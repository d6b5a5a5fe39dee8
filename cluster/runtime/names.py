"""Names of applications and deployments on Ray."""

NAMESPACE = "nacre"
COORDINATOR = "coordinator"
API = "api"
CONSOLE = "console"
ROLES = ("shard_encoder", "trainer", "mixture_fitter", "publisher")
"""Each is a Serve application, named like the class that it runs; see `cluster.app`."""
EVERY_ROLE = (*ROLES, COORDINATOR, API)
"""What runs in every system; the console runs beside it where that is configured."""
ROUTES = {API: "/", CONSOLE: "/console"}
"""Where those roles are reached that people and programs ask over HTTP."""


def application(role: str) -> str:
    """Return the name of the Serve application that a role is."""
    return f"nacre-{role}"


def role_of(application: str) -> str:
    """Return the role that a Serve application is."""
    return application.removeprefix("nacre-")
