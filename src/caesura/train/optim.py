"""Optimizers and the moving average: Muon for the inner convolutions, Adam for everything else.

Muon (Jordan et al. 2024) replaces a matrix's momentum by the nearest semi-orthogonal matrix, found with a few
Newton-Schulz iterations. torch.optim.Muon takes 2-D weights one at a time; here convolutions are seen as
(outputs, inputs * kernel) and weights of one shape go through the iterations together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

from caesura.train.architectures import RateModel

# Coefficients of the quintic iteration, and the update's scale that matches Adam's step (Liu et al. 2025).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_ADAM_MATCH = 0.2


class Muon(Optimizer):
    """Orthogonalised momentum (Jordan et al. 2024), with the scale of Liu et al. (2025)."""

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})
        self._dtype = dtype  # of the iterations

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient; `closure` is not supported."""
        if closure is not None:
            raise TypeError("Muon takes no closure")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if "momentum" not in self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            velocities = [self.state[weight]["momentum"] for weight in weights]
            torch._foreach_lerp_(velocities, gradients, 1 - group["momentum"])
            looking_ahead = torch._foreach_lerp(gradients, velocities, group["momentum"])  # Nesterov
            by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for weight, update in zip(weights, looking_ahead, strict=True):
                flat = update.flatten(1)
                by_shape[flat.shape[0], flat.shape[1]].append((weight, flat))
            for shape, entries in by_shape.items():
                updates = orthogonalise(torch.stack([update for _, update in entries]), self._dtype)
                step = -_ADAM_MATCH * max(shape) ** 0.5 * group["lr"]
                moved: list[Tensor] = [weight for weight, _ in entries]
                torch._foreach_add_(
                    moved,
                    [update.reshape(weight.shape) for weight, update in zip(moved, updates, strict=True)],
                    alpha=step,
                )


def orthogonalise(matrices: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Matrices with singular values near one: float (n, rows, columns) in and out, computed in `dtype`."""
    x = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result


def optimizers(model: RateModel, lr: float, dtype: torch.dtype = torch.bfloat16) -> list[Optimizer]:
    """Muon and Adam over the parameters that require gradients; Muon is left out where it has none.

    `dtype` is that of Muon's products.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    chosen = {id(weight) for weight in model.inner_weights()}
    inner = [p for p in trained if id(p) in chosen]
    result: list[Optimizer] = [Adam([p for p in trained if id(p) not in chosen], lr=lr, betas=(0.9, 0.98))]
    return [Muon(inner, lr=lr, dtype=dtype), *result] if inner else result


class MovingAverage(AveragedModel):
    """Exponential moving average whose decay ramps up, so that early averages forget the start.

    The count of updates stays on the CPU: PyTorch's own update reads it from the device and waits for each
    step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=False)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of `model` after a step, and copy its buffers."""
        count = int(self.n_averaged)
        ramped = min(self._decay, (1 + count) / (10 + count)) if count else 0.0
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), 1 - ramped)
        for averaged, current in zip(self.module.buffers(), model.buffers(), strict=True):
            averaged.copy_(current)
        self.n_averaged += 1
