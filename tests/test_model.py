"""Model bundles: found by name, folder and id; a bundle that is not whole is not loaded."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura import model as models
from caesura.errors import ModelError
from caesura.model import ANALYSIS, FILES, MANIFEST, PRIOR, SCALES, TABLES, Bundle

MakeBundle = Callable[..., Path]


def set_models(patch: pytest.MonkeyPatch, *roots: Path) -> None:
    patch.setenv("CAESURA_MODELS", os.pathsep.join(map(str, roots)))


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as archive:
        return dict(archive)


def edit_manifest(folder: Path, **fields: Any) -> None:
    """Set fields of a manifest; None takes one out."""
    manifest = json.loads((folder / MANIFEST).read_text()) | fields
    kept = {field: value for field, value in manifest.items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(kept))


@pytest.fixture
def only_manifest(tmp_path: Path, shipped: Path) -> Path:
    """A folder with the shipped manifest and nothing else: it is looked at before the files are."""
    folder = tmp_path / "only-manifest"
    folder.mkdir()
    (folder / MANIFEST).write_bytes((shipped / MANIFEST).read_bytes())
    return folder


# ---- finding


def test_the_default_model_is_shipped(bundle: Bundle, shipped: Path) -> None:
    assert bundle.name == models.DEFAULT
    assert bundle.channels == bundle.tables.channels == bundle.log_gain.shape[1]
    assert bundle.size == sum((shipped / name).stat().st_size for name in FILES)


def test_a_model_is_found_by_name_folder_and_id(bundle: Bundle, shipped: Path) -> None:
    assert models.load(bundle.name) is bundle
    assert models.load_by_id(bundle.id) is bundle
    assert models.load(shipped).id == models.load(str(shipped)).id == bundle.id


def test_a_bundle_that_was_replaced_on_disk_is_loaded_anew(tmp_path: Path, make_bundle: MakeBundle) -> None:
    before = models.load(make_bundle(tmp_path / "mine", {PRIOR: b"before"}))
    shutil.rmtree(tmp_path / "mine")
    after = models.load(make_bundle(tmp_path / "mine", {PRIOR: b"after"}))
    assert before.id != after.id
    assert models.load(tmp_path / "mine") is after


def test_a_bundle_is_given_back(bundle: Bundle) -> None:
    assert models.load(bundle) is bundle


def test_a_bundle_does_not_change(bundle: Bundle) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'stride'"):
        bundle.stride = 16  # type: ignore[misc]


@pytest.mark.parametrize("model", ["no-such-model", "", "../cae2017", Path("/no/such/folder")])
def test_an_unknown_name_lists_the_known(model: str | Path) -> None:
    with pytest.raises(ModelError, match=f"is not known; known: .*{models.DEFAULT}"):
        models.load(model)


def test_an_unknown_id_lists_the_known(bundle: Bundle) -> None:
    expected = rf"model {bundle.id ^ 1:08x}, which is not here; known: .*{bundle.id:08x} \({bundle.name}\)"
    with pytest.raises(ModelError, match=expected):
        models.load_by_id(bundle.id ^ 1)


def test_models_are_found_where_caesura_models_says(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_bundle(tmp_path / "a" / "one", {PRIOR: b"one"})
    two = make_bundle(tmp_path / "b" / "two", {PRIOR: b"two"})
    with pytest.raises(ModelError, match="'one' is not known"):
        models.load("one")
    set_models(monkeypatch, one.parent, tmp_path / "missing", two.parent)
    for folder in (one, two):
        loaded = models.load(folder.name)
        assert loaded.name == folder.name
        assert models.load_by_id(loaded.id) is loaded
    assert models.load().name == models.DEFAULT


def test_models_are_found_in_the_users_folder(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = make_bundle(tmp_path / "caesura" / "models" / "mine", {PRIOR: b"mine"})
    assert models.user_models() == folder.parent
    assert models.load("mine").name == "mine"


def test_the_users_folder_is_below_home_if_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    assert models.user_models() == Path.home() / ".local" / "share" / "caesura" / "models"


def test_the_folder_named_first_comes_before_the_shipped_one(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_models(monkeypatch, make_bundle(tmp_path / models.DEFAULT, {PRIOR: b"mine"}).parent)
    assert models.load(models.DEFAULT).id != bundle.id
    assert models.load_by_id(bundle.id).id == bundle.id  # files coded with the shipped one can still be read


def test_hidden_and_empty_folders_are_no_models(
    tmp_path: Path, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / ".unfinished")
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("not a folder")
    set_models(monkeypatch, tmp_path)
    assert [folder for folder in models.folders() if tmp_path in folder.parents] == []


# ---- ids


def test_the_id_is_of_the_content_whatever_the_name(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle
) -> None:
    assert models.load(make_bundle(tmp_path / "renamed", data="other words")).id == bundle.id


@pytest.mark.parametrize("name", FILES)
def test_every_file_counts_for_the_id(bundle: Bundle, name: str) -> None:
    digests = bundle.manifest["files"]
    assert models.bundle_id(digests) == bundle.id
    assert models.bundle_id(digests | {name: models.digest(b"another")}) != bundle.id
    assert models.bundle_id(dict(reversed(digests.items()))) == bundle.id


def test_two_files_that_change_places_change_the_id(bundle: Bundle) -> None:
    digests = bundle.manifest["files"]
    swapped = digests | {TABLES: digests[SCALES], SCALES: digests[TABLES]}
    assert models.bundle_id(swapped) != bundle.id


def test_an_id_is_of_32_bits(bundle: Bundle) -> None:
    assert 0 <= bundle.id < 1 << 32


# ---- bundles that are not whole


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, make_bundle: MakeBundle, name: str) -> None:
    folder = make_bundle(tmp_path / "altered")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name} does not match the manifest's hash: it was changed"):
        models.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_named(tmp_path: Path, make_bundle: MakeBundle, name: str) -> None:
    folder = make_bundle(tmp_path / "incomplete")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        models.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_hash_is_refused(only_manifest: Path, shipped: Path, name: str) -> None:
    for file in FILES:
        (only_manifest / file).symlink_to(shipped / file)
    digests = json.loads((only_manifest / MANIFEST).read_text())["files"]
    del digests[name]
    edit_manifest(only_manifest, files=digests)
    with pytest.raises(ModelError, match=f"{name} does not match the manifest's hash"):
        models.load(only_manifest)


def test_an_id_that_is_not_of_the_content_is_refused(
    tmp_path: Path, make_bundle: MakeBundle, bundle: Bundle
) -> None:
    folder = make_bundle(tmp_path / "impostor", {PRIOR: b"other"}, id=bundle.id)
    with pytest.raises(ModelError, match=f"id is {bundle.id:08x}; its files make [0-9a-f]{{8}}"):
        models.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"no json", b"\xff\xfe", b'{"format": '])
def test_a_manifest_that_is_not_json_is_refused(only_manifest: Path, content: bytes) -> None:
    (only_manifest / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError, match="the manifest cannot be read"):
        models.load(only_manifest)


@pytest.mark.parametrize("content", ["[]", "7", "null", "{}", '{"format": "caesura-bundle-0"}'])
def test_a_manifest_of_another_format_is_refused(only_manifest: Path, content: str) -> None:
    (only_manifest / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match=f"the manifest's format is not {models.FORMAT}"):
        models.load(only_manifest)


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
    ("smallest_side", None, "smallest_side is None; int expected"),
    ("smallest_side", 0, "smallest_side is 0"),
    ("smallest_side", 1, "smallest_side is 1"),
    ("smallest_side", 4096 * 256, "smallest_side is 1048576"),
    ("files", None, "files is None; dict expected"),
    ("files", [], r"files is \[\]; dict expected"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG_FIELDS)
def test_a_wrong_field_of_the_manifest_is_named(
    only_manifest: Path, field: str, value: Any, message: str
) -> None:
    edit_manifest(only_manifest, **{field: value})
    with pytest.raises(ModelError, match=message):
        models.load(only_manifest)


# ---- bundles that are whole but make no sense: hashes and id fit


def npy() -> bytes:
    """A file of one array, not an archive of several."""
    out = io.BytesIO()
    np.save(out, np.zeros(3, np.float32))
    return out.getvalue()


@pytest.mark.parametrize("name", [TABLES, SCALES])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", npy()], ids=["empty", "text", "zip", "npy"])
def test_arrays_that_cannot_be_read_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, name: str, content: bytes
) -> None:
    folder = make_bundle(tmp_path / "unreadable", {name: content})
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        models.load(folder)


@pytest.mark.parametrize("name", [TABLES, SCALES])
def test_arrays_damaged_within_the_archive_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, shipped: Path, name: str
) -> None:
    content = bytearray((shipped / name).read_bytes())
    content[200:260] = bytes(60)  # within the first array's compressed data
    folder = make_bundle(tmp_path / "damaged", {name: bytes(content)})
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        models.load(folder)


MEMBERS = [(TABLES, m) for m in ("low", "length", "frequencies")] + [
    (SCALES, m) for m in ("log_gain", "log_inverse")
]


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_an_array_that_is_missing_is_named(
    tmp_path: Path, make_bundle: MakeBundle, shipped: Path, name: str, member: str
) -> None:
    content = arrays(shipped / name)
    del content[member]
    with pytest.raises(ModelError, match=f"array '{member}' is missing"):
        models.load(make_bundle(tmp_path / "incomplete", {name: content}))


def test_tables_that_do_not_add_up_are_refused(
    tmp_path: Path, make_bundle: MakeBundle, shipped: Path
) -> None:
    content = arrays(shipped / TABLES)
    content["frequencies"][0] += 1
    with pytest.raises(ModelError, match="tables: frequencies must be 1 or more and sum to"):
        models.load(make_bundle(tmp_path / "sums", {TABLES: content}))


SPOILERS: list[tuple[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]] = [
    ("one axis", lambda x: x[0]),
    ("no rungs", lambda x: x[:0]),
    ("a channel less", lambda x: x[:, 1:]),
    ("nan", lambda x: np.where(np.arange(x.shape[1]) == 1, np.float32("nan"), x)),
    ("infinite", lambda x: np.where(np.arange(x.shape[1]) == 1, np.float32("inf"), x)),
]


@pytest.mark.parametrize("member", ["log_gain", "log_inverse"])
@pytest.mark.parametrize("spoil", [s for _, s in SPOILERS], ids=[name for name, _ in SPOILERS])
def test_scale_vectors_that_do_not_fit_are_refused(
    tmp_path: Path,
    make_bundle: MakeBundle,
    shipped: Path,
    member: str,
    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    content = arrays(shipped / SCALES)
    content[member] = spoil(content[member])
    with pytest.raises(ModelError, match=r"log_gain|log_inverse"):
        models.load(make_bundle(tmp_path / "scales", {SCALES: content}))


def test_a_ladder_without_rungs_is_refused(tmp_path: Path, make_bundle: MakeBundle, shipped: Path) -> None:
    content = {member: scale[:0] for member, scale in arrays(shipped / SCALES).items()}
    with pytest.raises(ModelError, match="log_gain"):
        models.load(make_bundle(tmp_path / "rungless", {SCALES: content}))


def test_a_graph_that_is_none_is_refused_when_it_is_used(tmp_path: Path, make_bundle: MakeBundle) -> None:
    from caesura import transform

    loaded = models.load(make_bundle(tmp_path / "graphless", {ANALYSIS: b"no graph"}))
    with pytest.raises(ModelError, match="graphless: the analysis graph cannot be loaded"):
        transform.analyse(np.zeros((64, 64, 3), np.uint8), loaded)


def test_one_broken_bundle_does_not_hide_the_others(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / MANIFEST).write_text("{")
    set_models(monkeypatch, tmp_path)
    assert models.load(bundle.name) is bundle
    assert models.load_by_id(bundle.id) is bundle
