"""The wiring: command line, configuration, Ray actors, HTTP API, S3 store."""
