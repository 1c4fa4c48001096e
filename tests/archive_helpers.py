"""Archives without Ray; as a program, the command line with such archives."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from caesura import cli
from caesura.archive import engine
from caesura.archive.reading import Reader
from caesura.archive.units import Done
from caesura.archive.work import Finished, Work, Worker


@contextmanager
def in_this_process() -> Iterator[None]:
    """Runs have one worker, in this process, and no Ray."""

    @contextmanager
    def cluster(workers: int | None, address: str | None, gpus: float = 0) -> Iterator[int]:
        yield 1

    def units(reader: Reader, work: Work, done: Done, workers: int) -> Generator[Finished, None, None]:
        worker = Worker(work)
        for file in reader.files():
            for unit in reader.units(file, done):
                yield worker.do(unit)

    with pytest.MonkeyPatch.context() as patch:
        for variable in ("CAESURA_THREADS", "CAESURA_DEVICE"):  # workers set them for their process
            patch.setenv(variable, os.environ.get(variable, ""))
        patch.setattr(engine, "cluster", cluster)
        patch.setattr(engine, "run", units)
        yield


if __name__ == "__main__":
    with in_this_process():
        cli.main()
