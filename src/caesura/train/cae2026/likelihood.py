"""The distribution of which the integer tables are made, as training uses it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.entropy.control import INDICES
from caesura.train.cae2026.control import LOG_STEP, SMALLEST_SCALE


class Shape(nn.Module):
    """Two logistic components, narrow and wide; the logit of their weights is linear in the table index.

    Attributes:
        log_ratio: float (2,), logarithm of each component's scale relative to that of the index.
        logit, slope: float; the weight of the wide component is sigmoid(logit + slope * index / INDICES).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_ratio = nn.Parameter(torch.tensor([-0.3, 0.5]))
        self.logit = nn.Parameter(torch.tensor(-1.5))
        self.slope = nn.Parameter(torch.tensor(0.0))

    def log_mass(self, value: Tensor, index: Tensor) -> Tensor:
        """Natural logarithm of the mass over [value - 1/2, value + 1/2]; float tensors of one shape."""
        scale = torch.log(value.new_full((), SMALLEST_SCALE)) + LOG_STEP * index
        wide = self.logit + self.slope / INDICES * index
        narrow_mass = F.logsigmoid(-wide) + logistic_log_mass(value, scale + self.log_ratio[0])
        wide_mass = F.logsigmoid(wide) + logistic_log_mass(value, scale + self.log_ratio[1])
        return torch.logaddexp(narrow_mass, wide_mass)


def logistic_log_mass(value: Tensor, log_scale: Tensor) -> Tensor:
    """Logarithm of the mass of a zero-mean logistic distribution over unit bins, for any finite input.

    With a and b the bin's ends, mirrored below zero, in units of the scale, F(a) - F(b) is
    e^a (1 - e^(b - a)) / ((1 + e^a) (1 + e^b)), each factor of which has a stable logarithm.
    """
    inverse = torch.exp(-log_scale)
    upper = (0.5 - value.abs()) * inverse
    lower = upper - inverse
    return torch.log(-torch.expm1(-inverse)) + F.logsigmoid(upper) + F.logsigmoid(-lower)
