"""A smaller stage at 1/8 of the synthesis, cut out of a trained one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caesura.errors import ConfigError
from caesura.train import narrow as narrowing
from caesura.train import start as starts
from caesura.train.architectures import make
from caesura.train.config import Config, from_dict
from caesura.train.loop import train
from caesura.train.narrow import narrow
from train_helpers import QUIET, make_pack, photo, planar

SQUARES = np.stack([photo(64, 64, 64 * number, 128) for number in range(3)])


def cae2026(fine_width: int, fine_blocks: int, **others: Any) -> Config:
    network = {"name": "cae2026", "latent_channels": 8, "hyperlatent_channels": 4, "prior_width": 8}
    analysis = {"fine_width": 8, "fine_blocks": 1, "coarse_width": 8, "coarse_blocks": 1}
    synthesis = analysis | {"fine_width": fine_width, "fine_blocks": fine_blocks}
    return from_dict(
        {
            "network": network | {"analysis": analysis, "synthesis": synthesis} | others,
            "loss": {"betas": [100.0, 200.0]},
            "train": {"steps": 2, "batch": 2, "crop": 64, "stage": "synthesis", "precision": "32-true"},
        }
    )


def trained(config: Config) -> dict[str, Tensor]:
    """Weights of which none is zero, as far from the start as training would bring them."""
    model = make(config, SQUARES)
    generator = torch.Generator().manual_seed(1)
    return {
        name: value + 0.1 * torch.randn(value.shape, generator=generator)
        if name.startswith("synthesis.") and value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }


def decoded(config: Config, weights: dict[str, Tensor]) -> Tensor:
    model = make(config, SQUARES)
    model.load_state_dict(weights)
    pixels: Tensor = model.eval()(planar(SQUARES[0]), torch.tensor([0.5])).pixels
    return pixels


@pytest.mark.slow
def test_as_many_channels_of_one_block_decode_to_the_same() -> None:
    config = cae2026(8, 1)
    weights = trained(config)
    narrowed = narrow(weights, config, config, SQUARES)
    torch.testing.assert_close(decoded(config, narrowed), decoded(config, weights), rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_cut_network_decodes_to_nearly_what_the_whole_one_did() -> None:
    """Nearer than one with the same parts whose stage starts from nothing."""
    before, after = cae2026(8, 2), cae2026(6, 1)
    weights = trained(before)
    narrowed = narrow(weights, before, after, SQUARES)
    new = make(after, SQUARES).state_dict()
    anew = {
        name: new[name] if name.startswith(narrowing._REPLACED) else value for name, value in narrowed.items()
    }
    whole = decoded(before, weights)
    cut, from_nothing = ((decoded(after, kept) - whole).square().mean() for kept in (narrowed, anew))
    assert cut < from_nothing / 2
    assert all(
        torch.equal(value, weights[name])
        for name, value in narrowed.items()
        if not name.startswith(narrowing._REPLACED)
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            cae2026(8, 2),
            cae2026(8, 2),
            "has 2 fine blocks of 8 channels; 1 of at most 8 is allowed, cut out of the start's 2",
        ),
        (cae2026(8, 2), cae2026(9, 1), "has 1 fine blocks of 9 channels; 1 of at most 8 is allowed"),
        (cae2026(8, 2), cae2026(6, 1, prior_width=4), "differs from the start's in more than"),
    ],
)
def test_what_cannot_be_cut_is_refused(before: Config, after: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        narrow({}, before, after, SQUARES)


@pytest.mark.slow
def test_the_command_writes_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make_pack(tmp_path, side=64)
    train(cae2026(8, 2), pack, tmp_path / "first", console=QUIET)
    smaller = tmp_path / "smaller.toml"
    smaller.write_text(
        "[network]\nname = 'cae2026'\nlatent_channels = 8\nhyperlatent_channels = 4\nprior_width = 8\n"
        "[network.analysis]\nfine_width = 8\nfine_blocks = 1\ncoarse_width = 8\ncoarse_blocks = 1\n"
        "[network.synthesis]\nfine_width = 6\nfine_blocks = 1\ncoarse_width = 8\ncoarse_blocks = 1\n"
        "[loss]\nbetas = [100, 200]\n"
    )
    arguments = [str(path) for path in (tmp_path / "first", smaller, pack, tmp_path / "cut")]
    monkeypatch.setattr(sys, "argv", ["narrow", *arguments])
    narrowing.main()
    assert starts.read(tmp_path / "cut" / "kept").training["history"][-1]["steps"] == 2
    train(cae2026(6, 1), pack, tmp_path / "second", start=tmp_path / "cut" / "kept", console=QUIET)
