"""What a worker does with a unit: read, code, write, note."""

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
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.archive.manifest import Attempt, Manifest, Row
from caesura.archive.outputs import container, named, together
from caesura.archive.store import Store
from caesura.archive.units import FILES, Item, Unit
from caesura.batch.jobs import Decode, Encode
from caesura.batch.plan import Task
from caesura.errors import CaesuraError, DependencyError
from caesura.format.container import SIGNATURE, read_header
from caesura.models.ladder import DEFAULT_QUALITY
from caesura.picture.files import STREAM, Source
from caesura.runtime import transform

_Given = TypeVar("_Given")
_Got = TypeVar("_Got")

_READERS = 8  # files read side by side: what is far away answers late


@dataclass(frozen=True)
class Work:
    """What is done with every picture, and where results go.

    Attributes:
        job: codes or decodes.
        source: URL that files are read from.
        destination, kind: URL, and one of `units.KINDS`.
        ending: of the results' names, with its dot.
        gpus: that a worker has, a part of one if several share it; 0 for networks on the processor.
        begun: pictures whose outputs earlier runs on the archive may have left.
        force: outputs replace whatever is there.
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
    """A unit that is done.

    Attributes:
        rows: of the manifest.
        stages: seconds spent in each stage.
        cpu: seconds of processor time.
        again: it was done already, and only its rows were read.
    """

    rows: list[Row] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    again: bool = False


class _Content(Source):
    """Bytes that are here already, in the place of a file."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(STREAM)  # read whole, and not by rows
        self.name = name
        self.__dict__["content"] = content


class Worker:
    """Does units, one after another, with one thread and a model that stays loaded. An actor of Ray."""

    def __init__(self, work: Work) -> None:
        os.environ["CAESURA_THREADS"] = "1"  # as many workers as processors
        os.environ["CAESURA_DEVICE"] = "cuda" if work.gpus else "cpu"
        transform.device()  # or no picture could be coded
        self._work = work
        self._source, self._destination = Store(work.source), Store(work.destination)
        self._manifest = Manifest(self._destination)
        if isinstance(work.job, Encode):
            from caesura.models import bundle as models

            models.load(models.tuned(work.job.model, work.job.tune))

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Units to what became of them, both pickled."""
        done = [self.do(pickle.loads(unit)) for unit in batch["unit"]]
        return {"finished": np.array([pickle.dumps(one) for one in done], object)}

    def do(self, unit: Unit) -> Finished:
        """Do a unit, unless it is done."""
        rows = self._manifest.rows(unit.id)
        if rows is not None:
            return Finished(rows, again=True)
        clock, finished, began = _Clock(), Finished(), time.process_time()
        attempt = self._manifest.attempt(unit.id)
        results: dict[str, bytes] = {}
        with clock("read"):
            claimed = self._work.begun.union(attempt.paths)
            taken = self._taken(unit, attempt, claimed)
            attempt.begin([item.path for item in unit.items if item.path not in taken])
            contents = self._read(unit, taken)
        with clock("group"):
            order = sorted(range(len(contents)), key=lambda place: _shape(contents[place]))
        for place in order:
            item = unit.items[place]
            with clock("code"):
                row, made = self._one(item, contents[place], attempt)
            if made is not None and self._work.kind == FILES:
                with clock("write"):
                    self._write(named(item.path, self._work.ending), made, row, item.path in claimed)
            elif made is not None:
                results[item.path] = made
            finished.rows.append(row)
        if results:
            with clock("write"):
                content, places = together(unit, results, self._work.kind, self._work.ending)
                attempt.made(content)
                self._destination.write(container(unit.id, self._work.kind), content)
            for row in finished.rows:
                row["output"] = None if row["error"] else places.get(row["path"])
        with clock("note"):
            self._manifest.add(unit.id, finished.rows)
            attempt.end()
        finished.stages, finished.cpu = clock.seconds, time.process_time() - began
        return finished

    def _taken(self, unit: Unit, attempt: Attempt, claimed: frozenset[str]) -> dict[str, str]:
        """Errors of the pictures whose outputs would replace what no run on this archive has made.

        Of what earlier runs have claimed, only the results will tell.
        """
        work = self._work
        if work.force:
            return {}
        if work.kind != FILES:
            name = container(unit.id, work.kind)
            places = {} if attempt.left(name) else dict.fromkeys((item.path for item in unit.items), name)
        else:
            items = [item for item in unit.items if not item.error and item.path not in claimed]
            places = {item.path: named(item.path, work.ending) for item in items}
        asked = sorted(set(places.values()))
        there = dict(zip(asked, self._each(self._destination.exists, asked), strict=True))
        return {path: _kept(path, place) for path, place in places.items() if there[place]}

    def _read(self, unit: Unit, taken: Mapping[str, str]) -> list[bytes | str]:
        """The bytes of each picture, or why there are none."""
        return self._each(lambda item: taken.get(item.path) or self._content(item), unit.items)

    def _each(self, call: Callable[[_Given], _Got], given: Sequence[_Given]) -> list[_Got]:
        """Results of what waits for a file system."""
        if self._source.is_local and self._destination.is_local:
            return [call(one) for one in given]
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(call, given))

    def _content(self, item: Item) -> bytes | str:
        if item.error:
            return item.error
        if item.content is not None:
            return item.content
        try:
            return self._source.read(item.path)
        except Exception as error:  # what file systems raise has no common base but this
            return f"{item.path}: {_reason(error)}"

    def _one(self, item: Item, content: bytes | str, attempt: Attempt) -> tuple[Row, bytes | None]:
        """A picture's row, and its result; none if it failed."""
        row: Row = {"path": item.path, "error": None}
        if isinstance(content, str):
            return row | {"error": content}, None
        row |= {"bytes_before": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if not attempt.may(item.path):
            return row | {
                "error": f"{item.path}: workers died at it {attempt.at.count(item.path)} times"
            }, None
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)  # of every picture, even if it is the same
            try:
                made = self._work.job(_Content(content, item.path), Task(STREAM, STREAM), _silent)
            except DependencyError:  # the same with every picture
                attempt.survived(item.path)
                raise
            except Exception as error:  # no picture ends the work on millions
                attempt.survived(item.path)
                reason = str(error) if isinstance(error, CaesuraError) else _reason(error)
                return row | {"error": reason if item.path in reason else f"{item.path}: {reason}"}, None
        attempt.survived(item.path)
        assert made.content is not None  # since its source is no file
        said = "; ".join(" ".join(str(warning.message).split()) for warning in caught)
        coded = made.content if isinstance(self._work.job, Encode) else content
        header = read_header(coded, max_pixels=self._work.job.max_pixels)
        return row | {
            "bytes": len(made.content),
            "bpp": made.bpp,
            "width": made.width,
            "height": made.height,
            "model": f"{header.model_id:08x}",
            "quality": _quality(self._work.job),
            "seconds": time.perf_counter() - started,
            "warning": said or None,
        }, made.content

    def _write(self, name: str, content: bytes, row: Row, claimed: bool) -> None:
        """Write a result; what an earlier run has claimed may be there, and is its own if it is the same."""
        try:
            there = self._destination.exists(name) if claimed and not self._work.force else False
            if there and self._destination.read(name) != content:
                row["error"] = _kept(row["path"], name)
                return
            if not there:
                self._destination.write(name, content)
        except Exception as error:  # as above
            row["error"] = f"{row['path']}: {name}: {_reason(error)}"
        else:
            row["output"] = name


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def _kept(path: str, place: str) -> str:
    return f"{path}: {place} is there already; --force replaces it"


def _shape(content: bytes | str) -> tuple[int, int]:
    """Width and height as far as they can be told cheaply; like sizes follow one another."""
    if isinstance(content, str):
        return 0, 0
    try:
        if content.startswith(SIGNATURE):
            header = read_header(content)
            return header.width, header.height
        with Image.open(io.BytesIO(content)) as picture:
            return picture.size
    except Exception:  # whatever is wrong is found again, and told, when it is coded
        return 0, 0


def _quality(job: Encode | Decode) -> float | None:
    if isinstance(job, Decode) or job.target is not None:
        return None
    return DEFAULT_QUALITY if job.quality is None else job.quality


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _silent(done: int, total: int) -> None:
    """A picture's own steps are not shown."""
