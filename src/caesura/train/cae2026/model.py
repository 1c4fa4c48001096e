"""Network, hyperprior and entropy control together: what training optimises and export writes.

    pixels -> analysis -> y --(* gain)--> hyper-analysis -> round -> z --> index base, features
    for each pass: means(features, y^ so far) -> m,  index += control(|s| so far)
                   round(y * gain - m) -> s,  (s + m) * inverse -> y^
    y^ -> synthesis -> clip -> pixels'

Every position and channel is coded in one of four passes: in pass t, the corner c of a 2x2 cell codes the
channel group c ^ t, so that each pass codes a quarter of every group and each symbol sees neighbours of its
own channel and, at its own position, the groups of earlier passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.entropy.passes import PASSES
from caesura.models.bundle import HYPER
from caesura.train.cae2026 import klt
from caesura.train.cae2026.control import LOG_STEP, Control, clip_index, groups, index_of, magnitude
from caesura.train.cae2026.detail import Detail
from caesura.train.cae2026.hyperprior import HyperAnalysis, HyperPrior, HyperSynthesis, Means
from caesura.train.cae2026.likelihood import Shape
from caesura.train.cae2026.networks import PIXEL_DEVIATION, Analysis, Synthesis
from caesura.train.config import Config
from caesura.train.forward import (
    WHOLE,
    Output,
    Shard,
    add_noise,
    bits,
    mixing,
    reconstruction,
    round_identity,
)

# As in the model of cae2017: high-rate theory's uniform step squared, times beta.
_STEP_SQUARED_BETA = 18 / math.log(2)
# Latents enter networks divided by about their deviation, those far below the coarsest step by this.
_SMALLEST_DEVIATION = 0.5


class Cae2026Model(nn.Module):
    """The network of cae2026, one set of weights for all rates.

    Attributes:
        log_gain, log_inverse: float (anchors, C), natural logarithms of the scale vectors before and after
            quantization; larger gain, finer quantization.
        deviation: float (C,), by which latents are divided where they enter a network.
        shard: which samples of the whole batch `forward` gets in training; all by default.
    """

    deviation: Tensor

    def __init__(self, config: Config, squares: np.typing.NDArray[np.uint8] | None = None) -> None:
        """`squares`: uint8 (n, side, side, 3) photographs that the linear transform starts from.

        Without them the weights are random, to be loaded over.
        """
        super().__init__()
        self.shard: Shard = WHOLE
        network, anchors = config.network, len(config.loss.betas)
        latents, hyperlatents = network.latent_channels, network.hyperlatent_channels
        width = network.prior_width
        self.analysis = Analysis(latents, anchors, network.analysis)
        self.synthesis = Synthesis(latents, anchors, network.synthesis)
        self.hyper_analysis = HyperAnalysis(latents, hyperlatents, anchors, width)
        self.hyper_synthesis = HyperSynthesis(hyperlatents, anchors, width, width)
        self.hyper_prior = HyperPrior(hyperlatents, anchors)
        self.means = nn.ModuleList(Means(latents, width, anchors, width) for _ in range(PASSES))
        self.control = Control(latents, hyperlatents, anchors)
        self.shape = Shape()
        self.detail = Detail(latents)
        self._detail_only = config.train.stage == "detail"

        betas = torch.tensor(config.loss.betas)
        steps = torch.sqrt(_STEP_SQUARED_BETA / betas) / PIXEL_DEVIATION
        log_gain = torch.log(steps[0] / steps)[:, None].repeat(1, latents)
        self.log_gain = nn.Parameter(log_gain)
        self.log_inverse = nn.Parameter(-log_gain)
        self.register_buffer("deviation", torch.ones(latents))
        if squares is not None:
            components, deviations = klt.principal_components(squares, latents)
            deviations = deviations / steps[0]
            with torch.no_grad():
                self.analysis.linear.weight.copy_(components.reshape(self.analysis.linear.weight.shape))
                self.synthesis.linear.weight.copy_(components.T[..., None, None])
                self.analysis.unit.copy_(steps[0])
                self.synthesis.unit.copy_(steps[0])
                self.deviation.copy_((deviations**2 + _SMALLEST_DEVIATION**2).sqrt())
                self.synthesis.input_scale.copy_(1 / self.deviation[:, None, None])
                # A logistic distribution's scale is its deviation times sqrt(3) / pi.
                scales = deviations * log_gain.exp() * (math.sqrt(3) / math.pi)
                self.control.bias.copy_(index_of(scales) * LOG_STEP)

    def inner_weights(self) -> list[nn.Parameter]:
        """The weights that Muon trains: all convolutions but the depthwise ones."""
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        return [p for conv in convolutions if conv.groups == 1 for p in conv.parameters() if p.dim() == 4]

    def forward(self, pixels: Tensor, position: Tensor) -> Output:
        """Reconstructions of rounded latents, and bits: in training those of noisy latents.

        Args:
            pixels: float (N, 3, H, W) in [0, 1]; H and W multiples of 16.
            position: float (N,), the ladder position of each sample, 0 to anchors - 1. In the stage "detail"
                the base is coded at the top of the ladder, and 0 to anchors - 1 stands for the range from
                there to quality 100.
        """
        if self._detail_only:
            return self._forward_detail(pixels, position / max(len(self.log_gain) - 1, 1))
        anchor_weights = mixing(position, len(self.log_gain))
        coded = self.code(*self.analyse(pixels, anchor_weights), anchor_weights)
        log_mass = self.shape.log_mass(self._for_rate(coded.offset, coded.symbols), clip_index(coded.indices))
        restored = reconstruction(
            pixels, self.synthesis(coded.latent, anchor_weights).float(), training=self.training
        )
        return Output(restored, bits(log_mass) + bits(coded.hyper_mass))

    def _forward_detail(self, pixels: Tensor, share: Tensor) -> Output:
        anchors = len(self.log_gain)
        with torch.no_grad():
            anchor_weights = mixing(torch.full_like(share, anchors - 1), anchors)
            coded = self.code(*self.analyse(pixels, anchor_weights), anchor_weights)
            base = torch.round(self.synthesis(coded.latent, anchor_weights).float().clamp(0, 1) * 255)
        log_mass, detail = self.detail(pixels * 255 - base, magnitude(coded.symbols), share)
        return Output(((base + detail) / 255).clamp(0, 1), bits(log_mass))

    def analyse(self, pixels: Tensor, anchor_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled latents, float (N, C, h, w), and the hyperlatent, float (N, D, h / 4, w / 4), of pixels.

        As in the codec, the last row and column of latents are repeated to fill the last hyperlatents.
        """
        target = self.analysis(pixels, anchor_weights).float() * _interpolated(anchor_weights, self.log_gain)
        whole = F.pad(target, (0, -target.shape[3] % HYPER, 0, -target.shape[2] % HYPER), mode="replicate")
        return target, self.hyper_analysis(whole, anchor_weights).float()

    def code(
        self,
        target: Tensor,
        hyperlatent: Tensor,
        anchor_weights: Tensor,
        quantize: Quantizer = round_identity,
    ) -> Coded:
        """Symbols, table indices and decoded latents of the result of `analyse`, pass by pass."""
        gain, inverse = (_interpolated(anchor_weights, table) for table in (self.log_gain, self.log_inverse))
        rounded = quantize(hyperlatent)
        hyper_mass = self.hyper_prior.log_mass(self._for_rate(hyperlatent, rounded), anchor_weights)
        rows, columns = target.shape[2:]
        odd = (0, columns % 2, 0, rows % 2)  # the codec computes means for whole cells of 2x2 latents
        features = self.hyper_synthesis(rounded, anchor_weights).float()[
            ..., : rows + odd[3], : columns + odd[1]
        ]
        index = self.control.base(rounded, anchor_weights).float()[..., :rows, :columns]

        order = groups(target.shape[1], target.shape[2], target.shape[3], target.device)
        deviation = self.deviation[:, None, None]
        scale_out, scale_in = gain * deviation, inverse / deviation
        known = torch.zeros_like(target)  # scaled latents decoded so far
        coded = torch.zeros_like(target)
        mean = torch.zeros_like(target)
        magnitudes = torch.zeros_like(target)
        for number, net in enumerate(self.means):
            now = order == number
            means = net(features, F.pad(known * scale_in, odd), anchor_weights)[..., :rows, :columns]
            update = means.float() * scale_out
            mean = torch.where(now, update, mean)
            if number:
                index = index + now * self.control.step(magnitudes, number).float()
            symbols = quantize(target - update)
            coded = torch.where(now, symbols, coded)
            known = torch.where(now, symbols + update, known)
            if number + 1 < PASSES:
                magnitudes = torch.where(now, magnitude(torch.round(symbols.detach())), magnitudes)
        return Coded(known * inverse, target - mean, coded, index, hyper_mass)

    def _for_rate(self, value: Tensor, rounded: Tensor) -> Tensor:
        return add_noise(value, self.shard) if self.training else rounded


def _interpolated(anchor_weights: Tensor, log_scale: Tensor) -> Tensor:
    """Scale vectors of each sample, float32 (N, C, 1, 1).

    Not a matrix product, which autocast would compute in bf16.
    """
    return (anchor_weights[..., None] * log_scale).sum(1).exp()[..., None, None]


Quantizer = Callable[[Tensor], Tensor]


class Coded(NamedTuple):
    """Result of coding a batch."""

    latent: Tensor  # float (N, C, h, w), decoded
    offset: Tensor  # float (N, C, h, w), what is rounded to symbols
    symbols: Tensor  # float (N, C, h, w), quantized
    indices: Tensor  # float (N, C, h, w), real table indices
    hyper_mass: Tensor  # float (N, D, h / 4, w / 4), log masses of the hyperlatent
