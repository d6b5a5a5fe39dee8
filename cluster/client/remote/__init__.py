"""The verbs as calls of the HTTP API: each is described once, for blocking and for event loops."""
