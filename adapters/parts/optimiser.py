"""Optimisers whose state is named tensors: AdamW along a schedule, and SGD with momentum."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from adapters.parts.schedule import Rate

_MOMENTS = ("exp_avg", "exp_avg_sq")
_SECOND_BETA = 0.999
_MOMENTUM = "momentum_buffer"


class ScheduledAdamW:
    """Owns the moments of `parameters`; the parameters stay the caller's.

    Args:
        parameters: At least one, by name.
        rate: Learning rate and first beta of every step, counted from 0.
        weight_decay: Decoupled decay.
        epsilon: What keeps the second moment's root from zero.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        *,
        rate: Callable[[int], Rate],
        weight_decay: float,
        epsilon: float = 1e-8,
    ) -> None:
        self._parameters, self._rate = parameters, rate
        self._adamw = torch.optim.AdamW(
            parameters.values(), weight_decay=weight_decay, eps=epsilon, fused=True
        )

    def step(self, number: int) -> None:
        """Move the parameters along their gradients as step `number`, and clear the gradients."""
        rate = self._rate(number)
        for group in self._adamw.param_groups:
            group["lr"], group["betas"] = rate.learning_rate, (rate.momentum, _SECOND_BETA)
        self._adamw.step()
        self._adamw.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and moments by name; no moments before the first step."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            tensors[f"parameter/{name}"] = parameter
            state = self._adamw.state[parameter]
            tensors |= {f"{kind}/{name}": state[kind] for kind in _MOMENTS if kind in state}
        return tensors

    def load(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Take over what `tensors` returned after `steps_done` steps.

        Raises:
            KeyError: a tensor is missing.
            RuntimeError: a tensor has another shape.
        """
        _take_over(self._parameters, tensors)
        if steps_done == 0:
            return
        for name, parameter in self._parameters.items():
            # A fused optimiser keeps its count beside its parameter.
            count = torch.tensor(float(steps_done), device=parameter.device)
            moments = {kind: tensors[f"{kind}/{name}"].to(parameter.device) for kind in _MOMENTS}
            if any(moment.shape != parameter.shape for moment in moments.values()):
                raise RuntimeError(f"moments of {name!r}: expected shape {tuple(parameter.shape)}")
            self._adamw.state[parameter] = {"step": count, **moments}


class MomentumSgd:
    """Owns the momentum of `parameters`; the parameters stay the caller's.

    A parameter without a gradient takes no part in a step: it neither decays nor moves on.

    Args:
        parameters: At least one, by name.
        momentum: Share of a step that goes on into the next.
        weight_decay: Factor of the parameters in their gradients.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        *,
        momentum: float,
        weight_decay: float,
    ) -> None:
        self._parameters = parameters
        self._sgd = torch.optim.SGD(
            parameters.values(), lr=0.0, momentum=momentum, weight_decay=weight_decay
        )

    def step(self, *, learning_rate: float) -> None:
        """Move the parameters along their gradients, and clear the gradients."""
        for group in self._sgd.param_groups:
            group["lr"] = learning_rate
        self._sgd.step()
        self._sgd.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and momentum by name; no momentum of what has not moved yet."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            tensors[f"parameter/{name}"] = parameter
            moving = self._sgd.state[parameter].get(_MOMENTUM)
            if moving is not None:
                tensors[f"momentum/{name}"] = moving
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned.

        Raises:
            KeyError: a parameter is missing.
            RuntimeError: a tensor has another shape.
        """
        _take_over(self._parameters, tensors)
        for name, parameter in self._parameters.items():
            moving = tensors.get(f"momentum/{name}")
            if moving is None:
                continue
            if moving.shape != parameter.shape:
                raise RuntimeError(f"momentum of {name!r}: expected shape {tuple(parameter.shape)}")
            self._sgd.state[parameter] = {_MOMENTUM: moving.to(parameter.device)}


@torch.no_grad()
def _take_over(parameters: Mapping[str, torch.nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Give parameters the values that `tensors` has for them."""
    for name, parameter in parameters.items():
        parameter.copy_(tensors[f"parameter/{name}"])
