"""Bundles that are whole but make no sense: hashes and id fit, what is in them does not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura.errors import ModelError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.conditioning import Conditioning
from caesura.models.manifest import ANALYSIS, CONTROL, DETAIL, FILES, MANIFEST, PREVIEW, SCALES, TABLES
from model_helpers import SHIPPED, MakeBundle, folder_of, set_models


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as archive:
        return dict(archive)


def npy() -> bytes:
    """A file of one array, not an archive of several."""
    out = io.BytesIO()
    np.save(out, np.zeros(3, np.float32))
    return out.getvalue()


ARRAYS = [
    ("cae2017", TABLES),
    ("cae2017", SCALES),
    ("photo-psnr", TABLES),
    ("photo-psnr", CONTROL),
    ("photo-psnr", DETAIL),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "name"), ARRAYS)
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", npy()], ids=["empty", "text", "zip", "npy"])
def test_arrays_that_cannot_be_read_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str, content: bytes
) -> None:
    folder = make_bundle(tmp_path / "unreadable", {name: content}, of=folder_of(model))
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        bundles.load(folder)


@pytest.mark.parametrize(("model", "name"), ARRAYS)
def test_arrays_damaged_within_the_archive_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str
) -> None:
    content = bytearray((folder_of(model) / name).read_bytes())
    content[200:260] = bytes(60)  # within the first array's compressed data
    folder = make_bundle(tmp_path / "damaged", {name: bytes(content)}, of=folder_of(model))
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        bundles.load(folder)


MEMBERS = {
    TABLES: ("low", "length", "frequencies"),
    SCALES: ("log_gain", "log_inverse"),
    CONTROL: ("bias", "base", "near", "far", "low", "length", "frequencies"),
    DETAIL: ("bias", "base", "near", "far", "low", "length", "frequencies", "log_step"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name", "member"),
    [
        (m, name, member)
        for m, kind in SHIPPED.items()
        for name in MEMBERS
        for member in MEMBERS[name]
        if name in FILES[kind]
    ],
)
def test_an_array_that_is_missing_is_named(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str, member: str
) -> None:
    content = arrays(folder_of(model) / name)
    assert set(content) == set(MEMBERS[name])
    del content[member]
    with pytest.raises(ModelError, match=f"array '{member}' is missing"):
        bundles.load(make_bundle(tmp_path / "incomplete", {name: content}, of=folder_of(model)))


@pytest.mark.parametrize(
    ("model", "name"),
    [("cae2017", TABLES), ("photo-psnr", TABLES), ("photo-psnr", CONTROL), ("photo-psnr", DETAIL)],
)
def test_tables_that_do_not_add_up_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str
) -> None:
    content = arrays(folder_of(model) / name)
    content["frequencies"][0] += 1
    with pytest.raises(ModelError, match="tables: frequencies must be 1 or more and sum to"):
        bundles.load(make_bundle(tmp_path / "sums", {name: content}, of=folder_of(model)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [CONTROL, DETAIL])
@pytest.mark.parametrize("member", ["bias", "base", "near", "far"])
def test_weights_of_the_control_that_do_not_fit_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, shipped_flagship: Path, name: str, member: str
) -> None:
    content = arrays(shipped_flagship / name)
    for wrong in (content[member].astype(np.int16), content[member][..., 1:]):
        folder = tmp_path / str(wrong.dtype)
        with pytest.raises(ModelError, match=r"control: .* expected"):
            bundles.load(make_bundle(folder, {name: content | {member: wrong}}, of=shipped_flagship))


LOG_STEPS = [[1.0], [3.0, 2.0, 1.0], 2.0, [np.nan, 1.0], [3.0, np.inf], [6.0, 1.0], [3.0, -3.0]]


@pytest.mark.parametrize("steps", LOG_STEPS, ids=str)
def test_steps_of_the_detail_layer_that_make_no_sense_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, shipped_flagship: Path, steps: Any
) -> None:
    content = arrays(shipped_flagship / DETAIL) | {"log_step": np.array(steps)}
    with pytest.raises(ModelError, match=r"log_step is .*; two logarithms of 1/16 to 256 expected"):
        bundles.load(make_bundle(tmp_path / "steps", {DETAIL: content}, of=shipped_flagship))


MISFITS: list[tuple[str, dict[str, Callable[[NDArray[Any]], NDArray[Any]]], str]] = [
    (CONTROL, {"base": lambda x: x[1:]}, "control.base has shape"),
    (CONTROL, {"base": lambda x: x[..., :2, :2]}, "control.base has shape"),
    (CONTROL, {"bias": lambda x: x[1:]}, "control.bias has shape"),
    (DETAIL, {"base": lambda x: x[1:]}, "detail.base has shape"),
    (DETAIL, {"base": lambda x: np.repeat(np.repeat(x, 2, 2), 2, 3)}, "detail.base has shape"),
    (
        DETAIL,
        {
            "bias": lambda x: x[:, 4:],
            "base": lambda x: x[:, 4:],
            "near": lambda x: x[:, 4:],
            "far": lambda x: x[:, 4:, 4:],
        },
        "detail.base has shape",
    ),
    (CONTROL, {"low": lambda x: x.reshape(2, 32), "length": lambda x: x.reshape(2, 32)}, "2 rows of tables"),
]


@pytest.mark.parametrize(("name", "changes", "message"), MISFITS)
def test_parts_of_the_flagship_that_do_not_belong_together_are_refused(
    tmp_path: Path,
    make_bundle: MakeBundle,
    shipped_flagship: Path,
    name: str,
    changes: dict[str, Callable[[NDArray[Any]], NDArray[Any]]],
    message: str,
) -> None:
    content = arrays(shipped_flagship / name)
    content |= {member: np.ascontiguousarray(change(content[member])) for member, change in changes.items()}
    with pytest.raises(ModelError, match=message):
        bundles.load(make_bundle(tmp_path / "misfit", {name: content}, of=shipped_flagship))


SPOILERS: list[tuple[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]] = [
    ("one axis", lambda x: x[0]),
    ("no anchors", lambda x: x[:0]),
    ("a channel less", lambda x: x[:, 1:]),
    ("nan", lambda x: np.where(np.arange(x.shape[1]) == 1, np.float32("nan"), x)),
    ("infinite", lambda x: np.where(np.arange(x.shape[1]) == 1, np.float32("inf"), x)),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cae2017", "photo-psnr"])
@pytest.mark.parametrize("member", ["log_gain", "log_inverse"])
@pytest.mark.parametrize("spoil", [s for _, s in SPOILERS], ids=[name for name, _ in SPOILERS])
def test_scale_vectors_that_do_not_fit_are_refused(
    tmp_path: Path,
    make_bundle: MakeBundle,
    model: str,
    member: str,
    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    content = arrays(folder_of(model) / SCALES)
    content[member] = spoil(content[member])
    with pytest.raises(ModelError, match=r"log_gain|log_inverse"):
        bundles.load(make_bundle(tmp_path / "scales", {SCALES: content}, of=folder_of(model)))


def test_a_ladder_without_anchors_is_refused(tmp_path: Path, make_bundle: MakeBundle, shipped: Path) -> None:
    content = {member: scale[:0] for member, scale in arrays(shipped / SCALES).items()}
    with pytest.raises(ModelError, match="log_gain"):
        bundles.load(make_bundle(tmp_path / "no-anchors", {SCALES: content}))


def test_a_graph_that_is_none_is_refused_when_it_is_used(tmp_path: Path, make_bundle: MakeBundle) -> None:
    from caesura.runtime import transform

    loaded = bundles.load(make_bundle(tmp_path / "graphless", {ANALYSIS: b"no graph"}))
    with pytest.raises(ModelError, match=r"graphless: analysis\.onnx cannot be loaded"):
        transform.analyse(np.zeros((64, 64, 3), np.uint8), Conditioning(loaded, 5000))


def test_one_broken_bundle_does_not_hide_the_others(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / MANIFEST).write_text("{")
    set_models(monkeypatch, tmp_path)
    assert bundles.load(bundle.name).id == bundle.id
    assert bundles.load_by_id(bundle.id).id == bundle.id


# ---- the map for previews


def test_a_map_is_no_part_of_the_id(tmp_path: Path, make_bundle: MakeBundle, flagship: Bundle) -> None:
    weights = np.ones((flagship.channels + 1, 12), np.float32)
    loaded = bundles.load(
        make_bundle(tmp_path / "with", {PREVIEW: {"weights": weights}}, of=folder_of("photo-psnr"))
    )
    assert loaded.id == flagship.id
    np.testing.assert_array_equal(loaded.preview, weights)
    assert bundles.load(make_bundle(tmp_path / "without", of=folder_of("photo-psnr"))).preview is None


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((321, 3), np.float32), ((320, 12), np.float32), ((321, 12), np.float64), ((0,), "f")],
)
def test_a_map_of_another_shape_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, shape: tuple[int, ...], dtype: Any
) -> None:
    folder = make_bundle(
        tmp_path / "odd", {PREVIEW: {"weights": np.zeros(shape, dtype)}}, of=folder_of("photo-psnr")
    )
    with pytest.raises(ModelError, match=r"preview\.npz has float.+; float32 \(321, 12\) expected"):
        bundles.load(folder)


@pytest.mark.parametrize("shape", [(5, 96, 3), (5, 97, 12), (0, 97, 3), (97, 3), ()])
def test_a_coarse_map_of_another_shape_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, shape: tuple[int, ...]
) -> None:
    maps = {"weights": np.zeros((321, 12), np.float32), "coarse": np.zeros(shape, np.float32)}
    folder = make_bundle(tmp_path / "odd", {PREVIEW: maps}, of=folder_of("photo-psnr"))
    with pytest.raises(ModelError, match=r"preview\.npz has float32 .+; float32 \(\d+, 97, 3\) expected"):
        bundles.load(folder)


def test_a_map_that_is_no_number_is_refused(tmp_path: Path, make_bundle: MakeBundle) -> None:
    folder = make_bundle(tmp_path / "nan", {PREVIEW: {"weights": np.full((97, 3), np.nan, np.float32)}})
    with pytest.raises(ModelError, match=r"preview\.npz has"):
        bundles.load(folder)
    maps = {"weights": np.zeros((321, 12), np.float32), "coarse": np.full((2, 97, 3), np.inf, np.float32)}
    folder = make_bundle(tmp_path / "infinite", {PREVIEW: maps}, of=folder_of("photo-psnr"))
    with pytest.raises(ModelError, match=r"preview\.npz has weights that are not finite"):
        bundles.load(folder)


def test_a_map_without_weights_is_refused(tmp_path: Path, make_bundle: MakeBundle) -> None:
    folder = make_bundle(tmp_path / "none", {PREVIEW: {"other": np.zeros(3)}})
    with pytest.raises(ModelError, match="array 'weights' is missing"):
        bundles.load(folder)


def test_a_map_that_was_changed_is_refused(tmp_path: Path, make_bundle: MakeBundle) -> None:
    folder = make_bundle(tmp_path / "changed", {PREVIEW: {"weights": np.zeros((97, 3), np.float32)}})
    (folder / PREVIEW).write_bytes(b"other")
    with pytest.raises(ModelError, match=r"preview\.npz does not match the manifest's hash"):
        bundles.load(folder)
