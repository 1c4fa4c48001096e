"""Distortion of a picture and its gradient with respect to the decoded latents, for effort 9."""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caesura.errors import ConfigError
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.picture import pixels
from caesura.tiles.grid import Grid, Span
from caesura.train import architectures, loss, start
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.config import Config, from_dict

_TILE = 48  # latents a side; the backward pass takes about 300 bytes a pixel

Float = NDArray[np.float32]


class Distortion:
    """Beta times the distortion of the model's training loss, summed over the pixels of a picture: in bits.

    It is computed tile by tile, of at most 768 x 768 pixels: the sum of each tile's distortion times its
    pixels. For the squared error that equals the distortion of the whole picture. For "perceptual" it is
    close to it: SSIMULACRA 2 has norms over a picture, and scales that small tiles do not have.
    """

    def __init__(self, rgb: NDArray[np.uint8], conditioning: Conditioning) -> None:
        """Prepare.

        Args:
            rgb: uint8 (H, W, 3), the picture.
            conditioning: a model trained for "mse" or "perceptual", at a ladder position.

        Raises:
            ConfigError: the model was trained for another distortion.
        """
        bundle, weights = conditioning.bundle, conditioning.anchor_weights
        self._model, config = _model(bundle)
        self._loss = config.loss
        self._rgb, self._bundle = rgb, bundle
        self._anchor_weights = torch.from_numpy(weights)[None]
        self._beta = float(np.exp(weights @ np.log(self._loss.betas)))

    def __call__(self, latent: Float) -> tuple[float, Float]:
        """The distortion at decoded latents, float32 (C, h, w), and its gradient, float32 (C, h, w)."""
        total, gradient = 0.0, np.zeros_like(latent)
        _, rows, columns = latent.shape
        for _, row, column in Grid(rows, columns, _TILE, self._bundle.halo // self._bundle.stride):
            seen = torch.from_numpy(latent[:, row.window, column.window].copy())[None].requires_grad_()
            decoded = self._model.synthesis(seen, self._anchor_weights).clamp(0, 1)
            cost = self._of_tile(
                decoded[..., self._pixels(row.inner), self._pixels(column.inner)], row, column
            )
            (slope,) = torch.autograd.grad(cost, seen)
            total += float(cost.detach())
            gradient[:, row.window, column.window] += slope[0].numpy()
        return total, gradient

    def _of_tile(self, decoded: Tensor, row: Span, column: Span) -> Tensor:
        """The distortion in bits of a tile's pixels, float (1, 3, H, W), sides in whole latents.

        Pixels beyond the picture count as equal to the original, whose last row and column are repeated.
        """
        kept = self._rgb[self._pixels(row.kept), self._pixels(column.kept)]
        high, wide = kept.shape[:2]
        whole = pixels.pad(kept, *decoded.shape[2:])
        original = torch.from_numpy(whole.copy()).permute(2, 0, 1)[None].float() / 255
        restored = original.clone()
        restored[..., :high, :wide] = decoded[..., :high, :wide]
        distortion = loss.distortion(original, restored, self._loss.distortion, self._loss.mix)
        return distortion[0] * (self._beta * decoded.shape[2] * decoded.shape[3])

    def _pixels(self, span: slice) -> slice:
        return slice(span.start * self._bundle.stride, span.stop * self._bundle.stride)


@lru_cache(maxsize=2)
def _model(bundle: Bundle) -> tuple[Cae2026Model, Config]:
    weights, training = start.read_bundle(bundle)
    distortion = training["config"]["loss"].get("distortion", "mse")
    if distortion not in get_args(loss.Kind):
        raise ConfigError(f"effort is 9; model {bundle.name} is tuned for {distortion}, 1 to 8 is allowed")
    config = from_dict(training["config"])
    model = architectures.make(config)
    assert isinstance(model, Cae2026Model)  # the caller's architecture
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), config
