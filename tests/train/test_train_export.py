"""export.py and start.py: a run becomes a bundle, which encodes pictures, and training goes on from it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import caesura
from caesura.entropy.tables import TOTAL, TableGrid
from caesura.errors import ConfigError, ModelError
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import ANALYSIS, FILES, MANIFEST, digest
from caesura.picture.pixels import pad, padded_side
from caesura.runtime import transform
from caesura.train import checkpoint, onnx_export, start
from caesura.train.cae2017.export import ROWS_PER_ANCHOR
from caesura.train.cae2017.model import Cae2017Model
from caesura.train.export import export, quality_scale
from caesura.train.forward import bits
from train_helpers import make_pack, photo, planar, run_tiny, tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("graphs_made_once")]
LICENCE, DATA = "CC-BY-4.0", "Parts of one photograph that scikit-image packages."
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "paper": {
        "network": {"padding": "mirror"},
        "prior": {"kind": "scale-mixture"},
        "loss": {"betas": [60.0, 120.0, 240.0]},
    },
}


@dataclass(frozen=True, eq=False)
class Exported:
    """A tiny run, its bundle, and the network in torch."""

    run: Path
    folder: Path
    bundle: Bundle
    model: Cae2017Model

    def half(self) -> Cae2017Model:
        """The network with weights rounded as on disk."""
        rounded = Cae2017Model(tiny(**VARIANTS[self.bundle.name]))
        rounded.load_state_dict(self.model.state_dict())
        with torch.no_grad():
            for parameter in (*rounded.analysis.parameters(), *rounded.synthesis.parameters()):
                parameter.copy_(parameter.half().float() if parameter.numel() >= 256 else parameter)
        return rounded.eval()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this module's bundles lie; found by name and id."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAESURA_MODELS", str(folder / "models"))
        yield folder


@pytest.fixture(scope="module")
def pack(root: Path) -> Path:
    return make_pack(root)


def make(root: Path, pack: Path, variant: str) -> Exported:
    last = run_tiny(tiny(**VARIANTS[variant]), pack, root / variant)
    folder = export(
        last.parent.parent if variant == "plain" else last,  # a run's folder, or one checkpoint's
        variant,
        root / "models" / variant,
        licence=LICENCE,
        data=DATA,
        figures={"bpp": 0.5},
    )
    model = Cae2017Model(tiny(**VARIANTS[variant]))
    model.load_state_dict(start.read(last).weights)
    return Exported(root / variant, folder, bundles.load(variant), model.eval())


@pytest.fixture(scope="module")
def plain(root: Path, pack: Path) -> Exported:
    """Zero padding and the mixture."""
    return make(root, pack, "plain")


@pytest.fixture(scope="module")
def paper(root: Path, pack: Path) -> Exported:
    """Mirror padding and the scale mixture, as in the paper."""
    return make(root, pack, "paper")


@pytest.fixture(params=["plain", "paper"])
def exported(request: pytest.FixtureRequest) -> Exported:
    """Either bundle."""
    result: Exported = request.getfixturevalue(request.param)
    return result


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """A photo large enough for a percent of its size to count, no multiple of anything."""
    return photo(333, 251, 60, 100)


def quality_at(position: float, bundle: Bundle) -> float:
    """The quality of a ladder position of a bundle."""
    qualities, positions = zip(*bundle.quality_scale, strict=True)
    quality = float(np.interp(position, positions, qualities))
    assert ladder.position_of(quality, bundle.quality_scale) == round(100 * position)
    return quality


def estimate(exported: Exported, picture: NDArray[np.uint8], quality: float) -> float:
    """Bytes that the trained prior expects for a picture at the exact scale vector of a quality."""
    bundle, model = exported.bundle, exported.model
    sides = (padded_side(side, bundle.stride, bundle.smallest_side) for side in picture.shape[:2])
    padded = pad(picture, *sides)
    position = ladder.position_of(quality, bundle.quality_scale)
    gain = torch.from_numpy(
        ladder.scale_vector(bundle.log_gain, ladder.anchor_weights(position, len(bundle.log_gain)))
    )[None]
    with torch.no_grad():
        symbols = torch.round(model.analysis(planar(padded)) * gain[..., None, None])
        return float(bits(model.prior.log_mass(symbols, gain))) / 8


def test_a_bundle_is_found_and_described_by_its_manifest(exported: Exported) -> None:
    bundle, manifest = exported.bundle, json.loads((exported.folder / MANIFEST).read_text())
    assert {path.name for path in exported.folder.iterdir()} == {MANIFEST, *FILES["cae2017"]}
    assert bundle.manifest == manifest
    assert bundles.load_by_id(bundle.id) is bundle
    assert (manifest["licence"], manifest["data"], manifest["figures"]) == (LICENCE, DATA, {"bpp": 0.5})
    assert manifest["name"] == bundle.name == exported.folder.name
    assert manifest["training"]["steps"] == 6
    assert manifest["training"]["pixels"] == 6 * 2 * 16 * 16
    betas = VARIANTS[bundle.name].get("loss", {}).get("betas", [100.0, 200.0])
    assert manifest["training"]["config"]["loss"]["betas"] == betas
    assert (manifest["architecture"], manifest["ladder_top"]) == ("cae2017", 10000)
    assert manifest["quality_scale"] == quality_scale(betas, 100)
    assert manifest["training"]["history"] == []
    for name in FILES["cae2017"]:
        assert manifest["files"][name] == digest((exported.folder / name).read_bytes())


@pytest.mark.parametrize("which", ["analysis", "synthesis"])
def test_the_work_in_the_manifest_is_that_of_the_convolutions(exported: Exported, which: str) -> None:
    total = 0

    def count(layer: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output.numel() * layer.weight[0].numel()

    network = getattr(exported.model, which)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64) if which == "analysis" else torch.zeros(1, 8, 8, 8))
    for hook in hooks:
        hook.remove()
    stated = exported.bundle.manifest["work"]["encode" if which == "analysis" else "decode"]
    assert stated == pytest.approx(total / 64**2 / 1000, abs=0.0051)


def test_only_the_mirrored_network_needs_pictures_beyond_one_latent(plain: Exported, paper: Exported) -> None:
    assert plain.bundle.smallest_side == plain.bundle.stride == 8
    assert paper.bundle.smallest_side == 16


def test_a_bundle_holds_the_averaged_scale_vectors(exported: Exported) -> None:
    averaged = checkpoint.read(exported.run / "checkpoints" / "000006" / "ema.pt")
    np.testing.assert_array_equal(exported.bundle.log_gain, averaged["module.log_gain"].numpy())
    np.testing.assert_array_equal(exported.bundle.log_inverse, averaged["module.log_inverse"].numpy())


@pytest.mark.parametrize("which", ["analysis", "synthesis"])
def test_weights_lie_on_disk_in_half_precision(exported: Exported, which: str) -> None:
    content = exported.bundle.graphs[f"{which}.onnx"]
    assert len(content) < 2.2 * sum(p.numel() for p in getattr(exported.model, which).parameters())
    for tensor in onnx.load_from_string(content).graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            assert np.prod(tensor.dims) < 256, tensor.name


@pytest.mark.parametrize("which", ["analysis", "synthesis"])
def test_a_graph_tells_nothing_of_the_machine_it_was_made_on(exported: Exported, which: str) -> None:
    content = exported.bundle.graphs[f"{which}.onnx"]
    for path in (Path(caesura.__file__).parent, Path(torch.__file__).parent, exported.run):
        assert str(path).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize(("height", "width"), [(24, 24), (64, 48), (96, 200)])
def test_the_analysis_graph_agrees_with_torch(exported: Exported, height: int, width: int) -> None:
    pixels = photo(height, width, 80, 120)
    latent = transform.analyse(pixels, Conditioning(exported.bundle, 5000))
    assert latent.shape == (8, height // 8, width // 8)
    with torch.no_grad():
        rounded, exact = (m.analysis(planar(pixels))[0].numpy() for m in (exported.half(), exported.model))
    np.testing.assert_allclose(latent, rounded, atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(latent, exact, atol=0.03, rtol=1e-2)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (8, 6), (5, 30)])
def test_the_synthesis_graph_agrees_with_torch(exported: Exported, rows: int, columns: int) -> None:
    random = torch.Generator().manual_seed(rows)
    latent = 4 * torch.randn(8, rows, columns, generator=random)
    pixels = transform.synthesise(latent.numpy(), Conditioning(exported.bundle, 5000))
    assert pixels.shape == (8 * rows, 8 * columns, 3)
    assert pixels.dtype == np.uint8
    for network, levels in ((exported.half(), 0.501), (exported.model, 1.5)):
        with torch.no_grad():
            expected = 255 * network.synthesis(latent[None])[0].clamp(0, 1).permute(1, 2, 0).numpy()
        assert np.abs(pixels - expected).max() <= levels


def test_the_zero_padded_graphs_take_a_single_latent(plain: Exported) -> None:
    latent = transform.analyse(photo(8, 8), Conditioning(plain.bundle, 5000))
    assert latent.shape == (8, 1, 1)
    assert transform.synthesise(latent, Conditioning(plain.bundle, 5000)).shape == (8, 8, 3)


def reach(network: nn.Module, example: Tensor, position: tuple[int, int]) -> tuple[int, int, int, int]:
    """First and last row and column of the input that one position of the output depends on."""
    leaf = example.clone().requires_grad_()
    network(leaf)[0, :, position[0], position[1]].sum().backward()
    assert leaf.grad is not None
    rows, columns = (leaf.grad[0].abs().sum(0).sum(axis).nonzero() for axis in (1, 0))
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_the_halo_covers_everything_the_transforms_see(plain: Exported) -> None:
    torch.manual_seed(0)
    model = Cae2017Model(tiny())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)  # residual blocks start as the identity and would see nothing
    stride, halo = plain.bundle.stride, plain.bundle.halo
    for network, example, position, scale in (
        (model.analysis, torch.rand(1, 3, 208, 208), (13, 13), 1),
        (model.synthesis, torch.rand(1, 8, 26, 26), (8 * 13, 8 * 13), stride),
        (model.synthesis, torch.rand(1, 8, 26, 26), (8 * 13 + 7, 8 * 13 + 7), stride),
    ):
        top, bottom, left, right = reach(network, example, position)
        tile = range(13 * stride, 14 * stride)
        assert min(top, left) * scale >= tile.start - halo
        assert (max(bottom, right) + 1) * scale <= tile.stop + halo
        assert top < 13 * stride / scale < bottom


@pytest.mark.parametrize("position", [1, 37.5, 100])
def test_a_photo_goes_through_the_bundle_and_back(
    exported: Exported, picture: NDArray[np.uint8], position: float
) -> None:
    quality = quality_at(position, exported.bundle)
    data = caesura.encode(picture, quality=quality, model=exported.bundle.name)
    decoded = np.asarray(caesura.decode(data))
    assert decoded.shape == picture.shape
    error = np.mean((decoded.astype(float) - picture) ** 2)
    assert error < 0.1 * picture.astype(float).var(axis=(0, 1)).mean()
    assert caesura.read_header(data).model_id == exported.bundle.id
    assert len(data) < picture.size / 20


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 70), (9, 1)])
def test_a_picture_of_any_size_goes_through(exported: Exported, shape: tuple[int, int]) -> None:
    picture = photo(*shape, top=100, left=200)
    decoded = np.asarray(caesura.decode(caesura.encode(picture, model=exported.bundle.name)))
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).mean() < 40


def test_more_quality_means_more_bytes_and_less_error(exported: Exported, picture: NDArray[np.uint8]) -> None:
    sizes, errors = [], []
    for position in (1, 50, 100):
        quality = quality_at(position, exported.bundle)
        data = caesura.encode(picture, quality=quality, model=exported.bundle.name)
        sizes.append(len(data))
        errors.append(float(np.mean((np.asarray(caesura.decode(data)).astype(float) - picture) ** 2)))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("position", [1, 3.17, 28, 50.5, 93.2, 100])
def test_a_file_is_as_large_as_the_prior_estimates(
    exported: Exported, picture: NDArray[np.uint8], position: float
) -> None:
    quality = quality_at(position, exported.bundle)
    size = len(caesura.encode(picture, quality=quality, model=exported.bundle.name))
    expected = estimate(exported, picture, quality)
    assert expected > 1000
    assert 0.99 * expected <= size <= 1.01 * expected + 32


def rows_of(grid: TableGrid) -> list[NDArray[np.uint32]]:
    """Each table's frequencies, as the arrays on disk tell it."""
    return np.split(grid.frequencies, np.cumsum(grid.length.reshape(-1))[:-1])


def test_every_table_of_a_bundle_sums_to_the_coders_total(exported: Exported) -> None:
    grid = exported.bundle.tables
    assert TOTAL == 2**24
    assert grid.rows == (len(exported.bundle.log_gain) - 1) * ROWS_PER_ANCHOR + 1
    assert grid.channels == 8
    assert len(rows_of(grid)) == grid.rows * grid.channels
    for frequencies in rows_of(grid):
        assert int(frequencies.sum(dtype=np.uint64)) == TOTAL
        assert frequencies.min() >= 1


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a b", "a\\b", "new\nline"])
def test_a_name_that_cannot_be_a_folders_is_refused(root: Path, plain: Exported, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^name is {re.escape(repr(name))}; letters, digits"):
        export(plain.run, name, root / "refused", licence=LICENCE, data=DATA)
    assert not (root / "refused").exists()


def test_a_run_that_is_not_there_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing-here"):
        export(tmp_path / "nothing-here", "name", tmp_path / "bundle", licence=LICENCE, data=DATA)
    assert not (tmp_path / "bundle").exists()


def test_a_run_of_another_kind_of_weights_cannot_be_exported(plain: Exported, tmp_path: Path) -> None:
    damaged = shutil.copytree(plain.run / "checkpoints" / "000006", tmp_path / "damaged")
    (damaged / "ema.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"ema\.pt cannot be read"):
        export(damaged, "name", tmp_path / "bundle", licence=LICENCE, data=DATA)
    assert not (tmp_path / "bundle").exists()


def test_exporting_again_replaces_the_bundle_whole_and_gives_it_the_same_id(
    plain: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caesura.train.cae2017.export.to_onnx", onnx_export.to_onnx)  # really again
    folder = shutil.copytree(plain.folder, tmp_path / "models" / "again")
    (folder / "left-over.txt").write_text("of an older export")
    (folder / ANALYSIS).write_bytes(b"damaged")
    export(plain.run, "again", folder, licence="CC0-1.0", data=DATA)
    assert {path.name for path in folder.iterdir()} == {MANIFEST, *FILES["cae2017"]}
    assert [path.name for path in folder.parent.iterdir()] == ["again"]
    again = bundles.load(folder)
    assert again.name == "again"
    assert again.manifest["licence"] == "CC0-1.0"
    assert again.id == plain.bundle.id  # an id names weights and tables, and these are the same


def test_a_bundle_that_replaced_a_loaded_one_is_the_one_that_is_used(
    plain: Exported, paper: Exported, tmp_path: Path, picture: NDArray[np.uint8]
) -> None:
    folder = shutil.copytree(plain.folder, tmp_path / "mine")
    assert bundles.load(folder).id == plain.bundle.id
    shutil.rmtree(folder)
    shutil.copytree(paper.folder, folder)
    assert bundles.load(folder).id == paper.bundle.id
    data = caesura.encode(picture, model=folder)
    assert caesura.read_header(data).model_id == paper.bundle.id


@pytest.mark.parametrize("how", ["folder", "name"])
def test_a_bundle_gives_back_the_weights_it_was_made_from(exported: Exported, how: str) -> None:
    source = exported.folder if how == "folder" else Path(exported.bundle.name)
    weights, training = start.read(source)
    expected = exported.half().state_dict()
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(weights[name], value), name
    assert training == exported.bundle.manifest["training"]


def test_a_bundle_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        start.read(Path("no-such-model"))


def test_training_goes_on_from_a_bundle(exported: Exported, pack: Path, tmp_path: Path) -> None:
    variant = VARIANTS[exported.bundle.name]
    config = tiny(**{**variant, "train": {"steps": 1, "learning_rate": 1e-12}})
    last = run_tiny(config, pack, tmp_path, start=exported.folder)
    for name, value in exported.half().state_dict().items():
        torch.testing.assert_close(start.read(last).weights[name], value, rtol=0, atol=1e-9)
