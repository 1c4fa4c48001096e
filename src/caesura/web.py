"""Bundles for the library that runs in browsers (docs/WEB.md): two files each, and a list of them.

    models.json   NAME-DIGEST.decode.bin   NAME-DIGEST.encode.bin

Decoding needs the first of the two files, encoding the second as well. Each is a gzip stream of a safetensors
file: the length of a JSON object in 8 bytes, the object, which tells type, shape and offsets of each array,
then the arrays. Graphs are arrays of bytes.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caesura.entropy.control import Control
from caesura.entropy.tables import Table, TableGrid
from caesura.errors import ModelError
from caesura.models.bundle import Bundle
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS, MEANS
from caesura.picture import files
from caesura.runtime import onnx_file
from caesura.runtime.onnx_file import ANCHOR_WEIGHTS, KNOWN

FORMAT = "caesura-web-1"
LIST = "models.json"
USES = ("decode", "encode")
_ENCODING = (ANALYSIS, HYPER_ANALYSIS)
_TYPES = {"uint8": "U8", "int8": "I8", "int32": "I32", "uint32": "U32", "float32": "F32", "float64": "F64"}
_ALIGNMENT = 8  # bytes, of arrays and of the JSON object

Arrays = dict[str, NDArray[Any]]


def write(bundle: Bundle, folder: Path) -> list[Path]:
    """Write a bundle's two files to a folder, and add it to the folder's list.

    Args:
        bundle: the model.
        folder: made if it is not there; another model of the same name is replaced in its list, and its files
            stay for pages that have loaded the list before.

    Returns:
        The paths of the two files.

    Raises:
        ModelError: the folder has a list of another format, or the bundle a name that no file may have.
        FileError: a file cannot be written.
    """
    if Path(bundle.name).name != bundle.name:
        raise ModelError(f"name is {bundle.name!r}; the name of a file is allowed")
    entries = _entries(folder / LIST)  # before anything is written
    entry = {"name": bundle.name, "id": f"{bundle.id:08x}"}
    for use, arrays in zip(USES, (_decoding(bundle), _encoding(bundle)), strict=True):
        content = _safetensors(bundle, arrays)
        # Named by its content: preview and quality scale may change while the id stays.
        entry[use] = f"{bundle.name}-{files.digest(content)[:8]}.{use}.bin"
        files.write(folder / entry[use], gzip.compress(content, 9, mtime=0), force=True)
    listed = {"format": FORMAT, "models": _with_entry(entries, entry)}
    files.write(folder / LIST, (json.dumps(listed, indent=1) + "\n").encode(), force=True)
    return [folder / entry[use] for use in USES]


def _entries(path: Path) -> list[dict[str, str]]:
    """The models that a folder's list has so far."""
    if not path.exists():
        return []
    try:
        listed = json.loads(files.read(path))
        if listed["format"] == FORMAT:
            return [dict(entry) for entry in listed["models"] if {"name", "id"} <= set(entry)]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is not a list of models for the web: {error!r}") from error
    raise ModelError(f"{path}: format is {listed['format']!r}; {FORMAT} is allowed")


def _with_entry(entries: list[dict[str, str]], entry: dict[str, str]) -> list[dict[str, str]]:
    """The entries with another, in the place of that of its name or at the end."""
    if all(one["name"] != entry["name"] for one in entries):
        return [*entries, entry]
    return [entry if one["name"] == entry["name"] else one for one in entries]


def _decoding(bundle: Bundle) -> Arrays:
    arrays = _graphs(bundle, [graph for graph in bundle.graphs if graph not in _ENCODING])
    arrays |= _grid("tables", bundle.tables)
    arrays |= {"scales/log_gain": bundle.log_gain, "scales/log_inverse": bundle.log_inverse}
    if bundle.preview is not None:
        arrays["preview/weights"] = bundle.preview
    if bundle.coarse_preview is not None:
        arrays["preview/coarse"] = bundle.coarse_preview
    if bundle.control is not None and bundle.detail is not None:
        arrays |= _control("control", bundle.control) | _control("detail", bundle.detail)
        arrays["detail/log_step"] = np.array(bundle.detail_log_step, np.float64)
    return arrays


def _encoding(bundle: Bundle) -> Arrays:
    return _graphs(bundle, [graph for graph in bundle.graphs if graph in _ENCODING])


def _graphs(bundle: Bundle, graphs: list[str]) -> Arrays:
    """Serialized graphs that take the anchor weights as an input."""
    arrays = {}
    for graph in graphs:
        model = bundle.graphs[graph]
        if graph == MEANS[0]:
            model = onnx_file.without_zeros(model, KNOWN)
        if bundle.is_conditioned:
            model = onnx_file.with_input(model, ANCHOR_WEIGHTS, (len(bundle.log_gain),))
        arrays[f"graphs/{graph.removesuffix('.onnx')}"] = np.frombuffer(model, np.uint8)
    return arrays


def _grid(name: str, grid: TableGrid) -> Arrays:
    return {f"{name}/{part}": getattr(grid, part) for part in ("low", "length", "frequencies")}


def _control(name: str, control: Control) -> Arrays:
    weights = {f"{name}/{part}": getattr(control, part) for part in ("bias", "base", "near", "far")}
    return weights | _grid(name, _row(control.tables))


def _row(tables: list[Table]) -> TableGrid:
    """Tables as a grid of one row."""
    return TableGrid(
        np.array([[table.low for table in tables]], np.int32),
        np.array([[len(table.frequencies) for table in tables]], np.int32),
        np.concatenate([table.frequencies for table in tables]).astype(np.uint32),
    )


def _safetensors(bundle: Bundle, arrays: Arrays) -> bytes:
    """A safetensors file of arrays and the facts that coding depends on."""
    fields = ("name", "id", "architecture", "stride", "smallest_side", "halo", "synthesis_halo", "ladder_top")
    manifest = {field: getattr(bundle, field) for field in fields} | {"quality_scale": bundle.quality_scale}
    header: dict[str, Any] = {"__metadata__": {"manifest": json.dumps({"format": FORMAT} | manifest)}}
    content = b""
    for name, array in arrays.items():
        start = len(content)
        content += array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        offsets = [start, len(content)]
        header[name] = {"dtype": _TYPES[array.dtype.name], "shape": array.shape, "data_offsets": offsets}
        content += bytes(-len(content) % _ALIGNMENT)
    text = _json(header)
    return struct.pack("<Q", len(text)) + text + content


def _json(header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return text + b" " * (-len(text) % _ALIGNMENT)
