"""The ranks of a run: processes that train one model, on one host or several.

torchrun starts them and numbers them in the environment; Lightning Fabric averages their gradients.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from caesura.errors import TrainingError
from caesura.train.forward import Shard
from caesura.train.precision import Setting, resolve

# A rank that does not answer for this long counts as lost; one that ends is noticed at once.
_PATIENCE = timedelta(minutes=5)


def start(accelerator: str, setting: Setting) -> Fabric:
    """The Fabric of this process: one of the ranks that torchrun started, or the only one.

    Args:
        accelerator: as Lightning Fabric names them: "auto", "cpu", "cuda".
        setting: `train.precision`.
    """
    on_gpu = accelerator != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.backends.cudnn.allow_tf32 = False  # the loss subtracts nearly equal squares and needs float32
    precision = resolve(setting, "cuda" if on_gpu else "cpu")
    strategy: str | DDPStrategy = "auto"
    here = hosts = 1
    if distributed.is_torchelastic_launched():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        hosts = int(os.environ["WORLD_SIZE"]) // here
    if here * hosts > 1:
        strategy = DDPStrategy(timeout=_PATIENCE, forward_sync_buffers=False, gradient_as_bucket_view=True)
    fabric = Fabric(
        accelerator=accelerator, strategy=strategy, devices=here, num_nodes=hosts, precision=precision
    )
    if here > 1 and hosts == 1:
        _join("nccl" if fabric.device.type == "cuda" else "gloo")
    fabric.launch()
    return fabric


def _join(backend: str) -> None:
    """Create the process group, which Fabric then uses.

    Ranks that torchrun restarts use the same store, which still holds the addresses of lost ranks: every
    attempt needs keys of its own. Several hosts count their attempts separately; there torchrun has to make a
    new store each time (docs/TRAINING.md).
    """
    store, rank, count = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    attempt = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    distributed.init_process_group(backend, store=attempt, rank=rank, world_size=count, timeout=_PATIENCE)


def shard(fabric: Fabric) -> Shard:
    """The part of every batch that belongs to this rank."""
    return Shard(fabric.global_rank, fabric.world_size)


def mean(fabric: Fabric, values: Tensor) -> Tensor:
    """Mean of `values` over all ranks."""
    if fabric.world_size == 1:
        return values
    distributed.all_reduce(values)  # Fabric's own function has a barrier before it
    return values / fabric.world_size


def agreed(fabric: Fabric, answer: Any) -> Any:
    """The value of `answer` on rank 0."""
    return answer if fabric.world_size == 1 else fabric.broadcast(answer)


def check_equal(fabric: Fabric, model: nn.Module, step: int) -> None:
    """Check that all ranks have the same weights, to the last bit.

    Raises:
        TrainingError: they have not.
    """
    if fabric.world_size == 1:
        return
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    if digest.hexdigest() != fabric.broadcast(digest.hexdigest()):
        raise TrainingError(
            f"step {step}: the weights of rank {fabric.global_rank} differ from those of rank 0; "
            "all ranks need the same kind of processor and the same versions of all packages"
        )


@contextmanager
def together(fabric: Fabric) -> Iterator[None]:
    """Context manager around the work of all ranks, after which the process group ends.

    Raises:
        TrainingError: another rank was lost: it ended, or did not answer for five minutes.
    """
    try:
        yield
        if fabric.world_size > 1:
            distributed.destroy_process_group()
    except RuntimeError as error:
        if fabric.world_size == 1 or not _is_loss(error):
            raise
        reason = str(error).strip().partition(". ")[0]
        raise TrainingError(
            f"rank {fabric.global_rank}: another rank ended or does not answer ({reason}); "
            "start the run again with --resume to continue from its last checkpoint"
        ) from error


def _is_loss(error: RuntimeError) -> bool:
    """Whether a rank was lost. Errors of gloo have no class of their own and are recognised by their text."""
    text = str(error).lower()
    signs = ("gloo", "nccl", "connection", "timed out", "timeout")
    return isinstance(error, distributed.DistError) or any(sign in text for sign in signs)
