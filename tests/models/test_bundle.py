"""Model bundles: found by name, folder and id; a bundle that is not whole is not loaded."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caesura
from caesura.errors import ModelError
from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.manifest import (
    FILES,
    FORMAT,
    MANIFEST,
    PREVIEW,
    PRIOR,
    SCALES,
    TABLES,
    bundle_id,
    digest,
    read_manifest,
)
from model_helpers import SHIPPED, MakeBundle, folder_of, set_models

EVERY_FILE = pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model, kind in SHIPPED.items() for name in FILES[kind]]
)


def edit_manifest(folder: Path, **fields: Any) -> None:
    """Set fields of a manifest; None takes one out."""
    manifest = json.loads((folder / MANIFEST).read_text()) | fields
    kept = {field: value for field, value in manifest.items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(kept))


@pytest.fixture
def only_manifest(tmp_path: Path, shipped: Path) -> Path:
    """A folder with a shipped manifest and nothing else: it is looked at before the files are."""
    folder = tmp_path / "only-manifest"
    folder.mkdir()
    (folder / MANIFEST).write_bytes((shipped / MANIFEST).read_bytes())
    return folder


# ---- finding


def test_the_default_model_is_shipped() -> None:
    assert bundles.load() is bundles.load(bundles.DEFAULT) is bundles.load("photo")
    assert bundles.load().name == bundles.DEFAULT


def test_a_shipped_model_is_all_that_its_architecture_has(either: Bundle) -> None:
    folder = folder_of(either.name)
    assert either.architecture == SHIPPED[either.name]
    files = {*FILES[either.architecture], *([] if either.preview is None else [PREVIEW])}
    assert (either.preview is None) == (either.architecture == "cae2017")  # whose latents are not linear
    assert {path.name for path in folder.iterdir()} == {MANIFEST, *files}
    assert set(either.graphs) == {name for name in FILES[either.architecture] if name.endswith(".onnx")}
    assert either.size == sum((folder / name).stat().st_size for name in files)
    assert either.quality_scale == [tuple(pair) for pair in either.manifest["quality_scale"]]
    assert either.ladder_top == either.manifest["ladder_top"]
    assert either.channels == either.log_gain.shape[1] == either.log_inverse.shape[1]


def test_the_papers_model_has_a_table_per_latent_channel_and_no_control(bundle: Bundle) -> None:
    assert bundle.channels == bundle.tables.channels
    assert bundle.control is bundle.detail is None
    assert bundle.ladder_top == 10000


def test_the_flagship_has_control_of_its_latents_and_of_its_detail_layer(flagship: Bundle) -> None:
    assert flagship.control is not None
    assert flagship.detail is not None
    assert flagship.control.channels == flagship.channels
    assert len(flagship.control.base) == flagship.tables.channels  # it looks at the hyperlatent
    assert len(flagship.control.bias) == flagship.tables.rows
    assert len(flagship.detail.base) == flagship.channels  # and the detail layer at the latents
    first, last = flagship.detail_log_step
    assert first > last
    assert flagship.ladder_top < 10000


def test_a_model_is_found_by_name_folder_and_id(either: Bundle) -> None:
    folder, loaded = folder_of(either.name), bundles.load(either.name)
    assert loaded.id == either.id
    assert bundles.load_by_id(either.id) is loaded
    assert bundles.load(folder) is bundles.load(str(folder)) is loaded


def test_a_bundle_that_was_replaced_on_disk_is_loaded_anew(tmp_path: Path, make_bundle: MakeBundle) -> None:
    before = bundles.load(make_bundle(tmp_path / "mine", {PRIOR: b"before"}))
    shutil.rmtree(tmp_path / "mine")
    after = bundles.load(make_bundle(tmp_path / "mine", {PRIOR: b"after"}))
    assert before.id != after.id
    assert bundles.load(tmp_path / "mine") is after


def test_a_bundle_is_given_back(either: Bundle) -> None:
    assert bundles.load(either) is either


def test_a_bundle_does_not_change(bundle: Bundle) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'stride'"):
        bundle.stride = 16  # type: ignore[misc]


@pytest.mark.parametrize("model", ["no-such-model", "", "../cae2017", Path("/no/such/folder")])
def test_an_unknown_name_lists_the_known(model: str | Path) -> None:
    with pytest.raises(ModelError, match="is not known; known: cae2017, photo, photo-psnr"):
        bundles.load(model)


def test_an_unknown_id_lists_the_known(bundle: Bundle) -> None:
    expected = rf"model {bundle.id ^ 1:08x}, which is not here; known: .*{bundle.id:08x} \({bundle.name}\)"
    with pytest.raises(ModelError, match=expected):
        bundles.load_by_id(bundle.id ^ 1)


def test_models_are_found_where_caesura_models_says(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_bundle(tmp_path / "a" / "one", {PRIOR: b"one"})
    two = make_bundle(tmp_path / "b" / "two", {PRIOR: b"two"})
    with pytest.raises(ModelError, match="'one' is not known"):
        bundles.load("one")
    set_models(monkeypatch, one.parent, tmp_path / "missing", two.parent)
    for folder in (one, two):
        loaded = bundles.load(folder.name)
        assert loaded.name == folder.name
        assert bundles.load_by_id(loaded.id) is loaded
    assert bundles.load().name == bundles.DEFAULT


def test_files_of_a_bundle_that_is_no_longer_shipped_need_its_folder(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired = make_bundle(tmp_path / "kept" / "retired", {PRIOR: b"before"})
    picture = np.full((16, 24, 3), 90, np.uint8)
    data = caesura.encode(picture, model=retired)
    model_id = read_manifest(retired)["id"]
    with pytest.raises(ModelError, match=f"model {model_id:08x}, which is not here; .*CAESURA_MODELS"):
        caesura.decode_array(data)
    set_models(monkeypatch, retired.parent)
    assert caesura.read_header(data).model_id == model_id
    assert np.abs(caesura.decode_array(data).astype(int) - picture).max() < 8


def test_models_are_found_in_the_users_folder(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = make_bundle(tmp_path / "caesura" / "models" / "mine", {PRIOR: b"mine"})
    assert bundles.user_models() == folder.parent
    assert bundles.load("mine").name == "mine"


def test_the_users_folder_is_below_home_if_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    assert bundles.user_models() == Path.home() / ".local" / "share" / "caesura" / "models"


def test_the_folder_named_first_comes_before_the_shipped_one(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_models(monkeypatch, make_bundle(tmp_path / bundle.name, {PRIOR: b"mine"}).parent)
    assert bundles.load(bundle.name).id != bundle.id
    assert bundles.load_by_id(bundle.id).id == bundle.id  # files coded with the shipped one can still be read


def test_hidden_and_empty_folders_are_no_models(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / ".unfinished")
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("not a folder")
    set_models(monkeypatch, tmp_path)
    assert [folder for folder in bundles.folders() if tmp_path in folder.parents] == []


# ---- ids


def test_the_id_is_of_the_content_whatever_the_name(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle
) -> None:
    assert bundles.load(make_bundle(tmp_path / "renamed", data="other words")).id == bundle.id


@EVERY_FILE
def test_every_file_counts_for_the_id(model: str, name: str) -> None:
    bundle = bundles.load(model)
    kind, digests = bundle.architecture, bundle.manifest["files"]
    assert bundle_id(kind, digests) == bundle.id
    assert bundle_id(kind, digests | {name: digest(b"another")}) != bundle.id
    assert bundle_id(kind, dict(reversed(digests.items()))) == bundle.id


def test_two_files_that_change_places_change_the_id(either: Bundle) -> None:
    digests = either.manifest["files"]
    swapped = digests | {TABLES: digests[SCALES], SCALES: digests[TABLES]}
    assert bundle_id(either.architecture, swapped) != either.id


def test_an_id_is_of_32_bits(either: Bundle) -> None:
    assert 0 <= either.id < 1 << 32


# ---- bundles that are not whole


@pytest.mark.slow
@EVERY_FILE
def test_a_file_that_was_changed_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str
) -> None:
    folder = make_bundle(tmp_path / "altered", of=folder_of(model))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name} does not match the manifest's hash: it was changed"):
        bundles.load(folder)


@pytest.mark.slow
@EVERY_FILE
def test_a_file_that_is_missing_is_named(
    tmp_path: Path, make_bundle: MakeBundle, model: str, name: str
) -> None:
    folder = make_bundle(tmp_path / "incomplete", of=folder_of(model))
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        bundles.load(folder)


@pytest.mark.slow
@EVERY_FILE
def test_a_file_without_a_hash_is_refused(tmp_path: Path, model: str, name: str) -> None:
    for file in (MANIFEST, *FILES[SHIPPED[model]]):
        (tmp_path / file).symlink_to(folder_of(model) / file)
    digests = json.loads((tmp_path / MANIFEST).read_text())["files"]
    del digests[name]
    (tmp_path / MANIFEST).unlink()
    (tmp_path / MANIFEST).write_bytes((folder_of(model) / MANIFEST).read_bytes())
    edit_manifest(tmp_path, files=digests)
    with pytest.raises(ModelError, match=f"{name} does not match the manifest's hash"):
        bundles.load(tmp_path)


def test_a_bundle_of_another_architecture_than_it_says_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, shipped_flagship: Path
) -> None:
    paper = make_bundle(tmp_path / "paper", architecture="cae2026")
    with pytest.raises(ModelError, match=r"hyper_analysis\.onnx cannot be read"):
        bundles.load(paper)
    fitted = read_manifest(shipped_flagship)["forecast"]
    flagship = make_bundle(
        tmp_path / "flagship",
        of=shipped_flagship,
        architecture="cae2017",
        ladder_top=10000,
        forecast={name: part for name, part in fitted.items() if name != "top"},
    )
    with pytest.raises(ModelError, match="its files make"):
        bundles.load(flagship)


def test_an_id_that_is_not_of_the_content_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle
) -> None:
    folder = make_bundle(tmp_path / "impostor", {PRIOR: b"other"}, id=bundle.id)
    with pytest.raises(ModelError, match=f"id is {bundle.id:08x}; its files make [0-9a-f]{{8}}"):
        bundles.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"no json", b"\xff\xfe", b'{"format": '])
def test_a_manifest_that_is_not_json_is_refused(only_manifest: Path, content: bytes) -> None:
    (only_manifest / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError, match="the manifest cannot be read"):
        bundles.load(only_manifest)


@pytest.mark.parametrize("content", ["[]", "7", "null", "{}", '{"format": "caesura-bundle-1"}'])
def test_a_manifest_of_another_format_is_refused(only_manifest: Path, content: str) -> None:
    (only_manifest / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match=f"the manifest's format is not {FORMAT}"):
        bundles.load(only_manifest)


WRONG_FIELDS: list[tuple[str, Any, str]] = [
    ("name", None, "name is None; str expected"),
    ("name", 7, "name is 7; str expected"),
    ("id", None, "id is None; int expected"),
    ("id", "7", "id is '7'; int expected"),
    ("stride", None, "stride is None; int expected"),
    ("stride", 8.0, "stride is 8.0; int expected"),
    ("stride", True, "stride is True; int expected"),
    ("stride", 0, "stride 0 and halo"),
    ("stride", -8, "stride -8 and halo"),
    ("stride", 257, "stride 257 and halo"),
    ("halo", None, "halo is None; int expected"),
    ("halo", -8, "halo -8 do not fit"),
    ("halo", 1, "halo 1 do not fit"),
    ("halo", 4096 * 256, "halo 1048576 do not fit"),
    ("synthesis_halo", "16", "synthesis_halo is '16'; a multiple of 8 up to 40 is allowed"),
    ("synthesis_halo", 16.0, "synthesis_halo is 16.0; a multiple of 8 up to 40 is allowed"),
    ("synthesis_halo", -16, "synthesis_halo is -16; a multiple of 8 up to 40 is allowed"),
    ("synthesis_halo", 12, "synthesis_halo is 12; a multiple of 8 up to 40 is allowed"),
    ("synthesis_halo", 80, "synthesis_halo is 80; a multiple of 8 up to 40 is allowed"),
    ("smallest_side", None, "smallest_side is None; int expected"),
    ("smallest_side", 0, "smallest_side is 0"),
    ("smallest_side", 1, "smallest_side is 1"),
    ("smallest_side", 4096 * 256, "smallest_side is 1048576"),
    ("architecture", None, "architecture is None; str expected"),
    ("architecture", 2017, "architecture is 2017; str expected"),
    ("architecture", "cae2018", "architecture is 'cae2018'; known: cae2017, cae2026"),
    ("ladder_top", None, "ladder_top is None; int expected"),
    ("ladder_top", 72.0, "ladder_top is 72.0; int expected"),
    ("ladder_top", 100, "ladder_top is 100; 101 to 10000 is allowed"),
    ("ladder_top", 10001, "ladder_top is 10001; 101 to 10000 is allowed"),
    ("ladder_top", -7200, "ladder_top is -7200; 101 to 10000 is allowed"),
    ("quality_scale", None, "quality_scale is None; list expected"),
    ("quality_scale", {"1": 1}, r"quality_scale is \{'1': 1\}; list expected"),
    *(
        ("quality_scale", scale, "quality_scale is .*; rising pairs of 1 to 100 expected")
        for scale in (
            [],
            [[1, 1]],
            [1, 100],
            [[1, 1], 100],
            [[1], [100]],
            [[1, 1, 1], [100, 100, 100]],
            [[1, 1], [100, "100"]],
            [[1, 1], [100, True]],
            [[1, 1], [100, None]],
            [[0.99, 1], [100, 100]],
            [[1, 0], [100, 100]],
            [[1, 1], [100.01, 100]],
            [[1, 1], [100, 101]],
            [[1, 1], [float("nan"), 100]],
            [[1, 1], [50, float("inf")]],
            [[1, 1], [1, 100]],
            [[1, 1], [100, 1]],
            [[100, 1], [1, 100]],
            [[1, 100], [100, 1]],
            [[1, 1], [60, 60], [50, 100]],
            [[1, 1], [50, 60], [60, 60]],
        )
    ),
    ("files", None, "files is None; dict expected"),
    ("files", [], r"files is \[\]; dict expected"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG_FIELDS)
def test_a_wrong_field_of_the_manifest_is_named(
    only_manifest: Path, field: str, value: Any, message: str
) -> None:
    edit_manifest(only_manifest, **{field: value})
    with pytest.raises(ModelError, match=message):
        bundles.load(only_manifest)
