"""Attempts at a unit: what is recorded while a worker processes it, for the case that the worker dies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from caesura.archive.store import Store
from caesura.picture import files

_MAX_DEATHS = 2  # of workers at one picture; after that it is not tried again


class Attempt:
    """An attempt at a unit. After a worker has died at the unit, each picture is recorded before it is tried.

    Attributes:
        deaths: number of workers that died at this unit.
        died_at: the pictures that they were processing, as far as known; "at" in the file.
        paths: pictures whose outputs they may have written.
        digest: of the shard or table that they may have written; "" if they did not come so far.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        deaths: int = 0,
        died_at: Sequence[str] = (),
        paths: Sequence[str] = (),
        digest: str = "",
    ) -> None:
        self._store, self._name, self.deaths = store, name, deaths
        self.died_at, self.paths, self.digest = list(died_at), list(paths), digest

    def begin(self, paths: Sequence[str]) -> None:
        """Record that the unit is in progress, and will write the outputs of these pictures."""
        self.paths = list(paths)
        self._write()

    def announce(self, content: bytes) -> None:
        """Record the digest of the shard or table that is about to be written."""
        self.digest = files.digest(content)
        self._write()

    def has_written(self, name: str) -> bool:
        """Whether the shard or table of this name is one that a worker wrote before it died."""
        try:
            return bool(self.digest) and files.digest(self._store.read(name)) == self.digest
        except FileNotFoundError:
            return False

    def may_try(self, path: str) -> bool:
        """Whether a picture may be tried: no if several workers died at it."""
        if Counter(self.died_at)[path] >= _MAX_DEATHS:
            return False
        if self.deaths:
            self.died_at.append(path)
            self._write()
        return True

    def survived(self, path: str) -> None:
        """Note that the worker is alive after a picture; recorded with the next one."""
        if self.deaths:
            self.died_at = [name for name in self.died_at if name != path]

    def end(self) -> None:
        """Remove the record: the unit is done."""
        self._store.remove([self._name])

    def _write(self) -> None:
        fields = {"deaths": self.deaths, "at": self.died_at, "paths": self.paths, "digest": self.digest}
        self._store.write(self._name, json.dumps(fields).encode())
