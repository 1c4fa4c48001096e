"""The distortion of one picture and its gradient at the decoded latents, for the encoder's last effort."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from caesura.errors import ConfigError
from caesura.model import Bundle
from caesura.segments import Grid
from caesura.train import models, start
from caesura.train.cae2026.model import FlagshipModel
from caesura.train.config import Config, from_dict

_TILE = 48  # latents a side; the pass back holds about 300 bytes a pixel

Float = NDArray[np.float32]


class Distortion:
    """Beta times the squared error of pixels in [0, 1], summed over one picture: in bits."""

    def __init__(self, rgb: NDArray[np.uint8], mix: Float, bundle: Bundle) -> None:
        """Prepare.

        Args:
            rgb: uint8 (H, W, 3), the picture.
            mix: float32 (anchors,), the rate.
            bundle: the model.

        Raises:
            ConfigError: the model was tuned for another distortion.
        """
        self._model, config = _model(bundle)
        if config.loss.distortion != "mse":
            raise ConfigError(
                f"effort is 9, which refines for squared error; model {bundle.name} is tuned for "
                f"{config.loss.distortion}, 1 to 8 is allowed"
            )
        self._rgb, self._bundle = rgb, bundle
        self._mix = torch.from_numpy(mix)[None]
        self._beta = float(np.exp(mix @ np.log(config.loss.betas)))

    def __call__(self, latent: Float) -> tuple[float, Float]:
        """Decoded latents, float32 (C, h, w), to the distortion and its gradient, float32 (C, h, w)."""
        stride = self._bundle.stride
        total, gradient = 0.0, np.zeros_like(latent)
        _, rows, columns = latent.shape
        for _, row, column in Grid(rows, columns, _TILE, self._bundle.halo // stride):
            seen = torch.from_numpy(latent[:, row.seen, column.seen].copy())[None].requires_grad_()
            decoded = self._model.synthesis(seen, self._mix)[0].clamp(0, 1)
            top, left = row.inner.start * stride, column.inner.start * stride
            kept = self._rgb[
                row.kept.start * stride : row.kept.stop * stride,
                column.kept.start * stride : column.kept.stop * stride,
            ]
            high, wide = kept.shape[:2]
            pixels = torch.from_numpy(kept.copy()).permute(2, 0, 1).float() / 255
            error = (decoded[:, top : top + high, left : left + wide] - pixels).square().sum()
            cost = error * self._beta / len(pixels)  # the mean is over colours as well
            (slope,) = torch.autograd.grad(cost, seen)
            total += float(cost.detach())
            gradient[:, row.seen, column.seen] += slope[0].numpy()
        return total, gradient


@lru_cache(maxsize=2)
def _model(bundle: Bundle) -> tuple[FlagshipModel, Config]:
    weights, training = start.read_bundle(bundle)
    config = from_dict(training["config"])
    model = models.make(config)
    assert isinstance(model, FlagshipModel)  # the caller's architecture
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), config
