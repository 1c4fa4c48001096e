"""cli/: every command as users meet it, its exit status, what it writes, and how it fails."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caesura
from caesura import cli, container, metrics, model
from caesura.bench.codecs import OTHERS
from train_helpers import names, photo, save

Pixels = NDArray[np.uint8]

TINY_TOML = """
[network]
latent_channels = 8

[loss]
betas = [100, 200]

[train]
steps = 3
batch = 2
crop = 16
precision = "32-true"
"""

# Runs the command line in a process where a library cannot be imported.
WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = sys.argv.pop(1)
sys.meta_path.insert(0, Blocker())
from caesura.cli import main
main()
"""

# Runs the command line, then says which of the heavy libraries were imported.
IMPORTED = """
import sys
from caesura.cli import main
try:
    main()
finally:
    print(*sorted({"numpy", "onnxruntime", "PIL", "torch"} & set(sys.modules)), file=sys.stderr)
"""


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def run(*arguments: object) -> Outcome:
    """The command line in this process. An exception that it lets through fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["caesura", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
    return Outcome(status, out.getvalue(), err.getvalue())


def process(*arguments: object, program: str | None = None) -> Outcome:
    """`python -m caesura.cli`, or a program that calls it, in a process of its own."""
    start = ["-m", "caesura.cli"] if program is None else ["-c", program]
    command = [sys.executable, *start, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def succeeded(outcome: Outcome) -> str:
    """What a command printed that must have gone well."""
    assert outcome.status == 0, outcome.err
    return outcome.out


def complaint(outcome: Outcome) -> str:
    """The one line on stderr of a command that must have failed with an error of ours."""
    (line,) = outcome.err.splitlines()
    assert outcome.status == 1
    assert line.startswith("caesura: ")
    return line


def drawn(height: int, width: int) -> Pixels:
    """uint8 (height, width, 3): a slope, a disc and a bar."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    disc = (y - 0.3) ** 2 + (x - 0.4) ** 2 < 0.04
    bar = np.abs(y + x - 0.9) < 0.06
    layers = [200 * x + 30 * disc, 120 + 90 * y - 80 * disc, np.where(bar, 220, 60 + 80 * x * y)]
    return np.stack(layers, axis=2).astype(np.uint8)


def coded(path: Path, pixels: Pixels, quality: float = 60) -> Path:
    """A .cae file."""
    path.write_bytes(caesura.encode(pixels, quality=quality))
    return path


def opened(path: Path) -> Pixels:
    """A picture file's pixels."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder tree, hidden files too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def strict_json(text: str) -> Any:
    """Parse JSON as its specification has it: Python alone knows Infinity and NaN."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A drawn PNG in a folder of its own."""
    return save(tmp_path / "in" / "picture.png", drawn(40, 56))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The same picture as .cae, in another folder."""
    folder = tmp_path / "coded"
    folder.mkdir()
    return coded(folder / "picture.cae", drawn(40, 56))


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


@pytest.mark.parametrize("command", ["train", "export"])
def test_training_without_torch_says_what_to_install(command: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY_TOML)
    arguments: dict[str, list[object]] = {
        "train": ["--config", tmp_path / "tiny.toml", "--data", tmp_path, "--out", tmp_path / "run"],
        "export": [tmp_path, "tiny"],
    }
    outcome = process("torch", command, *arguments[command], program=WITHOUT)
    assert complaint(outcome) == "caesura: torch is not installed; pip install 'caesura[train]'"


@pytest.mark.parametrize("library", ["bjontegaard", "imagecodecs", "matplotlib"])
def test_eval_without_the_extra_says_what_to_install(library: str, picture: Path, tmp_path: Path) -> None:
    arguments = [picture.parent, "--report", tmp_path / "report", "--qualities", "50"]
    outcome = process(library, "eval", *arguments, program=WITHOUT)
    last = outcome.err.splitlines()[-1]
    assert outcome.status == 1
    assert last == f"caesura: {library} is not installed; pip install 'caesura[bench]'"


# encode


def test_encode_writes_beside_the_picture_what_the_library_makes(picture: Path) -> None:
    out = succeeded(run("encode", picture))
    data = picture.with_suffix(".cae").read_bytes()
    assert data == caesura.encode(drawn(40, 56), quality=60)
    assert f"{len(data)} bytes" in out
    assert f"{metrics.bits_per_pixel(len(data), 56, 40):.3f} bpp" in out


def test_encode_takes_a_quality_with_decimals_and_makes_the_outputs_folder(
    picture: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "deep" / "small.cae"
    succeeded(run("encode", picture, "-q", 12.34, "-o", target))
    assert target.read_bytes() == caesura.encode(drawn(40, 56), quality=12.34)
    assert caesura.read_header(target.read_bytes()).quality == 1234


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
    assert "'nothing' is not known; known: cae2017" in line
    assert list(files(picture.parent)) == ["picture.png"]


def test_a_model_may_be_given_as_a_folder(picture: Path, shipped: Path) -> None:
    succeeded(run("encode", picture, "--model", shipped))
    assert picture.with_suffix(".cae").read_bytes() == caesura.encode(drawn(40, 56))


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


def test_info_shows_what_the_header_says(file: Path) -> None:
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
        "model": f"{model.load().id:08x} (cae2017)",
    }


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
    path.write_bytes(container.write(container.Header(0x1234ABCD, 3, 5000, 640, 480), b"latents"))
    assert "1234abcd (not installed)" in succeeded(run("info", path))
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


def test_models_lists_what_is_shipped_with_its_licence(shipped: Path) -> None:
    out = succeeded(run("models"))
    assert f"cae2017  id {model.load().id:08x}" in out
    assert str(shipped) in out
    assert f"licence: {model.load().manifest['licence']}" in out


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


# eval


class Report(NamedTuple):
    """A folder of pictures evaluated, and the folder of the report."""

    pictures: dict[str, Pixels]
    folder: Path
    results: dict[str, Any]
    out: str


def evaluated(root: Path, pictures: dict[str, Pixels], *options: object) -> Report:
    """Pictures measured without other codecs."""
    for name, pixels in pictures.items():
        save(root / "pictures" / name, pixels)
    arguments = ["--report", root / "report", "--qualities", "20,80", "--no-others", *options]
    out = succeeded(run("eval", root / "pictures", *arguments))
    results = strict_json((root / "report" / "results.json").read_text())
    return Report(pictures, root / "report", results, out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two pictures, one of them too small for MS-SSIM."""
    pictures = {"large.png": drawn(176, 168), "small.png": drawn(40, 56)}
    return evaluated(tmp_path_factory.mktemp("whole"), pictures)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two pictures, one of them no multiple of the crops."""
    pictures = {"even.png": drawn(64, 64), "odd.png": drawn(33, 50)}
    return evaluated(tmp_path_factory.mktemp("crops"), pictures, "--crop", 32)


def test_eval_measures_real_files(whole: Report) -> None:
    assert len(whole.results["points"]) == 4
    for point in whole.results["points"]:
        pixels = whole.pictures[point["picture"]]
        data = caesura.encode(pixels, quality=point["setting"])
        decoded = caesura.decode_array(data)
        height, width, _ = pixels.shape
        assert point["codec"] == "caesura cae2017"
        assert point["bytes"] == len(data)
        assert point["bpp"] == metrics.bits_per_pixel(len(data), width, height)
        assert point["psnr"] == metrics.psnr(pixels, decoded)
        large = point["picture"] == "large.png"
        assert point["ms_ssim"] == (metrics.ms_ssim(pixels, decoded) if large else None)
        assert point["encode_seconds"] > 0
        assert point["decode_seconds"] > 0


def test_eval_by_crops_codes_each_crop_on_its_own(crops: Report) -> None:
    for point in crops.results["points"]:
        pixels = crops.pictures[point["picture"]]
        decoded, size = np.empty_like(pixels), 0
        for top in range(0, pixels.shape[0], 32):
            for left in range(0, pixels.shape[1], 32):
                part = (slice(top, top + 32), slice(left, left + 32))
                data = caesura.encode(np.ascontiguousarray(pixels[part]), quality=point["setting"])
                decoded[part] = caesura.decode_array(data)
                size += len(data)
        assert point["codec"] == "caesura cae2017, 32 px crops"
        assert point["bytes"] == size
        assert point["psnr"] == metrics.psnr(pixels, decoded)


@pytest.mark.parametrize("kind", ["whole", "crops"])
def test_eval_reports_means_as_json_table_and_plot(kind: str, request: pytest.FixtureRequest) -> None:
    report: Report = request.getfixturevalue(kind)
    (curve,) = report.results["curves"]
    table = (report.folder / "table.md").read_text()
    assert [sample["setting"] for sample in curve["samples"]] == [20, 80]
    for sample in curve["samples"]:
        points = [p for p in report.results["points"] if p["setting"] == sample["setting"]]
        for figure in ("bpp", "psnr", "encode_seconds", "decode_seconds"):
            assert sample[figure] == pytest.approx(sum(p[figure] for p in points) / 2)
        assert sample["ms_ssim"] is None  # one picture is too small for it
        row = f"| {curve['codec']} | {sample['setting']:g} | {sample['bpp']:.4f} | {sample['psnr']:.3f} |"
        assert row in table
        assert row in report.out
    with Image.open(report.folder / "rd.png") as plot:
        plot.load()
        assert plot.format == "PNG"
    assert sorted(files(report.folder)) == ["pictures.csv", "rd.png", "results.json", "table.md"]


def test_eval_sets_other_codecs_and_published_curves_beside_ours(tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "photo.png", photo(128, 128))
    points = [{"bpp": rate, "psnr": 24 + 6 * np.log2(1 + rate)} for rate in (0.2, 0.5, 1, 2, 4)]
    (tmp_path / "known.json").write_text(json.dumps({"known": {"source": "a paper", "points": points}}))
    arguments = ["-r", tmp_path / "report", "--qualities", "1,40,80", "--reference", tmp_path / "known.json"]
    out = succeeded(run("eval", tmp_path / "pictures", *arguments))
    head = out[: out.index("| codec | setting |")]
    for name in ("caesura cae2017", *(c.name for c in OTHERS[1:]), "known (published)"):
        assert f"| {name} | " in head
    results = strict_json((tmp_path / "report" / "results.json").read_text())
    ladders = {curve["codec"]: len(curve["samples"]) for curve in results["curves"]}
    assert ladders == {"caesura cae2017": 3} | {c.name: len(c.settings) for c in OTHERS}


@pytest.mark.parametrize("shape", [(40, 56), (8, 8)])
def test_eval_measures_other_codecs_on_pictures_of_any_size(shape: tuple[int, int], tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "small.png", drawn(*shape))
    succeeded(run("eval", tmp_path / "pictures", "-r", tmp_path / "report", "--qualities", "20,80"))
    assert (tmp_path / "report" / "rd.png").is_file()


def test_eval_measures_a_picture_that_other_codecs_keep_exactly(tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "white.png", np.full((64, 64, 3), 255, np.uint8))
    succeeded(run("eval", tmp_path / "pictures", "-r", tmp_path / "report", "--qualities", "20,80"))
    assert strict_json((tmp_path / "report" / "results.json").read_text())["points"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--qualities", "20,high"], "qualities is '20,high'; numbers separated by commas are allowed"),
        (["--qualities", "20,101"], "quality is 101"),
        (["--model", "nothing"], "'nothing' is not known"),
        (["--reference", "missing.json"], "missing.json is not a file of published points"),
    ],
)
def test_eval_refuses_settings_that_cannot_be_used(
    options: list[str], said: str, picture: Path, tmp_path: Path
) -> None:
    line = complaint(run("eval", picture.parent, "-r", tmp_path / "report", "--no-others", *options))
    assert said in line


def test_eval_of_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    for folder in (tmp_path, tmp_path / "missing"):
        line = complaint(run("eval", folder, "-r", tmp_path / "report"))
        assert f"{folder} holds no pictures" in line


def test_eval_names_a_picture_that_cannot_be_read(picture: Path, tmp_path: Path) -> None:
    bad = picture.with_name("bad.png")
    bad.write_bytes(b"no picture")
    line = complaint(run("eval", picture.parent, "-r", tmp_path / "report", "--no-others"))
    assert str(bad) in line


# data prepare, train, export, encode --model: a model of one's own from photos to files


class Trained(NamedTuple):
    """A tiny model made by the command line alone, and what each command said."""

    config: Path
    pack: Path
    run: Path
    models: Path
    prepared: str
    trained: str
    exported: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")
    for number, name in enumerate(names(3) + names(1, validation=True)):
        save(root / "photos" / name, photo(64, 64, 50 * number, 70 * number))
    (root / "photos" / "broken.jpg").write_bytes(b"no picture")
    config, pack, folder, models = root / "tiny.toml", root / "pack", root / "run", root / "models"
    config.write_text(TINY_TOML)
    prepared = run("data", "prepare", root / "photos", pack, "--native", "--side", 32)
    train = ["train", "--config", config, "--data", pack, "--out", folder, "--accelerator", "cpu"]
    trained = succeeded(run(*train))
    about = ["--licence", "CC0-1.0", "--data", "an astronaut"]
    exported = succeeded(run("export", folder, "tiny", "--out", models, *about))
    assert prepared.status == 0
    return Trained(config, pack, folder, models, prepared.out + prepared.err, trained, exported)


@pytest.fixture
def own_models(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny model is found by name."""
    monkeypatch.setenv("CAESURA_MODELS", str(trained.models))
    return


def train_arguments(trained: Trained, **changes: object) -> list[object]:
    """`train` as it was run, with options replaced."""
    options = {"config": trained.config, "data": trained.pack, "out": trained.run, "accelerator": "cpu"}
    return ["train", *(part for name, value in (options | changes).items() for part in (f"--{name}", value))]


def test_prepare_train_and_export_say_what_they_made(trained: Trained) -> None:
    assert "12 squares to train on, 4 held out" in trained.prepared
    assert "skipped broken.jpg: unreadable" in trained.prepared
    assert f"trained: {trained.run / 'checkpoints' / '000003'}" in trained.trained.replace("\n", "")
    assert f"exported: {trained.models / 'tiny'}" in trained.exported
    assert sorted(files(trained.models / "tiny")) == sorted([*model.FILES, model.MANIFEST])
    assert [path.name for path in trained.models.iterdir()] == ["tiny"]


@pytest.mark.usefixtures("own_models")
def test_a_model_of_ones_own_codes_and_decodes_by_name(picture: Path, tmp_path: Path) -> None:
    sizes, psnrs = [], []
    for quality in (1, 100):
        file = tmp_path / f"{quality}.cae"
        succeeded(run("encode", picture, "--model", "tiny", "-q", quality, "-o", file))
        succeeded(run("decode", file))
        assert "(tiny)" in succeeded(run("info", file))
        sizes.append(file.stat().st_size)
        psnrs.append(metrics.psnr(drawn(40, 56), opened(file.with_suffix(".png"))))
    assert sizes[0] < sizes[1]
    assert min(psnrs) > 15


@pytest.mark.usefixtures("own_models")
def test_models_shows_licence_and_data_as_exported(trained: Trained) -> None:
    out = succeeded(run("models"))
    assert str(trained.models / "tiny") in out
    assert "licence: CC0-1.0" in out
    assert "data: an astronaut" in out


def test_a_file_of_a_model_that_went_away_names_it(
    picture: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded(run("encode", picture, "--model", trained.models / "tiny", "-o", tmp_path / "own.cae"))
    file = tmp_path / "own.cae"
    code = f"{caesura.read_header(file.read_bytes()).model_id:08x}"
    assert f"coded with model {code}, which is not here" in complaint(run("decode", file))
    monkeypatch.setenv("CAESURA_MODELS", str(trained.models))
    succeeded(run("decode", file))


def test_export_refuses_a_name_that_is_no_folders(trained: Trained, tmp_path: Path) -> None:
    line = complaint(run("export", trained.run, "../tiny", "--out", tmp_path / "models"))
    assert "name is '../tiny'" in line
    assert files(tmp_path) == {}


def test_export_of_nothing_is_refused(tmp_path: Path) -> None:
    line = complaint(run("export", tmp_path, "tiny", "--out", tmp_path / "models"))
    assert str(tmp_path) in line
    assert files(tmp_path) == {}


def test_a_run_that_is_there_is_resumed_only_when_asked(trained: Trained) -> None:
    before = files(trained.run / "checkpoints")
    line = complaint(run(*train_arguments(trained)))
    assert "resume it or name another folder" in line
    succeeded(run(*train_arguments(trained), "--resume"))
    assert files(trained.run / "checkpoints") == before


def test_train_without_its_config_file_says_so(trained: Trained, tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    line = complaint(run(*train_arguments(trained, config=missing, out=tmp_path / "run")))
    assert f"config {missing} cannot be read" in line
    assert files(tmp_path) == {}


def test_train_without_the_option_is_a_usage_error(tmp_path: Path) -> None:
    outcome = run("train", "--data", tmp_path, "--out", tmp_path / "run")
    assert outcome.status == 2
    assert "config" in outcome.err


def test_train_names_a_setting_that_cannot_be_used(trained: Trained, tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(TINY_TOML.replace("crop = 16", "crop = 17"))
    line = complaint(run(*train_arguments(trained, config=config, out=tmp_path / "run")))
    assert "train.crop is 17; it must be a positive multiple of 8" in line


def test_train_without_a_pack_says_so(trained: Trained, tmp_path: Path) -> None:
    line = complaint(run(*train_arguments(trained, data=tmp_path / "nothing", out=tmp_path / "run")))
    assert str(tmp_path / "nothing") in line


def test_train_from_weights_that_do_not_fit_is_one_line(trained: Trained, tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text(TINY_TOML.replace("latent_channels = 8", "latent_channels = 4"))
    changes: dict[str, object] = {"config": config, "out": tmp_path / "run", "from": trained.run}
    line = complaint(run(*train_arguments(trained, **changes)))
    assert f"start {trained.run} does not fit the configured network" in line


@pytest.mark.parametrize(
    "options", [["--sizes", "32,big"], ["--sizes", "16", "--side", "32"], ["--side", "4"]]
)
def test_prepare_refuses_settings_that_cannot_be_used(options: list[str], tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png", photo(64, 64))
    complaint(run("data", "prepare", tmp_path / "photos", tmp_path / "pack", *options))
    assert not (tmp_path / "pack").exists()


def test_prepare_of_a_folder_without_photos_says_so(tmp_path: Path) -> None:
    line = complaint(run("data", "prepare", tmp_path, tmp_path / "pack"))
    assert f"source {tmp_path} holds no photos" in line
