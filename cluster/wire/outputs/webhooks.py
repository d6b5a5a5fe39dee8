"""Outputs about webhooks that are no documents of the HTTP API."""

from pydantic import BaseModel


class RemovedWebhook(BaseModel):
    """A webhook that hears of nothing any more."""

    name: str
