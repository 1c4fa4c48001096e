"""Units: groups of pictures that are processed and recorded together; and the set of paths that are done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

FILES, TAR, PARQUET = KINDS = ("files", "tar", "parquet")  # kinds of sources and destinations

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Item:
    """One picture of a unit.

    Attributes:
        path: its path in the manifest: below the source's root; in a shard or table, after that one's name.
        member: the name that its output's name is made from.
        size: number of bytes; 0 if unknown before it is read.
        content: its bytes, if they were read with the shard or table.
        error: why it cannot be read; "" otherwise.
    """

    path: str
    member: str
    size: int = 0
    content: bytes | None = None
    error: str = ""


@dataclass
class Unit:
    """Pictures that are processed and recorded together.

    Attributes:
        items: the pictures.
        carried: name and content of the other members of their WebDataset samples.
        columns: the other columns of a table's rows, as an Arrow stream with one row per item.
        column: name of the table's column that holds the images.
    """

    items: list[Item] = field(default_factory=list)
    carried: list[tuple[str, bytes]] = field(default_factory=list)
    columns: bytes = b""
    column: str = "image"

    @property
    def id(self) -> str:
        """16 hexadecimal digits: a hash of the items' paths and errors; a path may occur twice in a shard."""
        paths = "\0".join(item.path + item.error for item in self.items)
        return hashlib.blake2b(paths.encode(errors="surrogateescape"), digest_size=8).hexdigest()

    @property
    def size(self) -> int:
        """Number of bytes of all its contents."""
        return sum(item.size for item in self.items) + sum(len(content) for _, content in self.carried)


class Done:
    """The set of paths that are done, stored as a hash of 16 bytes per path.

    Args:
        paths: as in the manifest, in parts.
    """

    def __init__(self, paths: Iterable[Iterable[str]] = ()) -> None:
        parts = [_hashes(part) for part in paths]
        hashes = np.concatenate([np.empty((0, 2), np.uint64), *parts])
        self._hashes = hashes[np.lexsort((hashes[:, 1], hashes[:, 0]))]

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, path: str) -> bool:
        high, low = _hashes([path])[0]
        index = int(np.searchsorted(self._hashes[:, 0], high))
        while index < len(self._hashes) and self._hashes[index, 0] == high:
            if self._hashes[index, 1] == low:
                return True
            index += 1
        return False


def sample_name(member: str) -> str:
    """The name of a member's WebDataset sample: its path up to the first dot of the file name."""
    path = PurePosixPath(member)
    return str(path.parent / path.name.split(".")[0])


def _hashes(paths: Iterable[str]) -> Hashes:
    digests = [hashlib.blake2b(p.encode(errors="surrogateescape"), digest_size=16).digest() for p in paths]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
