"""Network, scale vectors and prior together: what training optimises and export writes.

    pixels -> analysis -> y --(* gain)--> +noise -> prior -> bits
                              \\--------> round --(* inverse)--> synthesis -> clip -> pixels'

The rate ladder is a pair of scale vectors per anchor, one before and one after quantization (Theis et al.
2017, section 2.4). The transforms and the prior do not depend on the rate.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from caesura.train.cae2017 import klt, priors
from caesura.train.cae2017.networks import Analysis, Synthesis
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

# High-rate theory for an orthonormal transform: the uniform step that balances R + beta D is
# sqrt(18 / (beta ln 2)) in pixel units (R is per pixel and D a mean over three channels, so that a
# coefficient's best distortion is 3 / (2 beta ln 2)).
_STEP_SQUARED_BETA = 18 / np.log(2)


class Cae2017Model(nn.Module):
    """The network of cae2017 for a ladder of rates.

    Attributes:
        analysis, synthesis: the transforms.
        prior: entropy model of the unscaled latents.
        log_gain, log_inverse: float (anchors, C), natural logarithms of the scale vectors before and after
            quantization; larger gain, finer quantization.
        shard: which samples of the whole batch `forward` gets in training; all by default.
    """

    def __init__(self, config: Config, squares: np.typing.NDArray[np.uint8] | None = None) -> None:
        """`squares`: uint8 (n, side, side, 3) photographs whose KLT the transforms start from.

        Without them the weights are random, to be loaded over.
        """
        super().__init__()
        self.shard: Shard = WHOLE
        channels = config.network.latent_channels
        self.analysis = Analysis(channels, config.network.padding)
        self.synthesis = Synthesis(channels, config.network.padding)
        deviations = torch.ones(channels)
        if squares is not None:
            components, deviations = klt.principal_components(squares, channels)
            klt.start_from(components, self.analysis, self.synthesis)
        self.prior = priors.make(config.prior, deviations)
        pixel_deviation = float(self.analysis.pixel_deviation.mean())
        betas = torch.tensor(config.loss.betas)
        log_gain = torch.log(pixel_deviation * torch.sqrt(betas / _STEP_SQUARED_BETA))
        self.log_gain = nn.Parameter(log_gain[:, None].repeat(1, channels))
        self.log_inverse = nn.Parameter(-log_gain[:, None].repeat(1, channels))

    def inner_weights(self) -> list[nn.Parameter]:
        """The weights that Muon trains: all convolutions but the two at the pixels."""
        ends = {id(self.analysis.conv1.weight), id(self.synthesis.conv3.weight)}
        return [p for p in self.parameters() if p.dim() == 4 and id(p) not in ends]

    def forward(self, pixels: Tensor, position: Tensor, mask: Tensor | None = None) -> Output:
        """Reconstructions of rounded latents, and bits: in training those of noisy latents.

        Args:
            pixels: float (N, 3, H, W) in [0, 1]; H and W multiples of 8.
            position: float (N,), the ladder position of each sample, 0 to anchors - 1.
            mask: float (C,) of 0 and 1; latent channels with 0 are set to zero and cost no bits.
        """
        anchor_weights = mixing(position, len(self.log_gain))
        gain, inverse = (anchor_weights @ self.log_gain).exp(), (anchor_weights @ self.log_inverse).exp()
        scaled = self.analysis(pixels).float() * gain[..., None, None]
        log_mass = self.prior.log_mass(
            add_noise(scaled, self.shard) if self.training else torch.round(scaled), gain
        )
        latent = round_identity(scaled) * inverse[..., None, None]
        if mask is not None:
            log_mass = log_mass * mask[:, None, None]
            latent = latent * mask[:, None, None]
        restored = reconstruction(pixels, self.synthesis(latent).float(), training=self.training)
        return Output(restored, bits(log_mass))
