"""Work per pixel, counted a second way: by hooks on PyTorch's convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from caesura.entropy.passes import PASSES, parts, pass_of
from caesura.train.cae2026.model import Cae2026Model


def macs(network: nn.Module, *inputs: Tensor) -> int:
    """Multiply-accumulates of a network's convolutions, as its hooks see them."""
    total = 0

    def count(conv: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(conv, nn.Conv2d)
        total += output[0].numel() * conv.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def control_macs(channels: int, depth: int) -> int:
    """Of entropy control on 4x4 latents: what `Indices` really multiplies, pass by pass."""
    total = channels * depth * 16
    for number in range(1, PASSES):
        for part in parts(number, channels):
            symbols = 4 * channels // PASSES  # four cells
            known = sum(
                pass_of(part.group, part.row + down, part.column + right) < number
                for down in (-1, 0, 1)
                for right in (-1, 0, 1)
            )
            total += symbols * (known + number * channels // PASSES)
    return total


def kilomacs_per_pixel(model: Cae2026Model) -> dict[str, float]:
    """Thousands of multiply-accumulates a pixel, part by part, counted on 64x64 pixels."""
    anchors, channels = model.log_gain.shape
    depth, features = model.hyper_analysis.leave.out_channels, model.hyper_synthesis.leave.out_channels // 4
    # Two samples: for one alone, convolutions are not called as modules, which is where hooks are.
    mix, plane = torch.full((2, anchors), 1 / anchors), torch.zeros(2, channels, 4, 4)
    hints = torch.zeros(2, features, 4, 4)
    counted = {
        "analysis": macs(model.analysis, torch.zeros(2, 3, 64, 64), mix),
        "synthesis": macs(model.synthesis, plane, mix),
        "hyper analysis": macs(model.hyper_analysis, plane, mix),
        "hyper synthesis": macs(model.hyper_synthesis, torch.zeros(2, depth, 1, 1), mix),
        # The last map at one position of four: a pass codes a quarter of each cell.
        "means": sum(macs(net, hints, plane, mix) - 12 * net.leave.weight.numel() for net in model.means),
        "control": control_macs(channels, depth),
    }
    return {name: count / 64**2 / 1000 for name, count in counted.items()}


def decoding(counted: dict[str, float]) -> float:
    return sum(counted[name] for name in ("synthesis", "hyper synthesis", "means", "control"))
