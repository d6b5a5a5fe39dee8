"""The same model as LitServe wants it; a module of its own, because LitServe spawns processes."""

from typing import Any

import litserve
import torch
from fastapi import Request
from torch import Tensor

from benchmarks.plain_server import Model


class LitApi(litserve.LitAPI):  # type: ignore[misc]
    """Decodes one request at a time and answers for a batch.

    Args:
        store: URL of the store.
        **options: Of LitServe.
    """

    def __init__(self, store: str, **options: Any) -> None:
        super().__init__(**options)
        self._store = store

    def setup(self, device: str) -> None:
        """Load the model, in the process that answers."""
        del device
        self._model = Model(self._store)

    def decode_request(self, request: Request) -> Tensor:
        """Return the pixels of a request's image; what comes is its form."""
        form: Any = request
        return self._model.pixels(form["images"].file.read())

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Put images together."""
        return torch.stack(inputs)

    def predict(self, pixels: Tensor) -> list[dict[str, Any]]:
        """Answer for all of them."""
        return self._model.answers(pixels)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take answers apart."""
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return an answer as it is."""
        return output
