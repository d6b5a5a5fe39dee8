"""Version tower: the image tower of a version of DMC, its low-rank change merged into the weights.

Shapes: N images · P paths · S side of the input in pixels · D feature width
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.methods.dmc.image_change import Parameters, attention_changes
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.vision_transformer import check_transformer, merged


class VersionTower:
    """An image tower that costs what the encoder's own does; the encoder's stays as it is.

    Args:
        base: The encoder's own.
        parameters: `down` and `up` of the change.
        bare: Whether images run through the encoder's own as well, as the first of two paths.
        fingerprint: Names this tower.
        by: The method, for errors.

    Raises:
        SettingsError: the encoder's tower is of another kind.
    """

    # Owns: copies of the weights that are changed.

    def __init__(
        self,
        base: FrozenImageTower,
        parameters: Parameters,
        *,
        bare: bool,
        fingerprint: str,
        by: str,
    ) -> None:
        check_transformer(base.visual, by=by)
        self._base, self._bare = base, bare
        on_device = {name: each.to(base.device) for name, each in parameters.items()}
        self._visual = merged(base.visual, attention_changes(on_device))
        self.fingerprint = fingerprint

    @property
    def own_bytes(self) -> int:
        """Bytes of the weights that are its own."""
        shared = {id(each) for each in self._base.visual.parameters()}
        return sum(each.nbytes for each in self._visual.parameters() if id(each) not in shared)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """See `ImageTower`; (N, D), or (N, 2, D)."""
        found = normalize(self._visual(self._base.prepared(pixels)).float(), dim=-1).cpu()
        return torch.stack([self._base.features(pixels), found], dim=1) if self._bare else found
