"""Which layers of the tiny CLIP lose digits in bfloat16: `python -m benchmarks.encoding_trials`.

Weights and outputs of layers are rounded to bfloat16 and computed with in float32, which is what a
processor with bfloat16 products does but for the order of its sums; so every trial runs on any
processor, and none of them says what it would save. What is kept in float32 is said with its share
of the time of the float32 tower. Cosines are with the features of the float32 tower, over the test
pictures of the examples. Takes three minutes.
"""

import copy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from benchmarks.encoding import LEAST_COSINE, decoded, encoder_of, pictures
from benchmarks.table import Row, report
from workers.encoding.shard_encoder import BATCH

STEM = ("trunk.conv_stem", "trunk.bn1")
FIRST = (*STEM, "trunk.blocks.0")
SECOND = (*FIRST, "trunk.blocks.1.0")
LOSSY = ("trunk.conv_stem", "trunk.blocks.0.0.conv_dw", "trunk.blocks.1.0.conv_dw")
"""The convolutions that lose most when the weights of one alone are rounded."""
SCALES = 64
TURNS = 5

Rounding = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What is rounded.

    Attributes:
        weights: How those of convolutions and of the projection are rounded; None for not at all.
        norms: Whether what normalisations hold is rounded.
        outputs: Whether what layers and blocks give is.
        kept: Layers and blocks of which nothing is.
        only: The layers whose weights are rounded; none for all.
    """

    weights: Rounding | None
    norms: bool = False
    outputs: bool = True
    kept: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def keeps(self, name: str) -> bool:
        """Return whether the module called `name` stays in float32."""
        return any(name == each or name.startswith(f"{each}.") for each in self.kept)


def rounded(values: Tensor) -> Tensor:
    """Return the nearest numbers of bfloat16, in float32."""
    return values.to(torch.bfloat16).float()


def rounded_at_a_scale(weights: Tensor) -> Tensor:
    """Return filters rounded at the scale, from 1 to 2, at which they lose least.

    The normalisation behind a convolution undoes the scale, so that it costs nothing. What a filter
    loses in all of its weights together counts as well: neighbouring pixels are alike.
    """
    rows = weights.double().flatten(1)
    found, least = rows.clone(), torch.full((len(rows),), torch.inf, dtype=torch.float64)
    for place in range(SCALES):
        scale = 2 ** (place / SCALES)
        lost = rounded((rows * scale).float()).double() / scale - rows
        cost = lost.square().sum(dim=1) + lost.sum(dim=1).square() * rows.shape[1]
        better = cost < least
        least[better], found[better] = cost[better], (rows + lost)[better]
    return found.float().view_as(weights)


TRIALS: dict[str, Trial] = {
    "everything rounded": Trial(weights=rounded, norms=True),
    "weights of convolutions alone": Trial(weights=rounded, outputs=False),
    **{
        f"weights of {name} alone": Trial(weights=rounded, outputs=False, only=(name,))
        for name in LOSSY
    },
    "what normalisations hold alone": Trial(weights=None, norms=True, outputs=False),
    "outputs alone": Trial(weights=None),
    "normalisations in float32": Trial(weights=rounded),
    "these and the first convolution": Trial(weights=rounded, kept=STEM),
    "these and the first block": Trial(weights=rounded, kept=FIRST),
    "these and the first layer of the second": Trial(weights=rounded, kept=SECOND),
    "up to the first block, weights at a scale": Trial(weights=rounded_at_a_scale, kept=FIRST),
}


def figures() -> Iterator[Row]:
    """Yield the least and the mean cosine of every trial, and what is kept in float32 takes."""
    encoder = encoder_of("tiny", precision="fp32")
    tower = encoder.image_tower
    pixels = decoded(encoder, [content for _, content in pictures("test")])
    batches = [tower.prepared(part) for part in torch.split(pixels, BATCH)]
    expected = _features(tower.visual, batches)
    for name, trial in TRIALS.items():
        cosines = (_features(_tried(tower.visual, trial), batches) * expected).sum(dim=1)
        least = float(cosines.min())
        yield Row(
            figure=f"{name}: least cosine",
            value=round(least, 5),
            bar=f"at least {LEAST_COSINE}",
            holds=least >= LEAST_COSINE,
        )
        yield Row(figure=f"{name}: mean cosine", value=round(float(cosines.mean()), 5))
    yield from _shares(tower.visual, batches[0])


def _tried(visual: Any, trial: Trial) -> Any:
    tower = copy.deepcopy(visual)
    for name, module in tower.named_modules():
        if trial.keeps(name):
            continue
        norm = isinstance(module, nn.BatchNorm2d)
        if isinstance(module, nn.Conv2d | nn.Linear):
            if trial.weights is not None and (not trial.only or name in trial.only):
                module.weight.data = trial.weights(module.weight.data)
        elif norm and trial.norms:
            for each in (*module.parameters(), module.running_mean, module.running_var):
                each.data = rounded(each.data)
        whole = isinstance(module, nn.Conv2d | nn.Linear) or norm or hasattr(module, "conv_dw")
        if trial.outputs and whole:
            module.register_forward_hook(lambda _module, _given, found: rounded(found))
    return tower


@torch.no_grad()
def _features(visual: Any, batches: list[Tensor]) -> Tensor:
    return torch.cat([normalize(visual(part), dim=-1) for part in batches])


@torch.no_grad()
def _shares(visual: Any, images: Tensor) -> Iterator[Row]:
    trunk = visual.trunk

    def stem() -> Tensor:
        found: Tensor = trunk.bn1(trunk.conv_stem(images))
        return found

    def first() -> Tensor:
        found: Tensor = trunk.blocks[0](stem())
        return found

    parts: dict[str, Callable[[], Tensor]] = {
        "the first convolution": stem,
        "up to the first block": first,
        "up to the first layer of the second": lambda: trunk.blocks[1][0](first()),
    }
    whole = _seconds(partial(visual, images))
    for name, part in parts.items():
        share = 100 * _seconds(part) / whole
        yield Row(figure=f"{name}: of the time in float32", value=round(share, 1), unit="%")


def _seconds(call: Callable[[], object]) -> float:
    found = []
    for _ in range(TURNS):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return min(found)


def main() -> int:
    """Measure, print the table, and return the exit code."""
    torch.set_num_threads(1)
    return report("encoding_trials", list(figures()))


if __name__ == "__main__":
    sys.exit(main())
