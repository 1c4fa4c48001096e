"""The float side of the entropy model: hyperlatent, and the means of the latents, pass by pass.

    latent * gain -> asinh -> HyperAnalysis -> hyperlatent (N, D, H/64, W/64)
    round(hyperlatent) -> HyperSynthesis -> features (N, F, H/16, W/16)
    features, latents of earlier passes -> Means -> the next pass' means

The entropy decoder does not depend on any of it: means are added to symbols that are already decoded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.train.cae2026.likelihood import logistic_log_mass
from caesura.train.cae2026.networks import SLOPE, Block, Modulation, conv1x1


class HyperAnalysis(nn.Module):
    """float (N, C, 4h, 4w), scaled latents, to the hyperlatent, float (N, D, h, w)."""

    def __init__(self, latents: int, hyperlatents: int, anchors: int, width: int) -> None:
        super().__init__()
        self.enter = conv1x1(latents, width)
        self.middle = conv1x1(4 * width, width)
        self.block = Block(width, anchors)
        self.leave = conv1x1(4 * width, hyperlatents)

    def forward(self, scaled: Tensor, anchor_weights: Tensor) -> Tensor:
        """See the class."""
        x = F.leaky_relu(self.enter(_asinh(scaled)), SLOPE)
        x = F.leaky_relu(self.middle(F.pixel_unshuffle(x, 2)), SLOPE)
        x = self.block(x, anchor_weights)
        hyperlatent: Tensor = self.leave(F.pixel_unshuffle(x, 2))
        return hyperlatent


def _asinh(x: Tensor) -> Tensor:
    """asinh, which makes magnitudes comparable at all rates; runtimes have no fast operator for it."""
    size = x.abs()
    return torch.sign(x) * torch.log(size + torch.sqrt(size * size + 1))


class HyperSynthesis(nn.Module):
    """float (N, D, h, w), integers, to features, float (N, F, 4h, 4w)."""

    def __init__(self, hyperlatents: int, anchors: int, width: int, features: int) -> None:
        super().__init__()
        self.enter = conv1x1(hyperlatents, width)
        self.coarse = Block(width, anchors)
        self.middle = conv1x1(width, 4 * width)
        self.fine = Block(width, anchors)
        self.leave = conv1x1(width, 4 * features)

    def forward(self, hyperlatent: Tensor, anchor_weights: Tensor) -> Tensor:
        """See the class."""
        x = self.coarse(F.leaky_relu(self.enter(hyperlatent), SLOPE), anchor_weights)
        x = self.fine(F.leaky_relu(F.pixel_shuffle(self.middle(x), 2), SLOPE), anchor_weights)
        features: Tensor = F.pixel_shuffle(self.leave(x), 2)
        return features


class Means(nn.Module):
    """Means of one pass, float (N, C, h, w), in units of each channel's deviation; zero at the start."""

    def __init__(self, latents: int, features: int, anchors: int, width: int) -> None:
        super().__init__()
        self.enter = conv1x1(features + latents, width)
        self.enter_scale = Modulation(anchors, width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.middle = conv1x1(width, width)
        self.leave = conv1x1(width, latents, zero=True)

    def forward(self, features: Tensor, known: Tensor, anchor_weights: Tensor) -> Tensor:
        """See the class.

        Args:
            features: from `HyperSynthesis`.
            known: float (N, C, h, w), latents of earlier passes, others zero.
            anchor_weights: float (N, anchors).
        """
        means: Tensor = self.leave(self.hidden(features, known, anchor_weights))
        return means

    def hidden(self, features: Tensor, known: Tensor, anchor_weights: Tensor) -> Tensor:
        """Input of the last layer, which is a 1x1 convolution: float (N, width, h, w)."""
        x = F.leaky_relu(self.enter(torch.cat([features, known], 1)), SLOPE)
        x = self.enter_scale(x, anchor_weights, self.depthwise)
        return F.leaky_relu(self.middle(x), SLOPE)


class HyperPrior(nn.Module):
    """The hyperlatent's own entropy model: per channel a mixture of logistics, interpolated along the ladder.

    Attributes:
        mean, log_scale, logit: float (anchors, D, K), in steps of the hyperlatent.
    """

    def __init__(self, hyperlatents: int, anchors: int, components: int = 2) -> None:
        super().__init__()
        spread = torch.linspace(-0.7, 0.7, components).expand(anchors, hyperlatents, -1)
        self.mean = nn.Parameter(torch.zeros(anchors, hyperlatents, components))
        self.log_scale = nn.Parameter(spread.clone())
        self.logit = nn.Parameter(torch.zeros(anchors, hyperlatents, components))

    def log_mass(self, value: Tensor, anchor_weights: Tensor) -> Tensor:
        """Natural logarithm of the mass of each unit bin: float (N, D, ...), (N, anchors) to (N, D, ...)."""
        shape = (len(value), value.shape[1], *(1,) * (value.dim() - 2), -1)
        mean, log_scale, logit = (
            torch.einsum("na,adk->ndk", anchor_weights, parameter).reshape(shape)
            for parameter in (self.mean, self.log_scale, self.logit)
        )
        mass = logistic_log_mass(value[..., None] - mean, log_scale.clamp(-3.5, 6))
        return torch.logsumexp(torch.log_softmax(logit, -1) + mass, -1)
