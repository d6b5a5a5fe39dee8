"""Canonical JSON, stored documents, YAML that people write, and problems found in them."""
