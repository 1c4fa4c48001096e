"""The photos of a pack that is being made, and the results of those that are done.

It is a SQLite file beside the unfinished pack, so that memory does not grow with the number of photos and a
stopped run can be continued.
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
    """Result of a photo."""

    name: str  # path below the folder, with /
    start: int  # number of its first square in the pack
    squares: int
    sha256: str
    reason: str  # for skipping it, or ""


class Journal:
    """An open journal, created where there is none with these settings; a context manager.

    Attributes:
        photos: number of all photos.
        done, squares: number of photos that are done, and of their squares.
    """

    def __init__(self, path: Path, settings: dict[str, Any], names: Iterable[str], *, anew: bool) -> None:
        """Open or create a journal.

        Args:
            path: of the file.
            settings: of the pack, JSON values.
            names: of the photos; not read if they are listed already.
            anew: whether to begin a new journal in any case.

        Raises:
            sqlite3.Error: another process has it open, or it cannot be written.
        """
        content = json.dumps(settings, sort_keys=True)
        try:
            self._database = _opened(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # not a database
            path.unlink()
            self._database = _opened(path)
        if anew or self._settings() != content:
            with self._database:  # in one transaction
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
        """Names of the photos that are not done, in the order of the journal."""
        after: bytes = b""
        while rows := self._database.execute(
            "SELECT key FROM photos WHERE key > ? AND start IS NULL ORDER BY key LIMIT ?", (after, _BATCH)
        ).fetchall():
            yield from (_name(key) for (key,) in rows)
            after = rows[-1][0]

    def add(self, done: Iterable[Done]) -> None:
        """Record photos, which must be in the pack already."""
        with self._database:
            self._database.executemany(
                "UPDATE photos SET start = ?, count = ?, sha256 = ?, reason = ? WHERE key = ?",
                ((d.start, d.squares, d.sha256, d.reason, _key(d.name)) for d in done),
            )

    def packed(self) -> Iterator[Done]:
        """The photos that are in the pack, in the order of the journal."""
        return self._rows("reason = ''")

    def skipped(self) -> Iterator[Done]:
        """The photos that were skipped, in the order of the journal."""
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
    """A connection with an exclusive lock."""
    database = sqlite3.connect(path, timeout=1)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("BEGIN EXCLUSIVE")
    database.commit()
    return database


def _key(name: str) -> bytes:
    """Key of a photo, by which the photos of a folder are sorted together."""
    return os.fsencode(name).replace(b"/", b"\0")


def _name(key: bytes) -> str:
    return os.fsdecode(key.replace(b"\0", b"/"))
