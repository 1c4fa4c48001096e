"""Length of a run, and when it validates and saves: by a number of steps or by a time limit.

`Steps` and `Minutes` have the same methods. With a time limit all ranks follow rank 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

from caesura.train.config import TrainConfig

_MARGIN = 1.25  # factor on measured durations, which vary
# Seconds kept free for the process to exit: a constant, a share of the start-up time, and the most of it.
_ENDING, _ENDING_SHARE, _ENDING_MOST = 1.0, 0.25, 6.0


class Turn(NamedTuple):
    """Actions after a step."""

    validate: bool
    save: bool
    last: bool


class Steps:
    """A run of `train.steps` steps."""

    def __init__(self, settings: TrainConfig) -> None:
        self._settings = settings

    def begins(self, step: int) -> bool:
        """Whether the run goes on after `step` steps."""
        return step < self._settings.steps

    def share(self, step: int) -> float:
        """Share of the run that is over after `step` steps, 0 to 1."""
        return step / self._settings.steps

    def turn(self, step: int) -> Turn:
        """Actions due after `step` steps."""
        return _due(step, self._settings, last=step == self._settings.steps)

    @contextmanager
    def timed(self, _: str) -> Iterator[None]:
        """Context manager around a validation or a checkpoint, which measures its duration if needed."""
        yield

    def over(self, turn: Turn) -> bool:
        """Whether the run ends after the actions of `turn`."""
        return turn.last

    def state(self, _: Turn) -> dict[str, Any]:
        """Fields for the state of a checkpoint."""
        return {}

    def progress(self, step: int) -> tuple[int, int]:
        """Progress after `step` steps, and its value at the end, in one unit."""
        return step, self._settings.steps


class Minutes:
    """A run of `train.minutes` minutes, including start-up, the last validation and the last checkpoint.

    It has at least one step. The duration of validations and checkpoints is measured after the first step and
    at each later one. That time is kept free at the end, and intermediate ones that would not fit are left
    out.
    """

    def __init__(
        self,
        settings: TrainConfig,
        began: float,
        before: float = 0.0,
        agree: Callable[[Any], Any] = lambda answer: answer,
    ) -> None:
        """Prepare.

        Args:
            settings: of the run.
            began: start of the command, a value of `time.monotonic`.
            before: seconds that the run took before it was resumed.
            agree: returns the answer of rank 0 on all ranks.
        """
        self._settings, self._agree = settings, agree
        self._began, self._limit = began - before, 60 * settings.minutes
        self._costs: dict[str, float] = {}
        self._steps: deque[float] = deque([0.0], maxlen=20)  # durations of the last steps
        self._step_began = monotonic()
        self._ending = min(_ENDING_MOST, _ENDING + _ENDING_SHARE * (self._step_began - began))

    def begins(self, step: int) -> bool:
        """As `Steps.begins`."""
        return step == 0 or bool(self._agree(self._seconds() < self._limit))

    def share(self, _: int) -> float:
        """As `Steps.share`; 1 when the last validation begins. To be called at the start of a step."""
        self._step_began = monotonic()
        usable = self._limit - self._kept_free()
        return float(self._agree(min(1.0, self._seconds() / usable) if usable > 0 else 1.0))

    def turn(self, step: int) -> Turn:
        """As `Steps.turn`; to be called at the end of a step."""
        self._steps.append(monotonic() - self._step_began)
        turn = _due(step, self._settings, last=not self._room())
        if not turn.last and not self._costs:
            turn = Turn(validate=True, save=True, last=False)
        elif not turn.last:
            validate = turn.validate and self._room("validation")
            turn = Turn(validate, turn.save and self._room("checkpoint", "validation"), last=False)
        return Turn(*self._agree(turn))

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """As `Steps.timed`."""
        began = monotonic()
        yield
        self._costs[name] = monotonic() - began

    def over(self, turn: Turn) -> bool:
        """As `Steps.over`: also if validation and checkpoint were done and left no time for a step."""
        return turn.last or (turn.validate and turn.save and bool(self._agree(not self._room())))

    def state(self, turn: Turn) -> dict[str, Any]:
        """As `Steps.state`: the seconds that are over, at least the limit after the last step."""
        return {"seconds": max(self._limit, self._seconds()) if turn.last else self._seconds()}

    def progress(self, _: int) -> tuple[int, int]:
        """As `Steps.progress`, in milliseconds."""
        return round(1000 * min(self._seconds(), self._limit)), round(1000 * self._limit)

    def _seconds(self) -> float:
        return monotonic() - self._began

    def _room(self, *first: str) -> bool:
        """Whether there is time for another step after the named actions."""
        return self._seconds() + self._cost(*first) + self._kept_free() <= self._limit

    def _kept_free(self) -> float:
        """Seconds for the end: the current step, the last validation and checkpoint, and the exit."""
        return max(self._steps) + self._cost("validation", "checkpoint") + self._ending

    def _cost(self, *names: str) -> float:
        return _MARGIN * sum(self._costs.get(name, 0.0) for name in names)


Pace = Steps | Minutes


def _due(step: int, settings: TrainConfig, *, last: bool) -> Turn:
    validate, save = step % settings.validate_every == 0, step % settings.checkpoint_every == 0
    return Turn(validate or last, save or last, last)
