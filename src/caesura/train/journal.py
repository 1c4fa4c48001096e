"""What is known of a folder of photos while it is being packed: on disk, so that memory stays flat.

A SQLite file beside the unfinished pack lists every photo in its order, and what became of those that are
done. It says how far the pack has come; a run that was stopped goes on from there.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

_LAYOUT = """
    DROP TABLE IF EXISTS settings;
    DROP TABLE IF EXISTS photos;
    CREATE TABLE settings (content TEXT);
    CREATE TABLE photos (key BLOB PRIMARY KEY, start INTEGER, count INTEGER, sha256 TEXT, reason TEXT)
    WITHOUT ROWID;
"""
_BATCH = 1000


class Done(NamedTuple):
    """What became of a photo."""

    name: str  # path below the folder, with /
    start: int  # number of its first square in the pack
    squares: int
    sha256: str
    reason: str  # why it was skipped, or ""


class Journal:
    """Open, and made anew where there is none of these settings; a context manager.

    Attributes:
        photos: how many there are in all.
        done, squares: how many photos are done, and the squares that came of them.
    """

    def __init__(self, path: Path, settings: dict[str, Any], names: Iterable[str], *, anew: bool) -> None:
        """`names` is read only where the photos have not been listed yet; `anew` forgets what is there.

        Raises:
            sqlite3.Error: another process has it open, or it cannot be written.
        """
        content = json.dumps(settings, sort_keys=True)
        try:
            self._database = _opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # no journal at all
            path.unlink()
            self._database = _opened(path)
        if anew or self._settings() != content:
            with self._database:  # all of it or nothing
                for statement in _LAYOUT.split(";"):
                    self._database.execute(statement)
                keys = ((_key(name),) for name in names)
                self._database.executemany("INSERT INTO photos (key) VALUES (?)", keys)
                self._database.execute("INSERT INTO settings VALUES (?)", (content,))
        self.photos = int(self._one("SELECT count(*) FROM photos"))
        self.done = int(self._one("SELECT count(*) FROM photos WHERE start IS NOT NULL"))
        self.squares = int(self._one("SELECT coalesce(sum(count), 0) FROM photos"))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def waiting(self) -> Iterator[str]:
        """Names of the photos that are not done, in their order."""
        after: bytes = b""
        while rows := self._database.execute(
            "SELECT key FROM photos WHERE key > ? AND start IS NULL ORDER BY key LIMIT ?", (after, _BATCH)
        ).fetchall():
            yield from (_name(key) for (key,) in rows)
            after = rows[-1][0]

    def add(self, done: Iterable[Done]) -> None:
        """Note photos, which must be in the pack already."""
        with self._database:
            self._database.executemany(
                "UPDATE photos SET start = ?, count = ?, sha256 = ?, reason = ? WHERE key = ?",
                ((d.start, d.squares, d.sha256, d.reason, _key(d.name)) for d in done),
            )

    def packed(self) -> Iterator[Done]:
        """The photos that are in the pack, in their order."""
        return self._rows("reason = ''")

    def skipped(self) -> Iterator[Done]:
        """The photos that are not."""
        return self._rows("reason != ''")

    def _rows(self, condition: str) -> Iterator[Done]:
        query = f"SELECT key, start, count, sha256, reason FROM photos WHERE {condition} ORDER BY key"
        for key, *rest in self._database.execute(query):
            yield Done(_name(key), *rest)

    def _settings(self) -> str | None:
        listed = self._one("SELECT count(*) FROM sqlite_master WHERE name = 'settings'")
        return str(self._one("SELECT content FROM settings")) if listed else None

    def _one(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that keeps every other out until it ends."""
    database = sqlite3.connect(path, timeout=1)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("BEGIN EXCLUSIVE")
    database.commit()
    return database


def _key(name: str) -> bytes:
    """Sorts folder by folder: what is in a folder stays together."""
    return os.fsencode(name).replace(b"/", b"\0")


def _name(key: bytes) -> str:
    return os.fsdecode(key.replace(b"\0", b"/"))
