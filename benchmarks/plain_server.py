"""The same model behind other servers, as one would write it there: for comparison.

python -m benchmarks.plain_server fastapi STORE PORT
python -m benchmarks.plain_server litserve STORE PORT

Both use two threads for the model, as one process on two cores would.
"""

import asyncio
import sys
from typing import Any

import torch
from torch import Tensor

from benchmarks.random_encoder import RandomEncoder
from cluster.stores.open import open_store
from workers.encoding.encoder_settings import EncoderSettings
from workers.images.decode import decode_image
from workers.registry.record_cache import Versions
from workers.serving.predictor import Predictor, Question

THREADS = 2
QUESTION = Question(top_k=5)


class Model:
    """Encoder and version, loaded once."""

    def __init__(self, store: str) -> None:
        torch.set_num_threads(THREADS)
        self.encoder = RandomEncoder(EncoderSettings())
        self.predictor = Predictor(self.encoder, Versions(open_store(store)), adapters=("main",))
        self.predictor.follower("main").follow()

    def pixels(self, content: bytes) -> Tensor:
        """Return the pixels of one image."""
        return self.encoder.transform(decode_image(content, origin="image"))

    def answers(self, pixels: Tensor) -> list[dict[str, Any]]:
        """Return one answer per image."""
        version = self.predictor.version("main")
        features = self.encoder.image_tower.features(pixels)
        ranked = self.predictor.predict(features, version, QUESTION)
        return [
            {"version": version.label, "predictions": [entry.label for entry in best]}
            for best in ranked
        ]


def fastapi_server(store: str, port: int) -> None:
    """Serve with FastAPI and uvicorn: one image at a time, in a thread."""
    import uvicorn
    from fastapi import FastAPI, UploadFile

    app, model = FastAPI(), Model(store)

    @app.post("/predict")
    async def predict(images: UploadFile) -> dict[str, Any]:
        content = await images.read()
        return await asyncio.to_thread(lambda: model.answers(model.pixels(content)[None])[0])

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "live"}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def litserve_server(store: str, port: int) -> None:
    """Serve with LitServe and its own batching."""
    import litserve

    from benchmarks.lit_api import LitApi

    api = LitApi(store, max_batch_size=16, batch_timeout=0.005)
    litserve.LitServer(api, accelerator="cpu").run(
        port=port, host="127.0.0.1", generate_client_file=False
    )


if __name__ == "__main__":
    {"fastapi": fastapi_server, "litserve": litserve_server}[sys.argv[1]](
        sys.argv[2], int(sys.argv[3])
    )
