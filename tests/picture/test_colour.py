"""Colours that files declare without an ICC profile: kept as an equivalent profile, or warned of."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, TiffTags

import caesura
import caesura.pillow_plugin
from caesura import large
from caesura.errors import ImageError
from caesura.picture import colour, source_info
from caesura.picture.convert import codable
from caesura.picture.pixels import split
from cli_helpers import complaint, run, succeeded

D65 = (0.3127, 0.3290)
SRGB = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3 = (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT2020 = (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
ADOBE = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOST = "the pixels are coded unchanged, without this declaration"


def photo(mode: str = "RGB") -> Image.Image:
    levels = np.array([40, 100, 160, 220], np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(8, 8, 3)
    return Image.fromarray(grid).convert(mode)


def written(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, mode: str = "RGB", **settings: Any) -> bytes:
    """A PNG with these chunks behind its header, in which libraries write them."""
    data = written(photo(mode), "PNG", **settings)
    return data[:33] + b"".join(chunks) + data[33:]


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100000 * gamma)))


def chrm(colours: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100000 * value) for value in colours)))


def cicp(primaries: int, transfer: int, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def avif(primaries: int, transfer: int, **settings: Any) -> bytes:
    """An AVIF whose code points are replaced."""
    data = written(photo(), "AVIF", quality=100, subsampling="4:4:4", **settings)
    offset = data.index(b"colrnclx") + 8
    return data[:offset] + struct.pack(">HH", primaries, transfer) + data[offset + 4 :]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def silent(data: bytes, *, strict: bool = True) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return codable(opened(data), strict=strict)


def linear(samples: NDArray[Any]) -> NDArray[np.float64]:
    """sRGB to light."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def to_xyz(colours: tuple[float, ...]) -> NDArray[np.float64]:
    points = np.array([[x, y, 1 - x - y] for x, y in zip(colours[::2], colours[1::2], strict=True)])
    white, primaries = points[0] / points[0, 1], points[1:].T
    return primaries * (np.linalg.inv(primaries) @ white)


def as_srgb(samples: NDArray[Any], light: NDArray[np.float64], colours: tuple[float, ...]) -> NDArray[Any]:
    """Levels in sRGB of colours of the same white, and nan where sRGB has none."""
    wanted = light @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(colours)).T
    wanted[(wanted < -1e-4) | (wanted > 1.0001)] = np.nan
    wanted = np.clip(wanted, 0, 1)
    return 255 * np.where(wanted <= 0.0031308, 12.92 * wanted, 1.055 * wanted ** (1 / 2.4) - 0.055)


def shown(picture: Image.Image) -> NDArray[Any]:
    """As a program shows it that heeds the profile."""
    made = ImageCms.profileToProfile(
        picture,
        ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"])),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    assert made is not None
    return np.asarray(made).astype(float)


def assert_shown(data: bytes, gamma: float | None, colours: tuple[float, ...]) -> None:
    """The file is coded with unchanged pixels, and a profile that shows them right."""
    coded = silent(data)
    np.testing.assert_array_equal(np.asarray(coded), np.asarray(opened(data)))
    samples = np.asarray(coded) / 255
    light = linear(samples) if gamma is None else samples**gamma
    wanted = as_srgb(samples, light, colours)
    inside = ~np.isnan(wanted).any(axis=-1)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(shown(coded)[inside], wanted[inside], atol=1.5)


FILES = [
    (png(gama(1.0)), 1.0, SRGB),
    (png(gama(1 / 1.8)), 1.8, SRGB),
    (png(gama(0.45455), chrm(ADOBE)), 2.2, ADOBE),
    (png(gama(1.0), chrm(BT2020)), 1.0, BT2020),
    (png(chrm(P3)), None, P3),
    (png(cicp(12, 13)), None, P3),
    (png(cicp(9, 1)), None, BT2020),
    (png(cicp(1, 8)), 1.0, SRGB),
    (png(cicp(2, 4)), 2.2, SRGB),
    (png(cicp(12, 13), gama(1.0), chrm(SRGB), chunk(b"sRGB", b"\0")), None, P3),
    (png(cicp(12, 13), icc_profile=PROFILE), None, P3),
    (avif(12, 13), None, P3),
    (avif(9, 14), None, BT2020),
    (avif(1, 8), 1.0, SRGB),
]


@pytest.mark.parametrize(("data", "gamma", "colours"), FILES)
def test_colours_that_are_not_srgb_get_a_profile_that_means_them(
    data: bytes, gamma: float | None, colours: tuple[float, ...]
) -> None:
    assert_shown(data, gamma, colours)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_gamma_of_greys_is_a_profile_of_greys(mode: str) -> None:
    coded = silent(png(gama(1.0), chrm(P3), mode=mode))
    profile = coded.info["icc_profile"]
    grey = coded.getchannel(0)
    grey.info["icc_profile"] = profile
    samples = np.asarray(grey)[:, :, None].repeat(3, axis=2) / 255
    np.testing.assert_allclose(shown(grey), as_srgb(samples, samples, SRGB), atol=1.5)
    assert caesura.decode(caesura.encode(opened(png(gama(1.0), mode=mode)))).info["icc_profile"] == profile


@pytest.mark.parametrize("transfer", [4, 5, 7, 8])
@pytest.mark.parametrize("primaries", [1, 4, 5, 6, 7, 8, 9, 11, 12, 22])
def test_white_stays_white_and_black_black(primaries: int, transfer: int) -> None:
    ends = Image.fromarray(np.array([[[0] * 3, [255] * 3]], np.uint8))
    profile, lost = colour.profile({}, source_info.SourceInfo(cicp=(primaries, transfer)), grey=False)
    assert profile
    assert not lost
    ends.info["icc_profile"] = profile
    np.testing.assert_allclose(shown(ends), [[[0] * 3, [255] * 3]], atol=1)


SRGB_IN_OTHER_WORDS = [
    png(),
    png(gama(0.45455)),
    png(gama(0.45)),
    png(gama(0.45455), chrm(SRGB)),
    png(chrm((0.31270, 0.32900, 0.63999, 0.33001, 0.3, 0.6, 0.15, 0.05999))),
    png(chunk(b"sRGB", b"\0"), gama(1.0)),
    png(cicp(1, 13)),
    png(cicp(1, 1)),
    png(cicp(2, 2)),
    png(cicp(1, 13), gama(1.0)),
    png(cicp(9, 13), mode="L"),
    avif(1, 13),
    avif(1, 1),
    avif(2, 2),
    avif(1, 6),
]


@pytest.mark.parametrize("data", SRGB_IN_OTHER_WORDS)
def test_what_is_srgb_in_other_words_needs_no_profile(data: bytes) -> None:
    assert "icc_profile" not in silent(data).info


def test_a_profile_counts_more_than_gamma_and_the_code_points_of_avif() -> None:
    for data in (png(gama(1.0), chrm(P3), icc_profile=b"a profile"), written(photo(), "AVIF")):
        picture = opened(data)
        picture.info["icc_profile"] = b"a profile"
        assert codable(picture).info["icc_profile"] == b"a profile"


def test_code_points_that_say_srgb_count_more_than_a_profile_of_png() -> None:
    data = png(cicp(1, 13), icc_profile=b"a profile")
    assert "icc_profile" not in caesura.decode(caesura.encode(opened(data))).info


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (png(cicp(9, 16)), r"HDR colours \(PQ\)"),
        (png(cicp(9, 18)), r"HDR colours \(HLG\)"),
        (avif(9, 16), r"HDR colours \(PQ\)"),
        (avif(12, 18), r"HDR colours \(HLG\)"),
        (png(cicp(10, 17)), "colour primaries 10 and transfer characteristics 17"),
        (png(cicp(1, 9)), "colour primaries 1 and transfer characteristics 9"),
        (png(cicp(1, 13, full=0)), r"samples from 16 to 235 \(narrow range\)"),
        (png(gama(0)), "a gamma of 0.0"),
        (png(gama(1.0), chrm((0.0,) * 8)), r"chromaticities \(0.0, .*\), which do not span a colour space"),
        (png(chrm((*D65, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4))), "chromaticities"),
    ],
)
def test_colours_that_no_profile_describes_are_warned_of_or_refused(data: bytes, got: str) -> None:
    with pytest.warns(UserWarning, match=f"image has {got}.*; {LOST}") as caught:
        caesura.encode(opened(data))
    assert [warning.filename for warning in caught] == [__file__]
    allowed = "colours that an ICC profile describes are allowed with strict"
    with pytest.raises(ImageError, match=f"image has {got}.*; {allowed}"):
        caesura.encode(opened(data), strict=True)


def test_the_picture_given_keeps_what_it_says() -> None:
    picture = opened(png(gama(1.0)))
    before = dict(picture.info)
    codable(picture)
    assert picture.info == before


def test_a_file_keeps_its_file_position_and_its_transparent_colour() -> None:
    picture = opened(png(gama(1.0), mode="P", transparency=b"\x80" * 256))
    coded = codable(picture)
    np.testing.assert_array_equal(
        split(coded)[0], np.asarray(opened(png(mode="P")).convert("RGB")), strict=True
    )
    alpha = split(coded)[1]
    assert alpha is not None
    assert alpha.max() == 128


def test_tags_set_by_the_caller_stay() -> None:
    picture = opened(png(gama(1.0)))
    picture.getexif()[0x0112] = 3
    assert caesura.decode(caesura.encode(picture)).getexif()[0x0112] == 3


def test_a_picture_whose_file_is_closed_is_refused() -> None:
    stream = io.BytesIO(png(cicp(12, 13)))
    picture = Image.open(stream)
    stream.close()
    with pytest.raises(ImageError, match="image cannot be read"):
        caesura.encode(picture)


# ---- other formats


def test_the_profile_of_a_jpeg_2000_is_kept() -> None:
    data = written(photo(), "JPEG2000")
    start = data.index(b"jp2h") - 4
    end = data.index(b"colr") - 4
    length = struct.unpack_from(">I", data, end)[0]
    colr = struct.pack(">I", 11 + len(PROFILE)) + b"colr" + b"\x02\0\0" + PROFILE
    grown = struct.unpack_from(">I", data, start)[0] + len(colr) - length
    data = data[:start] + struct.pack(">I", grown) + data[start + 4 : end] + colr + data[end + length :]
    assert silent(data).info["icc_profile"] == PROFILE


def bmp(kind: bytes, profile: bytes) -> bytes:
    """A BMP whose header is of version 5."""
    pixels = photo().transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGR")
    info = struct.pack("<IiiHHIIiiII", 124, 8, 8, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    info = (info.ljust(56, b"\0") + kind).ljust(112, b"\0")
    info += struct.pack("<III", 124 + len(pixels), len(profile), 0)
    size = 14 + 124 + len(pixels) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + 124) + info + pixels + profile


def test_the_profile_of_a_bmp_is_kept() -> None:
    coded = silent(bmp(b"DEBM", PROFILE))
    assert coded.info["icc_profile"] == PROFILE
    np.testing.assert_array_equal(np.asarray(coded), np.asarray(photo()))
    assert "icc_profile" not in silent(bmp(b"BGRs", b"")).info
    with pytest.raises(ImageError, match="image has a colour profile in another file"):
        codable(opened(bmp(b"KNIL", b"c:\\a.icc\0")), strict=True)


def tiff(tags: dict[int, Any], mode: str = "RGB", **settings: Any) -> bytes:
    return written(photo(mode), "TIFF", tiffinfo=typed(tags), **settings)


def typed(tags: dict[int, Any]) -> TiffImagePlugin.ImageFileDirectory_v2:
    made = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        made.tagtype[tag] = {301: TiffTags.SHORT}.get(tag, TiffTags.RATIONAL)
        made[tag] = value
    return made


def table(power: float, levels: int = 256) -> tuple[int, ...]:
    return tuple(round(65535 * (level / (levels - 1)) ** power) for level in range(levels))


def calibrated(endpoints: tuple[float, ...], gammas: tuple[float, ...], version: int = 108) -> bytes:
    """A BMP whose header tells colours by numbers."""
    data = bmp(bytes(4), b"")
    told = struct.pack("<9i", *(round(value * (1 << 30)) for value in endpoints))
    told += struct.pack("<3I", *(round(value * (1 << 16)) for value in gammas))
    data = data[:74] + told + data[122:]
    if version == 124:
        return data
    head = data[:10] + struct.pack("<II", 14 + version, version) + data[18 : 14 + version]
    return head + data[14 + 124 :]


def jpeg_2000(space: int, **settings: Any) -> bytes:
    data = written(photo(), "JPEG2000", **settings)
    offset = data.index(b"colr") + 7
    return data[:offset] + space.to_bytes(4, "big") + data[offset + 4 :]


ADOBE_POINTS = (0.64, 0.33, 0.03, 0.21, 0.71, 0.08, 0.15, 0.06, 0.79)
SRGB_POINTS = (0.64, 0.33, 0.03, 0.30, 0.60, 0.10, 0.15, 0.06, 0.79)


@pytest.mark.parametrize(
    ("data", "gamma", "colours"),
    [
        (tiff({318: ADOBE[:2], 319: ADOBE[2:]}), None, ADOBE),
        (tiff({319: P3[2:]}), None, P3),
        (tiff({301: table(1) * 3}), 1.0, SRGB),
        (tiff({301: table(1.8)}), 1.8, SRGB),
        (tiff({318: ADOBE[:2], 319: ADOBE[2:], 301: table(2.2)}), 2.2, ADOBE),
        (calibrated(ADOBE_POINTS, (2.2, 2.2, 2.2)), 2.2, ADOBE),
        (calibrated(ADOBE_POINTS, (1, 1, 1), 124), 1.0, ADOBE),
        (calibrated(SRGB_POINTS, (1, 1, 1)), 1.0, SRGB),
        (calibrated((0,) * 9, (1.8, 1.8, 1.8)), 1.8, SRGB),
    ],
)
def test_colours_in_headers_and_tags_get_a_profile(
    data: bytes, gamma: float | None, colours: tuple[float, ...]
) -> None:
    assert_shown(data, gamma, colours)


@pytest.mark.parametrize(
    "data",
    [
        tiff({318: SRGB[:2], 319: SRGB[2:]}),
        tiff({301: table(2.2) * 3}),
        tiff({301: tuple(round(65535 * float(light)) for light in linear(np.arange(256) / 255))}),
        tiff({318: (0.3,), 319: (0.1,) * 5}),
        calibrated((0,) * 9, (0, 0, 0)),
        calibrated(SRGB_POINTS, (2.2, 2.2, 2.2)),
        jpeg_2000(16),
    ],
)
def test_headers_and_tags_that_say_srgb_need_no_profile(data: bytes) -> None:
    assert "icc_profile" not in silent(data).info


def test_romm_rgb_of_jpeg_2000_gets_a_profile() -> None:
    coded = silent(jpeg_2000(21))
    ends = Image.fromarray(np.array([[[0] * 3, [255] * 3]], np.uint8))
    ends.info["icc_profile"] = coded.info["icc_profile"]
    np.testing.assert_allclose(shown(ends), [[[0] * 3, [255] * 3]], atol=1)
    np.testing.assert_array_equal(np.asarray(coded), np.asarray(photo()))
    green = Image.new("RGB", (1, 1), (90, 130, 90))
    green.info["icc_profile"] = coded.info["icc_profile"]
    assert shown(green)[0, 0, 1] > 145  # lighter than the same in sRGB


def test_a_profile_of_a_tiff_counts_more_than_its_tags() -> None:
    data = tiff({319: P3[2:], 301: tuple(range(256))}, icc_profile=PROFILE)
    assert silent(data).info["icc_profile"] == PROFILE


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (tiff({301: tuple(range(256))}), "a transfer function other than sRGB and gamma"),
        (tiff({301: table(1) + table(1) + table(2)}), "a transfer function other than"),
        (tiff({301: (0, 65535)}), "a transfer function other than"),
        (tiff({319: (0.0,) * 6}), "chromaticities"),
        (calibrated(SRGB_POINTS, (1, 2, 2)), "a gamma for each colour, 1, 2, 2"),
        (jpeg_2000(14), "CIELab colours"),
        (jpeg_2000(20), "colours of e-sRGB"),
        (jpeg_2000(99), "colours of space 99 of JPEG 2000"),
    ],
)
def test_headers_and_tags_that_no_profile_describes_are_warned_of_or_refused(data: bytes, got: str) -> None:
    with pytest.warns(UserWarning, match=f"image has {got}.*; {LOST}"):
        codable(opened(data))
    with pytest.raises(ImageError, match=f"image has {got}"):
        codable(opened(data), strict=True)


@pytest.mark.parametrize(
    "said",
    [
        {"gamma": "junk"},
        {"gamma": "1.0"},
        {"gamma": float("nan")},
        {"gamma": float("inf")},
        {"gamma": 10**400},
        {"gamma": True},
        {"gamma": (1.0,)},
        {"chromaticity": "junk"},
        {"chromaticity": (0.3,) * 7},
        {"chromaticity": (float("nan"),) * 8},
        {"chromaticity": ("0.3",) * 8},
        {"chromaticity": 0.3},
        {"srgb": "junk"},
        {"gamma": TiffImagePlugin.IFDRational(1, 0)},
        {"icc_profile": "junk"},
    ],
)
def test_what_is_no_number_says_nothing_of_colours(said: dict[str, Any]) -> None:
    assert colour.profile(said, source_info.SourceInfo(), grey=False) == (None, "")
    grey = colour.profile({"gamma": 1.0} | said, source_info.SourceInfo(), grey=True)
    assert bool(grey[0]) == ("gamma" not in said)


@pytest.mark.parametrize("name", ["gamma", "chromaticity", "srgb"])
def test_texts_of_a_png_say_nothing_of_colours(name: str) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text(name, "junk")
    caesura.encode(opened(png(pnginfo=texts)), strict=True)


@pytest.mark.parametrize(
    "said",
    [
        {"nclx_profile": "junk"},
        {"nclx_profile": {}},
        {"nclx_profile": {"color_primaries": "12", "transfer_characteristics": 13}},
        {"nclx_profile": (12, 13)},
        {"bit_depth": None},
        {"bit_depth": "10"},
    ],
)
def test_what_pillow_heif_gives_in_another_form_is_ignored(said: dict[str, Any]) -> None:
    picture = photo()
    picture.format = "HEIF"
    picture.info |= said
    assert source_info.read(picture) == source_info.SourceInfo()


def test_what_pillow_heif_gives_is_heeded() -> None:
    picture = photo()
    picture.format = "HEIF"
    picture.info |= {
        "bit_depth": 8,
        "nclx_profile": {"color_primaries": 12, "transfer_characteristics": 13},
    }
    coded = codable(picture, strict=True)
    samples = np.asarray(coded) / 255
    wanted = as_srgb(samples, linear(samples), P3)
    inside = ~np.isnan(wanted).any(axis=-1)
    np.testing.assert_allclose(shown(coded)[inside], wanted[inside], atol=1.5)
    picture.info["nclx_profile"] = {"color_primaries": 9, "transfer_characteristics": 16}
    with pytest.raises(ImageError, match=r"HDR colours \(PQ\)"):
        codable(picture, strict=True)


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "BMP", "PNG"])
def test_headers_cut_or_changed_anywhere_raise_nothing_of_a_foreign_kind(kind: str) -> None:
    data = png(cicp(12, 13)) if kind == "PNG" else written(photo(), kind)
    random = np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(data[: random.integers(20, 500)])
        changed[random.integers(len(changed))] = random.integers(256)
        picture = photo()
        picture.format = kind
        setattr(picture, "fp", io.BytesIO(changed))  # noqa: B010
        setattr(picture, "tile", [("raw", (0, 0, 8, 8), 0, "RGB")])  # noqa: B010
        assert source_info.read(picture).bits >= 8


# ---- all ways to code a file


def test_the_command_line_keeps_colours_or_tells_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(cicp(12, 13)))
    (tmp_path / "b.png").write_bytes(png(cicp(9, 16)))
    outcome = run("encode", tmp_path / "a.png", tmp_path / "b.png")
    succeeded(outcome)
    wanted = f"caesura: warning: {tmp_path / 'b.png'}: image has HDR colours (PQ); {LOST}"
    assert outcome.err.splitlines() == [wanted]
    coded = caesura.decode((tmp_path / "a.cae").read_bytes())
    assert coded.info["icc_profile"] == silent(png(cicp(12, 13))).info["icc_profile"]
    assert "HDR colours (PQ)" in complaint(run("encode", "--strict", "--force", tmp_path / "b.png"))


@pytest.mark.parametrize("content", [cicp(12, 13), gama(1.0)])
def test_pillow_saves_colours_too(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(content))
    wanted = silent(png(content)).info["icc_profile"]
    with Image.open(tmp_path / "a.png") as picture:
        picture.save(tmp_path / "a.cae")  # which loads it first
        assert caesura.decode(caesura.encode(picture)).info["icc_profile"] == wanted
    with Image.open(tmp_path / "a.cae") as coded:
        assert coded.info["icc_profile"] == wanted


def test_a_profile_given_to_pillow_counts_most(tmp_path: Path) -> None:
    opened(png(cicp(9, 16))).save(tmp_path / "a.cae", icc_profile=PROFILE)
    with Image.open(tmp_path / "a.cae") as coded:
        assert coded.info["icc_profile"] == PROFILE


def test_a_png_that_needs_another_profile_is_not_read_in_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvips")
    monkeypatch.setattr(large, "PIXELS", 1)
    monkeypatch.setattr(large, "_MIN_FILE_BYTES", 1)
    for number, data in enumerate([png(), png(gama(0.45455), chrm(SRGB)), png(icc_profile=PROFILE)]):
        (tmp_path / f"{number}.png").write_bytes(data)
        assert large.takes(tmp_path / f"{number}.png", upright=False)
    for number, data in enumerate([png(gama(1.0)), png(chrm(P3)), png(cicp(12, 13)), png(cicp(9, 16))]):
        (tmp_path / f"{number}.png").write_bytes(data)
        assert not large.takes(tmp_path / f"{number}.png", upright=False)
