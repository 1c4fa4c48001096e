"""Units on Ray Data: readers stream them, workers do them, and only rows of the manifest come back.

What is in flight is bounded: a unit in work at each worker and one waiting, and readers that stop while
enough of theirs is waiting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import warnings
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.archive.units import Done, Reading
from caesura.archive.work import Finished, Work, Worker
from caesura.errors import CaesuraError, ConfigError

_OBJECT_STORE = 512 << 20  # bytes of shared memory, of a run on one machine
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or it warns about GPUs that are not asked for
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextlib.contextmanager
def cluster(workers: int | None, address: str | None, gpus: float = 0) -> Iterator[int]:
    """Ray, here or at an address; gives the number of workers. Uses one that is there and leaves it there.

    Args:
        workers: as many as there is room for unless given.
        address: of a cluster, this machine unless given.
        gpus: that each worker takes, perhaps a part of one.

    Raises:
        ConfigError: there is no cluster at the address, it has fewer processors or GPUs than workers need, or
            Ray does not share GPUs so.
    """
    if gpus and not (0.01 <= gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        raise ConfigError(
            f"gpus is {gpus} a worker; 0, a part of one from 0.01 on and whole numbers are allowed"
        )
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    import ray

    ours = not ray.is_initialized()
    if ours:
        here: dict[str, Any] = {
            "address": "local",
            "num_cpus": (workers or os.cpu_count() or 1) + 1,  # one for those who read
            "object_store_memory": _OBJECT_STORE,
            "include_dashboard": False,
        }
        settings = {"address": address} if address else here
        try:
            with _no_stderr():
                ray.init(**settings, logging_level=logging.CRITICAL, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            hint = "; where it has a token, RAY_AUTH_MODE=token is needed" if address else ""
            raise ConfigError(f"address {address!r}: {str(error).splitlines()[0]}{hint}") from error
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        processors, devices = int(resources.get("CPU", 0)), float(resources.get("GPU", 0))
        room = max(1, processors - 1)
        if gpus:  # a part is of one GPU; 1e-9: ten workers of a tenth have room on it
            room = min(room, int(devices / gpus) if gpus >= 1 else int(devices) * int(1 / gpus + 1e-9))
        if room < (workers or 1):
            found = f"{processors} processors" + (f" and {devices:g} GPUs" if gpus else "")
            raise ConfigError(f"workers is {workers or 1}; {room} are allowed in a cluster of {found}")
        yield workers or room
    finally:
        if ours:
            ray.shutdown()


def check(work: Work) -> None:
    """Make a worker in the cluster and let it go: what each needs is there. Inside `cluster`.

    Raises:
        CaesuraError: something is missing there.
    """
    import ray

    actor: Any = ray.remote(num_cpus=1, num_gpus=work.gpus)(_Checked).remote(work)
    try:
        cause = ray.get(actor.fault.remote())
    except ray.exceptions.RayError as error:
        raise CaesuraError(f"no worker can be made: {str(error).splitlines()[-1]}") from error
    finally:
        ray.kill(actor)
    if cause is not None:
        raise pickle.loads(cause)


class _Checked:
    """Whether a worker can be made."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def fault(self) -> bytes | None:
        """An error of ours, pickled, if it cannot."""
        try:
            Worker(self._work)
        except CaesuraError as error:
            return pickle.dumps(error)
        return None


def run(reading: Reading, work: Work, done: Done, workers: int) -> Generator[Finished, None, None]:
    """What becomes of each unit, in the order in which they end. Inside `cluster`.

    Raises:
        CaesuraError: the run as a whole cannot go on.
    """
    import ray

    with _quiet():  # about settings that have other names now
        context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # a unit is a block, which workers take one of
    context.execution_options.preserve_order = False
    known = ray.put(done)

    def units(batch: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
        there = ray.get(known)
        for file in batch["file"]:
            for unit in reading.units(pickle.loads(file), there):
                yield {"unit": np.array([pickle.dumps(unit)], object)}

    files = [{"file": pickle.dumps(file)} for file in reading.files()]
    if not files:
        return
    with _quiet(), ray.data.DataContext.current(context):
        stream = (
            ray.data.from_items(files, override_num_blocks=len(files))
            .map_batches(units, batch_size=1, num_cpus=0.5)
            .map_batches(
                Worker,
                fn_constructor_args=(work,),
                batch_size=1,
                num_cpus=1,
                num_gpus=work.gpus,
                compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            )
        )
        try:
            for batch in stream.iter_batches(batch_size=None, prefetch_batches=0):
                for finished in batch["finished"]:
                    yield pickle.loads(finished)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            raise CaesuraError(f"the run ended early: {cause or str(error).splitlines()[-1]}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Ray Data says on the way is not for our users, and it sets its loggers up anew in each run."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="ray")
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Ray's processes write to the descriptor, whatever their log level. What goes wrong is raised."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
