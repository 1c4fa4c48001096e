"""Cache of the packs of folders of photos that were given as training data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from caesura.errors import ConfigError
from caesura.train.prepare import MANIFEST, photos, prepare

_SIDE = 256
_SIZES = (1.0, 1.5, 2.0, 3.0)  # of the side


def pack_of(
    data: Path,
    crop: int,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """The pack to train on: `data` itself, or one made of the photos in it.

    Squares are cut at 1, 1.5, 2 and 3 times the packed side, which is 256 pixels or the crop, whichever is
    larger. The pack is kept in the user's cache folder under a name that depends on paths, sizes and times of
    the photos, so that it is made once, and again when they have changed.

    Args:
        data: a pack, or a folder tree of photos.
        crop: side of the crops that training takes, in pixels.
        workers, progress: see `prepare`.

    Raises:
        ConfigError: there are several ranks and `data` is no pack; or see `prepare`.
    """
    if (data / MANIFEST).is_file() or next(photos(data), None) is None:
        return data  # its reader raises the error if it is no pack
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            f"data {data} is a folder of photos; several ranks need a pack of it, made by "
            "`caesura data prepare`"
        )
    side = max(_SIDE, crop)
    pack = folder() / f"{data.resolve().name}-{_fingerprint(data, side)}"
    if not (pack / MANIFEST).is_file():
        sizes = [round(side * size) for size in _SIZES]
        prepare(data, pack, sizes=sizes, side=side, workers=workers, progress=progress)
    return pack


def folder() -> Path:
    """The folder of all packs."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "caesura" / "packs"


def _fingerprint(data: Path, side: int) -> str:
    """Fingerprint of the photos of a folder, independent of the order of the file system."""
    total = 0
    for name in photos(data):
        facts = (data / name).stat()
        entry = f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}".encode(errors="surrogateescape")
        total += int.from_bytes(hashlib.sha256(entry).digest())
    text = f"{data.resolve()}\0{side}\0{total}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
