"""Documents that commands print with `--output json`, where the HTTP API has no such answer."""
