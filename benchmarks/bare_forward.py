"""What a request takes without a server: decoding and the bare forward."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from benchmarks.random_encoder import RandomEncoder
from benchmarks.table import Row
from workers.images.decode import decode_image

BATCHES = (1, 2, 4, 8, 16, 32)


class BareForward:
    """Seconds per image of each part, measured when it is made.

    Args:
        encoder: The model.
        jpeg: A picture.
        threads: Threads of the batched forward.
    """

    def __init__(self, encoder: RandomEncoder, jpeg: bytes, *, threads: int) -> None:
        self._encoder, self._jpeg = encoder, jpeg
        self.threads = threads
        self.decoding = seconds_of(self._pixels)
        pixels = self._pixels()
        self.forward = {
            size: seconds_of(partial(self._features, torch.stack([pixels] * size))) / size
            for size in BATCHES
        }
        torch.set_num_threads(1)
        self.one_thread = seconds_of(partial(self._features, pixels[None]))
        torch.set_num_threads(threads)

    @property
    def best(self) -> int:
        """The batch size with the fastest forward."""
        return min(self.forward, key=lambda size: self.forward[size])

    @property
    def per_second(self) -> float:
        """Images per second of the bare batched forward."""
        return 1 / self.forward[self.best]

    def alone_once(self) -> float:
        """Return the seconds of one image alone on one thread: decoding, transform, forward."""
        torch.set_num_threads(1)
        try:
            return _once(lambda: self._features(self._pixels()[None]))
        finally:
            torch.set_num_threads(self.threads)

    def share_left(self, server_s: float) -> float:
        """Return the most that can be had of the bare forward, 0 to 1, where each image is decoded
        and a server takes `server_s` of all cores for it besides.
        """
        forward = self.threads * self.forward[self.best]
        return forward / (forward + self.decoding + server_s)

    def rows(self) -> Iterator[Row]:
        """Yield the figures."""
        yield Row(figure="decoding and transform, one image", value=1e3 * self.decoding, unit="ms")
        for size, seconds in self.forward.items():
            yield Row(figure=f"bare forward, batch {size}", value=1e3 * seconds, unit="ms/image")
        figure = "bare forward, batch 1, one thread"
        yield Row(figure=figure, value=1e3 * self.one_thread, unit="ms")

    def _pixels(self) -> torch.Tensor:
        return self._encoder.transform(decode_image(self._jpeg, origin="image"))

    def _features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._encoder.image_tower.features(pixels)


def seconds_of(work: Callable[[], object], *, repeats: int = 15) -> float:
    """Return the median time of `work`, in seconds."""
    work()
    times: Sequence[float] = [_once(work) for _ in range(repeats)]
    return statistics.median(times)


def _once(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
