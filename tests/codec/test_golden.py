"""Files of released models decode to the symbols of the day they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caesura
from caesura.format import chunks
from caesura.models import bundle as bundles
from caesura.models.manifest import read_manifest
from symbols import decoded, symbols_of

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = sorted(GOLDEN.glob("*.cae"))


def test_there_are_golden_files_of_every_shipped_model() -> None:
    shipped = {read_manifest(folder)["id"] for folder in bundles.folders()}
    assert {caesura.read_header(path.read_bytes()).model_id for path in FILES} >= shipped


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_the_same_symbols(path: Path) -> None:
    data = path.read_bytes()
    bundle = bundles.load_by_id(caesura.read_header(data).model_id)
    expected = np.load(path.with_suffix(".npz"))["symbols"]
    if expected.ndim == 3:  # one segment of cae2017
        found = symbols_of(data, bundle)
    else:
        found = np.concatenate([part.reshape(-1) for part in decoded(data)[1].symbols])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_pixels_within_one_level(path: Path) -> None:
    expected = np.load(path.with_suffix(".npz"))["pixels"]
    decoded = caesura.decode_array(path.read_bytes())
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("model", ["photo", "photo-psnr"])
def test_a_golden_file_of_every_chunk_keeps_its_metadata(model: str) -> None:
    path = GOLDEN / f"{model}-all-chunks-90.cae"
    info = caesura.decode(path.read_bytes()).info
    kept = np.load(path.with_suffix(".npz"))
    for name in ("icc_profile", "exif", "xmp"):
        assert info[name] == kept[name].tobytes()
    kinds = {chunk.kind for chunk in chunks.read(path.read_bytes())}
    assert kinds == {ord(kind) for kind in "HLDAiex"}


@pytest.mark.parametrize("model", ["cae2017", "photo", "photo-psnr"])
def test_a_golden_file_of_layers_has_each_kind_of_segment(model: str) -> None:
    data = (GOLDEN / f"{model}-layers-60.cae").read_bytes()
    assert "".join(chr(chunk.kind) for chunk in chunks.read(data)) == "HWLWLCL"
    expected = np.load(GOLDEN / f"{model}-layers-60.npz")["pixels"]
    np.testing.assert_array_equal(caesura.decode_array(data)[:128, 72:], expected[:128, 72:])
