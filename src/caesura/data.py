"""A reader of .cae files for training loops.

    photos = CaeDataset("coded/", region=random_crop(256))
    loader = torch.utils.data.DataLoader(photos, batch_size=32, shuffle=True, num_workers=8)

A map-style dataset as PyTorch's `DataLoader` takes it (`__len__` and `__getitem__`), whose items are NumPy
arrays, which its `default_collate` makes tensors of. PyTorch itself is neither imported nor needed.
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

Region = tuple[int, int, int, int]  # x, y, width, height in pixels
Pixels = NDArray[np.uint8]


class Place(NamedTuple):
    """Where a .cae file lies: in a file of its own, a part of a tar shard, or a row of a table.

    Attributes:
        name: as messages have it.
        file: path of the file, shard or table.
        start, size: of a shard, bytes; size is -1 elsewhere.
        group, row: of a table, its row group and the row in it; -1 elsewhere.
    """

    name: str
    file: str
    start: int = 0
    size: int = -1
    group: int = -1
    row: int = -1


class CaeDataset:
    """Pictures of a folder of .cae files, of tar shards, or of an archive's Parquet tables.

    Args:
        source: a local folder, of which all .cae files are taken, or else all .tar, or else all .parquet
            files, in the order of their names, whatever folders they lie in; or one such file.
        transform: called with each picture, uint8 (H, W, 3); what it returns is the item.
        region: x, y, width and height in pixels, or a function that chooses them given a picture's
            `Header`; only what they depend on is decoded. See `random_crop`.
        scale: 1, 2, 4 or 8, for previews.
        column: of a table, where the pictures are; by default the only one that holds bytes.
        max_pixels: larger pictures are errors.

    Raises:
        TypeError: an argument is of another type.
        ConfigError: `scale` is another one, or the source holds nothing of the kind.
        FormatError: a shard or a table is damaged.
        DependencyError: tables are read and pyarrow is not installed.

    Can be pickled: workers of `DataLoader` may be forked or spawned. A worker decodes with one thread.
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
        arguments.of_type("column", column, (str, NoneType), "a name or none is allowed")
        self.transform, self.region = transform, region
        self._column = column
        self._places = list(_places(arguments.path("source", source), column))
        if not self._places:
            raise ConfigError(f"{source} holds no .cae files, tar shards or Parquet tables of them")
        self._group: tuple[str, int, list[bytes]] | None = None

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._places)

    def __getitem__(self, number: int) -> Any:
        """A picture, uint8 (H, W, 3), or what `transform` makes of it; grey is RGB, without transparency.

        Raises:
            CaesuraError: the file cannot be decoded; the message names it.
            IndexError: there is no such picture.
        """
        place = self._places[operator.index(number)]
        _one_thread_in_workers()
        try:
            data = self._read(place)
            region = self.region
            if callable(region):
                region = region(container.read_header(data, max_pixels=self.max_pixels))
            pixels = codec.decode_array(data, region=region, scale=self.scale, max_pixels=self.max_pixels)
        except CaesuraError as error:
            raise type(error)(f"{place.name}: {error}") from error
        except OSError as error:
            raise FormatError(f"{place.name}: {error.strerror or error}") from error
        colours = channels.colours(pixels.shape[2])
        picture = np.require(to_rgb(pixels[:, :, :colours]), requirements=["C", "W"])
        return picture if self.transform is None else self.transform(picture)

    def name(self, number: int) -> str:
        """A picture's name: its path; of a shard, the member's behind the shard's; of a table, the row's."""
        return self._places[operator.index(number)].name

    def read(self, number: int) -> bytes:
        """A picture's .cae file."""
        return self._read(self._places[operator.index(number)])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_group": None}

    def _read(self, place: Place) -> bytes:
        if place.group >= 0:
            return self._row(place)
        if place.size < 0:
            return arguments.content("file", place.file)
        with Path(place.file).open("rb") as file:
            file.seek(place.start)
            return file.read(place.size)

    def _row(self, place: Place) -> bytes:
        """Of a table; its row group is read whole and kept, since neighbours are often next."""
        if self._group is None or self._group[:2] != (place.file, place.group):
            parquet = _parquet()
            with _readable(place.file):
                table = parquet.ParquetFile(place.file)
                column = _pictures_of(table.schema_arrow, place.file, self._column)
                rows = table.read_row_group(place.group, [column]).column(0).to_pylist()
            self._group = place.file, place.group, rows
        data = self._group[2][place.row]
        if data is None:
            raise FormatError("the row holds no picture")
        return data


def random_crop(side: int) -> Callable[[Header], Region]:
    """A `region` for `CaeDataset`: a square at random, so that only what it needs is decoded.

    Args:
        side: of the square in pixels; shorter where a picture is smaller.
    """
    return _RandomCrop(arguments.integer("side", side, "1 or more is allowed", 1))


class _RandomCrop:
    """A class, since functions within functions cannot be pickled."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, header: Header) -> Region:
        """A place that is equally likely everywhere; `DataLoader` seeds `random` anew in each worker."""
        width, height = min(self.side, header.width), min(self.side, header.height)
        x = random.randrange(header.width - width + 1)
        y = random.randrange(header.height - height + 1)
        return x, y, width, height


def _places(source: Path, column: str | None) -> Iterator[Place]:
    if source.is_file():
        files = [source]
    else:
        files = sorted(path for path in source.rglob("*") if _is_seen(path.relative_to(source)))
    for ending, places in ((".cae", _of_file), (".tar", _of_shard), (".parquet", _of_table)):
        of_kind = [path for path in files if path.suffix.lower() == ending]
        for path in of_kind:
            yield from places(path, column)
        if of_kind:
            return


def _is_seen(path: Path) -> bool:
    return not any(part.startswith(".") or part == "_manifest" for part in path.parts)


def _of_file(path: Path, column: str | None) -> Iterator[Place]:
    yield Place(str(path), str(path))


def _of_shard(path: Path, column: str | None) -> Iterator[Place]:
    """The members of a shard, found by its headers alone."""
    with _readable(path), tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isfile() and PurePosixPath(member.name).suffix.lower() == ".cae":
                yield Place(f"{path}/{member.name}", str(path), member.offset_data, member.size)


def _of_table(path: Path, column: str | None) -> Iterator[Place]:
    parquet = _parquet()
    with _readable(path):
        table = parquet.ParquetFile(path)
        _pictures_of(table.schema_arrow, str(path), column)
        sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    row = 0
    for group, size in enumerate(sizes):
        for place in range(size):
            yield Place(f"{path}/{row}", str(path), group=group, row=place)
            row += 1


def _pictures_of(schema: Any, name: str, column: str | None) -> str:
    found = [field.name for field in schema if str(field.type) in ("binary", "large_binary")]
    if column is not None:
        found = [name for name in found if name == column]
    if len(found) != 1:
        got = f"column is {column!r}" if column else f"{len(found)} hold bytes"
        raise ConfigError(f"table {name} has columns {schema.names} and {got}; one of bytes is needed")
    return str(found[0])


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """What libraries raise when a shard or a table is damaged, as ours."""
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
    """Workers of a loader are many already, and a forked one has not the threads that were there before."""
    torch_data = sys.modules.get("torch.utils.data")
    if torch_data is not None and torch_data.get_worker_info() is not None:
        os.environ["CAESURA_THREADS"] = "1"
