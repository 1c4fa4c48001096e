"""Where results go: a file each, or a tar shard or a table a unit."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from caesura.archive.units import TAR, Item, Unit, sample_of


def named(name: str, ending: str) -> str:
    """A result's name: all of its source's, so that no two share one; `photo.jpg.cae`, `photo.jpg.png`."""
    return name.removesuffix(".cae") + ending


def container(unit: str, kind: str) -> str:
    """The name of the shard or table that holds the results of a unit, by its id."""
    return f"shard-{unit}.tar" if kind == TAR else f"table-{unit}.parquet"


def together(
    unit: Unit, results: Mapping[str, bytes], kind: str, ending: str
) -> tuple[bytes, dict[str, str]]:
    """A unit's results, by path, as a tar shard or a table; what failed is left out.

    Returns:
        The container's bytes; by path, its name and, behind a slash, the member's or the number of the row.
    """
    name, made = container(unit.id, kind), [item for item in unit.items if _is_made(item, results)]
    if kind == TAR:
        content = _tar(unit, results, ending)
        inside = [named(item.member, ending) for item in made]
    else:
        content = _table(unit, results, ending)
        inside = [str(row) for row in range(len(made))]
    return content, {item.path: f"{name}/{place}" for item, place in zip(made, inside, strict=True)}


def _is_made(item: Item, results: Mapping[str, bytes]) -> bool:
    return not item.error and item.path in results


def _tar(unit: Unit, results: Mapping[str, bytes], ending: str) -> bytes:
    """Members in the order of names, which keeps those of a sample together."""
    made = [item for item in unit.items if _is_made(item, results)]
    samples = {sample_of(item.member) for item in made}
    members = [(named(item.member, ending), results[item.path]) for item in made]
    members += [(name, content) for name, content in unit.carried if sample_of(name) in samples]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in sorted(members, key=lambda member: (sample_of(member[0]), member[0])):
            fact = tarfile.TarInfo(name)
            fact.size = len(content)
            tar.addfile(fact, io.BytesIO(content))
    return out.getvalue()


def _table(unit: Unit, results: Mapping[str, bytes], ending: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = [place for place, item in enumerate(unit.items) if _is_made(item, results)]
    contents = pa.array([results[unit.items[place].path] for place in made], pa.large_binary())
    if unit.columns:
        table = pa.ipc.open_stream(unit.columns).read_all().take(made)
    else:
        table = pa.table({"path": [named(unit.items[place].path, ending) for place in made]})
    table = table.append_column(unit.column, contents)
    out = io.BytesIO()
    pq.write_table(table, out, compression="none")  # what is coded already does not become smaller
    return out.getvalue()
