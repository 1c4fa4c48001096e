"""Runs on an archive: source, destination, job and settings of one, and a summary of its progress."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from caesura import extras
from caesura.archive import engine
from caesura.archive.manifest import Manifest
from caesura.archive.outputs import container_name
from caesura.archive.reading import Reader, kind_of
from caesura.archive.store import Store, as_url
from caesura.archive.units import FILES, KINDS, Done
from caesura.archive.work import Finished, Work
from caesura.batch.jobs import Decode, Encode
from caesura.batch.tasks import is_coded
from caesura.errors import CaesuraError, ConfigError
from caesura.picture import formats
from caesura.picture.files import FileError


@dataclass
class Summary:
    """The progress of a run.

    Attributes:
        done, failed: number of pictures in this run.
        skipped: number of pictures done by earlier runs.
        bytes_before, bytes, pixels: sums over the pictures done in this run.
        total: number of pictures to do; None until they are counted.
        stages: wall-clock seconds by stage, summed over workers.
        cpu: processor seconds, summed over workers.
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
        """Add the rows and times of a finished unit."""
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
    """A source, the archive to be made of it, and how.

    Attributes:
        source, destination: paths or URLs.
        job: encodes or decodes a picture.
        ending: extension of the outputs, with its dot.
        kind: kind of the source, one of `units.KINDS`; None to detect it.
        to: kind of the destination, one of `units.KINDS`.
        column: Parquet column that holds the images; None for the only one that holds bytes.
        batch, batch_bytes: largest number of pictures and bytes of a unit.
    """

    source: str
    destination: str
    job: Encode | Decode
    ending: str
    kind: str | None = None
    to: str = FILES
    column: str | None = None
    batch: int = 64
    batch_bytes: int = 32 << 20

    def __post_init__(self) -> None:
        for name, location in (("SRC", self.source), ("DST", self.destination)):
            if not location:
                raise ConfigError(f"{name} is ''; a path or a URL is allowed")
        for name, value in (("from", self.kind), ("to", self.to)):
            if value is not None and value not in KINDS:
                raise ConfigError(f"{name} is {value!r}; {', '.join(KINDS)} are allowed")

    @contextlib.contextmanager
    def open(
        self, workers: int | None = None, address: str | None = None, *, gpus: float = 0, force: bool = False
    ) -> Iterator[tuple[Summary, Generator[Finished, None, None]]]:
        """A run, as a context that gives its summary and its units as they finish.

        The summary is updated before each unit is yielded.

        Raises:
            ConfigError: a setting is not allowed, or the archive was begun with other settings.
            ModelError: the model does not exist.
            FileError: the source does not exist, or holds no pictures of its kind.
            FormatError: a file of the manifest is damaged.
        """
        with _file_system_errors():
            reader, manifest = self._checked(force)
        with engine.cluster(workers, address, gpus) as number:
            if gpus or address:  # its environment may differ from that of this process
                engine.check(self._work(gpus))
            with _file_system_errors():
                work, done = self._begin(manifest, gpus, force)
            summary = Summary(skipped=len(done))
            counting = threading.Thread(target=self._count, args=(reader, done, summary), daemon=True)
            counting.start()  # in the background, for the time remaining

            def units() -> Generator[Finished, None, None]:
                for unit in engine.run(reader, work, done, number):
                    summary.add(unit)
                    yield unit

            with contextlib.closing(units()) as finished:
                yield summary, finished
        with _file_system_errors():
            manifest.merge()

    def _checked(self, force: bool) -> tuple[Reader, Manifest]:
        """The reader and the manifest, after all checks that need no cluster."""
        if isinstance(self.job, Encode):
            self.job.options.bundle()
            if self.job.options.refines:
                extras.need("train", ("torch",))
        reader, manifest = self._reader(), Manifest(Store(as_url(self.destination)))
        if not force:
            manifest.check(self._settings())
        return reader, manifest

    def _begin(self, manifest: Manifest, gpus: float, force: bool) -> tuple[Work, Done]:
        """What workers need, and the paths that are done. From here on, the destination is written to."""
        obsolete = _containers(manifest, recorded=True) if force else set()
        manifest.open(self._settings(), force=force)
        done = Done(manifest.done())
        obsolete |= _containers(manifest, recorded=False)
        manifest.store.remove([name for name in sorted(obsolete) if manifest.store.exists(name)])
        begun = frozenset(path for attempt in manifest.begun().values() for path in attempt.paths)
        return self._work(gpus, begun, force), done

    def count(self, *, force: bool) -> tuple[int, int]:
        """The number of pictures to do, and of those done already.

        Raises:
            CaesuraError: as `open`.
        """
        with _file_system_errors():
            reader, manifest = self._checked(force)
            kept = () if force else manifest.all()
            done = Done([[row["path"] for row in kept if not row["error"]]])
            todo = sum(len(unit.items) for file in reader.files() for unit in reader.units(file, done))
            return todo, len(done)

    def _count(self, reader: Reader, done: Done, summary: Summary) -> None:
        if reader.kind == FILES:  # counting the others would mean reading them whole
            with contextlib.suppress(Exception):  # only the bar needs it; readers report errors
                summary.total = sum(len(unit.items) for unit in reader.units(None, done))

    def _reader(self) -> Reader:
        url = as_url(self.source)
        if Store(url).overlaps(Store(as_url(self.destination))):
            given = f"SRC is {self.source} and DST is {self.destination}"
            raise ConfigError(f"{given}; they must be different, and neither inside the other")
        wanted = formats.is_picture if isinstance(self.job, Encode) else is_coded
        kind = kind_of(url, wanted, self.kind)
        return Reader(url, kind, wanted, self.batch, self.batch_bytes, self.column)

    def _work(self, gpus: float, begun: frozenset[str] = frozenset(), force: bool = False) -> Work:
        source, destination = as_url(self.source), as_url(self.destination)
        return Work(self.job, source, destination, self.to, self.ending, gpus, begun, force)

    def _settings(self) -> dict[str, Any]:
        """The settings that all runs on an archive must share, as in the manifest."""
        settings: dict[str, Any]
        if isinstance(self.job, Encode):
            options = self.job.options
            settings = {
                "quality": options.quality,
                "model": str(options.model),
                "tune": options.tune,
                "effort": options.effort,
                "strip": options.strip,
                "bpp": None if options.target is None else options.target.bpp,
            }
            if options.exact:  # left out otherwise, as in archives from before there was this option
                settings["exact"] = True
        else:
            settings = {"strip": self.job.strip, "kind": self.job.kind}
        return settings | {"source": as_url(self.source), "ending": self.ending, "to": self.to}


def _containers(manifest: Manifest, *, recorded: bool) -> set[str]:
    """The names of shards or tables that dead workers left without rows; with `recorded`, also all others.

    The pictures in those without rows are done again, in other units.
    """
    settings = manifest.settings()
    kind = FILES if settings is None else settings.get("to", FILES)
    if kind == FILES:
        return set()
    begun = {container_name(unit, kind): attempt for unit, attempt in manifest.begun().items()}
    found = {name for name, attempt in begun.items() if attempt.has_written(name)}
    return found | manifest.containers() if recorded else found - manifest.containers()


@contextlib.contextmanager
def _file_system_errors() -> Iterator[None]:
    """Raise the errors of file systems as FileError. Those of S3 have no common base class."""
    try:
        yield
    except CaesuraError:  # FormatError is an OSError, too
        raise
    except OSError as error:
        raise FileError(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")) from error
    except Exception as error:
        if type(error).__module__.startswith("botocore"):
            raise FileError(str(error)) from error
        raise
