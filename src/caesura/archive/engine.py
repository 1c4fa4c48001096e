"""Execution on Ray Data: readers stream units, workers process them, and only manifest rows come back.

Memory is bounded: each worker has one unit in progress and one waiting, and readers pause while enough units
are waiting.
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

from caesura.archive.reading import Reader
from caesura.archive.units import Done
from caesura.archive.work import Finished, Work, Worker
from caesura.errors import CaesuraError, ConfigError
from caesura.runtime.processors import processors

_OBJECT_STORE = 512 << 20  # bytes of shared memory, for a run on one machine
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or it warns about GPUs that are not requested
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextlib.contextmanager
def cluster(workers: int | None, address: str | None, gpus: float = 0) -> Iterator[int]:
    """A connection to Ray, as a context that gives the number of workers. A running Ray is used and kept.

    Args:
        workers: number of workers; None for as many as the cluster has room for.
        address: of a cluster; None starts Ray on this machine.
        gpus: GPUs per worker; below 1, a fraction of one.

    Raises:
        ConfigError: there is no cluster at the address, it has fewer processors or GPUs than the workers
            need, or Ray cannot share GPUs in that way.
    """
    if gpus and not (0.01 <= gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        raise ConfigError(
            f"gpus per worker is {gpus}; 0, a fraction from 0.01 to 1 and whole numbers are allowed"
        )
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    import ray

    ours = not ray.is_initialized()
    if ours:
        local: dict[str, Any] = {
            "address": "local",
            "num_cpus": (workers or processors()) + 1,  # one for the readers
            "object_store_memory": _OBJECT_STORE,
            "include_dashboard": False,
        }
        settings = {"address": address} if address else local
        try:
            with _stderr_discarded():
                ray.init(**settings, logging_level=logging.CRITICAL, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            hint = "; where it has a token, RAY_AUTH_MODE=token is needed" if address else ""
            raise ConfigError(f"address {address!r}: {str(error).splitlines()[0]}{hint}") from error
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, devices = int(resources.get("CPU", 0)), float(resources.get("GPU", 0))
        room = max(1, cores - 1)
        if gpus:  # a fraction is of one GPU; 1e-9 so that ten workers of 0.1 fit
            room = min(room, int(devices / gpus) if gpus >= 1 else int(devices) * int(1 / gpus + 1e-9))
        if room < (workers or 1):
            found = f"{cores} processors" + (f" and {devices:g} GPUs" if gpus else "")
            raise ConfigError(f"workers is {workers or 1}; {room} are allowed in a cluster of {found}")
        yield workers or room
    finally:
        if ours:
            ray.shutdown()


def check(work: Work) -> None:
    """Start a worker in the cluster and stop it, to check that it has what it needs. Inside `cluster`.

    Raises:
        CaesuraError: the worker cannot start.
    """
    import ray

    actor: Any = ray.remote(num_cpus=1, num_gpus=work.gpus)(_Probe).remote(work)
    try:
        cause = ray.get(actor.error.remote())
    except ray.exceptions.RayError as error:
        raise CaesuraError(f"no worker can be started: {str(error).splitlines()[-1]}") from error
    finally:
        ray.kill(actor)
    if cause is not None:
        raise pickle.loads(cause)


class _Probe:
    """Actor that tries to make a worker."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def error(self) -> bytes | None:
        """The pickled CaesuraError of making a worker; None if there is none."""
        try:
            Worker(self._work)
        except CaesuraError as error:
            return pickle.dumps(error)
        return None


def run(reader: Reader, work: Work, done: Done, workers: int) -> Generator[Finished, None, None]:
    """Yield the result of each unit, in the order in which they end. Inside `cluster`.

    Raises:
        CaesuraError: the run as a whole cannot continue.
    """
    import ray

    with _quiet():  # it warns about renamed settings
        context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # one unit per block; workers take one block
    context.execution_options.preserve_order = False
    done_ref = ray.put(done)

    def units(batch: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
        done_paths = ray.get(done_ref)
        for file in batch["file"]:
            for unit in reader.units(pickle.loads(file), done_paths):
                yield {"unit": np.array([pickle.dumps(unit)], object)}

    files = [{"file": pickle.dumps(file)} for file in reader.files()]
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
    """Suppress the log messages of Ray Data, which configures its loggers anew in each run."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="ray")
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def _stderr_discarded() -> Iterator[None]:
    """Discard stderr: Ray's processes write to it whatever their log level. Errors are raised anyway."""
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
