"""A dataset of .cae files for training loops.

    photos = CaeDataset("coded/", region=random_crop(256))
    loader = torch.utils.data.DataLoader(photos, batch_size=32, shuffle=True, num_workers=8)

A map-style dataset for PyTorch's `DataLoader` (`__len__` and `__getitem__`). Its items are NumPy arrays,
which the loader's `default_collate` converts to tensors. PyTorch itself is neither imported nor needed.
"""

from __future__ import annotations

import contextlib
import operator
import os
import random
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caesura import arguments, codec
from caesura.errors import CaesuraError, ConfigError, DependencyError, FormatError
from caesura.format import container
from caesura.format.container import MAX_PIXELS, Header
from caesura.picture import channels
from caesura.picture.pixels import to_rgb
from caesura.runtime import choice

Region = tuple[int, int, int, int]  # x, y, width, height in pixels
Pixels = NDArray[np.uint8]


class Location(NamedTuple):
    """The location of a .cae file: a file, a member of a tar shard, or a row of a Parquet table.

    Attributes:
        name: its name in messages.
        file: path of the file, shard or table.
        start, size: in a shard, offset and number of bytes; otherwise size is -1.
        group, row: in a table, number of the row group and of the row in it; otherwise -1.
    """

    name: str
    file: str
    start: int = 0
    size: int = -1
    group: int = -1
    row: int = -1


class CaeDataset:
    """The pictures of a folder of .cae files, of tar shards, or of an archive's Parquet tables.

    Args:
        source: one .cae, .tar or .parquet file, or a local folder. Of a folder and its subfolders, all .cae
            files are used, or if there are none all .tar files, or else all .parquet files, sorted by path.
        transform: called with each picture, uint8 (H, W, 3); its result is the item.
        region: x, y, width and height in pixels, or a function that returns them for a picture's `Header`.
            Only the segments that the region depends on are decoded. See `random_crop`.
        scale: 1, 2, 4 or 8: decode at 1/scale of the width and height.
        column: Parquet column that holds the images; None for the only one that holds bytes.
        max_pixels: refuse larger pictures.

    Raises:
        TypeError: an argument is of another type.
        ConfigError: `scale` is not allowed, or the source holds no such files.
        FormatError: a shard or a table is damaged.
        DependencyError: the source holds tables and pyarrow is not installed.

    It can be pickled, so that workers of `DataLoader` may be forked or spawned. A worker uses one thread.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        transform: Callable[[Pixels], Any] | None = None,
        region: Region | Callable[[Header], Region] | None = None,
        scale: int = 1,
        column: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.scale = codec.check_scale(scale)
        self.max_pixels = arguments.max_pixels(max_pixels)
        if not (region is None or callable(region)):
            region = codec.check_region(region)
        if transform is not None:
            arguments.function("transform", transform)
        arguments.of_type("column", column, (str, NoneType), "a name or None is allowed")
        self.transform, self.region = transform, region
        self._column = column
        self._locations = list(_locations(arguments.path("source", source), column))
        if not self._locations:
            raise ConfigError(f"{source} holds no .cae files, tar shards or Parquet tables of them")
        self._group: tuple[str, int, list[bytes]] | None = None  # file, number and contents of a row group

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self._locations)

    def __getitem__(self, number: int) -> Any:
        """A picture, uint8 (H, W, 3), or the result of `transform`. Grey becomes RGB; alpha is dropped.

        Raises:
            CaesuraError: the file cannot be decoded; the message names it.
            IndexError: `number` is out of range.
        """
        location = self._locations[operator.index(number)]
        _one_thread_in_workers()
        choice.expect_many()
        try:
            data = self._read(location)
            region = self.region
            if callable(region):
                region = region(container.read_header(data, max_pixels=self.max_pixels))
            pixels = codec.decode_array(data, region=region, scale=self.scale, max_pixels=self.max_pixels)
        except CaesuraError as error:
            raise type(error)(f"{location.name}: {error}") from error
        except OSError as error:
            raise FormatError(f"{location.name}: {error.strerror or error}") from error
        colours = channels.colours(pixels.shape[2])
        picture = np.require(to_rgb(pixels[:, :, :colours]), requirements=["C", "W"])
        return picture if self.transform is None else self.transform(picture)

    def name(self, number: int) -> str:
        """The name of a picture: its path, or in a shard or table PATH/MEMBER or PATH/ROW."""
        return self._locations[operator.index(number)].name

    def read(self, number: int) -> bytes:
        """The .cae file of a picture, not decoded."""
        return self._read(self._locations[operator.index(number)])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_group": None}

    def _read(self, location: Location) -> bytes:
        if location.group >= 0:
            return self._row(location)
        if location.size < 0:
            return arguments.content("file", location.file)
        with Path(location.file).open("rb") as file:
            file.seek(location.start)
            return file.read(location.size)

    def _row(self, location: Location) -> bytes:
        """A row of a table. Its whole row group is read and cached, since the next row is often read next."""
        if self._group is None or self._group[:2] != (location.file, location.group):
            parquet = _parquet()
            with _readable(location.file):
                table = parquet.ParquetFile(location.file)
                column = _image_column(table.schema_arrow, location.file, self._column)
                rows = table.read_row_group(location.group, [column]).column(0).to_pylist()
            self._group = location.file, location.group, rows
        data = self._group[2][location.row]
        if data is None:
            raise FormatError("the row holds no picture")
        return data


def random_crop(side: int) -> Callable[[Header], Region]:
    """A `region` for `CaeDataset`: a square at a random, uniformly distributed position.

    Args:
        side: side of the square in pixels; in smaller pictures, their width or height.
    """
    return _RandomCrop(arguments.integer("side", side, "1 or more is allowed", 1))


class _RandomCrop:
    """A class, since nested functions cannot be pickled."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, header: Header) -> Region:
        """Draw a region. `DataLoader` seeds `random` differently in each worker."""
        width, height = min(self.side, header.width), min(self.side, header.height)
        x = random.randrange(header.width - width + 1)
        y = random.randrange(header.height - height + 1)
        return x, y, width, height


def _locations(source: Path, column: str | None) -> Iterator[Location]:
    if source.is_file():
        files = [source]
    else:
        files = sorted(path for path in source.rglob("*") if _is_seen(path.relative_to(source)))
    for ending, locations in ((".cae", _of_file), (".tar", _of_shard), (".parquet", _of_table)):
        of_kind = [path for path in files if path.suffix.lower() == ending]
        for path in of_kind:
            yield from locations(path, column)
        if of_kind:
            return


def _is_seen(path: Path) -> bool:
    return not any(part.startswith(".") or part == "_manifest" for part in path.parts)


def _of_file(path: Path, column: str | None) -> Iterator[Location]:
    yield Location(str(path), str(path))


def _of_shard(path: Path, column: str | None) -> Iterator[Location]:
    """The .cae members of a shard; only the headers of its members are read."""
    with _readable(path), tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isfile() and PurePosixPath(member.name).suffix.lower() == ".cae":
                yield Location(f"{path}/{member.name}", str(path), member.offset_data, member.size)


def _of_table(path: Path, column: str | None) -> Iterator[Location]:
    parquet = _parquet()
    with _readable(path):
        table = parquet.ParquetFile(path)
        _image_column(table.schema_arrow, str(path), column)
        sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    row = 0
    for group, size in enumerate(sizes):
        for index in range(size):
            yield Location(f"{path}/{row}", str(path), group=group, row=index)
            row += 1


def _image_column(schema: Any, name: str, column: str | None) -> str:
    found = [field.name for field in schema if str(field.type) in ("binary", "large_binary")]
    if column is not None:
        found = [name for name in found if name == column]
    if len(found) != 1:
        got = f"column is {column!r}" if column else f"{len(found)} hold bytes"
        raise ConfigError(f"table {name} has columns {schema.names} and {got}; one of bytes is needed")
    return str(found[0])


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Raise the errors that libraries raise for damaged shards and tables as FormatError."""
    try:
        arguments.check_file(Path(path), FormatError)
        yield
    except CaesuraError:
        raise
    except (OSError, ValueError, tarfile.TarError) as error:
        raise FormatError(f"{path}: {error}") from error


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DependencyError("pyarrow is not installed; pip install 'caesura[ray]'") from error
    return pyarrow.parquet


def _one_thread_in_workers() -> None:
    """Use one thread in workers of a loader: there are several, and a forked one has lost its thread pool."""
    torch_data = sys.modules.get("torch.utils.data")
    if torch_data is not None and torch_data.get_worker_info() is not None:
        os.environ["CAESURA_THREADS"] = "1"
