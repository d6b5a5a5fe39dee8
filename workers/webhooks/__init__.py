"""Webhooks: what has happened, recorded in order and delivered to addresses of the operator's."""
