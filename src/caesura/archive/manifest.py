"""The manifest of an archive: a folder of Parquet files with a row a picture.

    _manifest/settings.json          how the archive is made
    _manifest/part-<unit>.parquet    rows of a unit
    _manifest/rows-<hash>.parquet    rows of many units; its metadata names the parts that it replaces
    _manifest/doing-<unit>.json      a unit that is at work, or was when its worker died; outputs may be there

`pyarrow.dataset.dataset("DST/_manifest", format="parquet", exclude_invalid_files=True)` reads all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caesura.archive.store import Store
from caesura.errors import ConfigError, FormatError
from caesura.picture import files

FOLDER = "_manifest"
_SETTINGS = f"{FOLDER}/settings.json"
_MERGED = 512  # parts that become one
_DEATHS = 2  # of workers at one picture, until it is left alone
_REPLACES = b"caesura.replaces"
_DOING = f"{FOLDER}/doing-"
_OURS = re.compile(r"settings\.json|(part|rows)-[0-9a-f]{16}\.parquet|doing-[0-9a-f]{16}\.json")

Row = dict[str, Any]


def schema() -> Any:
    """Of the rows; all but `path` may be null."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            ("output", pa.string()),
            ("bytes_before", pa.int64()),
            ("bytes", pa.int64()),
            ("bpp", pa.float64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("sha256", pa.string()),
            ("model", pa.string()),
            ("quality", pa.float64()),
            ("seconds", pa.float64()),
            ("warning", pa.string()),
            ("error", pa.string()),
        ]
    )


class Manifest:
    """The manifest of the archive at a store's root."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # Units

    def rows(self, unit: str) -> list[Row] | None:
        """What became of a unit's pictures; None if it is not done."""
        try:
            return self._rows(_part(unit))
        except FileNotFoundError:
            return None

    def add(self, unit: str, rows: Sequence[Row]) -> None:
        """Note that a unit is done."""
        self.store.write(_part(unit), _parquet(rows))

    # Workers that die

    def attempt(self, unit: str) -> Attempt:
        """A unit that is about to be at work, with what is known of those who died at it."""
        name = f"{_DOING}{unit}.json"
        try:
            before = json.loads(self.store.read(name))
            at, paths = ([str(path) for path in before[key]] for key in ("at", "paths"))
            digest = str(before.get("digest", ""))
            return Attempt(self.store, name, int(before["deaths"]) + 1, at, paths, digest)
        except (FileNotFoundError, ValueError, TypeError, LookupError):  # what is damaged claims nothing
            return Attempt(self.store, name)

    def begun(self) -> dict[str, Attempt]:
        """By id, units that were begun and not ended."""
        names = [name for name in self._names() if f"{FOLDER}/{name}".startswith(_DOING)]
        ids = [name.removeprefix("doing-").removesuffix(".json") for name in names]
        return {unit: self.attempt(unit) for unit in ids}

    # The whole

    def check(self, settings: Mapping[str, Any]) -> None:
        """Whether an archive may be begun, or gone on with, with these settings.

        Raises:
            ConfigError: it was begun with others.
        """
        begun = self.settings() or settings
        changed = [key for key in {**settings, **begun} if begun.get(key) != settings.get(key)]
        if changed:
            was = ", ".join(f"{key} {begun.get(key)!r}" for key in changed)
            now = ", ".join(f"{key} {settings.get(key)!r}" for key in changed)
            raise ConfigError(
                f"{self.store.url} was begun with {was} and is to go on with {now}; "
                "the same, another folder or --force is allowed"
            )

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Begin an archive, anew with `force`, or go on with one that has the same settings.

        Raises:
            ConfigError: it was begun with others.
        """
        if force:
            self.store.remove([f"{FOLDER}/{name}" for name in self._names()])
        else:
            self.check(settings)
        if self.settings() is None:
            self.store.write(_SETTINGS, json.dumps(settings, indent=1).encode())

    def settings(self) -> dict[str, Any] | None:
        """How the archive is made; None if it was not begun.

        Raises:
            FormatError: this cannot be read.
        """
        try:
            settings = json.loads(self.store.read(_SETTINGS))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise FormatError(f"{self.store.url}/{_SETTINGS} is damaged: {error}") from error
        if not isinstance(settings, dict):
            raise FormatError(f"{self.store.url}/{_SETTINGS} is damaged: it is no object")
        return settings

    def done(self) -> Iterator[list[str]]:
        """Paths of the pictures that are done, file by file; rows of what failed are removed."""
        import pyarrow.compute as pc

        self.tidy()
        for name in self._files():
            table = self._table(name)
            failed = pc.is_valid(table["error"])
            if pc.any(failed).as_py():
                table = table.filter(pc.invert(failed))
                if table.num_rows:
                    self.store.write(name, _written(table))
                else:
                    self.store.remove([name])
            yield table["path"].to_pylist()

    def containers(self) -> set[str]:
        """The shards or tables that outputs are in."""
        found: set[str] = set()
        for name in self._files():
            outputs = self._table(name)["output"].drop_null().to_pylist()
            found.update(output.partition("/")[0] for output in outputs)
        return found

    def all(self) -> Iterator[Row]:
        """Every row."""
        for name in self._files():
            yield from self._rows(name)

    def merge(self) -> None:
        """Put parts together, so that there are few files; nothing is at work any more."""
        self.tidy()
        names = self._names()
        self.store.remove([f"{FOLDER}/{name}" for name in names if name.startswith("doing-")])  # by the dead
        parts = [name for name in names if name.startswith("part-")]
        for start in range(0, len(parts), _MERGED):
            self._merge(parts[start : start + _MERGED])

    def tidy(self) -> None:
        """Remove parts whose rows are in a merged file: whoever merged them has died before removing them."""
        import pyarrow.parquet as pq

        names = self._names()
        parts = {name for name in names if name.startswith("part-")}
        replaced: set[str] = set()
        for name in names:
            if name.startswith("rows-") and parts:
                with self.store.open(f"{FOLDER}/{name}") as content, self._whole(f"{FOLDER}/{name}"):
                    metadata = pq.read_schema(content).metadata or {}
                    replaced.update(json.loads(metadata.get(_REPLACES, b"[]")))
        self.store.remove([f"{FOLDER}/{name}" for name in sorted(parts & replaced)])

    def _merge(self, parts: Sequence[str]) -> None:
        import pyarrow as pa

        tables = [self._table(f"{FOLDER}/{name}") for name in parts]
        table = pa.concat_tables(tables).replace_schema_metadata({_REPLACES: json.dumps(parts).encode()})
        name = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
        self.store.write(f"{FOLDER}/rows-{name}.parquet", _written(table))
        self.store.remove([f"{FOLDER}/{part}" for part in parts])

    def _table(self, name: str) -> Any:
        import pyarrow.parquet as pq

        content = self.store.read(name)
        with self._whole(name):
            table = pq.read_table(io.BytesIO(content))
            table.select(["path", "output", "error"])  # or it is no table of ours
        return table

    def _rows(self, name: str) -> list[Row]:
        rows: list[Row] = self._table(name).to_pylist()
        return rows

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[None]:
        """What pyarrow raises for a file of ours, as ours."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, ValueError, LookupError) as error:
            reason = str(error).splitlines()[0]
            raise FormatError(f"{self.store.url}/{name} is damaged: {reason}") from error

    def _files(self) -> list[str]:
        return [f"{FOLDER}/{name}" for name in self._names() if name.endswith(".parquet")]

    def _names(self) -> list[str]:
        """The files of a manifest; others in its folder are not ours."""
        return [name for name in self.store.names(FOLDER) if _OURS.fullmatch(name)]


class Attempt:
    """A unit at work. After a worker has died at it, each picture is noted before it is tried.

    Attributes:
        deaths: of workers at this unit.
        at: pictures that these were at, as far as it is known.
        paths: pictures whose outputs these may have written.
        digest: of the shard or table that they may have written; "" if it was not made.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        deaths: int = 0,
        at: Sequence[str] = (),
        paths: Sequence[str] = (),
        digest: str = "",
    ) -> None:
        self._store, self._name, self.deaths = store, name, deaths
        self.at, self.paths, self.digest = list(at), list(paths), digest

    def begin(self, paths: Sequence[str]) -> None:
        """Note that the unit is at work, and will write the outputs of these pictures."""
        self.paths = list(paths)
        self._note()

    def made(self, content: bytes) -> None:
        """Note the shard or table that is about to be written."""
        self.digest = files.digest(content)
        self._note()

    def left(self, name: str) -> bool:
        """Whether the shard or table of this name is what a worker that died here has made."""
        try:
            return bool(self.digest) and files.digest(self._store.read(name)) == self.digest
        except FileNotFoundError:
            return False

    def _note(self) -> None:
        fact = {"deaths": self.deaths, "at": self.at, "paths": self.paths, "digest": self.digest}
        self._store.write(self._name, json.dumps(fact).encode())

    def may(self, path: str) -> bool:
        """Whether a picture may be tried; not if workers have died at it again and again."""
        if Counter(self.at)[path] >= _DEATHS:
            return False
        if self.deaths:
            self.at.append(path)
            self._note()
        return True

    def survived(self, path: str) -> None:
        """A picture was tried, and all is well; it is written down with the next."""
        if self.deaths:
            self.at = [name for name in self.at if name != path]

    def end(self) -> None:
        """The unit is done."""
        self._store.remove([self._name])


def _part(unit: str) -> str:
    return f"{FOLDER}/part-{unit}.parquet"


def _parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow as pa

    return _written(pa.Table.from_pylist(list(rows), schema()))


def _written(table: Any) -> bytes:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
