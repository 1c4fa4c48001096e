"""pace.py: when a run ends, validates and saves, on machines of any speed; and whole runs by the clock."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from caesura.errors import ConfigError
from caesura.train import checkpoint, pace, schedule, start
from caesura.train.config import Config, TrainConfig, by_clock, from_dict
from caesura.train.pace import Minutes, Steps
from train_helpers import make_pack, run_tiny, tiny

pytestmark = pytest.mark.slow


class Clock:
    """Stands for `time.monotonic`: moves when set, or by `tick` each time that it is read."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 1000.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "monotonic", clock)
    return clock


class Course(NamedTuple):
    """What became of a run."""

    steps: int
    seconds: float
    shares: list[float]
    validated: list[int]
    saved: list[int]
    states: list[dict[str, float]]


def course(
    clock: Clock,
    minutes: float,
    *,
    step: float,
    validation: float,
    saving: float,
    start_up: float = 0.0,
    before: float = 0.0,
    first: int = 0,
    **settings: int,
) -> Course:
    """A run on a machine whose steps, validations and checkpoints take so many seconds."""
    began = clock.now
    clock.now += start_up
    config = TrainConfig(minutes=minutes, steps=0, **settings)  # type: ignore[arg-type]
    runs = Minutes(config, began, before)
    number, shares, validated, saved, states = first, [], [], [], []
    while runs.begins(first):
        shares.append(runs.share(number))
        clock.now += step
        number += 1
        turn = runs.turn(number)
        if turn.validate:
            with runs.timed("validation"):
                clock.now += validation
            validated.append(number)
        if turn.save:
            with runs.timed("checkpoint"):
                states.append(runs.state(turn))
                clock.now += saving
            saved.append(number)
        if runs.over(turn):
            break
    return Course(number - first, clock.now - began, shares, validated, saved, states)


SPEEDS = {
    "fast": {"step": 0.02, "validation": 0.5, "saving": 0.1, "start_up": 4.0},
    "usual": {"step": 0.4, "validation": 6.0, "saving": 0.5, "start_up": 6.0},
    "slow": {"step": 5.0, "validation": 25.0, "saving": 4.0, "start_up": 30.0},
    "slow disk": {"step": 0.1, "validation": 1.0, "saving": 20.0, "start_up": 20.0},
}


@pytest.mark.parametrize("minutes", [3.0, 20.0])
@pytest.mark.parametrize("machine", SPEEDS)
def test_a_run_ends_within_its_time_and_uses_most_of_it(machine: str, minutes: float, clock: Clock) -> None:
    found = course(clock, minutes, **SPEEDS[machine], validate_every=150, checkpoint_every=70)  # type: ignore[arg-type]
    assert found.seconds <= 60 * minutes
    assert found.validated[-1] == found.saved[-1] == found.steps
    speed = SPEEDS[machine]
    unused = speed["step"] + 0.25 * (speed["validation"] + speed["saving"]) + 6
    skipped = speed["validation"] + speed["saving"]  # a checkpoint left out leaves its time to steps
    assert found.seconds >= 60 * minutes - 2 * unused - skipped


@pytest.mark.parametrize("machine", SPEEDS)
def test_with_next_to_no_time_a_run_takes_a_step_and_ends(machine: str, clock: Clock) -> None:
    speed = SPEEDS[machine]
    found = course(clock, 0.01, **speed)  # type: ignore[arg-type]
    assert found.steps == 1
    assert found.validated == found.saved == [1]
    assert found.seconds == pytest.approx(sum(speed.values()))


def test_time_for_the_first_validation_only_ends_the_run_there(clock: Clock) -> None:
    found = course(clock, 1.0, step=10.0, validation=20.0, saving=5.0, start_up=10.0)
    assert found.steps == 1
    assert found.validated == [1]


def test_the_first_step_measures_and_later_ones_go_by_the_configuration(clock: Clock) -> None:
    found = course(clock, 1.0, step=1.0, validation=2.0, saving=1.0, validate_every=10, checkpoint_every=5)
    assert found.validated[:3] == [1, 10, 20]
    assert found.saved[:4] == [1, 5, 10, 15]


def test_the_learning_rate_falls_to_zero_as_the_time_runs_out(clock: Clock) -> None:
    found = course(clock, 3.0, **SPEEDS["usual"])  # type: ignore[arg-type]
    assert found.shares == sorted(found.shares)
    assert found.shares[0] == pytest.approx(6 / 180, abs=0.01)
    assert 0.98 < found.shares[-1] <= 1
    config = TrainConfig(minutes=3.0, steps=0, warmup=0)
    factors = [schedule.learning_rate_factor(n, config, share) for n, share in enumerate(found.shares)]
    assert factors == sorted(factors, reverse=True)
    half = min(range(len(factors)), key=lambda n: abs(found.shares[n] - 0.5))
    assert factors[half] == pytest.approx(0.5, abs=0.05)
    assert factors[-1] < 0.001


def test_a_resumed_run_has_what_was_left_of_its_time(clock: Clock) -> None:
    speed = SPEEDS["usual"]
    killed = course(clock, 3.0, **speed, checkpoint_every=100)  # type: ignore[arg-type]
    found = dict(zip(killed.saved, killed.states, strict=True))[100]["seconds"]
    clock.now += 86_400  # while it was down
    resumed = course(clock, 3.0, **speed, before=found, first=100)  # type: ignore[arg-type]
    assert found + resumed.seconds <= 180
    assert found + resumed.seconds > 170
    assert resumed.shares[0] > found / 180
    assert not Minutes(TrainConfig(minutes=3.0, steps=0), clock.now, killed.states[-1]["seconds"]).begins(9)


def test_other_ranks_take_over_the_answers_of_rank_0(clock: Clock) -> None:
    said: list[object] = []

    def note(answer: object) -> object:
        said.append(answer)
        return answer

    config = TrainConfig(minutes=1.0, steps=0)
    first = Minutes(config, clock.now, agree=note)
    answers = [first.begins(3), first.share(3), first.turn(4)]
    late = Minutes(config, clock.now - 50, agree=lambda _: said.pop(0))
    assert [late.begins(3), late.share(3), late.turn(4)] == answers
    assert not said


def test_a_run_by_steps_ends_at_its_last_and_knows_no_time() -> None:
    runs = Steps(TrainConfig(steps=12, validate_every=5, checkpoint_every=4))
    turns = {step: runs.turn(step) for step in range(1, 13)}
    assert [step for step, turn in turns.items() if turn.validate] == [5, 10, 12]
    assert [step for step, turn in turns.items() if turn.save] == [4, 8, 12]
    assert [step for step, turn in turns.items() if runs.over(turn)] == [12]
    assert runs.state(turns[12]) == {}
    assert [runs.begins(step) for step in (0, 11, 12)] == [True, True, False]
    assert runs.share(3) == 0.25


# Configuration


def test_minutes_alone_mean_no_steps() -> None:
    config = from_dict({"loss": {"betas": [1.0]}, "train": {"minutes": 3}})
    assert (config.train.minutes, config.train.steps) == (3.0, 0)
    assert from_dict(config.as_dict()) == config
    assert from_dict({"loss": {"betas": [1.0]}, "train": {"minutes": 0}}).train.steps == 1000


def test_minutes_and_steps_in_one_configuration_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.minutes is 3\.0 and train\.steps is 600; give one of them"
    ):
        from_dict({"loss": {"betas": [1.0]}, "train": {"minutes": 3, "steps": 600}})


@pytest.mark.parametrize("minutes", [-1.0, math.nan, math.inf])
def test_minutes_that_no_run_can_have_are_refused(minutes: float) -> None:
    with pytest.raises(ConfigError, match=r"train\.minutes is .*; it must be 0 or more and finite"):
        from_dict({"loss": {"betas": [1.0]}, "train": {"minutes": minutes}})


# Whole runs


@pytest.fixture(scope="module")
def pack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pace"))


def timed(minutes: float, **settings: object) -> Config:
    return by_clock(tiny(train=settings), minutes)


def test_a_run_by_the_clock_leaves_a_checkpoint_with_its_validation(
    pack_folder: Path, tmp_path: Path, clock: Clock
) -> None:
    clock.tick = 0.25
    config = timed(0.25, checkpoint_every=100)
    last = run_tiny(config, pack_folder, tmp_path, began=clock.now)
    state = checkpoint.read_state(last)
    assert clock.now - 1000 <= 15 + 2  # reading it moves this clock
    assert state["step"] > 5
    assert state["seconds"] == 15
    assert len(state["validation"]) == 2
    assert "seconds" not in start.read(tmp_path).training
    assert run_tiny(config, pack_folder, tmp_path, resume=True, began=clock.now) == last


def test_a_run_by_the_clock_draws_what_a_run_by_steps_does(
    pack_folder: Path, tmp_path: Path, clock: Clock
) -> None:
    """Crops, rates and noise depend on seed and step alone: with a constant rate the weights are equal."""
    clock.tick = 0.25
    last = run_tiny(timed(0.25, decay=0.0), pack_folder, tmp_path / "clock", began=clock.now)
    steps = checkpoint.read_state(last)["step"]
    other = run_tiny(tiny(train={"decay": 0.0, "steps": steps}), pack_folder, tmp_path / "steps")
    one, two = (checkpoint.read(folder / "model.pt") for folder in (last, other))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_run_by_the_clock_is_resumed_with_its_own_minutes_only(
    pack_folder: Path, tmp_path: Path, clock: Clock
) -> None:
    clock.tick = 0.25
    run_tiny(timed(0.1), pack_folder, tmp_path, began=clock.now)
    with pytest.raises(ConfigError, match=r"train\.minutes is 0\.0; run .* was started with 0\.1"):
        run_tiny(tiny(), pack_folder, tmp_path, resume=True)
