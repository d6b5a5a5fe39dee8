"""Tasks, submissions, and the shards that hold their images."""
