"""What there is to do: pictures of a folder, of tar shards or of Parquet tables, in units."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.archive.store import Store
from caesura.errors import CaesuraError, ConfigError
from caesura.picture.files import FileError

FILES, TAR, PARQUET = KINDS = ("files", "tar", "parquet")
_ENDINGS = {".tar": TAR, ".parquet": PARQUET}
_NAMES = ("path", "file_name", "filename", "name", "key", "__key__", "id")  # columns that name a picture
# pyarrow's are OSError and ValueError.
_READ_ERRORS = (OSError, ValueError, tarfile.TarError, CaesuraError)
_ROWS = 16  # of a table, in memory at a time

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Item:
    """A picture.

    Attributes:
        path: as the manifest has it: below the source's root; of a shard or a table, behind its name.
        member: the name that its output is made of.
        size: bytes, if known before it is read.
        content: its bytes, where reading the shard or the table has given them.
        error: why there is none.
    """

    path: str
    member: str
    size: int = 0
    content: bytes | None = None
    error: str = ""


@dataclass
class Unit:
    """Pictures that are done together.

    Attributes:
        items: the pictures.
        carried: other members of their WebDataset samples, by name.
        columns: the other columns of their rows, an Arrow stream, where they are a table's; a row an item.
        column: the name of the pictures' own column there.
    """

    items: list[Item] = field(default_factory=list)
    carried: list[tuple[str, bytes]] = field(default_factory=list)
    columns: bytes = b""
    column: str = "image"

    @property
    def id(self) -> str:
        """16 hexadecimal digits that the names in it decide, and the errors: a name may be there twice."""
        paths = "\0".join(item.path + item.error for item in self.items)
        return hashlib.blake2b(paths.encode(errors="surrogateescape"), digest_size=8).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of it."""
        return sum(item.size for item in self.items) + sum(len(content) for _, content in self.carried)


class Done:
    """Which pictures are done: 16 bytes each, a hash of their names.

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
        at = int(np.searchsorted(self._hashes[:, 0], high))
        while at < len(self._hashes) and self._hashes[at, 0] == high:
            if self._hashes[at, 1] == low:
                return True
            at += 1
        return False


def _hashes(paths: Iterable[str]) -> Hashes:
    digests = [hashlib.blake2b(p.encode(errors="surrogateescape"), digest_size=16).digest() for p in paths]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Reading:
    """Where pictures are read from, and how many at a time.

    Attributes:
        url, kind: of the source.
        wanted: whether a name is of a picture that is to be done.
        pictures, bytes: of a unit, at most; a larger picture is one of its own.
        column: of a table; None for the one that holds bytes.
    """

    url: str
    kind: str
    wanted: Callable[[PurePosixPath], bool]
    pictures: int
    bytes: int
    column: str | None = None

    def files(self) -> Iterator[str | None]:
        """What a reader each is for: shards or tables, or None for a folder, which has one lister."""
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
        """The units of one of `files`, without what is done."""
        store = Store(self.url)
        if file is None:
            yield from self._cut(self._listed(store, done))
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
        yield from self._cut(self._samples(store, file, done))

    def _samples(self, store: Store, file: str, done: Done) -> Iterator[Unit]:
        """Members that share a name up to its first dot: a WebDataset sample; without pictures, none."""
        shard = file or PurePosixPath(store.root).name
        sample, key = Unit(), ""
        names: set[PurePosixPath] = set()  # of pictures; these have no ./ and no //
        with store.open(file) as content, tarfile.open(fileobj=content, mode="r|*") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.name.startswith("."):
                    continue
                if key != (key := sample_of(member.name)):
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
                assert source is not None  # of a file
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
            column = self._pictures_of(table.schema_arrow, name)
            others = [field.name for field in table.schema_arrow if field.name != column]
            naming = next((key for key in _NAMES if key in others), None)
            row, waiting = 0, None
            for batch in table.iter_batches(_ROWS):
                values = batch.column(column).to_pylist()
                names = batch.column(naming).to_pylist() if naming else [None] * len(values)
                kept, items = [], []
                for place, (value, called) in enumerate(zip(values, names, strict=True)):
                    data, label = _of_cell(value, called)
                    member = f"{row + place:09d}" + (f"-{PurePosixPath(label).name}" if label else "")
                    path = f"{name}/{member}"
                    if path in done:
                        continue
                    kept.append(place)
                    error = "" if data is not None else f"{path}: the row holds no picture"
                    items.append(Item(path, member, len(data or b""), data, error))
                row += len(values)
                rest = pa.Table.from_batches([batch]).select(others).take(kept)
                for start in range(0, len(items), self.pictures):
                    more = Unit(items[start : start + self.pictures], column=column)
                    table_part = rest.slice(start, self.pictures)
                    if waiting is not None and self._full(waiting[0], more):
                        yield _with_columns(*waiting)
                        waiting = None
                    if waiting is None:
                        waiting = (more, [table_part])
                    else:
                        waiting[0].items.extend(more.items)
                        waiting[1].append(table_part)
            if waiting is not None:
                yield _with_columns(*waiting)

    def _pictures_of(self, schema: Any, name: str) -> str:
        import pyarrow as pa

        def holds(kind: Any) -> bool:
            if pa.types.is_struct(kind):  # as Hugging Face's tables have pictures
                return bool(kind.get_field_index("bytes") >= 0)
            return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

        able = [column.name for column in schema if holds(column.type)]
        if self.column is not None:
            able = [column for column in able if column == self.column]
        if len(able) != 1:
            got = f"{self.column!r}" if self.column else f"{len(able)} columns of bytes"
            raise ConfigError(
                f"table {name} has columns {schema.names}; column is {got}, one of bytes is needed"
            )
        return str(able[0])

    def _full(self, unit: Unit, more: Unit) -> bool:
        return len(unit.items) + len(more.items) > self.pictures or unit.size + more.size > self.bytes

    def _cut(self, samples: Iterable[Unit]) -> Iterator[Unit]:
        unit = Unit()
        try:
            for sample in samples:
                if unit.items and self._full(unit, sample):
                    yield unit
                    unit = Unit()
                unit.items.extend(sample.items)
                unit.carried.extend(sample.carried)
        except _READ_ERRORS:  # of a shard that was cut, what came before is whole
            if unit.items:
                yield unit
            raise
        if unit.items:
            yield unit


def _item(path: str, member: str, size: int) -> Item:
    """A picture; an error where its name is not fit for the manifest, or leads out of the destination."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        return Item(shown, shown, error=f"{shown}: the name is not UTF-8")
    if member.startswith("/") or ".." in PurePosixPath(member).parts:
        return Item(path, member, error=f"{path}: the name leads out of its folder")
    return Item(path, member, size)


def sample_of(member: str) -> str:
    """The name of a member's WebDataset sample: up to its first dot."""
    path = PurePosixPath(member)
    return str(path.parent / path.name.split(".")[0])


def _of_cell(value: Any, called: Any) -> tuple[bytes | None, str]:
    """A table's cell as bytes and a name: the bytes alone, or a struct of both."""
    if isinstance(value, dict):
        called, value = value.get("path") or called, value.get("bytes")
    return value, "" if called is None else str(called)


def _with_columns(unit: Unit, parts: list[Any]) -> Unit:
    import pyarrow as pa

    table = pa.concat_tables(parts)
    if table.num_columns:
        out = io.BytesIO()
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
        unit.columns = out.getvalue()
    return unit


def kind_of(url: str, wanted: Callable[[PurePosixPath], bool], kind: str | None = None) -> str:
    """Whether a source is a folder of pictures, tar shards or Parquet tables: what comes first in it.

    Args:
        url: of the source.
        wanted: whether a name is of a picture to take.
        kind: what it is said to be, if so; it must hold that.

    Raises:
        FileError: it is not there, or holds none of them.
    """
    store = Store(url)
    if store.is_file():
        found = kind or _ENDINGS.get(PurePosixPath(url).suffix.lower(), FILES)
        if found == FILES:
            raise FileError(f"{url} is a file; a folder, a .tar or a .parquet is allowed")
        return found
    for name, _ in store.walk():
        path = PurePosixPath(name)
        ending = _ENDINGS.get(path.suffix.lower())
        if kind in (None, FILES) and wanted(path):
            return FILES
        if ending is not None and kind in (None, ending):
            return ending
    sought = {None: "pictures, tar shards or Parquet tables", FILES: "pictures", TAR: "tar shards"}
    raise FileError(f"{url} holds no {sought.get(kind, 'Parquet tables')} that can be taken")
