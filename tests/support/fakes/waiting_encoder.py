"""An encoder whose forward is a fixed wait, as if somebody else computed: it stands for a GPU."""

import threading
import time

from torch import Tensor
from torch.nn.functional import normalize

from adapters.towers.image_tower import FrozenImageTower
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

WAIT_PER_BATCH_S = 0.5


class WaitingTower(FrozenImageTower):
    """Features of no worth that depend on the pixels alone, after a wait; one batch at a time."""

    _turn = threading.Lock()
    width = 0

    def features(self, pixels: Tensor) -> Tensor:
        """Return unit features (N, D), after a fixed wait per batch."""
        with self._turn:
            time.sleep(WAIT_PER_BATCH_S)
        flat = pixels.float().flatten(1)
        step = flat.shape[1] // self.width
        return normalize(flat[:, ::step][:, : self.width] + 1, dim=-1)


class WaitingEncoder(Encoder):
    """The usual encoder, but for its image tower."""

    def __init__(self, settings: EncoderSettings, *, device: str = "cpu") -> None:
        super().__init__(settings, device=device)
        self.image_tower = WaitingTower(
            self.model, normalised=self.transform.normalised, fingerprint=self.fingerprint
        )
        self.image_tower.width = self.width
