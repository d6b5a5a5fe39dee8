"""Serialisation: stored documents, YAML that people write, and their validation."""
