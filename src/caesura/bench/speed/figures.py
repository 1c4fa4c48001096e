"""The figures of one model that a speed measurement gives."""

from __future__ import annotations

from dataclasses import dataclass

from caesura.bench import complexity
from caesura.bench.speed import process, symbols, timing


@dataclass(frozen=True)
class Speed:
    """Measurements of one model at the default quality and effort.

    Attributes:
        model, id: of the bundle.
        machine: the machine and the versions of libraries.
        others: mean number of processors that other programs used meanwhile; None if not known.
        rates: speed by size, direction, runtime and threads.
        splits: seconds of each stage with one thread, by runtime.
        peak: multiply-accumulates per second of float32 matrix products, by number of threads.
        work: complexity of the model.
        coding: speed of entropy coding.
        start_up: seconds of `caesura info`.
        alone: coding in separate processes.
    """

    model: str
    id: str
    machine: dict[str, str | int]
    others: float | None
    rates: list[timing.Rate]
    splits: list[timing.Split]
    peak: dict[int, float]
    work: complexity.Complexity
    coding: symbols.Coding
    start_up: float
    alone: list[process.Fresh]

    def peak_share(self, direction: str, speed: float, threads: int) -> float:
        """The share of the machine's peak that the networks reach at `speed` megapixels per second."""
        return self.work.graphs(direction) * 1e9 * speed / self.peak[threads]
