"""Webhooks over HTTP: which addresses are permitted, connections to them, signed requests."""
