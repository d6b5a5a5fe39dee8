"""Evaluation of versions and benchmarks of methods over the configured store."""
