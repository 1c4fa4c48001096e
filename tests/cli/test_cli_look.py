"""`caesura info`, `compare`, `models` and the help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

import caesura
from caesura import metrics
from caesura.cli import app
from caesura.format import container
from caesura.format.container import Payload, SegmentData
from caesura.models import bundle
from cli_helpers import (
    Pixels,
    coded,
    complaint,
    drawn,
    opened,
    process,
    run,
    strict_json,
    succeeded,
)
from model_helpers import folder_of
from train_helpers import save

# info


@pytest.mark.parametrize("name", ["cae2017", "photo-psnr"])
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
        "model": f"{bundle.load(name).id:08x} ({name})",
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
    path.write_bytes(
        container.write(
            container.Header(0x1234ABCD, 3, 5000, 10, 640, 480), Payload([SegmentData(b"latents")])
        )
    )
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert f"and {file} 56 x 40; equal sizes are needed" in line


def picture_files(folder: Path) -> dict[str, Path]:
    """A picture as `encode` takes it, in ways that are not opaque RGB of 8 bits."""
    rgb = Image.fromarray(drawn(40, 56))
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 56).astype(np.uint8), (40, 1)))
    grey = rgb.convert("L")
    pictures = {
        "rgba.png": Image.merge("RGBA", (*rgb.split(), alpha)),
        "la.png": Image.merge("LA", (grey, alpha)),
        "sixteen.png": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "ycbcr.tif": rgb.convert("YCbCr"),
        "palette.gif": rgb.quantize(16),
        "frames.gif": rgb.quantize(16),
    }
    made = {}
    for name, picture in pictures.items():
        more = {"save_all": True, "append_images": [rgb.rotate(9)]} if name == "frames.gif" else {}
        made[name] = folder / name
        picture.save(made[name], **more)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["rgba.png", "la.png", "sixteen.png", "ycbcr.tif", "palette.gif", "frames.gif"]
)
def test_compare_takes_what_encode_takes(name: str, tmp_path: Path) -> None:
    original, file = picture_files(tmp_path)[name], tmp_path / "coded.cae"
    quality = 40 if name.endswith(".gif") else 80  # at which few colours would be lossless, without a PSNR
    succeeded(run("encode", original, "-o", file, "-q", quality))
    outcome = run("compare", original, file, "--json")
    assert outcome.status == 0
    facts = strict_json(outcome.out)
    assert facts["psnr"] > 25
    assert facts.get("alpha") == (0 if "a.png" in name or name == "rgba.png" else None)
    told = {"sixteen.png": "the upper 8 of its 16 bits", "frames.gif": "image has 2 frames"}
    assert told.get(name, "") in outcome.err
    assert (f"caesura: warning: {original}" in outcome.err) == (name in told)


@pytest.mark.slow
def test_compare_counts_what_is_seen(tmp_path: Path) -> None:
    pixels = drawn(40, 56)
    alpha = np.where(np.arange(56) < 20, 0, 255).astype(np.uint8) * np.ones((40, 1), np.uint8)
    original = save_alpha(tmp_path / "a.png", pixels, alpha)
    hidden = pixels.copy()
    hidden[:, :20] ^= 255
    other = save_alpha(tmp_path / "b.png", hidden, np.maximum(alpha, 3))
    facts = strict_json(succeeded(run("compare", original, other, "--json")))
    assert (facts["psnr"], facts["alpha"]) == (None, 3)
    assert "alpha    differs by at most 3" in succeeded(run("compare", original, other))
    assert "alpha    equal" in succeeded(run("compare", original, original))


def save_alpha(path: Path, pixels: Pixels, alpha: Pixels) -> Path:
    Image.fromarray(np.dstack([pixels, alpha])).save(path)
    return path


def test_compare_names_what_cannot_be_coded(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "f.tif"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    assert f"{path}: image has mode F" in complaint(run("compare", path, file))


def test_compare_names_what_cannot_be_read(picture: Path, file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no picture")
    assert str(text) in complaint(run("compare", picture, text))
    assert str(text) in complaint(run("compare", text, file))
    assert str(tmp_path / "missing.cae") in complaint(run("compare", picture, tmp_path / "missing.cae"))


# models, and the command itself


def test_models_lists_what_is_shipped_with_its_licence(shipped: Path) -> None:
    out = succeeded(run("models"))
    default_folder = folder_of(bundle.DEFAULT)
    for folder in (shipped, default_folder):
        shown = bundle.load(folder)
        default = "  (default)" if folder is default_folder else ""
        name = f"{folder.name}  id {shown.id:08x}  {shown.size / 1e6:.1f} MB  {folder}{default}"
        assert name in out.splitlines()
        assert f"licence: {shown.manifest['licence']}" in out


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


@pytest.mark.slow
def test_every_command_has_its_help() -> None:
    listed = succeeded(run("--help"))
    for command in ("encode", "decode", "info", "compare", "models", "bench", "train", "export"):
        assert command in listed
        assert command in succeeded(run(command, "--help"))
    assert "prepare" in succeeded(run("data", "--help"))


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *path, name)


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(app.app))))
def test_help_shows_every_text_whole(path: tuple[str, ...], command: Any) -> None:
    def squeezed(text: str) -> str:  # lines are broken at spaces and hyphens
        return "".join(text.split())

    shown = squeezed(succeeded(run(*path, "--help")))
    assert squeezed(command.help) in shown
    for parameter in command.params:
        assert squeezed(parameter.help) in shown
        assert not re.match("(of|that|whose) ", parameter.help, re.IGNORECASE), "not a sentence"
        if isinstance(parameter.show_default, str):
            assert squeezed(f"[default: ({parameter.show_default})") in shown


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("encode", "beside IN; stdout if IN is stdin"),
        ("encode", "50"),
        ("encode", "visual quality"),
        ("decode", "by OUT's extension, or png"),
        ("archive encode", "this machine"),
        ("train", "with --from, the settings for fine-tuning"),
        ("export", "the user's folder of models"),
    ],
)
def test_help_says_defaults(command: str, default: str) -> None:
    assert f"[default: ({default})" in " ".join(succeeded(run(*command.split(), "--help")).split())


# completion


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered"), [("caesura enc", {"encode"}), ("caesura decode --for", {"--format", "--force"})]
)
def test_shells_complete_commands_and_options(
    typed: str, offered: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_CAESURA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    named = "import sys; sys.argv = ['caesura']; from caesura.cli import main; main()"
    assert set(process(program=named).out.split()) == offered


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in succeeded(run("--help"))
