"""Outputs: one file per picture, or one tar shard or Parquet table per unit."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from caesura.archive.units import TAR, Item, Unit, sample_name


def output_name(name: str, ending: str) -> str:
    """The name of an output: the whole name of its source, so that it is unique, and the new extension.

    `photo.jpg` is encoded to `photo.jpg.cae`, and that is decoded to `photo.jpg.png`.
    """
    return name.removesuffix(".cae") + ending


def container_name(unit: str, kind: str) -> str:
    """The name of the shard or table that holds the outputs of a unit, by its id."""
    return f"shard-{unit}.tar" if kind == TAR else f"table-{unit}.parquet"


def pack(unit: Unit, outputs: Mapping[str, bytes], kind: str, ending: str) -> tuple[bytes, dict[str, str]]:
    """The outputs of a unit, given by path, as a tar shard or a table; pictures that failed are left out.

    Returns:
        The bytes of the shard or table; and by path, its name, a slash, and the name of the member or number
        of the row.
    """
    name = container_name(unit.id, kind)
    made = [item for item in unit.items if _is_made(item, outputs)]
    if kind == TAR:
        content = _tar(unit, outputs, ending)
        inside = [output_name(item.member, ending) for item in made]
    else:
        content = _table(unit, outputs, ending)
        inside = [str(row) for row in range(len(made))]
    return content, {item.path: f"{name}/{part}" for item, part in zip(made, inside, strict=True)}


def _is_made(item: Item, outputs: Mapping[str, bytes]) -> bool:
    return not item.error and item.path in outputs


def _tar(unit: Unit, outputs: Mapping[str, bytes], ending: str) -> bytes:
    """A tar shard, sorted by name, so that the members of a sample are adjacent."""
    made = [item for item in unit.items if _is_made(item, outputs)]
    samples = {sample_name(item.member) for item in made}
    members = [(output_name(item.member, ending), outputs[item.path]) for item in made]
    members += [(name, content) for name, content in unit.carried if sample_name(name) in samples]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(members, key=lambda member: (sample_name(member[0]), member[0])):
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return out.getvalue()


def _table(unit: Unit, outputs: Mapping[str, bytes], ending: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = [index for index, item in enumerate(unit.items) if _is_made(item, outputs)]
    contents = pa.array([outputs[unit.items[index].path] for index in made], pa.large_binary())
    if unit.columns:
        table = pa.ipc.open_stream(unit.columns).read_all().take(made)
    else:
        table = pa.table({"path": [output_name(unit.items[index].path, ending) for index in made]})
    table = table.append_column(unit.column, contents)
    out = io.BytesIO()
    pq.write_table(table, out, compression="none")  # compressed pictures do not become smaller
    return out.getvalue()
