"""prepare.py: a folder tree of photos in, one packed file of squares and a manifest out."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from caesura.errors import ConfigError
from caesura.train.pack import Pack
from caesura.train.prepare import MANIFEST, SQUARES, Report, is_validation, prepare
from train_helpers import names, photo, position_photo, save

# What a viewer shows for each EXIF orientation, as operations on the stored array.
ORIENTED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


def manifest(pack: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((pack / MANIFEST).read_text())
    return read


def squares_of(pack: Path, name: str) -> NDArray[np.uint8]:
    """The squares that a pack holds of one photo."""
    (entry,) = [entry for entry in manifest(pack)["photos"] if entry["name"] == name]
    return np.asarray(Pack(pack).squares[entry["start"] : entry["start"] + entry["count"]])


def content(pack: Path) -> dict[str, bytes]:
    """Every file of a pack's folder."""
    return {path.name: path.read_bytes() for path in pack.iterdir()} if pack.exists() else {}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Good photos of several formats in nested folders, two that cannot be used, and a text."""
    root = tmp_path / "photos"
    save(root / "a.png", photo(70, 64))
    save(root / "sub" / "b.JPG", photo(64, 100), format="JPEG")
    save(root / "sub" / "deep" / "c.webp", photo(80, 64, 100), lossless=True)
    (root / "sub" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    save(root / "tiny.png", photo(31, 200))
    (root / "notes.txt").write_text("not a photo")
    return root


def test_report_and_manifest_tell_what_was_packed_and_what_was_skipped(tree: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    report = prepare(tree, pack, sizes=(32, 64), side=32, seed=3)

    held = manifest(pack)
    assert set(report.skipped) == {"sub/broken.jpg", "tiny.png"}
    assert report.skipped["sub/broken.jpg"].startswith("unreadable: ")
    assert report.skipped["tiny.png"] == "tiny: 200x31, smaller than 32 pixels"
    assert held["skipped"] == report.skipped
    assert [entry["name"] for entry in held["photos"]] == ["a.png", "sub/b.JPG", "sub/deep/c.webp"]
    assert (held["source"], held["side"], held["sizes"], held["seed"]) == ("photos", 32, [32, 64], 3)
    assert held["count"] == report.train + report.validation == sum(e["count"] for e in held["photos"])
    assert {path.name for path in pack.iterdir()} == {SQUARES, MANIFEST}


def test_the_manifests_hashes_are_those_of_the_files(tree: Path, tmp_path: Path) -> None:
    prepare(tree, tmp_path / "pack", sizes=(32,), side=32)
    held = manifest(tmp_path / "pack")
    assert held["sha256"] == hashlib.sha256((tmp_path / "pack" / SQUARES).read_bytes()).hexdigest()
    for entry in held["photos"]:
        assert entry["sha256"] == hashlib.sha256((tree / entry["name"]).read_bytes()).hexdigest()


def test_photos_lie_one_after_another_in_the_pack(tree: Path, tmp_path: Path) -> None:
    prepare(tree, tmp_path / "pack", sizes=(32,), side=32)
    held = manifest(tmp_path / "pack")
    expected = 0
    for entry in held["photos"]:
        assert entry["start"] == expected
        expected += entry["count"]
    assert (tmp_path / "pack" / SQUARES).stat().st_size == expected * 32 * 32 * 3


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(8, 60),
    width=st.integers(8, 60),
    coverage=st.floats(0.05, 4),
    size=st.sampled_from([8, 16, 24]),
)
def test_the_number_of_squares_follows_from_area_and_coverage(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, coverage: float, size: int
) -> None:
    root = tmp_path_factory.mktemp("coverage")
    save(root / "photos" / "p.png", photo(height, width))
    save(root / "photos" / "always.png", photo(24, 24))
    prepare(root / "photos", root / "pack", sizes=(size,), side=8, coverage=coverage)
    counts = {entry["name"]: entry["count"] for entry in manifest(root / "pack")["photos"]}
    fits = min(height, width) >= size
    expected = max(1, round(coverage * height * width / size**2)) if fits else None
    assert counts.get("p.png") == expected


@pytest.mark.parametrize("orientation", list(ORIENTED))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    pixels = photo(32, 32)
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "photos" / "p.png", pixels, exif=exif)
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    (square,) = squares_of(tmp_path / "pack", "p.png")
    np.testing.assert_array_equal(square, ORIENTED[orientation](pixels))


def test_an_upright_photo_that_is_stored_lying_is_measured_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "photos" / "lying.png", photo(20, 200), exif=exif)
    save(tmp_path / "photos" / "good.png", photo(32, 32))
    report = prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    assert report.skipped == {"lying.png": "tiny: 20x200, smaller than 32 pixels"}


def test_native_squares_are_parts_of_the_photo_at_random_positions(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "p.png", position_photo(200, number=9))
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(16,), side=16)
    squares = squares_of(tmp_path / "pack", "p.png").astype(int)
    corners = squares[:, :1, :1]
    assert (corners[..., :2] <= 200 - 16).all()
    inside = position_photo(16).astype(int)
    np.testing.assert_array_equal(squares - corners, np.broadcast_to(inside, squares.shape))
    assert (squares[..., 2] == 9).all()
    assert len(np.unique(corners.reshape(-1, 3), axis=0)) > 0.9 * len(squares)


def test_larger_squares_are_resized_with_lanczos(tmp_path: Path) -> None:
    pixels = photo(64, 64)
    save(tmp_path / "photos" / "p.png", pixels)
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(64,), side=16)
    (square,) = squares_of(tmp_path / "pack", "p.png")
    expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(square, np.asarray(expected))


def test_every_size_that_fits_is_cut(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "p.png", photo(64, 96))
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(16, 32, 64, 128), side=16)
    expected = round(64 * 96 / 16**2) + round(64 * 96 / 32**2) + round(64 * 96 / 64**2)
    assert len(squares_of(tmp_path / "pack", "p.png")) == expected


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_photos_of_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    (tmp_path / "photos").mkdir()
    stored = Image.fromarray(photo(32, 32)).convert(mode)
    stored.save(tmp_path / "photos" / "p.png")
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    (square,) = squares_of(tmp_path / "pack", "p.png")
    np.testing.assert_array_equal(square, np.asarray(stored.convert("RGB")))


def test_a_photo_of_sixteen_bits_keeps_its_tones_or_is_skipped(tmp_path: Path) -> None:
    deep = (np.arange(32 * 32, dtype=np.uint16) * 64).reshape(32, 32)
    save(tmp_path / "photos" / "deep.png", deep)
    save(tmp_path / "photos" / "good.png", photo(32, 32))
    report = prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    if "deep.png" not in report.skipped:
        (square,) = squares_of(tmp_path / "pack", "deep.png")
        assert np.abs(square.astype(int) - (deep[..., None] >> 8)).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tif", "bmp", "ppm"])
def test_a_photo_cut_short_is_skipped_and_the_others_are_packed(tmp_path: Path, suffix: str) -> None:
    name = f"cut.{suffix}"
    path = save(tmp_path / "photos" / name, photo(64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    save(tmp_path / "photos" / "good.png", photo(32, 32))
    report = prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    assert report.skipped[name].startswith("unreadable: ")
    assert report.train + report.validation == 1


def test_a_photo_damaged_in_its_structure_is_skipped(tmp_path: Path) -> None:
    path = save(tmp_path / "photos" / "bad.avif", photo(64, 64))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"av01", b"xx01"))  # an item type that no decoder has
    save(tmp_path / "photos" / "good.png", photo(32, 32))
    report = prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    assert report.skipped["bad.avif"].startswith("unreadable: ")


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tree: Path, tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        prepare(tree, tmp_path / name, sizes=(32, 48), side=32, seed=seed)
    assert content(tmp_path / "first") == content(tmp_path / "again")
    assert content(tmp_path / "first")[SQUARES] != content(tmp_path / "other")[SQUARES]


def test_a_photos_squares_do_not_depend_on_the_other_photos(tree: Path, tmp_path: Path) -> None:
    prepare(tree, tmp_path / "before", sizes=(32,), side=32)
    save(tree / "0-comes-first.png", photo(64, 64, 200, 200))
    (tree / "a.png").unlink()
    prepare(tree, tmp_path / "after", sizes=(32,), side=32)
    for name in ("sub/b.JPG", "sub/deep/c.webp"):
        np.testing.assert_array_equal(
            squares_of(tmp_path / "before", name), squares_of(tmp_path / "after", name)
        )


def test_validation_photos_never_reach_training(tmp_path: Path) -> None:
    held_out, trained = names(2, validation=True), names(3)
    for number, name in enumerate(held_out + trained):
        save(tmp_path / "photos" / f"folder{number}" / name, position_photo(32, number))
    report = prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    pack = Pack(tmp_path / "pack")
    assert (report.train, report.validation) == (3, 2)
    assert set(pack.squares[pack.validation][..., 2].ravel()) == {0, 1}
    assert set(pack.squares[pack.train][..., 2].ravel()) == {2, 3, 4}
    for entry in manifest(tmp_path / "pack")["photos"]:
        expected = "validation" if is_validation(Path(entry["name"]).name) else "train"
        assert entry["split"] == expected


def test_the_held_out_share_is_about_a_sixteenth() -> None:
    share = sum(is_validation(f"IMG_{number:05}.jpg") for number in range(8000)) / 8000
    assert share == pytest.approx(1 / 16, abs=0.01)


def test_progress_runs_from_nothing_to_all_photos(tree: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    prepare(tree, tmp_path / "pack", sizes=(32,), side=32, progress=lambda *call: calls.append(call))
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert calls[0] == (0, 5)
    assert calls[-1] == (5, 5)


def unusable(root: Path) -> Path:
    save(root / "tiny.png", photo(8, 8))
    (root / "broken.png").write_bytes(b"no picture")
    return root


def test_without_a_usable_photo_no_pack_is_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no usable photo; first reason"):
        prepare(unusable(tmp_path / "photos"), tmp_path / "pack", sizes=(32,), side=32)
    assert content(tmp_path / "pack") == {}


def test_a_failed_run_leaves_an_earlier_pack_as_it_was(tree: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    prepare(tree, pack, sizes=(32,), side=32)
    before = content(pack)
    with pytest.raises(ConfigError, match="holds no usable photo"):
        prepare(unusable(tmp_path / "unusable"), pack, sizes=(32,), side=32)
    assert content(pack) == before


class InterruptedRunError(Exception):
    pass


@pytest.mark.parametrize("earlier", [True, False])
def test_an_interrupted_run_leaves_no_half_pack(tree: Path, tmp_path: Path, earlier: bool) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise InterruptedRunError("stop")

    pack = tmp_path / "pack"
    if earlier:
        prepare(tree, pack, sizes=(32,), side=32)
    before = content(pack)
    with pytest.raises(InterruptedRunError, match="stop"):
        prepare(tree, pack, sizes=(32,), side=32, seed=1, progress=interrupt)
    after = content(pack)
    for name in (SQUARES, MANIFEST):
        assert after.get(name) == before.get(name)
    if not earlier:
        with pytest.raises(ConfigError, match="is not a pack"):
            Pack(pack)


def test_a_run_after_an_interrupted_one_writes_the_whole_pack(tree: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / (SQUARES + ".part")).write_bytes(b"left over")
    report = prepare(tree, pack, sizes=(32,), side=32)
    assert isinstance(report, Report)
    assert {path.name for path in pack.iterdir()} == {SQUARES, MANIFEST}
    assert len(Pack(pack).squares) == report.train + report.validation


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 7}, "side is 7"),
        ({"sizes": ()}, r"sizes is \[\]"),
        (
            {"sizes": (16, 64), "side": 32},
            r"sizes is \[16, 64\]; one or more are needed, each 32 \(side\) or more",
        ),
        ({"coverage": 0.0}, "coverage is 0"),
        ({"coverage": -1.0}, "coverage is -1"),
        ({"coverage": 65.0}, "coverage is 65"),
        ({"coverage": math.nan}, "coverage is nan"),
    ],
)
def test_settings_out_of_range_are_named(
    tree: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(tree, tmp_path / "pack", **{"sizes": (32,), "side": 32, **options})
    assert content(tmp_path / "pack") == {}


@pytest.mark.parametrize("exists", [True, False])
def test_a_source_without_photos_is_named(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "notes.txt").write_text("not a photo")
    with pytest.raises(ConfigError, match="photos holds no photos"):
        prepare(tmp_path / "photos", tmp_path / "pack")


# Interrupted, and on several processors

KILLED = """
import sys
from pathlib import Path
from caesura.train import prepare
prepare._NOTED_EVERY = 0
if __name__ == "__main__":
    prepare.prepare(Path(sys.argv[1]), Path(sys.argv[2]), sizes=(32, 64), side=32, workers=2)
"""


def children(process: int) -> list[Path]:
    """What /proc, where there is one, tells of a process's children."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [Path(f"/proc/{child}/status") for child in listed.read_text().split()] if listed.exists() else []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos in two folders and a broken one."""
    root = tmp_path_factory.mktemp("many") / "photos"
    for number in range(60):
        save(root / ("a" if number % 2 else "b.c") / f"{number}.png", photo(64, 96, number, 2 * number))
    (root / "a" / "broken.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def expected(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The pack of a run that nothing happens to."""
    pack = tmp_path_factory.mktemp("expected")
    prepare(many, pack, sizes=(32, 64), side=32)
    return content(pack)


@pytest.mark.slow
def test_the_pack_is_the_same_whatever_the_number_of_workers(
    many: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    report = prepare(many, tmp_path / "pack", sizes=(32, 64), side=32, workers=3)
    assert content(tmp_path / "pack") == expected
    assert set(report.skipped) == {"a/broken.jpg"}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_stopped_again_and_again_gives_the_pack_of_an_uninterrupted_one(
    many: Path, expected: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    seen: list[int] = []

    def stop(done: int, _: int) -> None:
        seen.append(done)
        if done in (7, 20, 41) and seen.count(done) == 1:
            raise InterruptedRunError("stop")

    for _ in range(3):
        with pytest.raises(InterruptedRunError):
            prepare(many, tmp_path, sizes=(32, 64), side=32, progress=stop, workers=workers)
        assert MANIFEST not in content(tmp_path)
    prepare(many, tmp_path, sizes=(32, 64), side=32, progress=stop, workers=workers)
    assert content(tmp_path) == expected
    assert seen == [*range(8), *range(7, 21), *range(20, 42), *range(41, 62)]  # nothing is done twice


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(many: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(many), str(tmp_path)]
    with subprocess.Popen(command) as process:
        part = tmp_path / (SQUARES + ".part")
        while not part.exists() or part.stat().st_size < 20 * 32 * 32 * 3:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
    while any(path.exists() and "zombie" not in path.read_text() for path in workers):
        time.sleep(0.05)  # they end with the process that they worked for
    first: list[int] = []
    prepare(many, tmp_path, sizes=(32, 64), side=32, progress=lambda done, _: first.append(done))
    assert first[0] > 0
    assert content(tmp_path) == expected


@pytest.mark.slow
def test_other_settings_begin_anew(many: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 9:
            raise InterruptedRunError("stop")

    with pytest.raises(InterruptedRunError):
        prepare(many, tmp_path, sizes=(32,), side=32, progress=stop)
    prepare(many, tmp_path, sizes=(32, 64), side=32)
    assert content(tmp_path) == expected


@pytest.mark.slow
def test_a_journal_that_is_none_is_begun_anew(many: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "unfinished.sqlite").write_bytes(b"no database at all" * 100)
    (tmp_path / (SQUARES + ".part")).write_bytes(b"left over")
    prepare(many, tmp_path, sizes=(32, 64), side=32)
    assert content(tmp_path) == expected


def test_photos_lie_folder_by_folder(many: Path, expected: dict[str, bytes]) -> None:
    names = [photo["name"] for photo in json.loads(expected[MANIFEST])["photos"]]
    assert names == [path.as_posix() for path in sorted(map(Path, names))]


def test_no_worker_at_all_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers is 0; it must be 1 or more"):
        prepare(tree, tmp_path / "pack", workers=0)


@pytest.mark.slow
def test_two_runs_at_once_in_one_folder_are_refused(
    many: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    def second(done: int, _: int) -> None:
        if done == 5:
            with pytest.raises(ConfigError, match="perhaps another run is at work"):
                prepare(many, tmp_path, sizes=(32, 64), side=32)

    prepare(many, tmp_path, sizes=(32, 64), side=32, progress=second)
    assert content(tmp_path) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no text")
def test_names_that_are_no_text_are_packed(tmp_path: Path) -> None:
    data = save(tmp_path / "p.png", photo(32, 32)).read_bytes()
    (tmp_path / "photos").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/\xff.png")).write_bytes(data)
    prepare(tmp_path / "photos", tmp_path / "pack", sizes=(32,), side=32)
    assert [photo["name"] for photo in manifest(tmp_path / "pack")["photos"]] == ["\udcff.png"]
