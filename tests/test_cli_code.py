"""cli/code.py: every command that codes pictures, its exit status, what it writes, and how it fails."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import container, metrics, model, rate
from caesura.container import Payload
from cli_helpers import (
    IMPORTED,
    Pixels,
    coded,
    complaint,
    drawn,
    files,
    opened,
    process,
    run,
    strict_json,
    succeeded,
)
from train_helpers import photo, save

# In a process of its own: exit status and stderr as a shell sees them.


def test_a_shell_codes_a_picture_and_decodes_it(picture: Path, tmp_path: Path) -> None:
    encoded = process("encode", picture, "-q", 90)
    decoded = process("decode", picture.with_suffix(".cae"), "-o", tmp_path / "back.png")
    assert (encoded.status, encoded.err) == (0, "")
    assert (decoded.status, decoded.err) == (0, "")
    data = caesura.encode(drawn(40, 56), quality=90)
    assert picture.with_suffix(".cae").read_bytes() == data
    assert np.array_equal(opened(tmp_path / "back.png"), caesura.decode_array(data))


def test_a_shell_gets_one_line_and_status_1_when_something_is_wrong(tmp_path: Path) -> None:
    missing = tmp_path / "missing.cae"
    outcome = process("info", missing)
    assert complaint(outcome) == f"caesura: {missing}: No such file or directory"
    assert outcome.out == ""


def test_a_shell_gets_status_2_when_an_option_is_out_of_range(picture: Path) -> None:
    outcome = process("encode", picture, "--quality", 0)
    assert outcome.status == 2
    assert "quality" in outcome.err
    assert "Traceback" not in outcome.err
    assert list(files(picture.parent)) == ["picture.png"]


def test_info_starts_without_numpy_pillow_onnxruntime_and_torch(file: Path) -> None:
    outcome = process("info", file, program=IMPORTED)
    assert outcome.status == 0
    assert "width" in outcome.out
    assert outcome.err.strip() == ""


# encode


def test_encode_writes_beside_the_picture_what_the_library_makes(picture: Path) -> None:
    out = succeeded(run("encode", picture))
    data = picture.with_suffix(".cae").read_bytes()
    assert data == caesura.encode(drawn(40, 56), quality=50, model="fast")
    assert f"{len(data)} bytes" in out
    assert f"{metrics.bits_per_pixel(len(data), 56, 40):.3f} bpp" in out


def test_encode_takes_a_quality_with_decimals_and_makes_the_outputs_folder(
    picture: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "deep" / "small.cae"
    succeeded(run("encode", picture, "-q", 12.34, "-o", target))
    assert target.read_bytes() == caesura.encode(drawn(40, 56), quality=12.34)
    expected = rate.quality_code(12.34, model.load().quality_scale)
    assert caesura.read_header(target.read_bytes()).quality == expected


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


@pytest.mark.parametrize("output", [[], ["-o", "out"]])
def test_two_inputs_with_one_target_are_refused_before_anything_is_written(
    output: list[str], tmp_path: Path
) -> None:
    folders = ("", "") if not output else ("one", "two")
    pictures = [
        save(tmp_path / folder / name, drawn(16, 24))
        for folder, name in zip(folders, ("a.png", "a.bmp"), strict=True)
    ]
    before = files(tmp_path)
    line = complaint(run("encode", *pictures, *(str(tmp_path / o) if o == "out" else o for o in output)))
    assert "a.cae would be written twice" in line
    assert files(tmp_path) == before


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
    path = tmp_path / "glass.png"
    Image.new("RGBA", (16, 16), (200, 100, 0, 128)).save(path)
    line = complaint(run("encode", path))
    assert str(path) in line
    assert "transparency" in line
    assert list(files(tmp_path)) == ["glass.png"]


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
    assert caesura.read_header(picture.with_suffix(".cae").read_bytes()).quality == 100 * quality


def test_an_unknown_model_is_named_beside_the_known(picture: Path) -> None:
    line = complaint(run("encode", picture, "--model", "nothing"))
    assert "'nothing' is not known; known: cae2017, fast" in line
    assert list(files(picture.parent)) == ["picture.png"]


def test_a_model_may_be_given_by_name_and_as_a_folder(picture: Path, shipped: Path) -> None:
    for named in ("cae2017", shipped):
        succeeded(run("encode", picture, "--model", named, "--force"))
        data = picture.with_suffix(".cae").read_bytes()
        assert data == caesura.encode(drawn(40, 56), model="cae2017")


# decode


def test_decode_writes_a_png_beside_the_file(file: Path) -> None:
    out = succeeded(run("decode", file))
    assert "56 x 40" in out
    with Image.open(file.with_suffix(".png")) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture), caesura.decode_array(file.read_bytes()))


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.PNG", "PNG"), ("a.tiff", "TIFF")]
)
def test_the_outputs_extension_names_the_format(name: str, kind: str, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / name
    succeeded(run("decode", file, "-o", target))
    with Image.open(target) as picture:
        assert picture.format == kind
        assert metrics.psnr(np.asarray(picture), caesura.decode_array(file.read_bytes())) > 25


def test_a_grey_picture_comes_back_grey(tmp_path: Path) -> None:
    picture = save(tmp_path / "grey.png", drawn(24, 32)[:, :, 1])
    succeeded(run("encode", picture))
    succeeded(run("decode", tmp_path / "grey.cae", "-o", tmp_path / "back.png"))
    with Image.open(tmp_path / "back.png") as back:
        assert back.mode == "L"
        assert back.size == (32, 24)


@pytest.mark.parametrize("name", ["a.xyz", "a.cae"])
def test_an_extension_that_names_no_format_is_refused(name: str, file: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    line = complaint(run("decode", file, "-o", tmp_path / name))
    assert "is not a picture format known here" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["a.xbm", "a.h5"])
def test_a_format_that_cannot_hold_the_picture_is_refused(name: str, file: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    complaint(run("decode", file, "-o", tmp_path / name))
    assert files(tmp_path) == before


def test_a_decoded_picture_is_kept_unless_forced(file: Path) -> None:
    target = file.with_suffix(".png")
    target.write_bytes(b"kept")
    assert "is there already; --force replaces it" in complaint(run("decode", file))
    assert target.read_bytes() == b"kept"
    succeeded(run("decode", file, "-f"))
    assert np.array_equal(opened(target), caesura.decode_array(file.read_bytes()))


@pytest.mark.parametrize("damage", ["cut", "flipped", "png", "empty"])
def test_a_bad_file_leaves_nothing_and_spares_what_was_there(
    damage: str, file: Path, picture: Path, tmp_path: Path
) -> None:
    whole = file.read_bytes()
    changes: dict[str, Callable[[], bytes]] = {
        "cut": lambda: whole[:-1],
        "flipped": lambda: whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:],
        "png": picture.read_bytes,
        "empty": lambda: b"",
    }
    file.write_bytes(changes[damage]())
    (tmp_path / "there.png").write_bytes(b"kept")
    before = files(tmp_path)
    assert str(file) in complaint(run("decode", file))
    complaint(run("decode", file, "-o", tmp_path / "there.png", "--force"))
    assert files(tmp_path) == before


def test_decode_goes_on_after_a_bad_file(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.cae"
    bad.write_bytes(file.read_bytes()[:20])
    outcome = run("decode", bad, file, "-o", tmp_path / "out")
    assert str(bad) in complaint(outcome)
    assert list(files(tmp_path / "out")) == ["picture.png"]


# info


@pytest.mark.parametrize("name", ["cae2017", "fast"])
def test_info_shows_what_the_header_says(tmp_path: Path, name: str) -> None:
    file = coded(tmp_path / "picture.cae", drawn(40, 56), quality=60, model=name)
    lines = dict(line.split(maxsplit=1) for line in succeeded(run("info", file)).splitlines())
    data = file.read_bytes()
    assert lines == {
        "file": str(file),
        "bytes": str(len(data)),
        "width": "56",
        "height": "40",
        "colour": "RGB",
        "bpp": str(round(metrics.bits_per_pixel(len(data), 56, 40), 4)),
        "quality": "60.0",
        "model": f"{model.load(name).id:08x} ({name})",
    }


@pytest.mark.parametrize(("quality", "shown"), [(1, 13.95), (13.95, 13.95), (37.5, 37.5), (100, 62.81)])
def test_info_shows_the_quality_that_was_reached(quality: float, shown: float, tmp_path: Path) -> None:
    file = coded(tmp_path / "picture.cae", drawn(16, 24), quality, "cae2017")
    assert strict_json(succeeded(run("info", file, "--json")))["quality"] == shown


def test_info_gives_the_same_facts_as_json(tmp_path: Path) -> None:
    file = coded(tmp_path / "grey.cae", drawn(17, 9)[:, :, 0], quality=33.25)
    facts = strict_json(succeeded(run("info", file, "--json")))
    header = caesura.read_header(file.read_bytes())
    assert (facts["width"], facts["height"], facts["colour"]) == (9, 17, "grey")
    assert facts["quality"] == 33.25
    assert facts["bytes"] == len(file.read_bytes())
    assert facts["model"].startswith(f"{header.model_id:08x} ")


def test_info_works_for_a_model_that_is_not_here(tmp_path: Path) -> None:
    path = tmp_path / "foreign.cae"
    path.write_bytes(container.write(container.Header(0x1234ABCD, 3, 5000, 640, 480), Payload(b"latents")))
    out = succeeded(run("info", path))
    assert "1234abcd (not installed)" in out
    assert "quality  50.0" in out  # of a scale that is not known: the place on it
    assert "1234abcd" in complaint(run("decode", path))


def test_info_of_what_is_no_cae_file_says_so(picture: Path) -> None:
    assert "a .cae starts with 89 43 41 45" in complaint(run("info", picture))


def test_info_of_a_file_cut_in_its_header_says_so(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:12])
    assert "the file ends within chunk 'H'" in complaint(run("info", file))


# compare


@pytest.mark.parametrize("name", ["coded.cae", "coded.jpg"])
def test_compare_gives_rate_and_quality(name: str, tmp_path: Path, astronaut: Pixels) -> None:
    pixels = np.ascontiguousarray(astronaut[:176, 100:292])
    original, path = save(tmp_path / "original.png", pixels), tmp_path / name
    if name == "coded.cae":
        after = caesura.decode_array(coded(path, pixels).read_bytes())
    else:
        after = opened(save(path, pixels, quality=40))
    facts = strict_json(succeeded(run("compare", original, path, "--json")))
    size = path.stat().st_size
    assert facts == {
        "bytes": size,
        "bpp": metrics.bits_per_pixel(size, 192, 176),
        "psnr": metrics.psnr(pixels, after),
        "ms_ssim": metrics.ms_ssim(pixels, after),
    }
    text = succeeded(run("compare", original, path))
    assert f"{facts['psnr']:.2f} dB" in text
    assert f"{facts['ms_ssim']:.5f}" in text


def test_compare_of_small_pictures_goes_without_ms_ssim(picture: Path, file: Path) -> None:
    facts = strict_json(succeeded(run("compare", picture, file, "--json")))
    assert set(facts) == {"bytes", "bpp", "psnr"}
    assert "needs sides above 160 pixels" in succeeded(run("compare", picture, file))


def test_compare_of_a_picture_with_itself_says_so_in_valid_json(picture: Path) -> None:
    facts = strict_json(succeeded(run("compare", picture, picture, "--json")))
    assert facts["bytes"] == picture.stat().st_size
    assert "PSNR" in succeeded(run("compare", picture, picture))


def test_compare_sets_grey_beside_colour(tmp_path: Path) -> None:
    grey = drawn(40, 56)[:, :, :1]
    original = save(tmp_path / "colour.png", np.repeat(grey, 3, axis=2))
    file = coded(tmp_path / "grey.cae", grey)
    facts = strict_json(succeeded(run("compare", original, file, "--json")))
    assert facts["psnr"] == pytest.approx(metrics.psnr(grey, caesura.decode_array(file.read_bytes())))


@pytest.mark.parametrize("shape", [(40, 57), (200, 300)])
def test_compare_of_sizes_that_differ_is_refused(shape: tuple[int, int], tmp_path: Path, file: Path) -> None:
    line = complaint(run("compare", save(tmp_path / "other.png", drawn(*shape)), file))
    assert "one shape is needed" in line


def test_compare_names_what_cannot_be_read(picture: Path, file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no picture")
    assert str(text) in complaint(run("compare", picture, text))
    assert str(text) in complaint(run("compare", text, file))
    assert str(tmp_path / "missing.cae") in complaint(run("compare", picture, tmp_path / "missing.cae"))


# models, and the command itself


def test_models_lists_what_is_shipped_with_its_licence(shipped: Path, shipped_fast: Path) -> None:
    out = succeeded(run("models"))
    for folder in (shipped, shipped_fast):
        bundle = model.load(folder)
        default = "  (default)" if folder is shipped_fast else ""
        name = f"{folder.name}  id {bundle.id:08x}  {bundle.size / 1e6:.1f} MB  {folder}{default}"
        assert name in out.splitlines()
        assert f"licence: {bundle.manifest['licence']}" in out


def test_models_says_what_a_model_costs_and_which_qualities_it_reaches(
    tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = {"encode": 74.1, "decode": 82.37}
    make_bundle(tmp_path / "mine", work=work, quality_scale=[[10, 1], [62.5, 100]], data=None)
    monkeypatch.setenv("CAESURA_MODELS", str(tmp_path))
    lines = succeeded(run("models")).splitlines()
    facts = lines[1 : next(i for i, line in enumerate(lines) if i and "  id " in line)]
    assert "    work: encode 74.1 kMAC/pixel, decode 82.37 kMAC/pixel" in facts
    assert "    qualities: 10 to 62.5" in facts
    assert not any(fact.startswith("    data:") for fact in facts)  # not told, not shown


def test_models_lists_bundles_that_the_user_names(
    tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(tmp_path / "mine", figures={"kodak bpp": 0.5})
    monkeypatch.setenv("CAESURA_MODELS", str(tmp_path))
    out = succeeded(run("models"))
    assert out.index("mine  id") < out.index("cae2017  id")
    assert "kodak bpp: 0.5" in out


def test_version_prints_the_packages() -> None:
    assert succeeded(run("--version")) == f"caesura {caesura.__version__}\n"


def test_every_command_has_its_help() -> None:
    listed = succeeded(run("--help"))
    for command in ("encode", "decode", "info", "compare", "models", "eval", "train", "export"):
        assert command in listed
        assert command in succeeded(run(command, "--help"))
    assert "prepare" in succeeded(run("data", "--help"))
