"""A run on an archive: what it takes, what it makes, and how it went."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from caesura import extras
from caesura.archive import engine
from caesura.archive.manifest import Manifest
from caesura.archive.outputs import container
from caesura.archive.store import Store, as_url
from caesura.archive.units import FILES, KINDS, Done, Reading, kind_of
from caesura.archive.work import Finished, Work
from caesura.batch.jobs import Decode, Encode
from caesura.coding.base import MAX_EFFORT
from caesura.errors import CaesuraError, ConfigError
from caesura.models import bundle as models
from caesura.picture.files import FileError


@dataclass
class Summary:
    """How a run goes.

    Attributes:
        done, failed: pictures of this run.
        skipped: pictures done before.
        bytes_before, bytes, pixels: of those done in this run.
        total: pictures to be done, once they have been counted.
        stages: seconds by stage, of all workers together.
        cpu: seconds of their processor time.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    bytes_before: int = 0
    bytes: int = 0
    pixels: int = 0
    total: int | None = None
    stages: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0

    def add(self, unit: Finished) -> None:
        """A unit was done."""
        for row in unit.rows:
            if row["error"]:
                self.failed += 1
                continue
            self.done += 1
            self.bytes_before += row["bytes_before"]
            self.bytes += row["bytes"]
            self.pixels += row["width"] * row["height"]
        self.cpu += unit.cpu
        for stage, seconds in unit.stages.items():
            self.stages[stage] = self.stages.get(stage, 0.0) + seconds

    def __str__(self) -> str:
        from rich.filesize import decimal

        counts = f"{self.done} done, {self.skipped} skipped, {self.failed} failed"
        return counts + (f"; {decimal(self.bytes_before)} became {decimal(self.bytes)}" if self.done else "")


@dataclass(frozen=True)
class Archive:
    """What a run takes and makes.

    Attributes:
        source, destination: paths or URLs.
        job: codes or decodes a picture.
        ending: of the results, with its dot.
        wanted: whether a name is of a picture to take.
        kind, to: of source and destination, of `units.KINDS`; None to look.
        column: of the pictures in tables; None for the only one that holds bytes.
        batch, batch_bytes: pictures and bytes of a unit, at most.
    """

    source: str
    destination: str
    job: Encode | Decode
    ending: str
    wanted: Callable[[PurePosixPath], bool]
    kind: str | None = None
    to: str = FILES
    column: str | None = None
    batch: int = 64
    batch_bytes: int = 32 << 20

    def __post_init__(self) -> None:
        for name, place in (("SRC", self.source), ("DST", self.destination)):
            if not place:
                raise ConfigError(f"{name} is ''; a path or a URL is allowed")
        for name, value in (("from", self.kind), ("to", self.to)):
            if value is not None and value not in KINDS:
                raise ConfigError(f"{name} is {value!r}; {', '.join(KINDS)} are allowed")

    @contextlib.contextmanager
    def open(
        self, workers: int | None = None, address: str | None = None, *, gpus: float = 0, force: bool = False
    ) -> Iterator[tuple[Summary, Generator[Finished, None, None]]]:
        """A run: its summary, and the units as they are done; the summary is brought up to date before each.

        Raises:
            ConfigError: a setting cannot be used, or the archive was begun with others.
            ModelError: the model is not there.
            FileError: the source is not there, or holds nothing of the kind.
            FormatError: a file of the manifest is damaged.
        """
        with _told():
            reading, manifest = self._checked(force)
        with engine.cluster(workers, address, gpus) as number:
            if gpus or address:  # elsewhere, a worker may find other things than we do
                engine.check(self._work(gpus))
            with _told():
                work, done = self._begin(manifest, gpus, force)
            summary = Summary(skipped=len(done))
            counting = threading.Thread(target=self._count, args=(reading, done, summary), daemon=True)
            counting.start()  # for the time left; units do not wait for it

            def units() -> Generator[Finished, None, None]:
                for unit in engine.run(reading, work, done, number):
                    summary.add(unit)
                    yield unit

            with contextlib.closing(units()) as finished:
                yield summary, finished
        with _told():
            manifest.merge()

    def _checked(self, force: bool) -> tuple[Reading, Manifest]:
        """What a run reads and the manifest, once all that needs no cluster is known to be right."""
        if isinstance(self.job, Encode):
            models.load(models.tuned(self.job.model, self.job.tune))
            if self.job.effort == MAX_EFFORT:
                extras.need("train", ("torch",))
        reading, manifest = self._reading(), Manifest(Store(as_url(self.destination)))
        if not force:
            manifest.check(self._settings())
        return reading, manifest

    def _begin(self, manifest: Manifest, gpus: float, force: bool) -> tuple[Work, Done]:
        """What workers need and what is done already; from here on, the destination is changed."""
        stray = _containers(manifest, noted=True) if force else set()
        manifest.open(self._settings(), force=force)
        done = Done(manifest.done())
        stray |= _containers(manifest, noted=False)
        manifest.store.remove([name for name in sorted(stray) if manifest.store.exists(name)])
        begun = frozenset(path for attempt in manifest.begun().values() for path in attempt.paths)
        return self._work(gpus, begun, force), done

    def count(self, *, force: bool) -> tuple[int, int]:
        """Pictures to do, of tables and shards the pictures that are in them, and those done.

        Raises:
            CaesuraError: as `open`, which would not begin.
        """
        with _told():
            reading, manifest = self._checked(force)
            kept = () if force else manifest.all()
            done = Done([[row["path"] for row in kept if not row["error"]]])
            todo = sum(len(unit.items) for file in reading.files() for unit in reading.units(file, done))
            return todo, len(done)

    def _count(self, reading: Reading, done: Done, summary: Summary) -> None:
        if reading.kind == FILES:  # of others, all must be read to know it
            with contextlib.suppress(Exception):  # only the bar needs it, and readers tell what is wrong
                summary.total = sum(len(unit.items) for unit in reading.units(None, done))

    def _reading(self) -> Reading:
        url = as_url(self.source)
        if Store(url).meets(Store(as_url(self.destination))):
            given = f"SRC is {self.source} and DST is {self.destination}"
            raise ConfigError(f"{given}; two places are needed, neither of them in the other")
        kind = kind_of(url, self.wanted, self.kind)
        return Reading(url, kind, self.wanted, self.batch, self.batch_bytes, self.column)

    def _work(self, gpus: float, begun: frozenset[str] = frozenset(), force: bool = False) -> Work:
        source, destination = as_url(self.source), as_url(self.destination)
        return Work(self.job, source, destination, self.to, self.ending, gpus, begun, force)

    def _settings(self) -> dict[str, Any]:
        """What must be alike in all runs on an archive."""
        job = vars(self.job)
        names = ("quality", "model", "tune", "effort", "strip", "kind")
        settings = {name: job[name] for name in names if name in job}
        if isinstance(self.job, Encode):
            settings["bpp"] = None if self.job.target is None else self.job.target.bpp
            settings |= {"exact": True} if self.job.exact else {}  # so that older archives go on
        return settings | {"source": as_url(self.source), "ending": self.ending, "to": self.to}


def _containers(manifest: Manifest, *, noted: bool) -> set[str]:
    """Shards or tables of the archive that no row names, and, with `noted`, those that one does.

    What a worker left without a row holds pictures that others do again.
    """
    settings = manifest.settings()
    kind = FILES if settings is None else settings.get("to", FILES)
    if kind == FILES:
        return set()
    begun = {container(unit, kind): attempt for unit, attempt in manifest.begun().items()}
    found = {name for name, attempt in begun.items() if attempt.left(name)}
    return found | manifest.containers() if noted else found - manifest.containers()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What file systems raise, as ours; those of S3 have no base in common with others."""
    try:
        yield
    except CaesuraError:  # some are OSErrors, too
        raise
    except OSError as error:
        raise FileError(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")) from error
    except Exception as error:
        if type(error).__module__.startswith("botocore"):
            raise FileError(str(error)) from error
        raise
