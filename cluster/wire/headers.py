"""HTTP headers and time limits that client and service agree on."""

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
TIMEOUT_MS = "x-request-timeout-ms"
LONGEST_TOKEN = 16 * 2**10
"""Characters of a token: a provider that names hundreds of groups in it makes ones of 8 to 15."""
TIMEOUT_S = 60.0
"""So long a client waits for an answer unless it says otherwise."""
