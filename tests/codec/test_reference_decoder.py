"""A decoder written from docs/FORMAT.md alone finds the symbols that ours finds."""

from __future__ import annotations

import ast
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caesura
import reference_decoder
from caesura.models import bundle as bundles
from caesura.models.manifest import read_manifest
from symbols import decoded

FILES = sorted((Path(__file__).parents[1] / "golden").glob("*.cae"))


def folder_of(data: bytes) -> Path:
    """The folder of the bundle that coded a file."""
    model_id = caesura.read_header(data).model_id
    return next(folder for folder in bundles.folders() if read_manifest(folder)["id"] == model_id)


def referred(data: bytes) -> list[NDArray[np.int64]]:
    """The symbols of each segment, flat, by the reference decoder."""
    decoded = reference_decoder.decode(data, folder_of(data))
    none = np.zeros(0, np.int64)
    return [np.concatenate([none, *(run.reshape(-1) for run in runs)]) for runs in decoded]


def test_it_imports_nothing_but_numpy_and_the_standard_library_and_knows_no_floats() -> None:
    tree = ast.parse(Path(reference_decoder.__file__).read_text(encoding="utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module
            modules.add(node.module.split(".")[0])
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
    assert modules - sys.stdlib_module_names == {"numpy"}


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_files(path: Path) -> None:
    found = np.concatenate(referred(path.read_bytes()))
    expected = np.load(path.with_suffix(".npz"))["symbols"]
    np.testing.assert_array_equal(found, expected.reshape(-1))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cae2017", "photo", "photo-psnr"])
@pytest.mark.parametrize("quality", [3, 72, 73, 100])  # of photo-psnr, the ladder ends at 72
@pytest.mark.parametrize("shape", [(70, 150), (129, 64)])
def test_pictures_of_several_segments(
    coffee: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    quality: float,
    shape: tuple[int, int],
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "1")  # so that ours are popped in order
    pixels = coffee[200 : 200 + shape[0], 100 : 100 + shape[1]]
    data = caesura.encode(pixels, quality=quality, model=model, segment_side=64)
    above = caesura.read_header(data).ladder_position > bundles.load(model).ladder_top
    found = referred(data)
    assert len(found) == -(-shape[0] // 64) * -(-shape[1] // 64)
    popped = iter(decoded(data)[1].symbols)
    layers: list[list[NDArray[np.int64]]] = [[] for _ in found]
    # Ours are the latents of all segments, then the detail layers of all, in runs.
    for runs in [1] if model == "cae2017" else [5, 4] if above else [5]:
        for segment in layers:
            segment += [next(popped).reshape(-1) for _ in range(runs)]
    assert next(popped, None) is None
    for segment, symbols in zip(layers, found, strict=True):
        np.testing.assert_array_equal(symbols, np.concatenate(segment))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "quality"), [("cae2017", 60), ("photo-psnr", 100)])
def test_symbols_that_the_tables_do_not_cover(model: str, quality: float) -> None:
    extremes = np.array([*range(8), *range(248, 256)], np.uint8)  # more colours than a palette holds
    noise = np.random.default_rng(5).choice(extremes, (90, 40, 3))
    data = caesura.encode(noise, quality=quality, model=model)
    lengths: list[int] = []
    uniform = reference_decoder.Coder.uniform

    def spied(coder: reference_decoder.Coder, count: int) -> int:
        value = uniform(coder, count)
        lengths.extend([value] * (count == 32))
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_decoder.Coder, "uniform", spied)
        (found,) = referred(data)
    assert len(lengths) > 5
    expected = np.concatenate([run.reshape(-1) for run in decoded(data)[1].symbols])
    np.testing.assert_array_equal(found, expected)


def test_it_refuses_what_breaks_the_format() -> None:
    data = next(path for path in FILES if path.stem == "photo-psnr-noise-100").read_bytes()
    folder = folder_of(data)

    def refused(damaged: bytes, match: str) -> None:
        with pytest.raises(reference_decoder.RefusedError, match=match):
            reference_decoder.decode(damaged, folder)

    refused(data[:-1], "ends too early")
    refused(data[:60] + bytes([data[60] ^ 1]) + data[61:], "checksum")
    refused(data + data[5:], "critical chunk 'H'")
    unknown = b"B\x00" + zlib.crc32(b"B\x00").to_bytes(4, "little")
    refused(data + unknown, "critical chunk 'B'")
    other = next(f for f in bundles.folders() if read_manifest(f)["name"] == "photo")
    with pytest.raises(reference_decoder.RefusedError, match="another model"):
        reference_decoder.decode(data, other)


@pytest.mark.slow
def test_bundle_ids_are_as_specified() -> None:
    for folder in bundles.folders():
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert reference_decoder.read_bundle(folder)["id"] == manifest["id"]
