"""Files of released models decode to the symbols of the day they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caesura
from caesura import container, image, rate
from caesura import model as models
from caesura.entropy import factorized

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.cae"))


def test_there_are_golden_files_of_every_shipped_model() -> None:
    shipped = {models.read_manifest(folder)["id"] for folder in models.folders()}
    assert {caesura.read_header(path.read_bytes()).model_id for path in FILES} >= shipped


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_the_same_symbols(path: Path) -> None:
    header, payload = container.read(path.read_bytes())
    bundle = models.load_by_id(header.model_id)
    expected = np.load(path.with_suffix(".npz"))["symbols"]
    rows, columns = (
        image.padded_side(side, bundle.stride, bundle.smallest_side) // bundle.stride
        for side in (header.height, header.width)
    )
    tables = bundle.tables.row(rate.table_row(header.quality, bundle.tables.rows))
    symbols = factorized.decode(payload, (bundle.channels, rows, columns), tables)
    np.testing.assert_array_equal(symbols, expected)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_pixels_within_one_level(path: Path) -> None:
    expected = np.load(path.with_suffix(".npz"))["pixels"]
    decoded = caesura.decode_array(path.read_bytes())
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= 1
