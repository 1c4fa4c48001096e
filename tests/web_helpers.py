"""Shared by the tests of what runs in browsers: reading what `caesura export --web` wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DTYPES = {"U8": "u1", "I8": "i1", "I32": "<i4", "U32": "<u4", "F32": "<f4", "F64": "<f8"}


class Package(NamedTuple):
    """One of a bundle's two files.

    Attributes:
        manifest: facts about the model.
        arrays: by name.
        offsets: in bytes, where arrays begin behind the header.
        header: its length in bytes.
    """

    manifest: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    offsets: list[int]
    header: int


def read_package(path: Path) -> Package:
    """A package; its arrays lie one behind another within the file."""
    content = gzip.decompress(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data, arrays, offsets, last = content[8 + length :], {}, [], 0
    manifest = json.loads(header.pop("__metadata__")["manifest"])
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        assert last <= start <= end <= len(data)
        arrays[name] = np.frombuffer(data[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        offsets.append(start)
        last = end
    return Package(manifest, arrays, offsets, length)
