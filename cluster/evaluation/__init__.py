"""Measuring versions and methods over the configured store."""
