"""Concurrency: threads and event loops."""
