"""Bundles for browsers: web.py and `caesura export --web`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from caesura import web
from caesura.errors import ModelError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from cli_helpers import WITHOUT, complaint, files, process, run, succeeded
from model_helpers import SHIPPED, MakeBundle, folder_of
from web_helpers import Package, read_package

MOST_TO_DECODE = 6_000_000  # bytes
FLAGSHIP_ALONE = ("graphs/hyper_synthesis", "graphs/means_3", "control/base", "detail/log_step")


@pytest.fixture(scope="module", params=SHIPPED)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    """Each shipped model, and a folder that it was written to."""
    bundle, folder = bundles.load(request.param), tmp_path_factory.mktemp("models")
    web.write(bundle, folder)
    return bundle, folder


@pytest.fixture(scope="module")
def packages(exported: tuple[Bundle, Path]) -> dict[str, Package]:
    """The model's packages, by use."""
    _, folder = exported
    (entry,) = entries(folder)
    return {use: read_package(folder / entry[use]) for use in ("decode", "encode")}


def entries(folder: Path) -> list[dict[str, str]]:
    """The models in a folder's list."""
    models: list[dict[str, str]] = json.loads((folder / "models.json").read_text())["models"]
    return models


pytestmark = pytest.mark.slow


def test_a_model_is_two_files_and_an_entry(exported: tuple[Bundle, Path]) -> None:
    bundle, folder = exported
    index = json.loads((folder / "models.json").read_text())
    assert index["format"] == "caesura-web-1"
    (entry,) = index["models"]
    assert (entry["name"], entry["id"]) == (bundle.name, f"{bundle.id:08x}")
    assert sorted(files(folder)) == sorted([entry["decode"], entry["encode"], "models.json"])
    assert (folder / entry["decode"]).stat().st_size <= MOST_TO_DECODE


def test_the_manifest_is_the_bundles(exported: tuple[Bundle, Path], packages: dict[str, Package]) -> None:
    bundle, _ = exported
    for package in packages.values():
        manifest = package.manifest
        assert manifest.pop("format") == "caesura-web-1"
        assert [tuple(pair) for pair in manifest.pop("quality_scale")] == bundle.quality_scale
        assert manifest == {name: getattr(bundle, name) for name in manifest}
        assert {"name", "id", "architecture", "stride", "halo", "ladder_top"} <= manifest.keys()


def test_arrays_are_the_bundles_and_aligned(
    exported: tuple[Bundle, Path], packages: dict[str, Package]
) -> None:
    bundle, _ = exported
    for package in packages.values():
        assert package.header % 8 == 0
        assert all(offset % 8 == 0 for offset in package.offsets)
    arrays = packages["decode"].arrays
    for name in ("low", "length", "frequencies"):
        np.testing.assert_array_equal(arrays[f"tables/{name}"], getattr(bundle.tables, name))
    for name in ("log_gain", "log_inverse"):
        np.testing.assert_array_equal(arrays[f"scales/{name}"], getattr(bundle, name))
    if bundle.architecture == "cae2017":
        assert not set(FLAGSHIP_ALONE) & arrays.keys()
        return
    assert set(FLAGSHIP_ALONE) <= arrays.keys()
    assert bundle.preview is not None
    np.testing.assert_array_equal(arrays["preview/weights"], bundle.preview)
    assert arrays["detail/log_step"].tolist() == list(bundle.detail_log_step)
    for name, control in (("control", bundle.control), ("detail", bundle.detail)):
        assert control is not None
        for part in ("bias", "base", "near", "far"):
            found, expected = arrays[f"{name}/{part}"], getattr(control, part)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        ends = np.cumsum(arrays[f"{name}/length"])
        split = np.split(arrays[f"{name}/frequencies"], ends[:-1])
        for table, low, frequencies in zip(control.tables, arrays[f"{name}/low"][0], split, strict=True):
            assert table.low == low
            np.testing.assert_array_equal(table.frequencies, frequencies)


def test_graphs_take_the_anchor_weights(exported: tuple[Bundle, Path], packages: dict[str, Package]) -> None:
    bundle, _ = exported
    graphs = {name: array for package in packages.values() for name, array in package.arrays.items()}
    graphs = {name.removeprefix("graphs/"): graph for name, graph in graphs.items() if name[:7] == "graphs/"}
    assert sorted(graphs) == sorted(name.removesuffix(".onnx") for name in bundle.graphs)
    expected = {"input", "mix"} if bundle.is_conditioned else {"input"}
    for name, graph in graphs.items():
        session = onnxruntime.InferenceSession(graph.tobytes(), providers=["CPUExecutionProvider"])
        names = {one.name for one in session.get_inputs()}
        assert names == expected | ({"known"} if name in ("means_1", "means_2", "means_3") else set())
    latents = np.random.default_rng(4).standard_normal((bundle.channels, 8, 8), np.float32)
    feeds = {"input": latents, "mix": Conditioning(bundle, 3210).anchor_weights}
    session = onnxruntime.InferenceSession(graphs["synthesis"].tobytes(), providers=["CPUExecutionProvider"])
    (pixels,) = session.run(None, {name: feeds[name] for name in expected})
    assert pixels.shape == (8 * bundle.stride, 8 * bundle.stride, 3)


def test_writing_again_changes_nothing(bundle: Bundle, flagship: Bundle, tmp_path: Path) -> None:
    for one in (bundle, flagship):
        web.write(one, tmp_path)
    before = files(tmp_path)
    web.write(bundle, tmp_path)  # the first stays the first
    assert files(tmp_path) == before
    assert len(before) == 5


def test_another_preview_gives_another_name(
    flagship: Bundle, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    """The id stays: what is cached under a name must never change."""
    assert flagship.preview is not None
    maps = {"weights": flagship.preview + 1}
    other = bundles.load(
        make_bundle(tmp_path / "photo-psnr", {"preview.npz": maps}, of=folder_of("photo-psnr"))
    )
    for number, one in enumerate((flagship, other)):
        web.write(one, tmp_path / str(number))
    (before,), (after,) = entries(tmp_path / "0"), entries(tmp_path / "1")
    assert before["id"] == after["id"]
    assert before["decode"] != after["decode"]
    assert before["encode"] == after["encode"]


def test_a_model_of_the_same_name_takes_the_others_place(
    bundle: Bundle, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    web.write(bundle, tmp_path / "web")
    other = bundles.load(make_bundle(tmp_path / "cae2017", {"prior.npz": {"a": np.zeros(1)}}))
    web.write(other, tmp_path / "web")
    (entry,) = entries(tmp_path / "web")
    assert entry["id"] == f"{other.id:08x}" != f"{bundle.id:08x}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not JSON", "is not a list of models for the web"),
        ("[]", "is not a list of models for the web"),
        ('{"format": "another", "models": []}', "format is 'another'; caesura-web-1 is allowed"),
    ],
)
def test_another_models_json_is_left_alone(
    bundle: Bundle, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "models.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        web.write(bundle, tmp_path)
    assert files(tmp_path) == {"models.json": content.encode()}


@pytest.mark.parametrize("name", ["../elsewhere", "a/b"])
def test_a_name_that_no_file_may_have_is_refused(
    bundle: Bundle, make_bundle: MakeBundle, tmp_path: Path, name: str
) -> None:
    other = bundles.load(make_bundle(tmp_path / "other", name=name))
    with pytest.raises(ModelError, match=re.escape(f"name is {name!r}; the name of a file is allowed")):
        web.write(other, tmp_path / "web")
    assert not (tmp_path / "web").exists()


# ---- the command


def test_export_web_needs_no_torch_and_says_what_it_wrote(tmp_path: Path) -> None:
    outcome = process(
        "torch,onnx,onnxscript,lightning_fabric",
        "export",
        "--web",
        "cae2017",
        tmp_path / "new",
        program=WITHOUT,
    )
    out = succeeded(outcome).replace("\n", "")
    (entry,) = entries(tmp_path / "new")
    for use in ("decode", "encode"):
        path = tmp_path / "new" / entry[use]
        assert f"exported: {path} ({path.stat().st_size} bytes)" in out


def test_export_web_takes_a_folder_of_a_bundle(shipped: Path, tmp_path: Path) -> None:
    succeeded(run("export", shipped, tmp_path, "--web"))
    assert (tmp_path / "models.json").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--out", "there"], "--out"),
        (["--licence", "CC0-1.0"], "--licence"),
        (["--data", "photos"], "--data"),
        (["--figures", "f.json", "--photos", "photos"], "--figures, --photos"),
    ],
)
def test_export_web_refuses_options_of_new_bundles(options: list[str], named: str, tmp_path: Path) -> None:
    line = complaint(run("export", "--web", "cae2017", tmp_path / "web", *options))
    assert f"--web is given with {named}; RUN and NAME alone are allowed" in line
    assert files(tmp_path) == {}


def test_export_web_of_nothing_is_refused(tmp_path: Path) -> None:
    assert "model 'nothing' is not known" in complaint(run("export", "--web", "nothing", tmp_path / "web"))
    (tmp_path / "file").write_bytes(b"")
    line = complaint(run("export", "--web", "cae2017", tmp_path / "file"))
    assert str(tmp_path / "file") in line
    assert files(tmp_path) == {"file": b""}
