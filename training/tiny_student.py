"""The second image tower: how it is built, started, trained and written.

It learns in bfloat16 with single-precision weights; some processors multiply that ten times faster.

Shapes: B views · S side in pixels · L tokens · d width of the tower · P places, 16 · D feature
width, 512
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from training.tiny_fit import SHARPNESS, Progress
from training.tiny_plain import Plain, plain_of
from training.tiny_pool import Pool
from training.tiny_towers import CONFIG as FIRST
from workers.images.torchvision_ops import ensure_torchvision_imports

SIDE = 96
PATCH = 12
WIDTH = 192
LAYERS = 6
HEADS = 3
BATCH = 128
RATE = 2e-3
WARM_UP = 0.04
# The share of the steps that look at half of the tokens: twice as many views in the same time.
WITH_HALF = 0.8
# The numbers of each place's tokens, (P, 4): 4x4 places of 2x2 patches.
PLACED = torch.arange(64).reshape(4, 2, 4, 2).transpose(1, 2).reshape(16, 4)

CONFIG: dict[str, Any] = {
    "model_cfg": {
        **FIRST["model_cfg"],
        "vision_cfg": {
            "image_size": SIDE,
            "patch_size": PATCH,
            "width": WIDTH,
            "layers": LAYERS,
            "head_width": WIDTH // HEADS,
            "pool_type": "avg",
        },
    },
    "preprocess_cfg": {**FIRST["preprocess_cfg"], "size": SIDE},
}


def build_tower() -> Any:
    """The image tower of `CONFIG` with random weights."""
    ensure_torchvision_imports()
    from open_clip.model import _build_vision_tower

    model_cfg = CONFIG["model_cfg"]
    tower: Any = _build_vision_tower(model_cfg["embed_dim"], model_cfg["vision_cfg"])
    return tower


def fit(
    tower: Any, pool: Pool, class_rows: Tensor, *, steps: int, seed: int, out: Path | None = None
) -> None:
    """Teach `tower` to say of the pool's views what the first tower said.

    The losses: the squared distance of the embeddings and of every place's, as shares of what lies
    between two views, and the divergence of the likeness to the 1,000 classes' rows.

    Args:
        tower: What `build_tower` returned.
        pool: Views and answers.
        class_rows: (1000, D), unit.
        steps: Batches of `BATCH` views.
        seed: Of the draw.
        out: Where the tower is written now and then; None: nowhere.
    """
    rng = np.random.default_rng(seed)
    chance = torch.Generator().manual_seed(seed)
    spreads = _spreads(pool)
    some, said_of = _drawn(pool, np.arange(min(4096, len(pool.views))), flipped=False)
    plain = plain_of(some, said_of.mean(dim=1), class_rows)
    optimizers = _optimizers(tower)
    progress = Progress("tower", steps)
    order = np.concatenate(
        [rng.permutation(len(pool.views)) for _ in range(steps * BATCH // len(pool.views) + 1)]
    )
    for step in range(steps):
        picks = np.sort(order[step * BATCH : (step + 1) * BATCH])
        pixels, answers = _drawn(pool, picks, flipped=bool(rng.random() < 0.5))
        kept = drawn_tokens(len(picks), chance) if step < WITH_HALF * steps else None
        places = said(tower, pixels, kept)
        spread = spreads[torch.from_numpy(pool.kinds[picks]).long()]
        loss = distance(places, answers, class_rows, spread, plain)
        loss = loss + plain_distance(places, pixels, plain)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * _schedule(step / steps)
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer, _ in optimizers:
            optimizer.step()
        progress.step(loss.item())
        if out is not None and (step + 1) % 250 == 0:
            write_tower(tower, out)


def plain_distance(places: Tensor, pixels: Tensor, plain: Plain) -> Tensor:
    """How far what is said of the whole is from the views' plain description, as a share."""
    missed = places.mean(dim=1) @ plain.space - plain.wanted(pixels)
    return missed.square().sum(dim=-1).mean() / plain.variance


def distance(
    places: Tensor, answers: Tensor, class_rows: Tensor, spreads: Tensor, plain: Plain
) -> Tensor:
    """How far what is said of places (B, P, D) is from the answers; `spreads`: (B, 2)."""
    places, answers = plain.without(places), plain.without(answers)
    embedded, wanted = places.mean(dim=1), answers.mean(dim=1)
    far = ((embedded - wanted).square().sum(dim=-1) / spreads[:, 0]).mean()
    places_far = ((places - answers).square().sum(dim=-1).mean(dim=1) / spreads[:, 1]).mean()
    likeness = functional.normalize(embedded, dim=-1) @ class_rows.T
    target = functional.normalize(wanted, dim=-1) @ class_rows.T
    divergence = functional.kl_div(
        functional.log_softmax(SHARPNESS * likeness, dim=1),
        functional.softmax(SHARPNESS * target, dim=1),
        reduction="batchmean",
    )
    return far + 0.5 * places_far + divergence


def drawn_tokens(count: int, chance: torch.Generator | None = None) -> Tensor:
    """Half of each place's tokens, by chance for each of `count` views: (count, P, 2)."""
    order = torch.rand((count, *PLACED.shape), generator=chance).topk(2, dim=-1).indices
    return PLACED.expand(count, -1, -1).gather(2, order)


def said(tower: Any, pixels: Tensor, kept: Tensor | None = None) -> Tensor:
    """What the tower says of each place of views (B, 3, S, S): (B, P, D) float32.

    The mean over the places is the tower's output. The same as its `forward`, but in bfloat16 and
    with attention written out, which is twice as fast here. `kept` (B, P, k) are the tokens that
    are looked at; None: all.
    """
    with torch.autocast("cpu", enabled=False):
        weights = {name: p.to(torch.bfloat16) for name, p in tower.named_parameters()}
        tokens = _embedded(pixels, weights, PLACED[None] if kept is None else kept)
        for number, block in enumerate(tower.transformer.resblocks):
            tokens = _block(tokens, weights, f"transformer.resblocks.{number}.", block)
        tokens = _normed(tokens, weights, "ln_post")[:, 1:]
        cells = torch.unflatten(tokens, 1, (len(PLACED), -1)).mean(dim=2)
        placed: Tensor = cells @ weights["proj"]
        return placed.float()


def _embedded(pixels: Tensor, weights: dict[str, Tensor], kept: Tensor) -> Tensor:
    """The class token and the patches that are looked at, place by place."""
    numbers = kept.flatten(1).expand(len(pixels), -1)
    patches = _patches(pixels.to(torch.bfloat16))[torch.arange(len(pixels))[:, None], numbers]
    positions = weights["positional_embedding"]
    tokens = patches @ weights["conv1.weight"].flatten(1).T + positions[1:][numbers]
    first = (weights["class_embedding"] + positions[0]).expand(len(pixels), 1, -1)
    return _normed(torch.cat([first, tokens], dim=1), weights, "ln_pre")


def _patches(pixels: Tensor) -> Tensor:
    """Views (B, 3, S, S) as rows of patches, (B, L, 3 PATCH²)."""
    side = pixels.shape[-1] // PATCH
    cells = pixels.reshape(len(pixels), 3, side, PATCH, side, PATCH)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(len(pixels), side * side, -1)


def _block(tokens: Tensor, weights: dict[str, Tensor], name: str, block: Any) -> Tensor:
    linear, heads = functional.linear, block.attn.num_heads
    normed = _normed(tokens, weights, f"{name}ln_1")
    fused = linear(
        normed, weights[f"{name}attn.in_proj_weight"], weights[f"{name}attn.in_proj_bias"]
    )
    split = torch.unflatten(fused, -1, (3, heads, -1)).permute(2, 0, 3, 1, 4).flatten(1, 2)
    query, key, value = split
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    attended = (scores.softmax(dim=-1) @ value).unflatten(0, (-1, heads)).transpose(1, 2)
    out = weights[f"{name}attn.out_proj.weight"], weights[f"{name}attn.out_proj.bias"]
    tokens = tokens + linear(attended.flatten(2), *out)
    normed = _normed(tokens, weights, f"{name}ln_2")
    wide = linear(normed, weights[f"{name}mlp.c_fc.weight"], weights[f"{name}mlp.c_fc.bias"])
    back = weights[f"{name}mlp.c_proj.weight"], weights[f"{name}mlp.c_proj.bias"]
    return tokens + linear(functional.gelu(wide), *back)


def _normed(tokens: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.layer_norm(tokens, (tokens.shape[-1],), scale, shift)


@torch.no_grad()
def start(tower: Any, pool: Pool) -> None:
    """Start from what is known: patches vary along few directions, places lie in a grid.

    The first layer begins as the leading directions of the pool's patches, the positions as waves,
    and attention as "Mimetic Initialization of Self-Attention Layers" (arXiv 2305.09828) has it.
    """
    from open_clip.pos_embed import get_2d_sincos_pos_embed

    pixels, _ = _drawn(pool, np.arange(min(2048, len(pool.views))), flipped=False)
    patches = _patches(pixels).flatten(0, 1)
    values, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    scale = (values + 1e-3 * values[-1]).rsqrt()
    leading = (directions * scale).T.flip(0)[:WIDTH]
    tower.conv1.weight.copy_(leading.reshape(tower.conv1.weight.shape))
    waves = get_2d_sincos_pos_embed(WIDTH, SIDE // PATCH, cls_token=True)
    tower.positional_embedding.copy_(0.5 * torch.from_numpy(waves).float())
    for block in tower.transformer.resblocks:
        _start_attention(block.attn)
        nn.init.normal_(block.mlp.c_fc.weight, std=WIDTH**-0.5)
        nn.init.normal_(block.mlp.c_proj.weight, std=(4 * WIDTH * 2 * LAYERS) ** -0.5)
        nn.init.zeros_(block.mlp.c_fc.bias)
        nn.init.zeros_(block.mlp.c_proj.bias)


def _start_attention(attention: Any) -> None:
    """Queries meet keys like themselves; values take a part of what they come from away."""
    noise, one = torch.randn(WIDTH, WIDTH) * WIDTH**-0.5, torch.eye(WIDTH)
    left, sizes, right = torch.linalg.svd(0.4 * noise - 0.4 * one)
    attention.in_proj_weight[2 * WIDTH :] = sizes.sqrt()[:, None] * right
    attention.out_proj.weight.copy_(left * sizes.sqrt())
    head = WIDTH // HEADS
    for number in range(HEADS):
        noise = torch.randn(WIDTH, WIDTH) * WIDTH**-0.5
        left, sizes, right = torch.linalg.svd(0.7 * noise + 0.7 * one)
        rows = slice(number * head, (number + 1) * head)
        attention.in_proj_weight[:WIDTH][rows] = (left[:, :head] * sizes[:head].sqrt()).T
        attention.in_proj_weight[WIDTH : 2 * WIDTH][rows] = (
            sizes[:head].sqrt()[:, None] * right[:head]
        )


def _drawn(pool: Pool, picks: np.ndarray, *, flipped: bool) -> tuple[Tensor, Tensor]:
    """Views (B, 3, S, S) from -1 to 1 and their answers (B, P, D); mirrored, if `flipped`."""
    pixels = torch.from_numpy(pool.views[picks]).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    answers = torch.from_numpy(pool.answers[picks]).float()
    if not flipped:
        return pixels, answers
    mirrored = torch.unflatten(answers, 1, (4, 4)).flip(2).flatten(1, 2)
    return pixels.flip(-1), mirrored


def _spreads(pool: Pool) -> Tensor:
    """The variance of embeddings and of places' answers within each kind, over the whole space."""
    rows = []
    for kind in range(int(pool.kinds.max()) + 1):
        answers = torch.from_numpy(pool.answers[pool.kinds == kind][:4096]).float()
        within = answers.mean(dim=1).var(dim=0).sum(), answers.flatten(0, 1).var(dim=0).sum()
        rows.append(torch.stack(within))
    return torch.stack(rows)


def _optimizers(tower: Any) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the blocks' matrices, AdamW for all else, each with its peak rate."""
    named = dict(tower.named_parameters())
    matrices = {n for n, p in named.items() if n.startswith("transformer.") and p.ndim == 2}
    rest = [p for n, p in named.items() if n not in matrices]
    muon = torch.optim.Muon(
        [named[name] for name in sorted(matrices)],
        lr=RATE,
        weight_decay=0.05,
        adjust_lr_fn="match_rms_adamw",
    )
    return [
        (muon, RATE),
        (torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0), RATE),
    ]


def _schedule(done: float) -> float:
    """The share of the peak rate when so much of the training is done."""
    return min(done / WARM_UP, 1.0) * math.cos(done * math.pi / 2) if done < 1 else 0.0


def read_tower(tower: nn.Module, folder: Path) -> None:
    """Take the weights that `write_tower` wrote to `folder`."""
    tower.load_state_dict(load_file(folder / "image_tower.safetensors"))


def write_tower(tower: nn.Module, folder: Path) -> int:
    """Write the config and the half-precision image tower; returns the weights' size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.half().contiguous() for n, t in tower.state_dict().items()}
    config = json.dumps(CONFIG, indent=2) + "\n"
    (folder / "open_clip_config.json").write_text(config, encoding="utf-8")
    weights = folder / "image_tower.safetensors"
    written = weights.with_suffix(".new")
    save_file(tensors, written, metadata={"format": "pt"})
    written.chmod(0o644)
    written.replace(weights)
    return weights.stat().st_size
