"""cli/code.py: every command that codes pictures, its exit status, what it writes, and how it fails."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import metrics
from caesura.models import bundle, ladder
from cli_helpers import (
    IMPORTED,
    complaint,
    drawn,
    files,
    opened,
    process,
    run,
    succeeded,
)
from train_helpers import photo, save

# In a process of its own: exit status and stderr as a shell sees them.


@pytest.mark.slow
def test_a_shell_codes_a_picture_and_decodes_it(picture: Path, tmp_path: Path) -> None:
    encoded = process("encode", picture, "-q", 90)
    decoded = process("decode", picture.with_suffix(".cae"), "-o", tmp_path / "back.png")
    assert (encoded.status, encoded.err) == (0, "")
    assert (decoded.status, decoded.err) == (0, "")
    data = caesura.encode(drawn(40, 56), quality=90)
    assert picture.with_suffix(".cae").read_bytes() == data
    assert np.array_equal(opened(tmp_path / "back.png"), caesura.decode_array(data))


@pytest.mark.slow
def test_a_shell_gets_one_line_and_status_1_when_something_is_wrong(tmp_path: Path) -> None:
    missing = tmp_path / "missing.cae"
    outcome = process("info", missing)
    assert complaint(outcome) == f"caesura: {missing}: No such file or directory"
    assert outcome.out == ""


@pytest.mark.slow
def test_a_shell_gets_status_2_when_an_option_is_out_of_range(picture: Path) -> None:
    outcome = process("encode", picture, "--quality", 0)
    assert outcome.status == 2
    assert "quality" in outcome.err
    assert "Traceback" not in outcome.err
    assert list(files(picture.parent)) == ["picture.png"]


@pytest.mark.slow
def test_info_starts_without_numpy_pillow_onnxruntime_and_torch(file: Path) -> None:
    outcome = process("info", file, program=IMPORTED)
    assert outcome.status == 0
    assert "width" in outcome.out
    assert outcome.err.strip() == ""


# encode


def test_hidden_colours_are_kept_on_request(tmp_path: Path) -> None:
    clear = np.dstack([drawn(40, 56), np.zeros((40, 56), np.uint8)])
    source, exactly, plain = (tmp_path / name for name in ("a.png", "exactly.cae", "plain.cae"))
    Image.fromarray(clear).save(source)
    succeeded(run("encode", source, "-o", exactly, "--exact"))
    assert exactly.read_bytes() == caesura.encode(clear, exact=True)
    succeeded(run("encode", source, "-o", plain))
    assert plain.read_bytes() == caesura.encode(clear)
    assert len(plain.read_bytes()) < len(exactly.read_bytes())


def test_encode_writes_beside_the_picture_what_the_library_makes(picture: Path) -> None:
    out = succeeded(run("encode", picture))
    data = picture.with_suffix(".cae").read_bytes()
    assert data == caesura.encode(drawn(40, 56), quality=50, model="photo")
    assert f"{len(data)} bytes" in out
    assert f"{metrics.bits_per_pixel(len(data), 56, 40):.3f} bpp" in out


def test_encode_takes_a_quality_with_decimals_and_makes_the_outputs_folder(
    picture: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "deep" / "small.cae"
    succeeded(run("encode", picture, "-q", 12.34, "-o", target))
    assert target.read_bytes() == caesura.encode(drawn(40, 56), quality=12.34)
    expected = ladder.position_of(12.34, bundle.load().quality_scale)
    assert caesura.read_header(target.read_bytes()).ladder_position == expected


def test_encode_takes_an_effort(picture: Path) -> None:
    succeeded(run("encode", picture, "-e", 1))
    assert picture.with_suffix(".cae").read_bytes() == caesura.encode(drawn(40, 56), effort=1)


@pytest.mark.parametrize("effort", ["0", "10", "2.5", "most"])
def test_an_effort_out_of_range_is_refused(effort: str, picture: Path) -> None:
    outcome = run("encode", picture, f"--effort={effort}")
    assert outcome.status == 2
    assert "effort" in outcome.err
    assert list(files(picture.parent)) == ["picture.png"]


def test_encode_takes_several_pictures_of_several_formats(tmp_path: Path) -> None:
    pictures = [
        save(tmp_path / "a.png", drawn(16, 24)),
        save(tmp_path / "b.bmp", drawn(9, 8)),
        save(tmp_path / "c.jpg", drawn(40, 40)),
    ]
    out = succeeded(run("encode", *pictures))
    assert len(out.splitlines()) == 3
    for path in pictures:
        with Image.open(path) as picture:
            assert path.with_suffix(".cae").read_bytes() == caesura.encode(picture)


@pytest.mark.parametrize("made", [True, False])
def test_encode_writes_several_pictures_into_a_folder(made: bool, tmp_path: Path) -> None:
    pictures = [save(tmp_path / "in" / name, drawn(16, 24)) for name in ("a.png", "b.png")]
    if made:
        (tmp_path / "out").mkdir()
    succeeded(run("encode", *pictures, "-o", tmp_path / "out"))
    assert list(files(tmp_path / "out")) == ["a.cae", "b.cae"]
    assert list(files(tmp_path / "in")) == ["a.png", "b.png"]


def test_encode_writes_one_picture_into_a_folder_that_is_there(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    succeeded(run("encode", picture, "-o", tmp_path / "out"))
    assert list(files(tmp_path / "out")) == ["picture.cae"]


def test_several_pictures_do_not_go_into_one_file(tmp_path: Path) -> None:
    pictures = [save(tmp_path / name, drawn(16, 24)) for name in ("a.png", "b.png")]
    target = tmp_path / "all.cae"
    target.write_bytes(b"kept")
    before = files(tmp_path)
    line = complaint(run("encode", *pictures, "-o", target, "--force"))
    assert "2 inputs need a folder" in line
    assert files(tmp_path) == before


def test_two_inputs_with_one_target_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    pictures = [save(tmp_path / folder / "a.png", drawn(16, 24)) for folder in ("one", "two")]
    before = files(tmp_path)
    line = complaint(run("encode", *pictures, "-o", tmp_path / "out"))
    assert "a.png.cae would be written twice" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize("output", [[], ["-o", "out"]])
def test_two_inputs_that_differ_in_their_extension_keep_it(output: list[str], tmp_path: Path) -> None:
    pictures = [save(tmp_path / name, drawn(16, 24)) for name in ("a.png", "a.bmp", "a.png.webp", "b.png")]
    out = tmp_path / output[-1] if output else tmp_path
    succeeded(run("encode", *pictures, *(["-o", out] if output else [])))
    made = ["a.bmp.cae", "a.png.cae", "a.png.webp.cae", "b.cae"]
    assert sorted(path.name for path in out.glob("*.cae")) == made


def test_what_is_there_already_is_kept_unless_forced(picture: Path) -> None:
    target = picture.with_suffix(".cae")
    target.write_bytes(b"kept")
    line = complaint(run("encode", picture))
    assert "is there already; --force replaces it" in line
    assert target.read_bytes() == b"kept"
    succeeded(run("encode", picture, "--force"))
    assert target.read_bytes() == caesura.encode(drawn(40, 56))
    assert sorted(files(picture.parent)) == ["picture.cae", "picture.png"]


def test_a_folder_in_the_targets_place_is_kept_even_when_forced(picture: Path) -> None:
    picture.with_suffix(".cae").mkdir()
    complaint(run("encode", picture, "--force"))
    assert list(files(picture.parent)) == ["picture.png"]
    assert picture.with_suffix(".cae").is_dir()


@pytest.mark.parametrize("content", [b"", b"no picture", "cut png", "cut jpg"])
def test_a_bad_picture_leaves_no_file_behind(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    if isinstance(content, str):
        whole = io.BytesIO()
        Image.fromarray(photo(64, 64)).save(whole, {"png": "PNG", "jpg": "JPEG"}[content.split()[1]])
        content = whole.getvalue()[: len(whole.getvalue()) // 2]
    path.write_bytes(content)
    before = files(tmp_path)
    assert str(path) in complaint(run("encode", path))
    assert files(tmp_path) == before


def test_a_damaged_avif_is_reported_like_any_bad_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "bad.avif", photo(64, 64))
    path.write_bytes(path.read_bytes().replace(b"pitm", b"lost"))
    assert str(path) in complaint(run("encode", path))
    assert list(files(tmp_path)) == ["bad.avif"]


@pytest.mark.parametrize("name", ["missing.png", "folder"])
def test_what_is_no_file_is_reported(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert str(tmp_path / name) in complaint(run("encode", tmp_path / name))
    assert files(tmp_path) == {}


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_instead_of_a_file_is_reported(command: str, folder: str) -> None:
    complaint(run(command, folder))


def test_a_picture_that_cannot_be_coded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "print.tiff"
    Image.new("CMYK", (16, 16), (200, 100, 0, 128)).save(path)
    line = complaint(run("encode", path))
    assert str(path) in line
    assert "mode CMYK" in line
    assert list(files(tmp_path)) == ["print.tiff"]


def test_one_bad_input_is_reported_and_the_rest_go_on(tmp_path: Path) -> None:
    good = [save(tmp_path / name, drawn(16, 24)) for name in ("a.png", "c.png")]
    (tmp_path / "b.png").write_bytes(b"no picture")
    outcome = run("encode", good[0], tmp_path / "b.png", tmp_path / "missing.png", good[1])
    assert outcome.status == 1
    assert len(outcome.out.splitlines()) == 2
    first, second = outcome.err.splitlines()
    assert first.startswith(f"caesura: {tmp_path / 'b.png'}")
    assert second.startswith(f"caesura: {tmp_path / 'missing.png'}")
    assert sorted(files(tmp_path)) == ["a.cae", "a.png", "b.png", "c.cae", "c.png"]


@pytest.mark.parametrize("quality", ["0.99", "100.01", "-5", "nan", "inf", "good"])
def test_a_quality_out_of_range_is_refused(quality: str, picture: Path) -> None:
    outcome = run("encode", picture, f"--quality={quality}")
    assert outcome.status == 2
    assert "quality" in outcome.err
    assert list(files(picture.parent)) == ["picture.png"]


@pytest.mark.parametrize("quality", [1, 100])
def test_the_ends_of_the_quality_scale_are_allowed(quality: int, picture: Path) -> None:
    succeeded(run("encode", picture, "--quality", quality))
    assert caesura.read_header(picture.with_suffix(".cae").read_bytes()).ladder_position == 100 * quality


def test_an_unknown_model_is_named_beside_the_known(picture: Path) -> None:
    line = complaint(run("encode", picture, "--model", "nothing"))
    assert "'nothing' is not known; known: cae2017, photo, photo-psnr" in line
    assert list(files(picture.parent)) == ["picture.png"]


def test_a_model_may_be_given_by_name_and_as_a_folder(picture: Path, shipped: Path) -> None:
    for named in ("cae2017", shipped):
        succeeded(run("encode", picture, "--model", named, "--force"))
        data = picture.with_suffix(".cae").read_bytes()
        assert data == caesura.encode(drawn(40, 56), model="cae2017")
