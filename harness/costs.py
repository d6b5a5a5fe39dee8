"""The costs of a version: seconds to put it together, to score, and to answer a request."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Method
from harness.measured_set import MeasuredSet, read_by

SCORED = 256
"""Most images that are scored."""
REQUESTED, PER_REQUEST, REPEATS = 16, 8, 2
"""Images of which the cost of a request is measured, how many at once, and how often."""


def scoring_times(
    method: Method, state: AdapterState, measured: MeasuredSet
) -> tuple[float, float]:
    """Return seconds until a version has scored one image, and milliseconds per image then."""
    scale = measured.text.logit_scale
    known = Adapter(state.records, shared=state.shared, method=method)
    images = read_by(known, measured, most=SCORED)
    started = time.perf_counter()
    adapter = Adapter(state.records, shared=state.shared, method=method)
    adapter.score(images[:1], encoder=adapter.fingerprint, logit_scale=scale)
    built = time.perf_counter()
    adapter.score(images, encoder=adapter.fingerprint, logit_scale=scale)
    return built - started, 1e3 * (time.perf_counter() - built) / len(images)


def request_cost(adapter: Adapter, measured: MeasuredSet) -> float | None:
    """Return what an image costs from pixels to answer, in forwards of the encoder's own tower.

    By seconds of processors, eight images at once, the less of two times. None where there are
    cached features alone.
    """
    base, source = measured.images.tower, measured.test_images
    if base is None or source is None:
        return None
    pixels = source(range(min(REQUESTED, len(source))))
    tower, scale = adapter.image_tower(base), measured.text.logit_scale

    def answer(images: Tensor) -> None:
        features = tower.features(images)
        adapter.score(features, encoder=adapter.fingerprint, logit_scale=scale)

    return _least_s(answer, pixels) / _least_s(base.features, pixels)


def _least_s(work: Callable[[Tensor], object], pixels: Tensor) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        for images in torch.split(pixels, PER_REQUEST):
            work(images)
        seconds.append(time.process_time() - started)
    return min(seconds)
