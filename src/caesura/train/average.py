"""The moving average of a model's weights, which is what validation looks at and export takes."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Exponential moving average whose decay ramps up, so that early averages forget the start.

    Its count stays on the CPU: PyTorch's own update reads it from the device, which waits for every step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=False)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take over the weights that `model` has after a step, and its buffers as they are."""
        count = int(self.n_averaged)
        ramped = min(self._decay, (1 + count) / (10 + count)) if count else 0.0
        torch._foreach_lerp_(list(self.module.parameters()), list(model.parameters()), 1 - ramped)
        for averaged, current in zip(self.module.buffers(), model.buffers(), strict=True):
            averaged.copy_(current)
        self.n_averaged += 1
