"""The encoder: frozen CLIP towers that embed pictures and prompts, named by a fingerprint.

Shapes: N images or prompts · V views per image · D feature width.
"""

import hashlib
import json
import logging
import pickle
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.errors import NacreError, SettingsError, UnavailableError
from adapters.towers.image_tower import FrozenImageTower
from workers.encoding.encoder_settings import (
    TINY,
    TINY_VIT,
    Activation,
    EncoderSettings,
    Precision,
)
from workers.encoding.joined_towers import FIRST_FOLDER, SECOND_FOLDER, joined
from workers.images.pixels import PixelTransform
from workers.images.torchvision_ops import ensure_torchvision_imports
from workers.store.answers import Meaning, of_os_error

SHIPPED = {TINY: FIRST_FOLDER, TINY_VIT: SECOND_FOLDER}
"""The folders of the encoders that come with nacre, by the names that users give them."""

IMPRECISE = (
    "in bfloat16 a tower of convolutions loses digits: the least cosine of a feature of `tiny` "
    "with that of float32 is 0.97, and answers about one picture in thirty change"
)
"""Said of such an encoder; docs/scale.md has the figures."""

logger = logging.getLogger("nacre.encoder")

_DOES_NOT_FIT = "Error(s) in loading state_dict"  # how torch begins
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_MOST_REASON = 400

Tokenizer = Callable[[list[str]], Tensor]


class Encoder:
    """One open_clip model, frozen.

    Attributes:
        fingerprint: Names model, weights, transform and precision; features of different
            fingerprints must never meet.
        width: D, the feature width.
        logit_scale: The factor that turns cosine similarities into logits, about 100.
        transform: Pictures to pixels, the encoder's test view.
        model: The open_clip model itself, for the trainer's text tower.
        image_tower: Its image tower.
        tokenizer: Texts to token ids (N, 77).
    """

    # Owns: the model (never changed after construction).

    def __init__(self, settings: EncoderSettings, *, device: str = "cpu") -> None:
        ensure_torchvision_imports()
        self.settings = settings
        self.device = torch.device(device)
        model, config = _load(settings)
        self.model: Any = model.to(self.device).eval().requires_grad_(False)
        self.tokenizer = tokenizer_of(settings)
        self.transform = PixelTransform(model.visual.preprocess_cfg)
        self.width = int(config["embed_dim"])
        self.logit_scale = float(self.model.logit_scale.exp())
        self.fingerprint = _fingerprint(self.model, config, settings.precision)
        self.image_tower = FrozenImageTower(
            self.model, normalised=self.transform.normalised, fingerprint=self.fingerprint
        )
        if self.is_imprecise:
            logger.warning("encoder %r: %s", settings.model, IMPRECISE)

    @property
    def is_imprecise(self) -> bool:
        """Whether its features differ from those of float32 by more than rounding should."""
        return self.settings.precision == "bf16" and self.image_tower.convolves

    @torch.no_grad()
    def text_features(self, prompts: Sequence[str]) -> Tensor:
        """Return the unit features of `prompts`: (N, D) float32 on the CPU."""
        if not prompts:
            return torch.zeros(0, self.width)
        tokens = self.tokenizer(list(prompts)).to(self.device)
        features = self.model.encode_text(tokens).float()
        return nn.functional.normalize(features, dim=-1).cpu()


def _load(settings: EncoderSettings) -> tuple[Any, dict[str, Any]]:
    """Return the model with its weights, and the configuration that it was built from."""
    import open_clip

    config, force_quick_gelu = _configuration(settings)
    try:
        if settings.model == TINY_VIT:
            return joined(config, precision=settings.precision), config | {"quick_gelu": False}
        model = open_clip.create_model(
            _open_clip_name(settings),
            pretrained=settings.pretrained,
            precision=settings.precision,
            force_quick_gelu=force_quick_gelu,
            require_pretrained=True,
        )
    except Exception as error:
        raise not_loaded(settings, error) from error
    return model, config | {"quick_gelu": force_quick_gelu or config.get("quick_gelu", False)}


def not_loaded(settings: EncoderSettings, error: Exception) -> NacreError:
    """Return what is raised where weights cannot be loaded: final, unless loading may work later.

    Files that are missing, damaged or of another model stay so until a person changes them. What
    passes is what keeps a download, a file system or the memory from giving them now.
    """
    where = _folder(settings) or settings.pretrained
    ours = Path(str(where)).exists()
    if _may_pass(error) or not (ours or _DOES_NOT_FIT in str(error)):
        return UnavailableError(
            f"the weights of encoder {settings.model!r} ({where}) cannot be loaded now: "
            f"{_reason(error)}",
            model=settings.model,
        )
    return SettingsError(
        f"expected weights of encoder {settings.model!r} in {where}, found some that are missing, "
        f"damaged or of another model ({_reason(error)}); put the right ones there, or set `model` "
        "and `pretrained` of the encoder to values that belong together",
        model=settings.model,
        found=str(where),
    )


def _may_pass(error: Exception) -> bool:
    """Return whether `error` is one of the machine's, which says nothing about the weights."""
    if not isinstance(error, OSError):
        return isinstance(error, (MemoryError, torch.OutOfMemoryError))
    native = _OS_ERROR.search(str(error))  # how safetensors says the number
    known = OSError(int(native[1]), "") if native else error
    return of_os_error(known).meaning in (Meaning.PASSING, Meaning.REFUSED)


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):  # torch advises then to run whatever is in it
        return "no weights that can be read without running code"
    return textwrap.shorten(str(error), _MOST_REASON, placeholder=" …") or type(error).__name__


def _folder(settings: EncoderSettings) -> Path | None:
    if settings.model in SHIPPED:
        return SHIPPED[settings.model]
    path = Path(settings.model)
    return path if path.is_dir() else None


def _open_clip_name(settings: EncoderSettings) -> str:
    folder = _folder(settings)
    return f"local-dir:{folder}" if folder else settings.model


def untrained_tower(settings: EncoderSettings) -> nn.Module:
    """Return an encoder's image tower without weights: no memory is taken, and nothing can be run.

    Raises:
        SettingsError: no such encoder.
    """
    ensure_torchvision_imports()
    from open_clip.model import _build_vision_tower

    config, quick_gelu = _configuration(settings)
    quick_gelu = quick_gelu or config.get("quick_gelu", False)
    with torch.device("meta"):
        tower: nn.Module = _build_vision_tower(
            config["embed_dim"], config["vision_cfg"], quick_gelu
        )
    return tower


def tokenizer_of(settings: EncoderSettings) -> Tokenizer:
    """Return the tokenizer of an encoder, whose weights are not loaded."""
    ensure_torchvision_imports()
    import open_clip

    tokenizer: Tokenizer = open_clip.get_tokenizer(_open_clip_name(settings))
    return tokenizer


def _configuration(settings: EncoderSettings) -> tuple[dict[str, Any], bool]:
    """Return the model's configuration and whether QuickGELU must be forced on."""
    folder = _folder(settings)
    return (_folder_config(folder), False) if folder else _named_config(settings)


def _folder_config(folder: Path) -> dict[str, Any]:
    path = folder / "open_clip_config.json"
    if not path.is_file():
        raise SettingsError(
            f"expected open_clip_config.json in the encoder's folder {folder}, found none; save "
            "the model in open_clip's format",
            folder=str(folder),
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        int(config["embed_dim"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"expected an open_clip configuration with a `model_cfg` in {path}, found none "
            f"({error!r}); save the model in open_clip's format",
            folder=str(folder),
        ) from error
    return config


def _named_config(settings: EncoderSettings) -> tuple[dict[str, Any], bool]:
    """Return the model's configuration and whether QuickGELU must be forced on."""
    import open_clip

    config = open_clip.get_model_config(settings.model)
    if config is None:
        raise SettingsError(
            "expected `tiny`, `tiny-vit`, a folder or the name of an open_clip model, found "
            f"{settings.model!r}",
            model=settings.model,
        )
    if settings.pretrained is None:
        raise SettingsError(
            f"expected a tag or a file of weights for encoder {settings.model!r}, found none; set "
            "`pretrained` in the encoder's settings",
            model=settings.model,
        )
    tag = open_clip.pretrained.get_pretrained_cfg(settings.model, settings.pretrained)
    model_activation: Activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
    if tag:
        _check_tag(settings, model_activation, "quick_gelu" if tag.get("quick_gelu") else "gelu")
        return config, False
    return config, _check_file(settings, model_activation)


def _check_tag(settings: EncoderSettings, model: Activation, weights: Activation) -> None:
    # open_clip only warns here, and the features are then silently a little wrong.
    import open_clip

    if model != weights:
        name = settings.model.removesuffix("-quickgelu")
        fitting = name + ("-quickgelu" if weights == "quick_gelu" else "")
        known = fitting != settings.model and fitting in open_clip.list_models()
        remedy = (
            f"use the model {fitting!r}"
            if known
            else (
                "no model of that name and activation is known: give the weights as a file, and "
                "their `activation`"
            )
        )
        raise SettingsError(
            f"the weights {settings.pretrained!r} were trained with {weights}, but the model "
            f"{settings.model!r} computes {model}; {remedy}",
            model=settings.model,
            pretrained=settings.pretrained,
        )


def _check_file(settings: EncoderSettings, model: Activation) -> bool:
    if not Path(str(settings.pretrained)).is_file():
        raise SettingsError(
            f"expected a tag known to open_clip or a file of weights, found "
            f"{settings.pretrained!r} for encoder {settings.model!r}",
            pretrained=settings.pretrained,
        )
    if settings.activation is None:
        raise SettingsError(
            f"the file {settings.pretrained} does not say which activation it was trained with; "
            "set `activation` to gelu or quick_gelu (OpenAI's own weights: quick_gelu)",
            pretrained=settings.pretrained,
        )
    if model == "quick_gelu" and settings.activation == "gelu":
        raise SettingsError(
            f"the weights were trained with gelu, but the model {settings.model!r} computes "
            f"quick_gelu; use the model {settings.model.removesuffix('-quickgelu')!r}",
            model=settings.model,
        )
    return settings.activation == "quick_gelu"


def _fingerprint(model: Any, config: dict[str, Any], precision: Precision) -> str:
    """Return 32 hexadecimal digits that name everything that a feature depends on."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    facts = {
        "config": config,
        "weights": digest.hexdigest(),
        "transform": model.visual.preprocess_cfg,
        "precision": precision,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]
