"""The two towers of the tiny CLIP: how they are built, started and written."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from workers.images.torchvision_ops import ensure_torchvision_imports

IMAGE_SIZE = 128
EMBED_DIM = 512
TRUNK = "tf_efficientnet_lite0"

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {
            "timm_model_name": TRUNK,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "linear",
            "timm_proj_bias": True,
            "image_size": IMAGE_SIZE,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 96,
            "heads": 3,
            "layers": 3,
        },
    },
    "preprocess_cfg": {
        "size": IMAGE_SIZE,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}


def build_model() -> nn.Module:
    """An open_clip model of `CONFIG` with random weights."""
    ensure_torchvision_imports()
    from open_clip.model import CLIP

    model: nn.Module = CLIP(**CONFIG["model_cfg"])
    return model


def classifier_and_trunk(checkpoint: Path) -> tuple[torch.Tensor, torch.Tensor, nn.Module]:
    """The ImageNet classifier's rows and biases, and the tower below it, ready to be copied.

    The package names its tensors differently from timm, but has the same ones in the same order.
    """
    ensure_torchvision_imports()
    import timm

    trunk: nn.Module = timm.create_model(TRUNK, pretrained=False)
    given = torch.load(checkpoint, map_location="cpu", weights_only=True)
    names = trunk.state_dict()
    if [t.shape for t in given.values()] != [t.shape for t in names.values()]:
        raise ValueError(f"{checkpoint} does not hold the tensors of {TRUNK} in timm's order.")
    trunk.load_state_dict(dict(zip(names, given.values(), strict=True)))
    classifier = trunk.get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    rows, biases = classifier.weight.detach().clone(), classifier.bias.detach().clone()
    trunk.reset_classifier(0)  # type: ignore[operator]
    return rows, biases, trunk.eval()


def early_maps(trunk: Any, images: torch.Tensor) -> torch.Tensor:
    """What the tower makes of the images before its last stage."""
    maps: torch.Tensor = trunk.blocks[:-1](trunk.bn1(trunk.conv_stem(images)))
    return maps


def last_stage(trunk: Any, maps: torch.Tensor) -> torch.Tensor:
    """The tower's 1,280 features, averaged over the image, from `early_maps`."""
    maps = trunk.bn2(trunk.conv_head(trunk.blocks[-1](maps)))
    features: torch.Tensor = trunk.forward_head(maps)
    return features


def encode_tokens(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Unit text embeddings, as `model.encode_text`, on tokens cut to the longest of the batch.

    The text tower is causal and pools at the end token, which has the highest number: what
    follows it changes nothing, so the padding need not be computed.
    """
    parts: Any = model
    end = tokens.argmax(dim=-1)
    length = int(end.max()) + 1
    states = parts.token_embedding(tokens[:, :length]) + parts.positional_embedding[:length]
    states = parts.transformer(states, attn_mask=parts.attn_mask[:length, :length])
    pooled = parts.ln_final(states)[torch.arange(len(tokens)), end]
    return nn.functional.normalize(pooled @ parts.text_projection, dim=-1)


def write_model(model: nn.Module, folder: Path) -> int:
    """Write the config and the half-precision weights; returns the weights' size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    _replace(folder / "open_clip_config.json", (json.dumps(CONFIG, indent=2) + "\n").encode())
    weights = folder / "open_clip_model.safetensors"
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as temporary:
        pass
    save_file(tensors, temporary.name, metadata={"format": "pt"})
    Path(temporary.name).chmod(0o644)
    Path(temporary.name).replace(weights)
    return weights.stat().st_size


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)
