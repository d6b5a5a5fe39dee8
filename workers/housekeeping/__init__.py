"""Retention and garbage: what is removed from the store, and when."""
