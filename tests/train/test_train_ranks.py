"""ranks.py: runs of two processes on this machine, whole, losing one, and restarted."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import rank_helpers
from cae2026_helpers import config as cae2026_config
from caesura.errors import ConfigError, TrainingError
from caesura.train import checkpoint, loop, optim, ranks
from caesura.train.config import Config, TrainConfig
from caesura.train.crops import crop_batches
from caesura.train.forward import Shard, add_noise
from caesura.train.loss import betas_at, rate_distortion, sample_weights
from caesura.train.pack import Pack
from rank_helpers import take_part
from train_helpers import make_pack, tiny

LOCAL = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
if sys.platform in LOOPBACK:
    ENVIRONMENT["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]


class Ended(NamedTuple):
    """How a rank ended: its exit status, and what it wrote to stderr."""

    status: int
    messages: str


class Run:
    """A run in a folder of its own, and what it noted."""

    def __init__(self, config: Config, data: Path, folder: Path, muon: int = 1) -> None:
        self.config, self.data, self.folder, self.muon = config, data, folder, muon
        folder.mkdir()
        self.losses = folder / "losses"

    def alone(self) -> None:
        """Train on one rank, in this process."""
        take_part(self.config, self.data, self.folder / "run", self.losses, muon=self.muon)

    def together(self) -> None:
        """Train on two ranks of one host."""
        ended = self._two({"LOCAL_WORLD_SIZE": "2"}, ({"LOCAL_RANK": "0"}, {"LOCAL_RANK": "1"}), dying=-1)
        assert [rank.status for rank in ended] == [0, 0], ended

    def apart(self, *, dying: int) -> Ended:
        """Train on two ranks of two hosts, which only know each other; rank 1 dies at a step.

        Returns:
            The end of rank 0.
        """
        common = {"LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        return self._two(common, ({"GROUP_RANK": "0"}, {"GROUP_RANK": "1"}), dying=dying)[0]

    def torchrun(self, *, restarts: int, dying: int) -> subprocess.CompletedProcess[str]:
        """Train on two ranks that torchrun starts; rank 1 dies once, at a step."""
        command = [sys.executable, "-m", "torch.distributed.run", *LOCAL]
        command += ["--nproc-per-node", "2", "--max-restarts", str(restarts), rank_helpers.__file__]
        paths = self.data, self.folder / "run", self.losses
        return subprocess.run(
            [*command, json.dumps(self.config.as_dict()), *map(str, paths), str(dying)],
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def _two(self, common: dict[str, str], own: tuple[dict[str, str], ...], *, dying: int) -> list[Ended]:
        """Train on two ranks with variables that torchrun would set, and return how they ended.

        They are forks of this process, which has imported what a rank takes seconds to import.
        """
        common = {**ENVIRONMENT, **common, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        fork = multiprocessing.get_context("fork")
        logs = [self.folder / f"messages of rank {rank}" for rank in range(2)]
        ranks = [
            fork.Process(target=self._rank, args=({**common, "RANK": str(rank), **own[rank]}, log, dying))
            for rank, log in enumerate(logs)
        ]
        try:
            for process in ranks:
                process.start()
            for process in ranks:
                process.join(600)
        finally:
            for process in ranks:
                process.kill()
        return [
            Ended(-1 if process.exitcode is None else process.exitcode, log.read_text())
            for process, log in zip(ranks, logs, strict=True)
        ]

    def _rank(self, environment: dict[str, str], log: Path, dying: int) -> None:
        """What a rank does in its fork; its messages go to a file."""
        sys.stdout = sys.stderr = log.open("w", buffering=1)
        os.environ.update(environment)
        take_part(self.config, self.data, self.folder / "run", self.losses, dying=dying, muon=self.muon)

    def steps(self) -> list[int]:
        """Numbers of the steps taken, in their order."""
        return [int(line.split()[0]) for line in self.losses.read_text().splitlines()]

    def curve(self) -> np.ndarray:
        """Loss, rate and error of each step, float (steps, 3)."""
        return np.array([line.split()[1:] for line in self.losses.read_text().splitlines()], float)

    def weights(self) -> dict[str, torch.Tensor]:
        last = checkpoint.latest(self.folder / "run")
        assert last is not None
        assert int(last.name) == self.config.train.steps
        return checkpoint.read(last / "model.pt")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("ranks"), side=64)


SHORT = tiny(train={"steps": 12, "batch": 4, "checkpoint_every": 3})


@pytest.fixture(scope="module")
def whole(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short run of two ranks that nothing happens to."""
    run = Run(SHORT, pack, tmp_path_factory.mktemp("whole") / "run")
    run.together()
    return run


@pytest.mark.slow
def test_two_ranks_train_as_one_does(pack: Path, tmp_path: Path) -> None:
    """Ten steps of 16 crops: the same loss, rate and error at each, but for the rounding of sums."""
    config = tiny(train={"steps": 10, "batch": 16, "learning_rate": 1e-3, "checkpoint_every": 10})
    one, two = (Run(config, pack, tmp_path / name, optim._ITERATIONS) for name in ("one", "two"))
    one.alone()
    two.together()
    assert one.steps() == two.steps() == list(range(10))
    np.testing.assert_allclose(two.curve(), one.curve(), rtol=1e-3)
    np.testing.assert_allclose(two.curve()[:5], one.curve()[:5], rtol=1e-5)
    states = [checkpoint.read_state(run.folder / "run" / "checkpoints" / "000010") for run in (one, two)]
    assert states[0]["pixels"] == states[1]["pixels"]
    for expected, got in zip(states[0]["validation"], states[1]["validation"], strict=True):
        assert got == pytest.approx(expected, rel=1e-3)
    assert_close(one.weights(), two.weights())


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["joint", "detail"])
def test_two_ranks_train_the_flagship(stage: str, pack: Path, tmp_path: Path) -> None:
    config = cae2026_config(train={"stage": stage, "batch": 4, "learning_rate": 1e-3})
    one, two = (Run(config, pack, tmp_path / name) for name in ("one", "two"))
    one.alone()
    two.together()
    assert_close(one.weights(), two.weights())


@pytest.mark.slow
def test_a_lost_rank_ends_the_run_which_another_number_of_ranks_resumes(
    whole: Run, pack: Path, tmp_path: Path
) -> None:
    run = Run(SHORT, pack, tmp_path / "lost")
    status, messages = run.apart(dying=7)
    assert status == 1
    assert "TrainingError: rank 0: another rank ended or does not answer" in messages
    assert "--resume" in messages
    last = checkpoint.latest(run.folder / "run")
    assert last is not None
    assert last.name == "000006"
    run.alone()
    assert run.steps() == [*range(7), *range(6, 12)]
    assert_close(run.weights(), whole.weights())


@pytest.mark.slow
def test_torchrun_restarts_a_run_which_ends_with_the_weights_of_an_uninterrupted_one(
    whole: Run, pack: Path, tmp_path: Path
) -> None:
    killed = Run(SHORT, pack, tmp_path / "killed")
    restarted = killed.torchrun(restarts=1, dying=7)
    assert restarted.returncode == 0, restarted.stderr
    assert "exitcode: -9" in restarted.stderr
    assert killed.steps() == [*range(7), *range(6, 12)]  # from the checkpoint, once
    for name, value in whole.weights().items():
        assert torch.equal(killed.weights()[name], value), name


class Ranks:
    """What checks ask of Fabric, as seen by rank 1 of two."""

    world_size, global_rank, device = 2, 1, torch.device("cpu")

    def __init__(self, theirs: object) -> None:
        self.theirs = theirs

    def broadcast(self, _: object) -> object:
        return self.theirs


def test_a_batch_that_ranks_cannot_share_is_refused(pack: Path) -> None:
    data = Pack(pack)
    with pytest.raises(ConfigError, match=r"train\.batch is 3; 2 ranks need a multiple of 2"):
        loop._check_shared(tiny(train={"batch": 3}).train, data, pack, Ranks(data.sha256))  # type: ignore[arg-type]


def test_data_that_is_another_on_another_rank_is_refused(pack: Path) -> None:
    with pytest.raises(ConfigError, match="differs from that of rank 0"):
        loop._check_shared(SHORT.train, Pack(pack), pack, Ranks("another"))  # type: ignore[arg-type]


def test_weights_that_are_not_those_of_rank_0_end_the_run() -> None:
    with pytest.raises(TrainingError, match="step 9: the weights of rank 1 differ from those of rank 0"):
        ranks.check_equal(Ranks("another"), torch.nn.Conv2d(1, 1, 1), 9)  # type: ignore[arg-type]


# What ranks share


@pytest.mark.parametrize("count", [2, 4])
def test_shards_of_a_step_are_its_batch(count: int, pack: Path) -> None:
    settings: dict[str, Any] = {"batch": 8, "crop": 16, "drawn": 0.5, "grey": 0.5, "seed": 3, "steps": 1}
    device = torch.device("cpu")

    def drawn(shard: Shard) -> torch.Tensor:
        (batch,) = crop_batches(Pack(pack), TrainConfig(**settings), first_step=0, device=device, shard=shard)
        return batch

    whole = drawn(Shard())
    for rank in range(count):
        assert torch.equal(drawn(Shard(rank, count)), whole[rank::count])


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 3, 2), (8, 1, 3, 2), (8, 5, 1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count", [2, 8])
def test_a_sample_gets_the_same_noise_at_any_number_of_ranks(
    count: int, layout: torch.memory_format, shape: tuple[int, ...]
) -> None:
    x = torch.zeros(shape)
    if len(shape) == 4:
        x = x.to(memory_format=layout)
    torch.manual_seed(1)
    whole = add_noise(x)
    assert whole.unique().numel() == whole.numel()
    for rank in range(count):
        torch.manual_seed(1)
        part = x[: 8 // count]
        if len(shape) == 4:
            part = part.contiguous(memory_format=layout)
        assert torch.equal(add_noise(part, Shard(rank, count)), whole[rank::count])


def test_the_mean_loss_of_shards_is_the_loss_of_the_batch() -> None:
    torch.manual_seed(2)
    bpp, errors, positions = torch.rand(3, 8, dtype=torch.float64)
    betas = betas_at(2 * positions.float(), (10.0, 200.0, 4000.0)).double()
    weights = sample_weights(betas)
    parts = [
        rate_distortion(*(values[rank::2] for values in (bpp, errors, betas, weights))) for rank in range(2)
    ]
    assert sum(parts) / 2 == pytest.approx(float(rate_distortion(bpp, errors, betas)))
