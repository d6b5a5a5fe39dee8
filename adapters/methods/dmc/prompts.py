"""Prompts with learnt vectors: [start] v_1 ... v_m, the class's name, [end].

`shared` has one context of m vectors, which every task trains again over all classes. `augmented`
has two halves: the first is trained in the first task and stays, the second is a task's own.

Shapes: C classes · D feature width · W width of the text tower · m vectors
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.randomness import generator
from adapters.errors import SettingsError
from adapters.methods.dmc.settings import DmcSettings
from adapters.towers.text_side import TextSide

_DEVIATION = 0.02
_AT_ONCE = 128


class Prompts:
    """The prompts of some classes, whose context comes as an argument.

    Args:
        text: Has the text tower and its tokenizer.
        classes: Whose names.
        context: m.
        device: Where the products run.
        by: The method, for errors.

    Raises:
        SettingsError: no tower or tokenizer, or a tower that takes no learnt vectors.
    """

    # Owns: nothing that changes.

    def __init__(
        self,
        text: TextSide,
        classes: Sequence[ClassEntry],
        *,
        context: int,
        device: torch.device,
        by: str,
    ) -> None:
        if text.tower is None or text.tokenizer is None:
            raise SettingsError(
                f"method {by!r} learns prompts: expected the text tower and its tokenizer, found "
                "cached text features alone; use prompts 'none'",
                method=by,
            )
        tokens = text.tokenizer([f"{entry.name}." for entry in classes])
        self._tower = text.tower
        self._tokens = self._tower.spaced(tokens, places=context).to(device)

    def features(self, context: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the text features of classes, float32 unit rows, with a graph to the context.

        Args:
            context: (m, W).
            chosen: Which classes, int64; None for all.
        """
        tokens = self._tokens if chosen is None else self._tokens[chosen.to(self._tokens.device)]
        return normalize(self._tower.features(tokens, context=context).float(), dim=-1)

    @torch.no_grad()
    def final(self, context: Tensor) -> Tensor:
        """Return the text features of all classes as they are kept, (C, D) on the CPU."""
        parts = torch.split(torch.arange(len(self._tokens)), _AT_ONCE)
        return torch.cat([self.features(context, part) for part in parts]).cpu().contiguous()


class Contexts:
    """The learnt vectors of one task.

    Attributes:
        trained: Those that this task trains, by name.

    Args:
        settings: Say which there are.
        width: W.
        kept: The shared ones that earlier tasks have left, None before the first task.
        seed: Names the draws.
        device: Where the products run.
    """

    names: ClassVar[tuple[str, str]] = ("context", "own_context")

    def __init__(
        self,
        settings: DmcSettings,
        *,
        width: int,
        kept: Tensor | None,
        seed: int,
        device: torch.device,
    ) -> None:
        self._augmented = settings.prompts == "augmented"
        size = settings.context // 2 if self._augmented else settings.context

        def drawn(name: str) -> Tensor:
            noise = torch.randn(size, width, generator=generator(seed, name))
            return (_DEVIATION * noise).to(device)

        first = kept is None
        self._frozen = None if kept is None or not self._augmented else kept.to(device)
        self.trained: dict[str, torch.nn.Parameter] = {}
        if first or not self._augmented:
            begun = drawn("context") if kept is None else kept.to(device).clone()
            self.trained["context"] = torch.nn.Parameter(begun)
        if self._augmented:
            self.trained["own_context"] = torch.nn.Parameter(drawn("own context"))

    @property
    def shared(self) -> Tensor:
        """The vectors that later tasks take over."""
        return self.trained["context"] if self._frozen is None else self._frozen

    @property
    def whole(self) -> Tensor:
        """All vectors of this task's prompts, (m, W)."""
        if not self._augmented:
            return self.shared
        return torch.cat([self.shared, self.trained["own_context"]])
