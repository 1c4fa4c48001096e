"""Readers of an archive's source: a folder, tar shards or Parquet tables, as units of pictures."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Any

from caesura.archive.store import Store
from caesura.archive.units import FILES, PARQUET, TAR, Done, Item, Unit, sample_name
from caesura.errors import CaesuraError, ConfigError
from caesura.picture.files import FileError

_KIND_OF_SUFFIX = {".tar": TAR, ".parquet": PARQUET}
_NAME_COLUMNS = ("path", "file_name", "filename", "name", "key", "__key__", "id")  # that name a picture
_READ_ERRORS = (OSError, ValueError, tarfile.TarError, CaesuraError)  # pyarrow's are OSError and ValueError
_ROWS = 16  # rows of a table in memory at a time


@dataclass(frozen=True)
class Reader:
    """Reads a source as units.

    Attributes:
        url: of the source.
        kind: one of `units.KINDS`.
        wanted: whether a path is one of a picture to process.
        pictures, bytes: largest number of pictures and bytes of a unit; a larger picture is a unit alone.
        column: Parquet column that holds the images; None for the only one that holds bytes.
    """

    url: str
    kind: str
    wanted: Callable[[PurePath], bool]
    pictures: int
    bytes: int
    column: str | None = None

    def files(self) -> Iterator[str | None]:
        """The names of shards or tables, which are read in parallel; for a folder, a single None."""
        if self.kind == FILES:
            yield None
            return
        store = Store(self.url)
        if store.is_file():
            yield ""
            return
        ending = f".{self.kind}"
        yield from (entry.name for entry in store.walk() if entry.name.lower().endswith(ending))

    def units(self, file: str | None, done: Done) -> Iterator[Unit]:
        """The units of one of `files()`, without pictures that are done."""
        store = Store(self.url)
        if file is None:
            yield from self._grouped(self._listed(store, done))
            return
        read = self._from_tar if self.kind == TAR else self._from_table
        try:
            yield from read(store, file, done)
        except _READ_ERRORS as error:
            name = file or PurePosixPath(store.root).name
            yield Unit([Item(name, name, error=f"{name}: {error}")])

    def _listed(self, store: Store, done: Done) -> Iterator[Unit]:
        for name, size in store.walk():
            if self.wanted(PurePosixPath(name)) and name not in done:
                yield Unit([_item(name, name, size)])

    def _from_tar(self, store: Store, file: str, done: Done) -> Iterator[Unit]:
        yield from self._grouped(self._samples(store, file, done))

    def _samples(self, store: Store, file: str, done: Done) -> Iterator[Unit]:
        """The WebDataset samples of a shard that have pictures to process, a unit each."""
        shard = file or PurePosixPath(store.root).name
        sample, key = Unit(), ""
        names: set[PurePosixPath] = set()  # of pictures, normalised: without ./ and //
        with store.open(file) as content, tarfile.open(fileobj=content, mode="r|*") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.name.startswith("."):
                    continue
                if key != (key := sample_name(member.name)):
                    if sample.items:
                        yield sample
                    sample = Unit()
                item = _item(f"{shard}/{member.name}", member.name, member.size)
                if self.wanted(path) and not item.error:
                    if path in names:
                        error = f"{item.path}: the name is taken by an earlier member"
                        item = Item(item.path, item.member, error=error)
                    names.add(path)
                if self.wanted(path) and (item.error or item.path in done):
                    sample.items += [item] if item.error else []
                    continue
                source = tar.extractfile(member)
                assert source is not None  # since it is a file
                data = source.read()
                if self.wanted(path):
                    sample.items.append(Item(item.path, item.member, item.size, data))
                else:
                    sample.carried.append((member.name, data))
        if sample.items:
            yield sample

    def _from_table(self, store: Store, file: str, done: Done) -> Iterator[Unit]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = file or PurePosixPath(store.root).name
        with store.open(file) as content:
            table = pq.ParquetFile(content)
            column = self._image_column(table.schema_arrow, name)
            others = [field.name for field in table.schema_arrow if field.name != column]
            name_column = next((key for key in _NAME_COLUMNS if key in others), None)
            row, waiting = 0, None
            for batch in table.iter_batches(_ROWS):
                values = batch.column(column).to_pylist()
                names = batch.column(name_column).to_pylist() if name_column else [None] * len(values)
                kept, items = [], []
                for number, (value, given) in enumerate(zip(values, names, strict=True)):
                    data, label = _cell(value, given)
                    member = f"{row + number:09d}" + (f"-{PurePosixPath(label).name}" if label else "")
                    path = f"{name}/{member}"
                    if path in done:
                        continue
                    kept.append(number)
                    error = "" if data is not None else f"{path}: the row holds no picture"
                    items.append(Item(path, member, len(data or b""), data, error))
                row += len(values)
                rest = pa.Table.from_batches([batch]).select(others).take(kept)
                for start in range(0, len(items), self.pictures):
                    more = Unit(items[start : start + self.pictures], column=column)
                    table_part = rest.slice(start, self.pictures)
                    if waiting is not None and self._is_full(waiting[0], more):
                        yield _with_columns(*waiting)
                        waiting = None
                    if waiting is None:
                        waiting = (more, [table_part])
                    else:
                        waiting[0].items.extend(more.items)
                        waiting[1].append(table_part)
            if waiting is not None:
                yield _with_columns(*waiting)

    def _image_column(self, schema: Any, name: str) -> str:
        import pyarrow as pa

        def holds(kind: Any) -> bool:
            if pa.types.is_struct(kind):  # the image feature of Hugging Face datasets
                return bool(kind.get_field_index("bytes") >= 0)
            return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

        columns = [column.name for column in schema if holds(column.type)]
        if self.column is not None:
            columns = [column for column in columns if column == self.column]
        if len(columns) != 1:
            got = f"{self.column!r}" if self.column else f"{len(columns)} columns of bytes"
            raise ConfigError(
                f"table {name} has columns {schema.names}; column is {got}, one of bytes is needed"
            )
        return str(columns[0])

    def _is_full(self, unit: Unit, more: Unit) -> bool:
        """Whether `more` does not fit into the unit."""
        return len(unit.items) + len(more.items) > self.pictures or unit.size + more.size > self.bytes

    def _grouped(self, samples: Iterable[Unit]) -> Iterator[Unit]:
        """Small units joined to units of the size allowed."""
        unit = Unit()
        try:
            for sample in samples:
                if unit.items and self._is_full(unit, sample):
                    yield unit
                    unit = Unit()
                unit.items.extend(sample.items)
                unit.carried.extend(sample.carried)
        except _READ_ERRORS:  # the members before the end of a truncated shard are whole
            if unit.items:
                yield unit
            raise
        if unit.items:
            yield unit


def _item(path: str, member: str, size: int) -> Item:
    """An item; with an error if its name is not UTF-8 or leads out of the destination folder."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        return Item(shown, shown, error=f"{shown}: the name is not UTF-8")
    if member.startswith("/") or ".." in PurePosixPath(member).parts:
        return Item(path, member, error=f"{path}: the name leads out of its folder")
    return Item(path, member, size)


def _cell(value: Any, name: Any) -> tuple[bytes | None, str]:
    """Bytes and name of a table's cell, which holds the bytes alone or a struct of both."""
    if isinstance(value, dict):
        name, value = value.get("path") or name, value.get("bytes")
    return value, "" if name is None else str(name)


def _with_columns(unit: Unit, parts: list[Any]) -> Unit:
    """The unit, with these tables of its rows' other columns."""
    import pyarrow as pa

    table = pa.concat_tables(parts)
    if table.num_columns:
        out = io.BytesIO()
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
        unit.columns = out.getvalue()
    return unit


def kind_of(url: str, wanted: Callable[[PurePath], bool], kind: str | None = None) -> str:
    """The kind of a source, one of `units.KINDS`: that of the first file in it which has one.

    Args:
        url: of the source.
        wanted: whether a path is one of a picture to process.
        kind: the kind that the user gave; the source must hold files of it.

    Raises:
        FileError: the source does not exist, or holds nothing of that kind.
    """
    store = Store(url)
    if store.is_file():
        found = kind or _KIND_OF_SUFFIX.get(PurePosixPath(url).suffix.lower(), FILES)
        if found == FILES:
            raise FileError(f"{url} is a file; a folder, a .tar or a .parquet is allowed")
        return found
    for name, _ in store.walk():
        path = PurePosixPath(name)
        container = _KIND_OF_SUFFIX.get(path.suffix.lower())
        if kind in (None, FILES) and wanted(path):
            return FILES
        if container is not None and kind in (None, container):
            return container
    sought = {None: "pictures, tar shards or Parquet tables", FILES: "pictures", TAR: "tar shards"}
    raise FileError(f"{url} holds no {sought.get(kind, 'Parquet tables')}")
