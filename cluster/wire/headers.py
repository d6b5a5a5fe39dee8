"""HTTP headers and time limits that client and service agree on."""

REQUEST_ID = "x-request-id"
TIMEOUT_MS = "x-request-timeout-ms"
TIMEOUT_S = 60.0
"""So long a client waits for an answer unless it says otherwise."""
