"""Pictures of all modes and depths, CMYK, animated or damaged: converted correctly, or refused."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import caesura
import caesura.pillow_plugin
from caesura.errors import ImageError
from caesura.picture import formats, read_metadata
from caesura.picture.convert import codable, copied
from caesura.picture.loading import open_image
from caesura.picture.pixels import split
from cli_helpers import complaint, drawn, run, succeeded
from profiles import cmyk_profile, ink

Pixels = NDArray[np.uint8]

PROFILE = cmyk_profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CORNERS = list(itertools.product((0, 1), repeat=4))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
ORIENTATION = 0x0112


def written(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def photo(height: int = 40, width: int = 56) -> Image.Image:
    return Image.fromarray(drawn(height, width))


def silent(picture: Image.Image, *, strict: bool = False) -> Image.Image:
    """As it is coded, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return codable(picture, strict=strict)


# ---- for printing


def patches(side: int = 1) -> Image.Image:
    """CMYK: the 16 combinations of full inks in a row, each a square."""
    inks = 255 * np.repeat(np.array([CORNERS], np.uint8), side, axis=1).repeat(side, axis=0)
    return Image.frombytes("CMYK", (16 * side, side), inks.tobytes())


def assert_inks(picture: Image.Image, tolerance: int) -> None:
    assert picture.mode == "RGB"
    side = picture.height
    middles = np.asarray(picture)[side // 2, side // 2 :: side]
    np.testing.assert_allclose(middles.astype(int), [ink(*corner) for corner in CORNERS], atol=tolerance)


def test_cmyk_becomes_srgb_by_its_profile() -> None:
    picture = patches()
    picture.info["icc_profile"] = PROFILE
    converted = silent(picture, strict=True)
    assert_inks(converted, 6)  # Lab of 8 bits
    naive = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(naive - np.asarray(converted)).max() > 100


@pytest.mark.parametrize("settings", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_with_adobes_inverted_inks_is_not_inverted(settings: dict[str, bool]) -> None:
    data = written(patches(16), "JPEG", quality=95, icc_profile=PROFILE, **settings)
    assert b"Adobe" in data
    assert_inks(silent(opened(data)), 12)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_for_printing_is_converted(compression: str | None) -> None:
    data = written(patches(4), "TIFF", icc_profile=PROFILE, compression=compression)
    assert_inks(silent(opened(data)), 6)


@pytest.mark.slow
def test_the_profile_of_the_inks_does_not_travel_on_and_the_rest_does() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = written(patches(16), "JPEG", icc_profile=PROFILE, exif=exif, xmp=XMP)
    picture = caesura.decode(caesura.encode(opened(data), quality=90))
    assert picture.mode == "RGB"
    assert "icc_profile" not in picture.info
    assert picture.info["xmp"] == XMP
    assert picture.getexif()[ORIENTATION] == 6
    assert caesura.decode(caesura.encode(opened(data), strip=True)).size == (16, 256)
    assert_inks(caesura.decode(caesura.encode(opened(data), quality=100)), 20)


def test_cmyk_without_a_profile_is_refused_and_says_what_to_do() -> None:
    for data in (written(patches(8), "JPEG"), written(patches(8), "TIFF")):
        with pytest.raises(ImageError, match=r"mode CMYK and no colour profile.*embed the profile"):
            caesura.encode(opened(data))


@pytest.mark.parametrize(
    "profile",
    [b"profile", bytes(500), PROFILE[:128], PROFILE[:1000], PROFILE[:36] + bytes(92) + PROFILE[128:]],
    ids=["text", "zeros", "header alone", "cut", "no signature"],
)
def test_cmyk_with_a_damaged_profile_is_refused(profile: bytes) -> None:
    picture = patches()
    picture.info["icc_profile"] = profile
    with pytest.raises(ImageError, match="mode CMYK and a damaged colour profile"):
        caesura.encode(picture)


def test_cmyk_with_a_profile_of_other_colours_is_refused() -> None:
    data = written(patches(8), "JPEG", icc_profile=SRGB)
    with pytest.raises(ImageError, match="a colour profile of RGB; one of CMYK is needed"):
        caesura.encode(opened(data))


def test_a_cut_file_of_cmyk_is_refused() -> None:
    data = written(patches(64), "JPEG", icc_profile=PROFILE)
    with pytest.raises(ImageError, match="image cannot be read"):
        caesura.encode(opened(data[: len(PROFILE) + 2000]))


# ---- other modes


@pytest.mark.parametrize(
    ("lab", "srgb"),
    [
        ((100, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (0, 0, 0)),
        ((53, 0, 0), (126, 126, 126)),
        ((54, 81, 70), (255, 0, 0)),
        ((55, 20, 32), (180, 120, 80)),
    ],
)
def test_lab_becomes_srgb(lab: tuple[int, int, int], srgb: tuple[int, int, int]) -> None:
    coded = bytes([round(lab[0] * 2.55), lab[1] & 255, lab[2] & 255])
    picture = Image.frombytes("LAB", (1, 1), coded)
    converted = silent(opened(written(picture, "TIFF")), strict=True)
    np.testing.assert_allclose(np.asarray(converted).ravel().astype(int), srgb, atol=6)


@pytest.mark.parametrize(
    ("mode", "becomes"), [("YCbCr", "RGB"), ("HSV", "RGB"), ("RGBa", "RGBA"), ("La", "LA")]
)
def test_modes_with_one_meaning_are_converted(mode: str, becomes: str) -> None:
    source = photo()
    source.info["xmp"] = XMP
    if becomes.endswith("A"):
        source.putalpha(128)
        source = source.convert(becomes)
    converted = silent(source.convert(mode), strict=True)
    assert converted.mode == becomes
    assert converted.info["xmp"] == XMP
    difference = np.asarray(converted).astype(int) - np.asarray(source)
    assert np.abs(difference).max() <= 8  # of hues and premultiplied colours in 8 bits


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"])
def test_modes_that_need_nothing_are_left_alone(mode: str) -> None:
    picture = photo().convert("P").convert("PA") if mode == "PA" else photo().convert(mode)
    assert silent(picture, strict=True) is picture


@pytest.mark.parametrize("mode", ["F", "I"])
def test_values_without_a_known_range_are_refused(mode: str) -> None:
    for picture in (Image.new(mode, (4, 3)), opened(written(Image.new(mode, (4, 3)), "TIFF"))):
        with pytest.raises(ImageError, match=f"mode {mode}, whose range .*, I;16, .* are allowed"):
            caesura.encode(picture)


def test_a_palette_with_alpha_keeps_it() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])
    pixels, alpha = split(silent(opened(written(picture, "PNG", transparency=b"\x80\xff"))))
    assert pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert alpha is not None
    assert alpha.tolist() == [[128, 255]]


def test_a_grey_picture_keeps_its_profile_and_is_grey() -> None:
    picture = caesura.decode(
        caesura.encode(opened(written(photo().convert("L"), "PNG", icc_profile=b"grey")))
    )
    assert (picture.mode, picture.info["icc_profile"]) == ("L", b"grey")


# ---- 16 bits


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def deep_png(samples: list[int], colours: int, key: list[int] | None = None) -> bytes:
    """A PNG of one row, 16 bits a sample, with a transparent colour or without."""
    width = len(samples) // colours
    header = struct.pack(">IIBBBBB", width, 1, 16, {1: 0, 2: 4, 3: 2, 4: 6}[colours], 0, 0, 0)
    transparent = b"" if key is None else png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    row = zlib.compress(b"\0" + struct.pack(f">{len(samples)}H", *samples))
    chunks = png_chunk(b"IHDR", header) + transparent + png_chunk(b"IDAT", row) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


DEEP = [
    (deep_png([0x1234, 0xFFFF], 1), [0x12, 0xFF]),
    (deep_png([0x1234, 0x80FF], 2), [0x12, 0x12, 0x12, 0x80]),
    (deep_png([0x1234, 0x00FF, 0xFFFF], 3), [0x12, 0x00, 0xFF]),
    (deep_png([0x1234, 0x00FF, 0xFFFF, 0x7F00], 4), [0x12, 0x00, 0xFF, 0x7F]),
    (b"P5 2 1 65535\n\x12\x34\xff\xff", [0x12, 0xFF]),
    (b"P5 1 1 1023\n\x03\xff", [0xFF]),
    (b"P2 1 1 1023\n1023\n", [0xFF]),
    (b"P6 1 1 65535\n\x12\x12\0\0\xff\xff", [0x12, 0x00, 0xFF]),
]
KINDS = ["grey", "grey with alpha", "RGB", "RGBA", "PGM", "PGM of 10 bits", "PGM as text", "PPM"]


@pytest.mark.parametrize(("data", "expected"), DEEP, ids=KINDS)
@pytest.mark.parametrize("loaded", [False, True])
def test_of_sixteen_bits_the_upper_eight_are_coded_with_a_warning(
    data: bytes, expected: list[int], loaded: bool, tmp_path: Path
) -> None:
    (tmp_path / "deep").write_bytes(data)
    for strict in (False, True):
        picture = open_image(tmp_path / "deep") if loaded else opened(data)
        if strict:
            with pytest.raises(ImageError, match=r"image has mode .*; 8 bits are allowed with strict"):
                codable(picture, strict=True)
        else:
            bits = 10 if b"1023" in data else 16
            with pytest.warns(UserWarning, match=f"the upper 8 of its {bits} bits are coded") as caught:
                reduced = codable(picture)
            assert len(caught) == 1
            assert np.asarray(reduced).ravel().tolist() == expected


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_every_order_of_bytes_is_known(mode: str) -> None:
    with pytest.warns(UserWarning, match=f"mode {mode}; the upper 8"):
        assert np.asarray(codable(Image.new(mode, (1, 1), 0x1234))).item() == 0x12


def test_a_transparent_grey_of_sixteen_bits_is_matched_by_all_of_them() -> None:
    with pytest.warns(UserWarning, match="upper 8"):
        pixels, alpha = split(codable(opened(deep_png([0x1234, 0x1235], 1, key=[0x1234]))))
    assert pixels.ravel().tolist() == [0x12, 0x12]
    assert alpha is not None
    assert alpha.tolist() == [[0, 255]]


def test_a_transparent_colour_of_sixteen_bits_is_refused() -> None:
    data = deep_png([1000, 2000, 3000], 3, key=[1000, 2000, 3000])
    with pytest.raises(ImageError, match=r"transparent colour of 16 bits, \(1000, 2000, 3000\)"):
        codable(opened(data))


@pytest.mark.parametrize("data", [b"P1 2 1\n0 1\n", b"P2 1 1 255\n7\n", b"P6 1 1 255\n\x12\x34\xff"])
def test_plain_files_of_eight_bits_are_coded_in_silence(data: bytes) -> None:
    silent(opened(data), strict=True)


# ---- other depths


def tiff(
    samples: list[int], bits: int, *, meaning: int = 1, planes: int = 1, compressed: bool = False
) -> bytes:
    """A TIFF of one row of greys, or (meaning 2) of one RGB pixel, with so many bits a sample."""
    packed = "".join(f"{sample:0{bits}b}" for sample in samples)
    data = int(packed, 2).to_bytes(len(packed) // 8, "big")
    if bits == 16:
        data = struct.pack(f"<{len(samples)}H", *samples)
    if compressed:
        data = zlib.compress(data)
    colours = 3 if meaning == 2 else 1
    strips = 3 if planes == 2 else 1
    size = len(data) // strips
    fields: dict[int, tuple[str, list[int]]] = {
        256: ("H", [len(samples) // colours]),
        257: ("H", [1]),
        258: ("H", [bits] * colours),
        259: ("H", [8 if compressed else 1]),
        262: ("H", [meaning]),
        273: ("I", [8 + size * strip for strip in range(strips)]),
        277: ("H", [colours]),
        278: ("H", [1]),
        279: ("I", [size] * strips),
        284: ("H", [planes]),
    }
    entries, more = b"", b""
    after = 8 + len(data) + 2 + 12 * len(fields) + 4
    for tag, (kind, values) in fields.items():
        content = struct.pack(f"<{len(values)}{kind}", *values)
        entries += struct.pack("<HHI", tag, 3 if kind == "H" else 4, len(values))
        if len(content) > 4:
            entries, more = entries + struct.pack("<I", after + len(more)), more + content
        else:
            entries += content.ljust(4, b"\0")
    return (
        b"II*\0"
        + struct.pack("<I", 8 + len(data))
        + data
        + struct.pack("<H", len(fields))
        + entries
        + bytes(4)
        + more
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_greys_of_twelve_bits_are_scaled_by_their_depth(compressed: bool, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff([0, 0x123, 0x800, 0xFFF], 12, compressed=compressed))
    with Image.open(tmp_path / "a.tif") as picture:
        for source in (picture, open_image(tmp_path / "a.tif"), copied(picture)):
            with pytest.warns(UserWarning, match="the upper 8 of its 12 bits are coded"):
                assert np.asarray(codable(source)).ravel().tolist() == [0, 0x12, 0x80, 0xFF]
        with pytest.raises(ImageError, match="I;16 and samples of 12 bits; 8 bits are allowed with strict"):
            codable(picture, strict=True)


def test_pillow_saves_greys_of_twelve_bits(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the upper 8 of its 12 bits are coded") as caught:
        opened(tiff([0xFFF] * 64, 12)).save(tmp_path / "a.cae", quality=95)
    assert len(caught) == 1
    assert caesura.decode_array((tmp_path / "a.cae").read_bytes()).min() > 240


def test_pillow_saves_what_is_deep_as_it_is_coded(tmp_path: Path) -> None:
    for number, (data, _) in enumerate(DEEP):
        (tmp_path / f"{number}").write_bytes(data)
        with Image.open(tmp_path / f"{number}") as picture:
            with pytest.warns(UserWarning, match="the upper 8 of its 1[06] bits are coded") as caught:
                picture.save(tmp_path / "a.cae", effort=1)
            assert len(caught) == 1
            with pytest.raises(ImageError, match="8 bits are allowed with strict"):
                picture.save(tmp_path / "b.cae", strict=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_greys_of_which_0_is_white_are_turned(compressed: bool) -> None:
    data = tiff([0, 0x1234, 0xFFFF], 16, meaning=0, compressed=compressed)
    with pytest.warns(UserWarning, match="the upper 8 of its 16 bits are coded"):
        assert np.asarray(codable(opened(data))).ravel().tolist() == [0xFF, 0xED, 0x00]


def test_deep_planes_that_pillow_cannot_read_are_refused() -> None:
    with pytest.raises(ImageError, match="16 bits a sample in separate planes, which Pillow cannot read"):
        codable(opened(tiff([1000, 2000, 3000], 16, meaning=2, planes=2)))


def test_the_real_depth_is_named() -> None:
    for data, bits in ((b"P5 1 1 1023\n\x03\xff", 10), (b"P6 1 1 4095\n\x0f\xff\0\0\0\0", 12)):
        with pytest.warns(UserWarning, match=f"the upper 8 of its {bits} bits are coded"):
            assert np.asarray(codable(opened(data))).ravel()[0] == 255


@pytest.mark.parametrize("suffix", ["j2k", "jp2"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_2000_of_twelve_bits(suffix: str, mode: str) -> None:
    codecs = pytest.importorskip("imagecodecs")
    samples = np.arange(16 * 16, dtype=np.uint16).reshape(16, 16) * 16
    if mode == "RGB":
        samples = np.dstack([samples] * 3)
    data = codecs.jpeg2k_encode(samples, bitspersample=12, codecformat=suffix, reversible=True)
    with pytest.warns(UserWarning, match="the upper 8 of its 12 bits are coded"):
        np.testing.assert_array_equal(np.asarray(codable(opened(data))), samples >> 4)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_than_eight_bits(bits: int) -> None:
    codecs = pytest.importorskip("imagecodecs")
    samples = np.full((16, 16, 3), 1 << (bits - 1), np.uint8 if bits == 8 else np.uint16)
    picture = opened(codecs.avif_encode(samples, bitspersample=bits, primaries=1, transfer=13, matrix=6))
    if bits == 8:
        silent(picture, strict=True)
        return
    with pytest.warns(UserWarning, match=f"the upper 8 of its {bits} bits are coded"):
        assert abs(int(np.asarray(codable(picture))[8, 8, 0]) - 128) <= 2


def test_heif_of_ten_bits() -> None:
    for mode in ("RGB", "I;16"):
        picture = Image.new(mode, (4, 4))
        picture.format = "HEIF"
        picture.info["bit_depth"] = 10
        with pytest.warns(UserWarning, match="the upper 8 of its 10 bits are coded"):
            codable(picture)


@pytest.mark.parametrize("settings", [{}, {"rle": True}])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sgi_of_sixteen_bits(mode: str, settings: dict[str, bool]) -> None:
    data = written(photo().convert(mode), "SGI", bpc=2)
    with pytest.warns(UserWarning, match="the upper 8 of its 16 bits are coded"):
        codable(opened(data))
    silent(opened(written(photo().convert(mode), "SGI")), strict=True)


def bmp(masks: tuple[int, int, int] | None, pixels: list[int]) -> bytes:
    """A BMP of one row, 16 bits a pixel."""
    body = struct.pack(f"<{len(pixels)}H", *pixels).ljust(-(-len(pixels) // 2) * 4, b"\0")
    kinds = b"" if masks is None else struct.pack("<3I", *masks)
    size = 14 + 40 + len(kinds)
    info = struct.pack("<IiiHHIIiiII", 40, len(pixels), 1, 1, 16, 3 if masks else 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", size + len(body), 0, 0, size) + info + kinds + body


@pytest.mark.parametrize(
    ("masks", "pixels"),
    [
        (None, [0x7C00, 0x03E0, 0x001F]),
        ((0x7C00, 0x03E0, 0x001F), [0x7C00, 0x03E0, 0x001F]),
        ((0xF800, 0x07E0, 0x001F), [0xF800, 0x07E0, 0x001F]),
    ],
    ids=["as usual", "5-5-5", "5-6-5"],
)
def test_sixteen_bits_a_pixel_lose_nothing(
    masks: tuple[int, int, int] | None, pixels: list[int], tmp_path: Path
) -> None:
    (tmp_path / "a.bmp").write_bytes(bmp(masks, pixels))
    for picture in (opened(bmp(masks, pixels)), open_image(tmp_path / "a.bmp")):
        coded = np.asarray(silent(picture, strict=True))
        np.testing.assert_array_equal(coded, 255 * np.eye(3, dtype=np.uint8)[None])


def test_a_targa_of_sixteen_bits_a_pixel_loses_nothing() -> None:
    data = struct.pack("<BBB5xHHHHBB", 0, 0, 2, 0, 0, 2, 1, 16, 0x21) + struct.pack("<2H", 0xFC00, 0x801F)
    silent(opened(data), strict=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_colours_of_sixteen_bits_in_a_tiff_are_warned_of(compressed: bool) -> None:
    data = tiff([0x1234, 0x00FF, 0xFFFF], 16, meaning=2, compressed=compressed)
    with pytest.warns(UserWarning, match="the upper 8 of its 16 bits are coded"):
        assert np.asarray(codable(opened(data))).ravel().tolist() == [0x12, 0x00, 0xFF]


# ---- several frames


def animation(kind: str, count: int = 3, **settings: Any) -> bytes:
    frames = [Image.new("RGB", (24, 16), (80 * i, 40, 0)) for i in range(count)]
    return written(frames[0], kind, save_all=True, append_images=frames[1:], **settings)


def stereo(data: bytes) -> bytes:
    """An MPO file of three whose first two pictures say that they are a pair."""
    size = getattr(opened(data), "mpinfo")[0xB002][0]["Size"]  # noqa: B009
    start = data.index(struct.pack("<LL", 0x030000, size))
    for entry in (start, start + 16):
        data = data[:entry] + struct.pack("<L", 0x020002) + data[entry + 4 :]
    return data


ANIMATED = ["GIF", "PNG", "WEBP", "TIFF", "AVIF"]


@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("loaded", [False, True])
def test_the_first_frame_is_coded_with_a_warning(kind: str, loaded: bool, tmp_path: Path) -> None:
    path = tmp_path / "moving"
    path.write_bytes(animation(kind))
    with open_image(path) if loaded else Image.open(path) as picture:
        with pytest.warns(UserWarning, match="image has 3 frames; only frame 1 is coded") as caught:
            data = caesura.encode(picture)
        assert [warning.filename for warning in caught] == [__file__]
    first = caesura.decode(data)
    assert np.abs(np.asarray(first)[8, 12].astype(int) - [0, 40, 0]).max() <= 8


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_is_refused_with_strict(kind: str) -> None:
    with pytest.raises(ImageError, match="image has 3 frames; one is allowed with strict"):
        caesura.encode(opened(animation(kind)), strict=True)


@pytest.mark.parametrize("kind", [*ANIMATED, "JPEG", "BMP"])
def test_one_frame_is_coded_in_silence(kind: str) -> None:
    silent(opened(written(photo(), kind)), strict=True)


def test_another_frame_is_coded_if_the_picture_is_at_it() -> None:
    picture = opened(animation("GIF"))
    picture.seek(2)
    with pytest.warns(UserWarning, match="image has 3 frames; only frame 3 is coded"):
        coded = split(codable(picture))[0]
    assert coded[0, 0].tolist() == [160, 40, 0]


def test_a_copy_of_a_frame_is_a_picture_of_its_own() -> None:
    silent(opened(animation("GIF")).copy(), strict=True)


def test_previews_and_gain_maps_beside_a_phones_photo_are_not_frames() -> None:
    picture = opened(animation("MPO"))
    assert (picture.format, getattr(picture, "n_frames", None)) == ("MPO", 3)
    silent(picture, strict=True)


def test_a_stereo_pair_has_two_frames() -> None:
    with pytest.warns(UserWarning, match="image has 2 frames"):
        codable(opened(stereo(animation("MPO"))))
    with pytest.raises(ImageError, match="image has 2 frames"):
        codable(opened(stereo(animation("MPO"))), strict=True)


def test_layers_are_not_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo()
    picture.format = "PSD"
    monkeypatch.setattr(picture, "is_animated", True, raising=False)
    silent(picture, strict=True)


def test_the_small_preview_in_a_raw_file_is_refused() -> None:
    data = written(photo(), "TIFF", tiffinfo={254: 1})
    with pytest.raises(ImageError, match=r"the preview of another, as in a camera's raw file"):
        caesura.encode(opened(data))
    silent(opened(written(photo(), "TIFF", tiffinfo={254: 0})))


# ---- awkward files


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (41, 1), (2, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_a_pixels_width_come_back_in_their_size(size: tuple[int, int], kind: str) -> None:
    source = opened(written(Image.new("RGB", size, (200, 120, 40)), kind))
    picture = caesura.decode(caesura.encode(source, quality=90))
    assert picture.size == size
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(source)).max() <= 16


@pytest.mark.parametrize(
    "settings", [{"progressive": True}, {"subsampling": "4:4:4"}, {"subsampling": "4:2:0"}]
)
def test_every_kind_of_jpeg_is_what_pillow_reads(settings: dict[str, Any]) -> None:
    data = written(photo(), "JPEG", **settings)
    np.testing.assert_array_equal(split(silent(opened(data)))[0], np.asarray(opened(data)))


@pytest.mark.parametrize("settings", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_jpeg_is_refused(settings: dict[str, bool], share: float, tmp_path: Path) -> None:
    data = written(photo(200, 300), "JPEG", quality=95, **settings)
    cut = data[: int(len(data) * share)]
    with pytest.raises(ImageError, match="image cannot be read"):
        caesura.encode(opened(cut))
    (tmp_path / "cut.jpg").write_bytes(cut)
    with pytest.raises(ImageError, match=r"cut\.jpg"):
        open_image(tmp_path / "cut.jpg")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg is not a picture"):
        open_image(tmp_path / "empty.jpg")


def test_a_cut_animation_is_refused() -> None:
    data = animation("GIF")
    with pytest.raises(ImageError, match="image cannot be read"):
        caesura.encode(opened(data[: data.index(b",") + 12]))


def test_tags_set_by_the_caller_stay_with_a_converted_picture() -> None:
    picture = photo().convert("YCbCr")
    picture.getexif()[ORIENTATION] = 3
    assert read_metadata.from_image(silent(picture)).exif is not None
    assert silent(picture).getexif()[ORIENTATION] == 3


# ---- on the command line and with Pillow


def test_the_command_line_tells_what_is_lost_of_each_file_in_one_line(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.gif", "b.gif", "c.png", "d.png")]
    contents = [animation("GIF"), animation("GIF"), deep_png([1, 2, 3], 3), written(photo(), "PNG")]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    outcome = run("encode", *paths)
    assert len(succeeded(outcome).splitlines()) == 4
    assert outcome.err.splitlines() == [
        f"caesura: warning: {paths[0]}: image has 3 frames; only frame 1 is coded",
        f"caesura: warning: {paths[1]}: image has 3 frames; only frame 1 is coded",
        f"caesura: warning: {paths[2]}: image has mode RGB; the upper 8 of its 16 bits are coded",
    ]


def test_the_command_line_refuses_with_strict(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(animation("GIF"))
    assert "image has 3 frames; one is allowed" in complaint(run("encode", "--strict", path))
    assert not path.with_suffix(".cae").exists()


def test_the_command_line_converts_what_is_for_printing(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    path.write_bytes(written(patches(16), "JPEG", icc_profile=PROFILE))
    succeeded(run("encode", "--strict", "-q", 100, path))
    assert_inks(caesura.decode(path.with_suffix(".cae").read_bytes()), 20)


def test_pillow_saves_one_frame_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="image has 3 frames; only frame 1 is coded"):
        opened(animation("GIF")).save(tmp_path / "a.cae")
    with pytest.raises(ImageError, match="image has 3 frames"):
        opened(animation("GIF")).save(tmp_path / "b.cae", strict=True)


def test_pillow_saves_what_is_for_printing_without_its_profile(tmp_path: Path) -> None:
    picture = opened(written(patches(16), "TIFF", icc_profile=PROFILE))
    picture.save(tmp_path / "a.cae", quality=100, icc_profile=picture.info["icc_profile"])
    with Image.open(tmp_path / "a.cae") as coded:
        assert "icc_profile" not in coded.info
        assert_inks(coded, 20)


def test_a_palette_of_eight_bit_values_is_taken_as_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "old.tif"
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    values = (0, 200, *[0] * 254, 0, 100, *[0] * 254, 0, 50, *[0] * 254)
    picture.save(path)
    content = bytearray(path.read_bytes())
    offset = content.index(struct.pack("<H", 200 << 8))  # the palette of 16-bit values, plane by plane
    start = offset - 2
    content[start : start + 1536] = struct.pack("<768H", *values)
    path.write_bytes(content)
    assert np.array_equal(split(codable(open_image(path)))[0][0, 0], [200, 100, 50])


def test_a_profile_that_pillow_would_not_read_from_a_png(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.info["icc_profile"] = bytes((1 << 20) + 1)
    data = caesura.encode(picture, effort=1)
    with pytest.warns(UserWarning, match="icc has 1048577 bytes and is left out; PNG can hold 1048576"):
        made = formats.saved(caesura.decode(data), "PNG")
    assert Image.open(io.BytesIO(made)).size == (8, 8)
    path = tmp_path / "long.png"
    picture.save(path, icc_profile=picture.info["icc_profile"])
    kept = caesura.decode(caesura.encode(path, effort=1)).info["icc_profile"]
    assert kept == picture.info["icc_profile"]


@pytest.mark.parametrize("depth", [2, 4])
def test_a_transparent_grey_of_few_bits_is_transparent(depth: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    row = bytes([0]) + (b"\x1b" if depth == 2 else b"\x01\x23")  # samples 0 to 3
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, depth, 0, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">H", 2)) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    colours, alpha = split(codable(Image.open(io.BytesIO(data))))
    assert colours[0, :, 0].tolist() == [number * 255 // (2**depth - 1) for number in range(4)]
    assert alpha is not None
    assert alpha.tolist() == [[255, 255, 0, 255]]


def test_signed_samples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "signed.tif"
    Image.new("L", (8, 8), 255).save(path, tiffinfo={339: 2})
    with pytest.raises(ImageError, match="image has signed samples, which Pillow reads as unsigned"):
        codable(open_image(path))
