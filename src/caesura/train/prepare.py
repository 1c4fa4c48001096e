"""Making a pack: squares cut out of photos.

A pack is a folder with two files: ``squares.u8``, the squares one after another as raw (side, side, 3) RGB
bytes, and ``manifest.json`` with their sources. Photos whose name hashes into a sixteenth are marked
``validation`` and never used in training.

Photos are streamed: memory does not grow with their number. They are cut by several processes, and a stopped
run is continued. The pack depends on neither.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import ConfigError, ImageError
from caesura.picture.convert import upright
from caesura.picture.loading import open_image
from caesura.picture.pixels import to_pixels, to_rgb
from caesura.train.journal import Done, Journal

SQUARES = "squares.u8"
MANIFEST = "manifest.json"
FORMAT = "caesura-pack-1"
_UNFINISHED = SQUARES + ".part"
_JOURNAL = "unfinished.sqlite"
_NOTED_EVERY = 2.0  # seconds; the most work that a killed run loses
_AHEAD = 3  # photos that a worker may be ahead of the pack
_WORTH_A_WORKER = 16  # photos per worker at least; starting one takes a second
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".ppm"})


@dataclass(frozen=True)
class Report:
    """Result of `prepare`: squares per split, and the reasons for which photos were skipped, by name."""

    train: int
    validation: int
    skipped: dict[str, str]


def is_validation(name: str) -> bool:
    """Whether the photo of this file name (without folders) belongs to the held-out sixteenth."""
    return hashlib.sha256(os.fsencode(name)).digest()[0] % 16 == 0


def prepare(
    source: Path,
    destination: Path,
    *,
    sizes: Sequence[int] = (128, 256, 512, 1024),
    side: int = 128,
    coverage: float = 1.0,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Cut squares out of every photo under `source` and pack them into `destination`.

    Args:
        source: a folder tree of photos. EXIF orientation is applied.
        destination: the pack's folder; created if missing, replaced when everything has been written. A
            stopped run with the same settings is continued, with the photos that it found.
        sizes: sides of the squares cut, in pixels, each at least `side`. A square larger than `side` is
            resized to it (Lanczos); `sizes=(side,)` keeps native resolution.
        side: side of the packed squares, in pixels, 8 or more.
        coverage: the area cut per size as a multiple of the photo's area; 1 cuts about every pixel once.
        seed: of the square positions. Positions of one photo depend on the seed and its path alone.
        workers: processes that read and cut photos, fewer for few photos; with 1 it is this process.
        progress: called with (photos done, photos in all).

    Returns:
        Numbers of squares, and the skipped photos: unreadable, or smaller than every size.

    Raises:
        ConfigError: a setting is out of range, no photo under `source` can be used, a worker died, or
            another run is writing to `destination`.
    """
    if side < 8:
        raise ConfigError(f"side is {side}; it must be 8 or more pixels")
    if not sizes or min(sizes) < side:
        raise ConfigError(f"sizes is {list(sizes)}; one or more are needed, each {side} (side) or more")
    if not 0 < coverage <= 64:
        raise ConfigError(f"coverage is {coverage}; it must be above 0 and at most 64")
    if workers < 1:
        raise ConfigError(f"workers is {workers}; it must be 1 or more")
    if next(photos(source), None) is None:
        raise ConfigError(f"source {source} holds no photos ({', '.join(sorted(SUFFIXES))})")

    cut = _Cut(tuple(sizes), side, coverage, seed)
    settings = {"format": FORMAT, "source": os.fsdecode(source.resolve()), **cut._asdict()}
    destination.mkdir(parents=True, exist_ok=True)
    unfinished, noted = destination / _UNFINISHED, destination / _JOURNAL
    try:
        with Journal(noted, settings, photos(source), anew=not unfinished.exists()) as journal:
            digest = _pack(source, unfinished, journal, cut, workers, progress)
            if not journal.squares:
                first = next(journal.skipped())
                unfinished.unlink()
                noted.unlink()
                raise ConfigError(
                    f"source {source} holds no usable photo; first reason: {(first.name, first.reason)}"
                )
            report = _write_manifest(destination / (MANIFEST + ".part"), source, journal, cut, digest)
    except sqlite3.Error as error:
        raise ConfigError(f"{noted} cannot be used, perhaps another run is at work: {error}") from error
    except BrokenProcessPool as error:
        raise ConfigError("a worker died; the same command again goes on from here") from error
    (destination / MANIFEST).unlink(missing_ok=True)  # without it, a half-replaced pack is not taken for one
    unfinished.replace(destination / SQUARES)
    (destination / (MANIFEST + ".part")).replace(destination / MANIFEST)
    noted.unlink()
    return report


class _Cut(NamedTuple):
    """Settings of the cutting; see `prepare`."""

    sizes: tuple[int, ...]
    side: int
    coverage: float
    seed: int


class _Piece(NamedTuple):
    """The squares of one photo."""

    squares: bytes
    sha256: str  # of the photo's file
    reason: str  # for skipping it, or ""


def photos(source: Path) -> Iterator[str]:
    """Paths of the photos below `source`, relative to it, in no order; links to folders are not followed."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(source / folder) as entries:
                for entry in entries:
                    name = folder + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name + "/")
                    elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                        yield name
        except OSError:  # missing or not readable
            continue


def _pack(
    source: Path,
    unfinished: Path,
    journal: Journal,
    cut: _Cut,
    workers: int,
    progress: Callable[[int, int], None],
) -> str:
    """Bring the unfinished pack to its end; returns the SHA-256 of all squares."""
    size = 3 * cut.side**2
    done, squares = journal.done, journal.squares
    hands = max(1, min(workers, journal.photos // _WORTH_A_WORKER))
    with unfinished.open("r+b" if done else "wb") as out:
        digest = _digest(out, squares * size)
        pending: list[Done] = []
        last = time.monotonic()

        def note() -> None:
            nonlocal last
            out.flush()
            os.fsync(out.fileno())
            journal.add(pending)
            pending.clear()
            journal.squares = squares
            last = time.monotonic()

        try:
            for name, piece in _cut_all(source, journal.waiting(), cut, hands):
                progress(done, journal.photos)
                digest.update(piece.squares)
                out.write(piece.squares)
                count = len(piece.squares) // size
                pending.append(Done(name, squares, count, piece.sha256, piece.reason))
                squares, done = squares + count, done + 1
                if time.monotonic() - last > _NOTED_EVERY:
                    note()
        finally:
            note()
    progress(done, journal.photos)
    result: str = digest.hexdigest()
    return result


def _digest(out: BinaryIO, size: int) -> Any:
    """The hash of the first `size` bytes; bytes after them are removed.

    Raises:
        ConfigError: there are fewer.
    """
    digest = hashlib.sha256()
    while left := size - out.tell():
        if not (block := out.read(min(left, 1 << 20))):
            raise ConfigError(
                f"{out.name} is shorter than its journal says; remove it and {_JOURNAL} to begin anew"
            )
        digest.update(block)
    out.truncate()
    return digest


def _cut_all(source: Path, names: Iterator[str], cut: _Cut, workers: int) -> Iterator[tuple[str, _Piece]]:
    """The squares of each photo, in the order of the names; workers are a few photos ahead at most."""
    if workers == 1:
        for name in names:
            yield name, _piece(source, name, cut)
        return
    # Spawned: forked processes would inherit locks of threads that they do not have.
    context = multiprocessing.get_context("spawn")
    ahead: deque[tuple[str, Future[_Piece]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        try:
            for name in names:
                ahead.append((name, pool.submit(_piece, source, name, cut)))
                if len(ahead) > _AHEAD * workers:
                    done, piece = ahead.popleft()
                    yield done, piece.result()
            while ahead:
                done, piece = ahead.popleft()
                yield done, piece.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Set up a worker: it ignores Ctrl-C, which the parent handles, and exits when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _piece(source: Path, name: str, cut: _Cut) -> _Piece:
    path = source / name
    try:
        pixels = to_rgb(to_pixels(upright(open_image(path))))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (ImageError, OSError) as error:
        return _Piece(b"", "", f"unreadable: {error}")
    squares = b"".join(square.tobytes() for square in _squares(pixels, cut, _generator(cut.seed, name)))
    if not squares:
        height, width, _ = pixels.shape
        return _Piece(b"", digest, f"tiny: {width}x{height}, smaller than {min(cut.sizes)} pixels")
    return _Piece(squares, digest, "")


def _write_manifest(path: Path, source: Path, journal: Journal, cut: _Cut, digest: str) -> Report:
    """Write the manifest, a photo a line, and count."""
    total = {"train": 0, "validation": 0}
    head = {"format": FORMAT, "source": source.name, **cut._asdict(), "count": journal.squares}
    skipped = {photo.name: photo.reason for photo in journal.skipped()}
    with path.open("w", encoding="utf-8") as out:
        out.write(json.dumps({**head, "sha256": digest, "skipped": skipped})[:-1] + ', "photos": [')
        for number, photo in enumerate(journal.packed()):
            split = "validation" if is_validation(photo.name.rpartition("/")[2]) else "train"
            total[split] += photo.squares
            entry = {"name": photo.name, "split": split, "start": photo.start, "count": photo.squares}
            out.write((",\n" if number else "\n") + json.dumps({**entry, "sha256": photo.sha256}))
        out.write("\n]}\n")
        out.flush()
        os.fsync(out.fileno())
    return Report(total["train"], total["validation"], skipped)


def _generator(seed: int, name: str) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(f"{seed}/".encode() + os.fsencode(name)).digest(), dtype="<u4")
    return np.random.default_rng(words)


def _squares(
    pixels: NDArray[np.uint8], cut: _Cut, random: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    height, width, _ = pixels.shape
    for size in cut.sizes:
        if min(height, width) < size:
            continue
        for _ in range(max(1, round(cut.coverage * height * width / size**2))):
            top = int(random.integers(height - size + 1))
            left = int(random.integers(width - size + 1))
            square = pixels[top : top + size, left : left + size]
            if size != cut.side:
                resized = Image.fromarray(square).resize((cut.side, cut.side), Image.Resampling.LANCZOS)
                square = np.asarray(resized)
            yield np.ascontiguousarray(square)
