"""How long a run lasts, and when it validates and saves: by steps or by the clock.

Both paces answer the same questions. By the clock all ranks take over the answers of rank 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

from caesura.train.config import TrainConfig

_MARGIN = 1.25  # more than what was measured is kept free, since it varies
# For the process to end, in seconds: so many, and a share of the start-up, which tells how fast it all is.
_ENDING, _ENDING_SHARE, _ENDING_MOST = 1.0, 0.25, 6.0


class Turn(NamedTuple):
    """What follows a step."""

    validate: bool
    save: bool
    last: bool


class Steps:
    """A run of `train.steps` steps."""

    def __init__(self, settings: TrainConfig) -> None:
        self._settings = settings

    def begins(self, step: int) -> bool:
        """Whether there is anything left to do after `step` steps."""
        return step < self._settings.steps

    def share(self, step: int) -> float:
        """How much of the run is over after `step` steps, 0 to 1."""
        return step / self._settings.steps

    def turn(self, step: int) -> Turn:
        """What is to be done after `step` steps."""
        return _due(step, self._settings, last=step == self._settings.steps)

    @contextmanager
    def timed(self, _: str) -> Iterator[None]:
        """Around a validation or a checkpoint."""
        yield

    def over(self, turn: Turn) -> bool:
        """Whether the run ends when a turn is done."""
        return turn.last

    def state(self, _: Turn) -> dict[str, Any]:
        """What a checkpoint has to know."""
        return {}

    def progress(self, step: int) -> tuple[int, int]:
        """What is done and what there is to do in all, in one unit."""
        return step, self._settings.steps


class Minutes:
    """A run of `train.minutes` minutes, the command's start-up, the last validation and checkpoint included.

    It has one step at least. How long validations and checkpoints take is measured after the first step, and
    whenever there is one; that time is then kept free at the end, and one that would not fit before the last
    is left out.
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
            began: when the command began, as `time.monotonic` has it.
            before: seconds that the run took before it was resumed.
            agree: gives all ranks the answer of rank 0.
        """
        self._settings, self._agree = settings, agree
        self._began, self._limit = began - before, 60 * settings.minutes
        self._costs: dict[str, float] = {}
        self._steps: deque[float] = deque([0.0], maxlen=20)  # how long the latest took
        self._step_began = monotonic()
        self._ending = min(_ENDING_MOST, _ENDING + _ENDING_SHARE * (self._step_began - began))

    def begins(self, step: int) -> bool:
        """As `Steps.begins`."""
        return step == 0 or bool(self._agree(self._seconds() < self._limit))

    def share(self, _: int) -> float:
        """As `Steps.share`; 1 when the last validation begins. To be asked when a step begins."""
        self._step_began = monotonic()
        usable = self._limit - self._kept_free()
        return float(self._agree(min(1.0, self._seconds() / usable) if usable > 0 else 1.0))

    def turn(self, step: int) -> Turn:
        """As `Steps.turn`; to be asked when a step ends."""
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
        """As `Steps.over`: also where a turn did all that the last one does and left no time."""
        return turn.last or (turn.validate and turn.save and bool(self._agree(not self._room())))

    def state(self, turn: Turn) -> dict[str, Any]:
        """As `Steps.state`: the seconds that are over, all of them after the last turn."""
        return {"seconds": max(self._limit, self._seconds()) if turn.last else self._seconds()}

    def progress(self, _: int) -> tuple[int, int]:
        """As `Steps.progress`, in milliseconds."""
        return round(1000 * min(self._seconds(), self._limit)), round(1000 * self._limit)

    def _seconds(self) -> float:
        return monotonic() - self._began

    def _room(self, *first: str) -> bool:
        """Whether there is time for another step, with these before it."""
        return self._seconds() + self._cost(*first) + self._kept_free() <= self._limit

    def _kept_free(self) -> float:
        """What the end takes: a step under way, the last validation and checkpoint, and leaving."""
        return max(self._steps) + self._cost("validation", "checkpoint") + self._ending

    def _cost(self, *names: str) -> float:
        return _MARGIN * sum(self._costs.get(name, 0.0) for name in names)


Pace = Steps | Minutes


def _due(step: int, settings: TrainConfig, *, last: bool) -> Turn:
    validate, save = step % settings.validate_every == 0, step % settings.checkpoint_every == 0
    return Turn(validate or last, save or last, last)
