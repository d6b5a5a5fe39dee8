"""An encoder of the size of ViT-B-32 with random weights: for speed, not for answers."""

import hashlib
from typing import Any

import torch

from adapters.towers.image_tower import FrozenImageTower
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.images.pixels import PixelTransform
from workers.images.torchvision_ops import ensure_torchvision_imports

MODEL = "ViT-B-32"


class RandomEncoder(Encoder):
    """The towers of ViT-B-32, or of another model with features as wide, drawn from a seed."""

    def __init__(
        self, settings: EncoderSettings, *, device: str = "cpu", name: str = MODEL
    ) -> None:
        ensure_torchvision_imports()
        import open_clip

        torch.manual_seed(0)
        self.settings = settings
        self.device = torch.device(device)
        model: Any = open_clip.create_model(name, pretrained=None, precision=settings.precision)
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.tokenizer = open_clip.get_tokenizer(name)
        self.transform = PixelTransform(model.visual.preprocess_cfg)
        self.width = 512
        self.logit_scale = 100.0
        self.fingerprint = hashlib.sha256(f"{name} {settings.precision}".encode()).hexdigest()[:32]
        self.image_tower = FrozenImageTower(
            self.model, normalised=self.transform.normalised, fingerprint=self.fingerprint
        )
