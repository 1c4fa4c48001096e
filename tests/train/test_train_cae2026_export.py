"""cae2026/export.py: a run becomes a bundle that encodes pictures as the model would, at a known cost."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import caesura
from cae2026_helpers import BETAS, CHANNELS, HYPERLATENTS, SIDE, config, stir
from cae2026_helpers import transform as transform_settings
from caesura.coding.cae2026 import Cae2026
from caesura.entropy.control import INDICES
from caesura.entropy.passes import PASSES, parts
from caesura.entropy.tables import TOTAL, Table
from caesura.format import container
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import (
    ANALYSIS,
    FILES,
    HYPER_ANALYSIS,
    HYPER_SYNTHESIS,
    MANIFEST,
    MEANS,
    SYNTHESIS,
    digest,
)
from caesura.runtime import onnx_runtime, transform
from caesura.runtime.shared_session import SharedSession
from caesura.tiles.grid import Grid, Mosaic
from caesura.train import checkpoint, start, work
from caesura.train import config as configs
from caesura.train.cae2026.control import clip_index, int8
from caesura.train.cae2026.export import certain_zeros
from caesura.train.cae2026.model import Cae2026Model
from caesura.train.config import Config
from caesura.train.export import export
from caesura.train.start import read_bundle
from container_helpers import layers
from entropy_helpers import of_pass
from train_helpers import make_pack, photo, planar, run_tiny
from work_helpers import decoding, kilomacs_per_pixel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("graphs_made_once")]
ANCHORS = len(BETAS)
TOP = 7200  # of the ladder, in hundredths of its scale


# Latents that each transform sees on each side: blocks at 1/16 see one, a block at 1/8 half of one more.
ANALYSIS_SEES, SYNTHESIS_SEES = 2, 3


def unequal(**train: object) -> Config:
    """The configuration of a tiny model whose synthesis is deeper than its analysis."""
    return config(network={"synthesis": transform_settings(coarse_blocks=2)}, train=train)


@dataclass(frozen=True, eq=False)
class Exported:
    """A tiny run, its bundle, and the model in torch."""

    run: Path
    folder: Path
    bundle: Bundle
    model: Cae2026Model

    def half(self) -> Cae2026Model:
        """The model with weights rounded as in the graphs."""
        rounded = Cae2026Model(configs.from_dict(self.bundle.manifest["training"]["config"]))
        rounded.load_state_dict(read_bundle(self.bundle).weights)
        return rounded.eval()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this module's bundle lies; found by name and id."""
    folder = tmp_path_factory.mktemp("cae2026-export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAESURA_MODELS", str(folder / "models"))
        yield folder


@pytest.fixture(scope="module")
def pack(root: Path) -> Path:
    return make_pack(root, side=SIDE)


@pytest.fixture(scope="module")
def exported(root: Path, pack: Path) -> Exported:
    """A run of two steps whose last weights are stirred, so that no part of the model is idle."""
    run = root / "run"
    last = run_tiny(unequal(steps=2), pack, run)
    model = Cae2026Model(unequal())
    model.load_state_dict(start.read(last).weights)
    stir(model)
    with torch.no_grad():
        model.hyper_analysis.leave.weight.mul_(30)  # a hyperlatent that does not round to zero
        # A detail layer that expects something everywhere: what it holds for certain zero it leaves out.
        model.detail.control.bias.add_(5.5)
        for weight in (*model.detail.control.near, *model.detail.control.far, model.detail.control.hyper):
            weight.mul_(0.1)
    state = checkpoint.read_state(last) | {"step": 3}
    checkpoint.save(run, model, AveragedModel(model), [], state)
    folder = export(run, "small", root / "models" / "small", licence="CC0-1.0", data="One photograph.")
    return Exported(run, folder, bundles.load("small"), model.eval())


@pytest.fixture(scope="module")
def half(exported: Exported) -> Cae2026Model:
    return exported.half()


def mix_of(position: float) -> NDArray[np.float32]:
    """Anchor weights of a ladder position, 0 to ANCHORS - 1."""
    mix: NDArray[np.float32] = (1 - np.abs(position - np.arange(ANCHORS))).clip(0).astype(np.float32)
    return mix


MIXES = pytest.mark.parametrize("mix", [mix_of(0), mix_of(1.3)], ids=["at an anchor", "between"])
SIDES = pytest.mark.parametrize(("rows", "columns"), [(1, 1), (6, 13), (5, 7), (6, 3), (9, 4)])


def test_a_bundle_is_found_and_described_by_its_manifest(exported: Exported) -> None:
    bundle, manifest = exported.bundle, json.loads((exported.folder / MANIFEST).read_text())
    assert bundle.manifest == manifest
    assert {path.name for path in exported.folder.iterdir()} == {MANIFEST, *FILES["cae2026"]}
    assert bundles.load_by_id(bundle.id) is bundle
    assert (bundle.name, bundle.architecture) == ("small", "cae2026")
    assert (bundle.stride, bundle.smallest_side, bundle.halo) == (16, 16, 16 * SYNTHESIS_SEES)
    assert bundle.ladder_top == TOP
    assert manifest["quality_scale"] == [[1.0, 1.0], [72.0, 72.0], [100.0, 100.0]]
    assert manifest["training"]["config"]["network"]["name"] == "cae2026"
    assert configs.from_dict(manifest["training"]["config"]) == unequal(steps=2)
    for name in FILES["cae2026"]:
        assert manifest["files"][name] == digest((exported.folder / name).read_bytes())


def test_a_bundle_has_eight_rows_of_tables_an_anchor(exported: Exported) -> None:
    bundle = exported.bundle
    assert bundle.control is not None
    assert bundle.detail is not None
    assert bundle.tables.rows == len(bundle.control.bias) == 8 * (ANCHORS - 1) + 1
    assert (bundle.tables.channels, bundle.control.channels) == (HYPERLATENTS, CHANNELS)
    assert (bundle.control.below, bundle.detail.below) == (4, 2)
    assert bundle.detail.channels == 192


def tables_of(bundle: Bundle) -> list[Table]:
    assert bundle.control is not None
    assert bundle.detail is not None
    hyper = [table for row in range(bundle.tables.rows) for table in bundle.tables.row(row)]
    return [*hyper, *bundle.control.tables, *bundle.detail.tables]


def test_every_table_sums_to_the_coders_total(exported: Exported) -> None:
    tables = tables_of(exported.bundle)
    assert len(tables) == 17 * HYPERLATENTS + 2 * INDICES
    for table in tables:
        assert table.frequencies.sum() == TOTAL == 1 << 24
        assert table.frequencies.min() >= 1


def probability(table: Table) -> tuple[Tensor, Tensor]:
    """The symbols that a table covers, float64, and their probabilities."""
    symbols = table.low + torch.arange(table.escape, dtype=torch.float64)
    return symbols, torch.from_numpy(table.frequencies[:-1] / TOTAL)


@pytest.mark.parametrize("index", [0, 20, 45, 63])
def test_a_table_is_the_trained_distribution_at_its_index(exported: Exported, index: int) -> None:
    bundle, shape = exported.bundle, Cae2026Model(config()).shape
    assert bundle.control is not None
    shape.load_state_dict(exported.model.shape.state_dict())
    symbols, found = probability(bundle.control.tables[index])
    with torch.no_grad():
        expected = (
            shape.double().log_mass(symbols, torch.full_like(symbols, index + certain_zeros(shape))).exp()
        )
    # Each entry is rounded down and is at least 1; the largest takes what that leaves over.
    torch.testing.assert_close(found, expected, atol=2 * len(symbols) / TOTAL, rtol=1e-3)
    assert found.sum() > 0.98  # escapes are rare even in the widest


@pytest.mark.parametrize("row", [0, 3, 16])
def test_a_table_of_the_hyperlatent_is_its_trained_distribution(exported: Exported, row: int) -> None:
    prior = Cae2026Model(config()).hyper_prior
    prior.load_state_dict(exported.model.hyper_prior.state_dict())
    for channel, table in enumerate(exported.bundle.tables.row(row)):
        symbols, found = probability(table)
        value = symbols.expand(1, HYPERLATENTS, -1)
        with torch.no_grad():
            mass = prior.double().log_mass(value, torch.from_numpy(mix_of(row / 8))[None].double())
        torch.testing.assert_close(found, mass[0, channel].exp(), atol=1e-6, rtol=1e-3)


# Graphs


@MIXES
@SIDES
def test_the_analysis_graph_agrees_with_torch(
    exported: Exported, half: Cae2026Model, mix: NDArray[np.float32], rows: int, columns: int
) -> None:
    pixels = photo(16 * rows, 16 * columns, 80, 120)
    latent = transform.analyse(pixels, conditioned(exported.bundle, mix))
    assert latent.shape == (CHANNELS, rows, columns)
    with torch.no_grad():
        rounded, exact = (
            model.analysis(planar(pixels), torch.from_numpy(mix)[None])[0].numpy()
            for model in (half, exported.model)
        )
    np.testing.assert_allclose(latent, rounded, atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(latent, exact, atol=0.03, rtol=1e-2)


@MIXES
@SIDES
def test_the_synthesis_graph_agrees_with_torch(
    exported: Exported, half: Cae2026Model, mix: NDArray[np.float32], rows: int, columns: int
) -> None:
    with torch.no_grad():
        latent = half.analysis(planar(photo(16 * rows, 16 * columns, 80, 120)), torch.from_numpy(mix)[None])
    pixels = transform.synthesise(latent[0].numpy(), conditioned(exported.bundle, mix))
    assert pixels.shape == (16 * rows, 16 * columns, 3)
    assert pixels.dtype == np.uint8
    for model, levels in ((half, 0.501), (exported.model, 1.5)):
        with torch.no_grad():
            restored = model.synthesis(latent, torch.from_numpy(mix)[None])[0]
        assert np.abs(pixels - 255 * restored.clamp(0, 1).permute(1, 2, 0).numpy()).max() <= levels


@MIXES
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5)])
def test_the_hyper_graphs_agree_with_torch(
    exported: Exported, half: Cae2026Model, mix: NDArray[np.float32], rows: int, columns: int
) -> None:
    random = np.random.default_rng(rows)
    scaled = (10 * random.standard_t(2, (CHANNELS, 4 * rows, 4 * columns))).astype(np.float32)
    hyper = transform.hyper_analyse(scaled, conditioned(exported.bundle, mix))
    integers = np.rint(5 * random.standard_normal((HYPERLATENTS, rows, columns))).astype(np.int32)
    features = transform.hyper_synthesise(integers, conditioned(exported.bundle, mix))
    at = torch.from_numpy(mix)[None]
    with torch.no_grad():
        expected = half.hyper_analysis(torch.from_numpy(scaled)[None], at)[0]
        expected_features = half.hyper_synthesis(torch.from_numpy(integers)[None].float(), at)[0]
    assert hyper.shape == (HYPERLATENTS, rows, columns)
    np.testing.assert_allclose(hyper, expected, atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(features, expected_features, atol=1e-3, rtol=1e-4)


@MIXES
@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (6, 12)])
@pytest.mark.parametrize("number", range(PASSES))
def test_the_graphs_of_means_agree_with_torch(
    exported: Exported,
    half: Cae2026Model,
    mix: NDArray[np.float32],
    rows: int,
    columns: int,
    number: int,
) -> None:
    """They take latents as they are, and give means in the same units, at the positions of the pass."""
    random = np.random.default_rng(number)
    features = random.standard_normal((8, rows, columns)).astype(np.float32)
    known = (20 * random.standard_normal((CHANNELS, rows, columns))).astype(np.float32)
    if not number:
        known[:] = 0  # nothing is decoded before the first pass
    means = transform.means(number, features, known, conditioned(exported.bundle, mix))
    deviation = half.deviation[:, None, None]
    with torch.no_grad():
        expected = half.means[number](
            torch.from_numpy(features)[None],
            (torch.from_numpy(known) / deviation)[None],
            torch.from_numpy(mix)[None],
        )
    assert np.abs(means).max() > 0.01
    coded = of_pass(number, (expected[0] * deviation).numpy())
    np.testing.assert_allclose(means, coded, atol=1e-3, rtol=1e-4)


def test_windows_give_what_the_whole_gives(exported: Exported) -> None:
    """The halo is as wide as what both transforms see."""
    bundle, mix = exported.bundle, mix_of(1.3)
    pixels = photo(256, 320, 60, 100)
    latent = transform.analyse(pixels, conditioned(bundle, mix))
    restored = transform.synthesise(latent, conditioned(bundle, mix))
    grid = Grid(16, 20, 4, bundle.halo // 16)
    mosaic = Mosaic(grid.side)
    for tile in grid:
        mosaic.put(tile, latent[:, tile.rows.kept, tile.columns.kept])
    for tile in grid:
        rows, columns = tile.rows, tile.columns
        window = pixels[in_pixels(rows.window), in_pixels(columns.window)]
        part = transform.analyse(window, conditioned(bundle, mix))[:, rows.inner, columns.inner]
        np.testing.assert_allclose(part, latent[:, rows.kept, columns.kept], atol=1e-4, rtol=1e-5)
        back = transform.synthesise(mosaic.window(tile), conditioned(bundle, mix))
        found = back[in_pixels(rows.inner), in_pixels(columns.inner)].astype(int)
        assert np.abs(found - restored[in_pixels(rows.kept), in_pixels(columns.kept)]).max() <= 1


@pytest.mark.parametrize("graph", [ANALYSIS, SYNTHESIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, MEANS[1]])
def test_a_session_for_all_rates_has_the_bits_of_one_for_a_rate(exported: Exported, graph: str) -> None:
    """These widths are no multiples of the blocks that kernels work on."""
    bundle, random = exported.bundle, np.random.default_rng(5)
    load = functools.partial(onnx_runtime._make, threads=1)
    latent, hyper = (random.normal(size=(n, 4, 6)).astype(np.float32) for n in (CHANNELS, HYPERLATENTS))
    features = onnx_runtime._load(bundle, HYPER_SYNTHESIS, mix_of(0).tobytes(), 1, "cpu")
    feeds: dict[str, NDArray[Any]] = {
        ANALYSIS: {"input": photo(64, 96, 60, 100)},
        HYPER_ANALYSIS: {"input": np.tile(latent, (1, 1, 2))},
        HYPER_SYNTHESIS: {"input": hyper},
        MEANS[1]: {"input": features.run(None, {"input": hyper})[0][:, :4, :6], "known": latent},
    }.get(graph, {"input": latent})
    shared = SharedSession(bundle.graphs[graph], ANCHORS, load)
    for mix in (mix_of(0), mix_of(0.3), mix_of(1.3)):
        expected = onnx_runtime._load(bundle, graph, mix.tobytes(), 1, "cpu").run(None, feeds)[0]
        np.testing.assert_array_equal(shared.at(mix).run(None, feeds)[0], expected)


def conditioned(bundle: Bundle, mix: NDArray[np.float32]) -> Conditioning:
    """A conditioning of these weights, which need not be a ladder position's."""
    conditioning = Conditioning(bundle, 100)
    vars(conditioning)["anchor_weights"] = mix
    return conditioning


def in_pixels(span: slice) -> slice:
    return slice(16 * span.start, 16 * span.stop)


def reach(network: nn.Module, example: Tensor, position: tuple[int, int]) -> tuple[int, int]:
    """First and last row or column of the input that one position of the output depends on."""
    leaf = example.clone().requires_grad_()
    network(leaf, torch.from_numpy(mix_of(0.6))[None])[0, :, position[0], position[1]].sum().backward()
    assert leaf.grad is not None
    seen = leaf.grad[0].abs().sum(0)
    rows, columns = seen.sum(1).nonzero(), seen.sum(0).nonzero()
    return min(int(rows.min()), int(columns.min())), max(int(rows.max()), int(columns.max()))


def test_the_halo_is_that_of_the_transform_that_sees_further(exported: Exported) -> None:
    model, halo, cell = exported.model, exported.bundle.halo, range(96, 112)
    assert halo == exported.bundle.synthesis_halo == 16 * SYNTHESIS_SEES
    first, last = reach(model.analysis, torch.rand(1, 3, 208, 208), (6, 6))
    assert cell.start - 16 * ANALYSIS_SEES <= first < cell.start - 16 * (ANALYSIS_SEES - 1)
    assert cell.stop + 16 * (ANALYSIS_SEES - 1) < last + 1 <= cell.stop + 16 * ANALYSIS_SEES
    latent = torch.randn(1, CHANNELS, 13, 13)
    for position in (cell.start, cell.stop - 1):
        first, last = reach(model.synthesis, latent, (position, position))
        assert 16 * first >= cell.start - halo
        assert 16 * (last + 1) <= cell.stop + halo
    assert reach(model.synthesis, latent, (96, 96)) == (6 - SYNTHESIS_SEES, 6 + SYNTHESIS_SEES - 1)


def test_a_pixel_beyond_reach_changes_nothing_and_one_within_it_does(exported: Exported) -> None:
    bundle, mix, reached = exported.bundle, mix_of(0), 16 * ANALYSIS_SEES
    pixels = photo(208, 208, 80, 120)
    before = transform.analyse(pixels, conditioned(bundle, mix))[:, 6, 6]
    for row, changes in ((96 - reached - 1, False), (112 + reached, False), (90, True), (117, True)):
        other = pixels.copy()
        other[row, 104] ^= 128
        after = transform.analyse(other, conditioned(bundle, mix))[:, 6, 6]
        assert np.array_equal(before, after) != changes


# Coding with the bundle


@pytest.mark.parametrize("quality", [1, 40, 72, 90, 100])
@pytest.mark.parametrize("size", [(1, 1), (17, 5), (64, 48), (130, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_goes_through_the_bundle_and_back(
    exported: Exported, size: tuple[int, int], channels: int, quality: float
) -> None:
    picture = photo(*size, top=60, left=180)[:, :, :channels]
    data = caesura.encode(picture, quality=quality, model="small")
    header, payload = container.read(data)
    assert header.model_id == exported.bundle.id
    assert header.ladder_position == round(100 * quality)
    assert (layers(payload).detail is not None) == (quality > 72)
    decoded = np.asarray(caesura.decode(data))
    assert decoded.shape == (picture.shape if channels == 3 else size)
    if quality == 100:
        error = np.mean((decoded.reshape(picture.shape).astype(float) - picture) ** 2)
        assert error < 255**2 / 10**4.2  # more than 42 dB


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """A photo with sides that are multiples of 64, so that nothing is padded."""
    return photo(448, 384, 60, 100)


def forward(
    model: Cae2026Model, picture: NDArray[np.uint8], position: float
) -> tuple[NDArray[np.float32], float]:
    """Result of the model at a ladder position: pixels in levels, float (H, W, 3), and bytes."""
    with torch.no_grad():
        pixels, size = model(planar(picture), torch.tensor([position]))
    levels: NDArray[np.float32] = 255 * pixels[0].permute(1, 2, 0).numpy()
    return levels, float(size) / 8


@pytest.mark.parametrize("quality", [1, 23.7, 36.5, 50, 68.1])
def test_a_file_is_as_large_as_the_model_says_and_decodes_to_its_picture(
    exported: Exported, picture: NDArray[np.uint8], quality: float
) -> None:
    position = ladder.position_of(quality, exported.bundle.quality_scale)
    levels, size = forward(exported.model, picture, (position - 100) / (TOP - 100) * (ANCHORS - 1))
    data = caesura.encode(picture, quality=quality, model="small", effort=1)
    assert len(data) == pytest.approx(size, rel=0.02, abs=64)
    decoded = np.asarray(caesura.decode(data)).astype(float)
    assert np.abs(decoded - levels).mean() < 0.5


@pytest.mark.parametrize("quality", [72.5, 86, 100])
def test_the_detail_layer_costs_what_its_training_says(
    exported: Exported, picture: NDArray[np.uint8], quality: float
) -> None:
    model = Cae2026Model(unequal(stage="detail"))
    model.load_state_dict(exported.model.state_dict())
    levels, size = forward(model.eval(), picture, (quality - 72) / 28 * (ANCHORS - 1))
    data = caesura.encode(picture, quality=quality, model="small", effort=1)
    payload = layers(container.read(data)[1]).detail
    assert payload is not None
    assert len(payload) == pytest.approx(size, rel=0.02, abs=64)
    assert np.abs(np.asarray(caesura.decode(data)) - levels).mean() < 1


ODD = pytest.mark.parametrize(("rows", "columns"), [(5, 7), (6, 3), (1, 1), (9, 4)])


@ODD
@pytest.mark.parametrize("quality", [20, 45, 70])
def test_any_number_of_latents_is_coded_as_the_model_codes_it(
    exported: Exported, half: Cae2026Model, rows: int, columns: int, quality: float
) -> None:
    """Sides that neither 4, a hyperlatent's, nor 2, a cell's, divides are padded alike."""
    pixels = photo(16 * rows, 16 * columns, 80, 120)
    conditioning = Conditioning(exported.bundle, ladder.position_of(quality, exported.bundle.quality_scale))
    coder = Cae2026(conditioning, effort=1)
    coded = coder.encode(coder.analyse(pixels))
    symbols, indices = (np.zeros((CHANNELS, rows, columns), int) for _ in range(2))
    for number, by_part in enumerate(coded.passes):
        for part, found in zip(parts(number, CHANNELS), by_part, strict=True):
            indices[part.at] = found.indices
            symbols[part.at][part.positions(found.offsets, (rows, columns))] = found.symbols
    mix = torch.from_numpy(conditioning.anchor_weights)[None]
    with torch.no_grad():
        target, hyperlatent = half.analyse(planar(pixels), mix)
        expected = half.code(target, hyperlatent, mix)
    assert np.array_equal(coded.hyperlatents, hyperlatent[0].round().numpy())
    assert np.array_equal(symbols, expected.symbols[0].numpy())
    np.testing.assert_allclose(coded.decoded.latents, expected.latent[0].numpy(), atol=1e-3, rtol=1e-4)
    exact = clip_index(expected.indices)[0].numpy() - certain_zeros(half.shape)
    assert np.abs(indices - exact.clip(0, INDICES - 1)).max() < 1.5  # of 64; integers round step by step
    assert symbols.any()


@ODD
def test_a_file_of_any_number_of_latents_decodes_to_what_the_model_gives(
    exported: Exported, rows: int, columns: int
) -> None:
    picture = photo(16 * rows, 16 * columns, 80, 120)
    levels, size = forward(exported.model, picture, (5000 - 100) / (TOP - 100) * (ANCHORS - 1))
    data = caesura.encode(picture, quality=50, model="small", effort=1)
    assert len(data) == pytest.approx(size, rel=0.05, abs=64)
    assert np.abs(np.asarray(caesura.decode(data)).astype(float) - levels).mean() < 0.5


# Going on from a bundle


def test_a_bundle_gives_back_every_weight(exported: Exported) -> None:
    weights = read_bundle(exported.bundle).weights
    expected = exported.model.state_dict()
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert weights[name].shape == value.shape, name
        torch.testing.assert_close(weights[name], value, rtol=2**-11, atol=2**-24, msg=name)


def test_the_weights_of_a_bundle_make_its_integers_again(exported: Exported) -> None:
    weights, bundle = read_bundle(exported.bundle).weights, exported.bundle
    for prefix, frozen in (("", bundle.control), ("detail.", bundle.detail)):
        assert frozen is not None
        for number in range(PASSES - 1):
            for name, integers in (("near", frozen.near), ("far", frozen.far)):
                made = int8(weights[f"{prefix}control.{name}.{number}"]).numpy().reshape(integers[0].shape)
                assert np.abs(made - integers[number]).max() <= 1  # half precision moves what is near a half
                assert (made == integers[number]).mean() > 0.98


def test_training_goes_on_from_a_bundle(exported: Exported, pack: Path, tmp_path: Path) -> None:
    settings = unequal(steps=1, learning_rate=1e-12)
    last = run_tiny(settings, pack, tmp_path, start=exported.folder)
    after = checkpoint.read(last / "model.pt")
    for name, value in read_bundle(exported.bundle).weights.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-8)


def test_the_manifest_says_what_the_graphs_cost(exported: Exported) -> None:
    files = {name: (exported.folder / name).read_bytes() for name in FILES["cae2026"]}
    assert exported.bundle.manifest["work"] == work.per_pixel(files, 16)
    counted = kilomacs_per_pixel(exported.model)
    assert work.per_pixel(files, 16)["decode"] == pytest.approx(decoding(counted), abs=0.01)
    encoding = decoding(counted) - counted["synthesis"] + counted["analysis"] + counted["hyper analysis"]
    assert work.per_pixel(files, 16)["encode"] == pytest.approx(encoding, abs=0.01)
