"""What client and service say to each other besides the documents."""

REQUEST_ID = "x-request-id"
TIMEOUT_MS = "x-request-timeout-ms"
TIMEOUT_S = 60.0
"""So long a client waits for an answer unless it says otherwise."""
