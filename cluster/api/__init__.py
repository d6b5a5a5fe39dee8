"""The HTTP API: routes, documents and errors; what they do is in `cluster.serving.service`."""
