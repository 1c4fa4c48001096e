"""Workers: read the pictures of a unit, encode or decode them, write the outputs, record them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.archive.attempt import Attempt
from caesura.archive.manifest import Manifest, Row
from caesura.archive.outputs import container_name, output_name, pack
from caesura.archive.store import Store
from caesura.archive.units import FILES, Item, Unit
from caesura.batch.jobs import Decode, Encode, no_progress
from caesura.batch.tasks import Task
from caesura.errors import CaesuraError, DependencyError
from caesura.format.chunks import SIGNATURE
from caesura.format.container import read_header
from caesura.models.ladder import DEFAULT_QUALITY
from caesura.picture.files import STREAM, Source, exists_message
from caesura.runtime import choice, onnx_runtime

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_READERS = 8  # parallel requests to a remote file system


@dataclass(frozen=True)
class Work:
    """What workers need to process units.

    Attributes:
        job: encodes or decodes a picture.
        source: URL that files are read from.
        destination: URL that outputs are written to.
        kind: kind of the outputs, one of `units.KINDS`.
        ending: extension of the outputs, with its dot.
        gpus: GPUs per worker, a fraction if several share one; 0 runs the networks on the CPU.
        begun: paths of pictures whose outputs earlier runs may have written without recording them.
        force: replace existing files.
    """

    job: Encode | Decode
    source: str
    destination: str
    kind: str
    ending: str
    gpus: float = 0
    begun: frozenset[str] = frozenset()
    force: bool = False


@dataclass
class Finished:
    """The result of a unit.

    Attributes:
        rows: its rows of the manifest.
        stages: wall-clock seconds spent in each stage.
        cpu: processor seconds.
        again: the unit was done already, and only its rows were read.
    """

    rows: list[Row] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    again: bool = False


class _Content(Source):
    """A source whose bytes are in memory already."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(STREAM)  # so that it is not read from a path, in rows
        self.name = name
        self.__dict__["content"] = content


class Worker:
    """Processes units, with one thread and a model that stays loaded. Used as an actor of Ray."""

    def __init__(self, work: Work) -> None:
        os.environ["CAESURA_THREADS"] = "1"  # since there is one worker per core
        os.environ["CAESURA_DEVICE"] = "cuda" if work.gpus else "cpu"
        onnx_runtime.device()  # raises if the device cannot be used
        choice.expect_many()
        self._work = work
        self._source, self._destination = Store(work.source), Store(work.destination)
        self._manifest = Manifest(self._destination)
        if isinstance(work.job, Encode):
            work.job.options.bundle()

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Process a batch of pickled units; returns the pickled results."""
        done = [self.do(pickle.loads(unit)) for unit in batch["unit"]]
        return {"finished": np.array([pickle.dumps(one) for one in done], object)}

    def do(self, unit: Unit) -> Finished:
        """Process a unit, unless it is done."""
        rows = self._manifest.rows(unit.id)
        if rows is not None:
            return Finished(rows, again=True)
        clock, finished, began = _Clock(), Finished(), time.process_time()
        attempt = self._manifest.attempt(unit.id)
        outputs: dict[str, bytes] = {}
        with clock("read"):
            claimed = self._work.begun.union(attempt.paths)
            occupied = self._occupied(unit, attempt, claimed)
            attempt.begin([item.path for item in unit.items if item.path not in occupied])
            contents = self._read(unit, occupied)
        with clock("group"):
            order = sorted(range(len(contents)), key=lambda index: _size(contents[index]))
        for index in order:
            item = unit.items[index]
            with clock("code"):
                row, output = self._process(item, contents[index], attempt)
            if output is not None and self._work.kind == FILES:
                with clock("write"):
                    name = output_name(item.path, self._work.ending)
                    self._write(name, output, row, item.path in claimed)
            elif output is not None:
                outputs[item.path] = output
            finished.rows.append(row)
        if outputs:
            with clock("write"):
                content, names = pack(unit, outputs, self._work.kind, self._work.ending)
                attempt.announce(content)
                self._destination.write(container_name(unit.id, self._work.kind), content)
            for row in finished.rows:
                row["output"] = None if row["error"] else names.get(row["path"])
        with clock("note"):
            self._manifest.add(unit.id, finished.rows)
            attempt.end()
        finished.stages, finished.cpu = clock.seconds, time.process_time() - began
        return finished

    def _occupied(self, unit: Unit, attempt: Attempt, claimed: frozenset[str]) -> dict[str, str]:
        """The errors, by path, of pictures whose outputs would replace files of others.

        The outputs of pictures in `claimed` may exist from an earlier run; `_write` compares them.
        """
        work = self._work
        if work.force:
            return {}
        if work.kind != FILES:
            name = container_name(unit.id, work.kind)
            paths = [item.path for item in unit.items]
            names = {} if attempt.has_written(name) else dict.fromkeys(paths, name)
        else:
            items = [item for item in unit.items if not item.error and item.path not in claimed]
            names = {item.path: output_name(item.path, work.ending) for item in items}
        distinct = sorted(set(names.values()))
        exists = dict(zip(distinct, self._map(self._destination.exists, distinct), strict=True))
        return {path: _existing(path, name) for path, name in names.items() if exists[name]}

    def _read(self, unit: Unit, occupied: Mapping[str, str]) -> list[bytes | str]:
        """The bytes of each picture, or the error of reading it."""
        return self._map(lambda item: occupied.get(item.path) or self._content(item), unit.items)

    def _map(self, call: Callable[[_In], _Out], inputs: Sequence[_In]) -> list[_Out]:
        """Results of a call to a file system for each input; in threads if it is remote."""
        if self._source.is_local and self._destination.is_local:
            return [call(one) for one in inputs]
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(call, inputs))

    def _content(self, item: Item) -> bytes | str:
        if item.error:
            return item.error
        if item.content is not None:
            return item.content
        try:
            return self._source.read(item.path)
        except Exception as error:  # errors of file systems have no common base class
            return f"{item.path}: {_reason(error)}"

    def _process(self, item: Item, content: bytes | str, attempt: Attempt) -> tuple[Row, bytes | None]:
        """A picture's row, and its output; None if it failed."""
        row: Row = {"path": item.path, "error": None}
        if isinstance(content, str):
            return row | {"error": content}, None
        row |= {"bytes_before": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if not attempt.may_try(item.path):
            deaths = attempt.died_at.count(item.path)
            return row | {"error": f"{item.path}: its worker process died {deaths} times"}, None
        started, job = time.perf_counter(), self._work.job
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)  # for every picture, even if the text is the same
            try:
                result = job(_Content(content, item.path), Task(STREAM, STREAM), no_progress)
            except DependencyError:  # it would be the same for every picture
                attempt.survived(item.path)
                raise
            except Exception as error:  # one picture does not end a run on millions
                attempt.survived(item.path)
                reason = str(error) if isinstance(error, CaesuraError) else _reason(error)
                return row | {"error": reason if item.path in reason else f"{item.path}: {reason}"}, None
        attempt.survived(item.path)
        assert result.content is not None  # since its source is not a file
        messages = "; ".join(" ".join(str(warning.message).split()) for warning in caught)
        if isinstance(job, Encode):
            header = read_header(result.content, max_pixels=job.options.max_pixels)
        else:
            header = read_header(content, max_pixels=job.max_pixels)
        return row | {
            "bytes": len(result.content),
            "bpp": result.bpp,
            "width": result.width,
            "height": result.height,
            "model": f"{header.model_id:08x}",
            "quality": _quality(job),
            "seconds": time.perf_counter() - started,
            "warning": messages or None,
        }, result.content

    def _write(self, name: str, content: bytes, row: Row, claimed: bool) -> None:
        """Write an output. If it is claimed by an earlier run, an existing file must have the same bytes."""
        try:
            exists = claimed and not self._work.force and self._destination.exists(name)
            if exists and self._destination.read(name) != content:
                row["error"] = _existing(row["path"], name)
                return
            if not exists:
                self._destination.write(name, content)
        except Exception as error:  # errors of file systems have no common base class
            row["error"] = f"{row['path']}: {name}: {_reason(error)}"
        else:
            row["output"] = name


class _Clock:
    """Wall-clock seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def _existing(path: str, name: str) -> str:
    """The error of a picture whose output exists."""
    return f"{path}: {exists_message(Path(name))}"


def _size(content: bytes | str) -> tuple[int, int]:
    """Width and height by the file's header, 0, 0 if unknown; pictures are processed in this order."""
    if isinstance(content, str):
        return 0, 0
    try:
        if content.startswith(SIGNATURE):
            header = read_header(content)
            return header.width, header.height
        with Image.open(io.BytesIO(content)) as picture:
            return picture.size
    except Exception:  # processing the picture reports it
        return 0, 0


def _quality(job: Encode | Decode) -> float | None:
    if isinstance(job, Decode) or job.options.target is not None:
        return None
    return DEFAULT_QUALITY if job.options.quality is None else job.options.quality


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
