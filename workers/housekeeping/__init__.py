"""Housekeeping: retention and garbage in the store beside the registry."""
