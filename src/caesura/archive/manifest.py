"""The manifest of an archive: a folder of Parquet files with one row per picture.

    _manifest/settings.json          settings that all runs on the archive must share
    _manifest/part-<unit>.parquet    rows of one unit
    _manifest/rows-<hash>.parquet    rows of many units; its metadata names the parts that it replaces
    _manifest/doing-<unit>.json      a unit in progress, or whose worker died; some outputs may exist

`pyarrow.dataset.dataset("DST/_manifest", format="parquet", exclude_invalid_files=True)` reads all rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caesura.archive.attempt import Attempt
from caesura.archive.store import Store
from caesura.errors import ConfigError, FormatError

FOLDER = "_manifest"
_SETTINGS = f"{FOLDER}/settings.json"
_MERGED = 512  # parts that are merged into one file
_REPLACES = b"caesura.replaces"
_DOING = f"{FOLDER}/doing-"
_MANIFEST_FILE = re.compile(r"settings\.json|(part|rows)-[0-9a-f]{16}\.parquet|doing-[0-9a-f]{16}\.json")

Row = dict[str, Any]


def schema() -> Any:
    """The Arrow schema of the rows; all columns but `path` may be null."""
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
    """The manifest of the archive at the root of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def rows(self, unit: str) -> list[Row] | None:
        """The rows of a unit; None if it is not done."""
        try:
            return self._rows(_part(unit))
        except FileNotFoundError:
            return None

    def add(self, unit: str, rows: Sequence[Row]) -> None:
        """Write the rows of a unit, which is then done."""
        self.store.write(_part(unit), _parquet(rows))

    def attempt(self, unit: str) -> Attempt:
        """A new attempt at a unit, with what is recorded of earlier ones whose workers died."""
        name = f"{_DOING}{unit}.json"
        try:
            before = json.loads(self.store.read(name))
            died_at, paths = ([str(path) for path in before[key]] for key in ("at", "paths"))
            digest = str(before.get("digest", ""))
            return Attempt(self.store, name, int(before["deaths"]) + 1, died_at, paths, digest)
        except (FileNotFoundError, ValueError, TypeError, LookupError):  # none, or damaged
            return Attempt(self.store, name)

    def begun(self) -> dict[str, Attempt]:
        """By unit id, the attempts that were begun and not ended."""
        names = [name for name in self._names() if f"{FOLDER}/{name}".startswith(_DOING)]
        ids = [name.removeprefix("doing-").removesuffix(".json") for name in names]
        return {unit: self.attempt(unit) for unit in ids}

    def check(self, settings: Mapping[str, Any]) -> None:
        """Check that an archive may be begun or continued with these settings.

        Raises:
            ConfigError: it was begun with other settings.
        """
        begun = self.settings() or settings
        changed = [key for key in {**settings, **begun} if begun.get(key) != settings.get(key)]
        if changed:
            was = ", ".join(f"{key} {begun.get(key)!r}" for key in changed)
            now = ", ".join(f"{key} {settings.get(key)!r}" for key in changed)
            raise ConfigError(
                f"{self.store.url} was begun with {was}, and this run has {now}; "
                "the same settings, another folder or --force is allowed"
            )

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Begin an archive, or continue one that has the same settings; with `force`, discard its manifest.

        Raises:
            ConfigError: it was begun with other settings.
        """
        if force:
            self.store.remove([f"{FOLDER}/{name}" for name in self._names()])
        else:
            self.check(settings)
        if self.settings() is None:
            self.store.write(_SETTINGS, json.dumps(settings, indent=1).encode())

    def settings(self) -> dict[str, Any] | None:
        """The settings of the archive; None if it was not begun.

        Raises:
            FormatError: the file is damaged.
        """
        try:
            settings = json.loads(self.store.read(_SETTINGS))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise FormatError(f"{self.store.url}/{_SETTINGS} is damaged: {error}") from error
        if not isinstance(settings, dict):
            raise FormatError(f"{self.store.url}/{_SETTINGS} is damaged: it is not a JSON object")
        return settings

    def done(self) -> Iterator[list[str]]:
        """The paths that are done, file by file. Removes the rows of failed pictures, to be tried again."""
        import pyarrow.compute as pc

        self.tidy()
        for name in self._files():
            table = self._table(name)
            failed = pc.is_valid(table["error"])
            if pc.any(failed).as_py():
                table = table.filter(pc.invert(failed))
                if table.num_rows:
                    self.store.write(name, _serialised(table))
                else:
                    self.store.remove([name])
            yield table["path"].to_pylist()

    def containers(self) -> set[str]:
        """The names of the shards or tables that hold outputs."""
        found: set[str] = set()
        for name in self._files():
            outputs = self._table(name)["output"].drop_null().to_pylist()
            found.update(output.partition("/")[0] for output in outputs)
        return found

    def all(self) -> Iterator[Row]:
        """All rows."""
        for name in self._files():
            yield from self._rows(name)

    def merge(self) -> None:
        """Merge parts into few files. No unit may be in progress."""
        self.tidy()
        names = self._names()
        self.store.remove(
            [f"{FOLDER}/{name}" for name in names if name.startswith("doing-")]
        )  # their workers died
        parts = [name for name in names if name.startswith("part-")]
        for start in range(0, len(parts), _MERGED):
            self._merge(parts[start : start + _MERGED])

    def tidy(self) -> None:
        """Remove parts whose rows are in a merged file: left where a merge was interrupted."""
        import pyarrow.parquet as pq

        names = self._names()
        parts = {name for name in names if name.startswith("part-")}
        replaced: set[str] = set()
        for name in names:
            if name.startswith("rows-") and parts:
                with (
                    self.store.open(f"{FOLDER}/{name}") as content,
                    self._damage_as_format_error(f"{FOLDER}/{name}"),
                ):
                    metadata = pq.read_schema(content).metadata or {}
                    replaced.update(json.loads(metadata.get(_REPLACES, b"[]")))
        self.store.remove([f"{FOLDER}/{name}" for name in sorted(parts & replaced)])

    def _merge(self, parts: Sequence[str]) -> None:
        import pyarrow as pa

        tables = [self._table(f"{FOLDER}/{name}") for name in parts]
        table = pa.concat_tables(tables).replace_schema_metadata({_REPLACES: json.dumps(parts).encode()})
        name = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
        self.store.write(f"{FOLDER}/rows-{name}.parquet", _serialised(table))
        self.store.remove([f"{FOLDER}/{part}" for part in parts])

    def _table(self, name: str) -> Any:
        import pyarrow.parquet as pq

        content = self.store.read(name)
        with self._damage_as_format_error(name):
            table = pq.read_table(io.BytesIO(content))
            table.select(["path", "output", "error"])  # raises if it is not a manifest table
        return table

    def _rows(self, name: str) -> list[Row]:
        rows: list[Row] = self._table(name).to_pylist()
        return rows

    @contextlib.contextmanager
    def _damage_as_format_error(self, name: str) -> Iterator[None]:
        """Raise the errors of pyarrow as FormatError."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, ValueError, LookupError) as error:
            reason = str(error).splitlines()[0]
            raise FormatError(f"{self.store.url}/{name} is damaged: {reason}") from error

    def _files(self) -> list[str]:
        return [f"{FOLDER}/{name}" for name in self._names() if name.endswith(".parquet")]

    def _names(self) -> list[str]:
        """The names of the manifest's files; any others in its folder are ignored."""
        return [name for name in self.store.names(FOLDER) if _MANIFEST_FILE.fullmatch(name)]


def _part(unit: str) -> str:
    return f"{FOLDER}/part-{unit}.parquet"


def _parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow as pa

    return _serialised(pa.Table.from_pylist(list(rows), schema()))


def _serialised(table: Any) -> bytes:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
