"""Credentials of S3 stores: where they come from, and how those that expire are renewed."""
