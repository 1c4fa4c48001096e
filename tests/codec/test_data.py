"""The reader for training loops."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, default_collate

import caesura
from caesura.data import CaeDataset, random_crop
from caesura.errors import ChecksumError, ConfigError, FormatError
from cli_helpers import drawn

pq = pytest.importorskip("pyarrow.parquet", reason="tables need the extra [ray]")
pa = pytest.importorskip("pyarrow", reason="tables need the extra [ray]")

FILES = [caesura.encode(drawn(24, 40 - 8 * number)) for number in range(3)]


def folder(path: Path) -> Path:
    for number, data in enumerate(FILES):
        (path / "sub").mkdir(parents=True, exist_ok=True)
        (path / "sub" / f"{number}.cae").write_bytes(data)
    (path / "sub" / "note.txt").write_text("no picture")
    return path


def shards(path: Path) -> Path:
    path.mkdir()
    for shard, files in enumerate((FILES[:2], FILES[2:])):
        with tarfile.open(path / f"{shard}.tar", "w") as tar:
            for number, data in enumerate(files):
                for ending, content in (("json", b"{}"), ("jpg.cae", data)):
                    fact = tarfile.TarInfo(f"{number}.{ending}")
                    fact.size = len(content)
                    tar.addfile(fact, io.BytesIO(content))
    return path


def tables(path: Path) -> Path:
    path.mkdir()
    pq.write_table(pa.table({"image": FILES, "label": [0, 1, 2]}), path / "t.parquet", row_group_size=2)
    return path


@pytest.fixture(params=[folder, shards, tables])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Path = request.param(tmp_path / "data")
    return made


def sides(picture: Any) -> tuple[int, ...]:
    return tuple(picture.shape)


@pytest.mark.slow
def test_pictures_are_those_of_the_files(source: Path) -> None:
    data = CaeDataset(source)
    assert len(data) == 3
    for number, coded in enumerate(FILES):
        assert data[number].dtype == np.uint8
        assert np.array_equal(data[number], caesura.decode_array(coded))
        assert data.read(number) == coded
    assert len({data.name(number) for number in range(3)}) == 3
    assert np.array_equal(data[-1], data[2])
    with pytest.raises(IndexError, match="out of range"):
        data[3]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_loader_with_workers(start: str, tmp_path: Path) -> None:
    """All kinds of sources at once, since a spawned worker takes seconds to import torch."""
    sources = [make(tmp_path / make.__name__) for make in (folder, shards, tables)]
    data = ConcatDataset([CaeDataset(source, region=random_crop(16)) for source in sources])
    data[0]  # models are loaded, with threads, before workers start
    loader = DataLoader(data, batch_size=5, num_workers=2, multiprocessing_context=start)  # type: ignore[arg-type]
    batches = list(loader)
    assert [batch.shape for batch in batches] == [(5, 16, 16, 3), (4, 16, 16, 3)]
    assert {batch.dtype for batch in batches} == {torch.uint8}


@pytest.mark.slow
def test_forked_workers_leave_alone_what_their_parent_has_loaded(tmp_path: Path) -> None:
    for quality in range(10, 100, 8):  # more sessions than are kept, with threads
        caesura.encode(drawn(16, 16), quality=quality)
    data = CaeDataset(folder(tmp_path))
    loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context="fork")
    assert [np.array_equal(read, data[number]) for number, read in enumerate(loader)] == [True] * 3


@pytest.mark.slow
def test_parts_previews_and_transforms(tmp_path: Path) -> None:
    source = folder(tmp_path)
    whole = caesura.decode_array(FILES[0])
    assert np.array_equal(CaeDataset(source, region=(3, 2, 8, 5))[0], whole[2:7, 3:11])
    assert CaeDataset(source, scale=8)[0].shape == (3, 5, 3)
    assert CaeDataset(source, transform=sides)[1] == (24, 32, 3)
    crops = {CaeDataset(source, region=random_crop(20))[0].tobytes() for _ in range(20)}
    assert len(crops) > 1
    assert CaeDataset(source, region=random_crop(1000))[0].shape == (24, 40, 3)


def test_grey_and_transparent_pictures_are_rgb(tmp_path: Path) -> None:
    grey = drawn(24, 24)[:, :, :1]
    (tmp_path / "grey.cae").write_bytes(caesura.encode(grey))
    transparent = np.dstack([drawn(24, 24), np.full((24, 24), 9, np.uint8)])
    (tmp_path / "transparent.cae").write_bytes(caesura.encode(transparent))
    batch = default_collate([*map(CaeDataset(tmp_path).__getitem__, range(2))])
    assert batch.shape == (2, 24, 24, 3)
    assert torch.equal(batch[0, :, :, 0], batch[0, :, :, 2])


def test_errors_name_the_file_and_keep_their_kind(tmp_path: Path) -> None:
    source = folder(tmp_path)
    damaged = bytearray(FILES[1])
    damaged[-9] ^= 255
    (source / "sub" / "1.cae").write_bytes(bytes(damaged))
    (source / "sub" / "0.cae").write_bytes(b"other")
    data = CaeDataset(source)
    with pytest.raises(ChecksumError, match=r"sub/1\.cae: "):
        data[1]
    with pytest.raises(FormatError, match=r"sub/0\.cae: "):
        data[0]
    (source / "sub" / "2.cae").unlink()
    with pytest.raises(FormatError, match=r"sub/2\.cae: No such file"):
        data[2]
    with pytest.raises(TypeError, match="slice"):
        data[0:2]
    if hasattr(os, "mkfifo"):
        os.mkfifo(source / "sub" / "2.cae")
        with pytest.raises(FormatError, match=r"sub/2\.cae: .* is not a file"):
            data[2]
        (tmp_path / "pipes").mkdir()
        os.mkfifo(tmp_path / "pipes" / "pipe.tar")
        with pytest.raises(FormatError, match=r"pipe\.tar is not a file"):
            CaeDataset(tmp_path / "pipes")
    with pytest.raises(ConfigError, match=r"sub/1\.cae: region is"):
        CaeDataset(source, region=(0, 0, 99, 99))[1]


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \.cae files"):
        CaeDataset(tmp_path)
    with pytest.raises(ConfigError, match="scale is 3; 1, 2, 4, 8 are allowed"):
        CaeDataset(tmp_path, scale=3)
    with pytest.raises(ConfigError, match="side is 0; 1 or more is allowed"):
        random_crop(0)
    with pytest.raises(TypeError, match=r"side is 1\.5, of type float; 1 or more is allowed"):
        random_crop(1.5)  # type: ignore[arg-type]
    wrong = {"scale": 2.0, "region": 5, "transform": 5, "column": 5, "max_pixels": 1.5}
    for name, value in wrong.items():
        with pytest.raises(TypeError, match=f"{name} is {value}, of type "):
            CaeDataset(tmp_path, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="source is 5, of type int; a path is allowed"):
        CaeDataset(5)  # type: ignore[arg-type]
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FormatError, match=r"t\.parquet: "):
        CaeDataset(tmp_path)
    tables(tmp_path / "tables")
    with pytest.raises(ConfigError, match=r"column is 'label'; one of bytes is needed"):
        CaeDataset(tmp_path / "tables", column="label")
    (tmp_path / "t.tar").write_bytes(b"no shard" * 100)
    with pytest.raises(FormatError, match=r"t\.tar: "):
        CaeDataset(tmp_path / "t.tar")


def test_what_is_pickled_is_small_and_works(tmp_path: Path) -> None:
    data = CaeDataset(tables(tmp_path / "data"))
    fresh = len(pickle.dumps(data))
    data[0]
    assert len(pickle.dumps(data)) == fresh
    assert np.array_equal(pickle.loads(pickle.dumps(data))[2], data[2])
