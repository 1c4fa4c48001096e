"""optim.py: Muon for the inner convolutions, Adam for the rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from caesura.train.cae2017.model import Cae2017Model
from caesura.train.optim import Muon, optimizers, orthogonalise
from train_helpers import tiny


def random_matrices(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def parameters(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


@pytest.mark.parametrize("shape", [(1, 32, 128), (3, 128, 32), (2, 64, 96), (1, 8, 2000)])
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_orthogonalising_brings_singular_values_near_one(shape: tuple[int, int, int], size: float) -> None:
    result = orthogonalise(random_matrices(*shape) * size)
    assert result.shape == shape
    assert result.dtype == torch.float32
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_orthogonalising_keeps_the_singular_directions() -> None:
    matrices = random_matrices(2, 32, 96)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ orthogonalise(matrices) @ right.mT
    off_diagonal = turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))
    assert turned.diagonal(dim1=1, dim2=2).min() > 0.6
    assert off_diagonal.abs().max() < 0.05


def test_a_stack_of_matrices_is_treated_one_by_one() -> None:
    matrices = random_matrices(3, 16, 48)
    together = orthogonalise(matrices)
    for number in range(3):
        torch.testing.assert_close(
            together[number], orthogonalise(matrices[number : number + 1])[0], atol=0.02, rtol=0
        )


def test_a_gradient_of_zero_moves_nothing() -> None:
    weight = nn.Parameter(random_matrices(4, 3, 3, 3))
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    Muon([weight], lr=0.1).step()
    assert torch.equal(weight, before)


@pytest.mark.slow
def test_muon_minimises_a_quadratic() -> None:
    target = random_matrices(16, 4, 3, 3)
    weights = [nn.Parameter(torch.zeros(16, 4, 3, 3)), nn.Parameter(torch.zeros(8, 2, 1, 1))]
    targets = [target, random_matrices(8, 2, 1, 1)]
    optimizer = Muon(weights, lr=0.1)
    losses = []
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
        optimizer.zero_grad()
        loss = sum(((w - t) ** 2).sum() for w, t in zip(weights, targets, strict=True))
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        optimizer.step()
    assert losses[-1] < 0.02 * losses[0]


def test_muons_step_has_the_size_of_adams() -> None:
    """A root mean square of about 0.2 times the learning rate, whatever the gradient (Liu et al. 2025)."""
    weight = nn.Parameter(torch.zeros(64, 32, 3, 3))
    weight.grad = 1e-3 * random_matrices(64, 32, 3, 3)
    Muon([weight], lr=1.0).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.3)


def test_muon_steps_against_the_gradient() -> None:
    weight = nn.Parameter(torch.zeros(16, 8, 3, 3))
    weight.grad = random_matrices(16, 8, 3, 3)
    Muon([weight], lr=1.0).step()
    assert float((weight.detach() * weight.grad).sum()) < 0


def test_a_weight_without_a_gradient_stays() -> None:
    moved, kept = (nn.Parameter(torch.ones(4, 4, 1, 1)) for _ in range(2))
    moved.grad = torch.ones_like(moved)
    Muon([moved, kept], lr=0.1).step()
    assert not torch.equal(moved, torch.ones_like(moved))
    assert torch.equal(kept, torch.ones_like(kept))


def test_muon_takes_no_closure() -> None:
    with pytest.raises(TypeError, match="takes no closure"):
        Muon([nn.Parameter(torch.zeros(2, 2))], lr=0.1).step(lambda: 0.0)


def test_muon_takes_the_inner_convolutions_and_adam_the_rest() -> None:
    model = Cae2017Model(tiny())
    muon, adam = optimizers(model, 1e-3)
    assert isinstance(muon, Muon)
    assert isinstance(adam, Adam)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    inner = {names[id(parameter)] for parameter in parameters(muon)}
    outer = [names[id(parameter)] for parameter in parameters(adam)]
    blocks = {f"{part}.blocks.{i}.{which}.weight" for part in ("analysis", "synthesis") for i in range(3)
              for which in ("first", "second")}  # fmt: skip
    assert inner == blocks | {f"analysis.conv{i}.weight" for i in (2, 3)} | {
        f"synthesis.conv{i}.weight" for i in (1, 2)
    }
    assert {"log_gain", "log_inverse", "analysis.conv1.weight", "synthesis.conv3.weight"} <= set(outer)
    assert sorted([*inner, *outer]) == sorted(names.values())


def test_frozen_parameters_are_left_out_and_muon_with_them() -> None:
    model = Cae2017Model(tiny())
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in {"log_gain", "log_inverse"}
    (adam,) = optimizers(model, 1e-3)
    assert isinstance(adam, Adam)
    assert [id(parameter) for parameter in parameters(adam)] == [id(model.log_gain), id(model.log_inverse)]
