"""An encoder whose forward is a fixed wait, as if somebody else computed: it stands for a GPU."""

import threading
import time

from torch import Tensor
from torch.nn.functional import normalize

from workers.encoding.encoder import Encoder

WAIT_PER_BATCH_S = 0.5


class WaitingEncoder(Encoder):
    """Features of no worth that depend on the pixels alone, after a wait; one batch at a time."""

    _turn = threading.Lock()

    def image_features(self, pixels: Tensor) -> Tensor:
        """Return unit features (N, D), after a fixed wait per batch."""
        with self._turn:
            time.sleep(WAIT_PER_BATCH_S)
        flat = pixels.float().flatten(1)
        step = flat.shape[1] // self.width
        return normalize(flat[:, ::step][:, : self.width] + 1, dim=-1)
