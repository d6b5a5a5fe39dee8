"""The client: what the command line, Python and HTTP call."""
