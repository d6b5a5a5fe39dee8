"""The second encoder that ships: an image tower of its own beside the first one's text tower.

Both image towers lie in one joint space, so that the texts' weights need to be there only once.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from workers.encoding.encoder_settings import Precision
from workers.images.torchvision_ops import ensure_torchvision_imports

FIRST_FOLDER = Path(__file__).parent / "tiny_clip"
SECOND_FOLDER = Path(__file__).parent / "tiny_vit"
IMAGE_TOWER = "image_tower.safetensors"
CONFIG = "open_clip_config.json"
_BOTH_TOWERS = "open_clip_model.safetensors"
_VISUAL = "visual."


def joined(config: dict[str, Any], *, precision: Precision) -> Any:
    """Return the open_clip model of the second image tower and the first one's text tower.

    Args:
        config: `model_cfg` of the second's configuration.
        precision: As `open_clip.create_model` understands it.
    """
    ensure_torchvision_imports()
    from open_clip import convert_weights_to_lp, get_cast_dtype
    from open_clip.model import CLIP, set_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg

    lower = get_cast_dtype(precision)
    model: Any = CLIP(**config, cast_dtype=lower)
    if lower is not None:
        convert_weights_to_lp(model, dtype=lower)
    model.load_state_dict(joined_weights())
    stored = json.loads((SECOND_FOLDER / CONFIG).read_text(encoding="utf-8"))["preprocess_cfg"]
    preprocess = PreprocessCfg(**stored | {"size": model.visual.image_size})
    set_model_preprocess_cfg(model, asdict(preprocess))
    return model


def joined_weights() -> dict[str, Tensor]:
    """Return the model's weights as they are stored, in half precision, by open_clip's names."""
    from safetensors.torch import load_file

    first = load_file(FIRST_FOLDER / _BOTH_TOWERS)
    texts = {name: each for name, each in first.items() if not name.startswith(_VISUAL)}
    return texts | {
        f"{_VISUAL}{name}": each for name, each in load_file(SECOND_FOLDER / IMAGE_TOWER).items()
    }
