"""Cut a smaller decoder out of a trained cae2026: one block at 1/8 with fewer channels.

    python -m caesura.train.narrow START CONFIG PACK RUN

START is a run or a bundle, CONFIG the TOML file with the smaller `[network.synthesis]`. RUN then holds
weights to start from, first with `stage = "synthesis"`, which makes up for the removed channels.

Channels between blocks are replaced by their principal components, weighted by the response of the layers
that read them. Inside a block the hidden channels with the largest effect on its output are kept. Each block
is tried as the only one; the one with which decoded pictures change least is used.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from caesura.errors import ConfigError
from caesura.train import architectures, checkpoint
from caesura.train import start as starts
from caesura.train.cae2026.networks import SLOPE, Block, Synthesis
from caesura.train.config import Config, from_dict, load
from caesura.train.pack import Pack, planar, spread

_CROPS = 24
_SUBSAMPLING = 7  # of the cells of each crop, for the statistics
_REPLACED = ("synthesis.up.", "synthesis.fine.", "synthesis.leave.")


class Observed(NamedTuple):
    """Activations of the stage at 1/8 while pictures were decoded."""

    latents: list[tuple[Tensor, Tensor]]  # inputs of the synthesis: latents and anchor weights
    streams: list[Tensor]  # float (n, channels): before the first block and after each
    energies: list[tuple[Tensor, Tensor]]  # mean squares of the hidden channels in both parts of each block


def main() -> None:
    """Read arguments, narrow, write."""
    parser = argparse.ArgumentParser(prog="python -m caesura.train.narrow", description=__doc__)
    parser.add_argument("start", type=Path, help="a run, what it kept, or a bundle")
    parser.add_argument("config", type=Path, help="a TOML file")
    parser.add_argument("pack", type=Path, help="made by `caesura data prepare`")
    parser.add_argument("run", type=Path, help="the folder to write")
    arguments = parser.parse_args()
    pack, config = Pack(arguments.pack), load(arguments.config)
    weights, record = starts.read(arguments.start)
    squares = pack.squares[spread(pack.train, _CROPS)]
    narrowed = narrow(weights, from_dict(record["config"]), config, squares)
    history = [*record.pop("history", []), record]
    state = {"step": 0, "pixels": 0, "config": config.as_dict(), "history": history}
    checkpoint.keep(arguments.run, narrowed, state)


@torch.no_grad()
def narrow(
    weights: dict[str, Tensor], before: Config, after: Config, squares: NDArray[np.uint8]
) -> dict[str, Tensor]:
    """Weights for a network whose synthesis has a smaller stage at 1/8.

    Args:
        weights: of a model of cae2026.
        before: its configuration.
        after: a configuration whose network differs in that stage alone.
        squares: uint8 (N, side, side, 3), for the statistics; sides are multiples of 16.

    Raises:
        ConfigError: the networks differ in something else, or the stage is not one block of fewer channels.
    """
    _check(before, after)
    old, new = architectures.make(before, squares), architectures.make(after, squares)
    old.load_state_dict(old.state_dict() | weights)
    kept = {name: value for name, value in old.state_dict().items() if not name.startswith(_REPLACED)}
    new.load_state_dict(new.state_dict() | kept)
    assert isinstance(old.synthesis, Synthesis)
    assert isinstance(new.synthesis, Synthesis)
    observed = _observe(old.eval(), old.synthesis, squares)
    tried = []
    for number in range(len(old.synthesis.fine)):
        _cut(old.synthesis, new.synthesis, number, observed)
        tried.append((_change(old.synthesis, new.synthesis, observed), copy.deepcopy(new.state_dict())))
    return min(tried, key=lambda one: one[0])[1]


def _check(before: Config, after: Config) -> None:
    was, wanted = before.network.synthesis, after.network.synthesis
    alike = dataclasses.replace(before.network, synthesis=wanted) == after.network
    if not alike or (was.coarse_width, was.coarse_blocks) != (wanted.coarse_width, wanted.coarse_blocks):
        raise ConfigError("network differs from the start's in more than the synthesis' stage at 1/8")
    if wanted.fine_blocks != 1 or wanted.fine_width > was.fine_width:
        raise ConfigError(
            f"network.synthesis has {wanted.fine_blocks} fine blocks of {wanted.fine_width} channels; "
            f"1 of at most {was.fine_width} is allowed, cut out of the start's {was.fine_blocks}"
        )


def _observe(model: nn.Module, synthesis: Synthesis, squares: NDArray[np.uint8]) -> Observed:
    """Activations while squares are coded at ladder positions from one end to the other."""
    blocks = [block for block in synthesis.fine if isinstance(block, Block)]
    inputs: list[list[Tensor]] = [[] for _ in range(len(blocks) + 1)]
    hidden: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in blocks]
    latents: list[tuple[Tensor, Tensor]] = []
    hooks = [synthesis.register_forward_pre_hook(lambda _, given: latents.append(given))]
    for number, block in enumerate(blocks):
        hooks += [
            block.register_forward_pre_hook(lambda _, given, n=number: inputs[n].append(_cells(given[0]))),
            block.enter.register_forward_hook(lambda _, __, out, n=number: hidden[n][0].append(_cells(out))),
            block.widen.register_forward_hook(lambda _, __, out, n=number: hidden[n][1].append(_cells(out))),
        ]
    hooks.append(blocks[-1].register_forward_hook(lambda _, __, out: inputs[-1].append(_cells(out))))
    top = len(model.get_parameter("log_gain")) - 1
    for number, square in enumerate(squares):
        position = torch.tensor([top * number / max(1, len(squares) - 1)])
        model(planar(torch.from_numpy(square)[None]), position)
    for hook in hooks:
        hook.remove()
    energies = [(_energy(first), _energy(second)) for first, second in hidden]
    return Observed(latents, [torch.cat(found) for found in inputs], energies)


def _cells(x: Tensor) -> Tensor:
    """A sample of the cells, float (1, channels, h, w) to (n, channels)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)[::_SUBSAMPLING]


def _energy(hidden: list[Tensor]) -> Tensor:
    return F.leaky_relu(torch.cat(hidden), SLOPE).square().mean(0)


def _cut(old: Synthesis, new: Synthesis, number: int, observed: Observed) -> None:
    """Set `up`, the only block and `leave` of the new synthesis, from block `number` of the old one."""
    block, only = old.fine[number], new.fine[0]
    assert isinstance(block, Block)
    assert isinstance(only, Block)
    width = new.leave.in_channels
    streams = [*observed.streams[: number + 2], observed.streams[-1]]
    reduce, expand = _subspace(
        streams, [_matrix(one) for one in (old.leave, block.enter, block.widen)], width
    )
    wide = old.leave.in_channels
    up = torch.einsum("nw,wpc->npc", reduce, _matrix(old.up).reshape(wide, 4, -1))  # 4: a cell's at 1/16
    _set(new.up, up.flatten(0, 1), (reduce @ _bias(old.up).reshape(wide, 4)).flatten())
    _set(new.leave, _matrix(old.leave) @ expand, _bias(old.leave))

    energy, energy_wide = observed.energies[number]
    into = block.depthwise.weight.square().sum((1, 2, 3)) * _matrix(block.leave).square().sum(0)
    some = _strongest(energy * into, width)
    _set(only.enter, (_matrix(block.enter) @ expand)[some], _bias(block.enter)[some])
    only.enter_scale.table.copy_(block.enter_scale.table[:, some])
    only.depthwise.weight.copy_(block.depthwise.weight[some])
    _bias(only.depthwise).copy_(_bias(block.depthwise)[some])
    _set(only.leave, (reduce @ _matrix(block.leave))[:, some], reduce @ _bias(block.leave))

    some = _strongest(energy_wide * _matrix(block.narrow).square().sum(0), 2 * width)
    _set(only.widen, (_matrix(block.widen) @ expand)[some], _bias(block.widen)[some])
    only.widen_scale.table.copy_(block.widen_scale.table[:, some])
    _set(only.narrow, (reduce @ _matrix(block.narrow))[:, some], reduce @ _bias(block.narrow))


def _subspace(streams: list[Tensor], readers: list[Tensor], width: int) -> tuple[Tensor, Tensor]:
    """Maps to `width` channels and back, (width, channels) and (channels, width), best for the readers."""
    covariance = sum((x.T @ x / len(x) for x in streams), torch.zeros(()))
    values, vectors = torch.linalg.eigh(sum((matrix.T @ matrix for matrix in readers), torch.zeros(())))
    roots = values.clamp(min=1e-9).sqrt()
    weigh, unweigh = (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
    principal = torch.linalg.eigh(weigh @ covariance @ weigh)[1][:, -width:]
    return principal.T @ weigh, unweigh @ principal


def _strongest(importance: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest, ascending."""
    return importance.argsort(descending=True)[:count].sort().values


def _matrix(conv: nn.Conv2d) -> Tensor:
    return conv.weight[:, :, 0, 0]


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _set(conv: nn.Conv2d, matrix: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(matrix[..., None, None])
    _bias(conv).copy_(bias)


def _change(old: Synthesis, new: Synthesis, observed: Observed) -> float:
    """Mean squared difference of the pixels that both decode, in [0, 1]."""
    changes = [(old(*given) - new(*given)).square().mean() for given in observed.latents]
    return float(torch.stack(changes).mean())


if __name__ == "__main__":
    main()
