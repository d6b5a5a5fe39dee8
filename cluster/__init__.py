"""The wiring: command line, configuration, Ray actors, Ray Serve, the S3 store."""
