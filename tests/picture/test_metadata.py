"""Colour profile, EXIF and XMP travel byte for byte; orientation with them."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

import caesura
import caesura.pillow_plugin
from caesura.errors import FormatError, ImageError, LimitError
from caesura.format import container
from caesura.format.container import Header, Payload, SegmentData
from caesura.picture import convert, extended_xmp, formats, loading, metadata, read_metadata, write_metadata
from caesura.picture import exif as tags
from caesura.picture.metadata import MAX_BYTES, Metadata
from cli_helpers import run, succeeded

ORIENTATION = 0x0112
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- \xc3\xa9t\xc3\xa9 --></x:xmpmeta>'
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
contents = st.none() | st.binary(min_size=1, max_size=200)


def photo() -> Image.Image:
    """Wider than high, so that a turn shows."""
    ramp = np.linspace(0, 255, 48 * 80 * 3).reshape(48, 80, 3).astype(np.uint8)
    return Image.fromarray(ramp)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[0x010F] = "Maker"
    return tags.tobytes()


def jpeg(**settings: bytes) -> Image.Image:
    stream = io.BytesIO()
    photo().save(stream, "JPEG", quality=95, **settings)
    return Image.open(io.BytesIO(stream.getvalue()))


@pytest.mark.slow
@given(contents, contents, contents)
def test_files_give_back_every_byte(icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> None:
    kept = Metadata(icc, exif, xmp)
    data = container.write(Header(1, 3, 100, 1, 1, 1), Payload([SegmentData(b"latents")], metadata=kept))
    assert container.read(data)[1] == Payload([SegmentData(b"latents")], metadata=kept)


def test_what_a_photo_holds_comes_back() -> None:
    source = jpeg(exif=exif(6), icc_profile=PROFILE, xmp=XMP)
    picture = caesura.decode(caesura.encode(source))
    assert picture.size == source.size  # not turned
    for name in ("exif", "icc_profile", "xmp"):
        assert picture.info[name] == source.info[name], name
    assert picture.getexif()[ORIENTATION] == 6
    assert ImageOps.exif_transpose(picture).size == (48, 80)


def test_tags_set_by_the_caller_are_kept() -> None:
    picture = photo()
    picture.getexif()[ORIENTATION] = 3
    assert caesura.decode(caesura.encode(picture)).getexif()[ORIENTATION] == 3


def test_strip_leaves_nothing_and_turns_the_pixels() -> None:
    source = jpeg(exif=exif(6), icc_profile=PROFILE, xmp=XMP)
    data = caesura.encode(source, strip=True)
    header, payload = container.read(data)
    assert (header.width, header.height) == (48, 80)
    assert payload.metadata == Metadata()
    assert data == caesura.encode(ImageOps.exif_transpose(source), strip=True)


def test_a_picture_without_any_costs_nothing() -> None:
    picture = photo()
    assert caesura.encode(picture) == caesura.encode(np.asarray(picture))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
def test_the_command_line_carries_it_through(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    jpeg(exif=exif(8), icc_profile=PROFILE, xmp=XMP).save(
        source, quality=90, exif=exif(8), icc_profile=PROFILE, xmp=XMP
    )
    coded, out = tmp_path / "photo.cae", tmp_path / f"out{suffix}"
    succeeded(run("encode", source, "-o", coded))
    succeeded(run("decode", coded, "-o", out))
    with Image.open(out) as picture:
        assert picture.size == (80, 48)
        assert picture.getexif()[ORIENTATION] == 8
        assert picture.info["icc_profile"] == PROFILE
        xmp = picture.info.get("xmp", picture.info.get("XML:com.adobe.xmp"))
        assert (xmp.encode() if isinstance(xmp, str) else xmp) == XMP


@pytest.mark.parametrize("with_exif", [True, False])
def test_tiff_holds_it_as_tags_and_is_turned_when_it_is_read(with_exif: bool, tmp_path: Path) -> None:
    picture = photo()
    picture.info |= {"icc_profile": PROFILE, "xmp": XMP} | ({"exif": exif(6)} if with_exif else {})
    (tmp_path / "photo.cae").write_bytes(caesura.encode(picture))
    succeeded(run("decode", tmp_path / "photo.cae", "--format", "tiff"))
    with Image.open(tmp_path / "photo.tiff") as back:
        back.load()
        assert back.size == ((48, 80) if with_exif else (80, 48))
        assert back.getexif().get(0x010F) == ("Maker" if with_exif else None)
        assert (back.info["icc_profile"], back.info["xmp"]) == (PROFILE, XMP)


def test_too_much_is_refused() -> None:
    picture = photo()
    picture.info["xmp"] = bytes(MAX_BYTES + 1)
    got = f"image has {MAX_BYTES + 1} bytes of xmp"
    with pytest.raises(ImageError, match=f"{got}; at most {MAX_BYTES} are allowed"):
        caesura.encode(picture)
    with pytest.raises(LimitError, match=f"xmp: more than {MAX_BYTES} bytes"):
        metadata.unpack("xmp", zlib.compress(bytes(MAX_BYTES + 1)))


@pytest.mark.parametrize(
    "stored", [b"", b"plain", zlib.compress(b"x")[:-1], zlib.compress(b"x") + b"y", zlib.compress(b"")]
)
def test_what_is_not_one_whole_stream_is_refused(stored: bytes) -> None:
    with pytest.raises(FormatError, match="exif: "):
        metadata.unpack("exif", stored)


# ---- damaged EXIF, and turning


def described(**info: bytes) -> Image.Image:
    picture = photo()
    picture.info |= info
    return picture


def entry(tag: int, kind: int, value: bytes, count: int = 1) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")


def exif_of(*entries: bytes) -> bytes:
    head = b"Exif\0\0" + tags.HEAD + struct.pack("<H", len(entries))
    return head + b"".join(entries) + bytes(4)


TURN = entry(ORIENTATION, 3, b"\x06\0")
DAMAGED = {
    "a unit of a signed type": exif_of(TURN, entry(296, 8, b"\xff\xff")),
    "text that lies elsewhere": exif_of(entry(271, 2, b"\xff\0\0\0", 100), TURN),
    "cut": exif_of(TURN, entry(271, 2, b"abc\0", 4))[:-8],
    "twice the orientation": exif_of(entry(ORIENTATION, 3, b"\x06\0\x06\0", 2)),
    "an orientation of 4 bytes": exif_of(entry(ORIENTATION, 4, b"\x06\0\0\0")),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_exif_travels_and_turns_what_is_stripped(name: str) -> None:
    source = described(exif=DAMAGED[name])
    assert caesura.decode(caesura.encode(source, effort=1)).info["exif"] == DAMAGED[name]
    stripped = caesura.decode(caesura.encode(source, strip=True, effort=1))
    assert (stripped.size, stripped.info) == ((48, 80), {})


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG", "PNG", "WEBP", "BMP"])
def test_damaged_exif_stops_no_format_and_never_loses_the_orientation(name: str, kind: str) -> None:
    back = Image.open(io.BytesIO(formats.saved(described(exif=DAMAGED[name]), kind)))
    assert convert.upright(back).size == (48, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_an_orientation_is_found(orientation: int, order: str) -> None:
    head = b"II*\0" if order == "<" else b"MM\0*"
    block = head + struct.pack(f"{order}IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)
    assert tags.orientation(block) == orientation
    assert tags.orientation(tags.with_orientation(orientation)) == orientation
    source = described(exif=b"Exif\0\0" + block)
    np.testing.assert_array_equal(convert.upright(source), ImageOps.exif_transpose(source))


@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0", b"MM\0*"]))
def test_any_bytes_have_an_orientation_or_none(content: bytes, head: bytes) -> None:
    assert tags.orientation(head + content) in (None, *range(1, 9))


def test_xmp_turns_what_exif_says_nothing_of() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert convert.upright(described(xmp=xmp)).size == (48, 80)
    assert convert.upright(described(xmp=xmp, exif=exif(1))).size == (80, 48)


def test_one_bad_tag_of_the_callers_costs_that_tag_alone() -> None:
    picture = photo()
    picture.getexif().update({ORIENTATION: 6, 296: -1})
    with pytest.warns(UserWarning, match="EXIF has damaged or too large tags, 296, which are left out"):
        back = caesura.decode(caesura.encode(picture, effort=1))
    assert dict(back.getexif()) == {ORIENTATION: 6}


def saved(picture: Image.Image, kind: str) -> Image.Image:
    return Image.open(io.BytesIO(formats.saved(picture, kind)))


TURNED_XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
UNTURNED_XMP = TURNED_XMP.replace(b"6", b"1")


@pytest.mark.parametrize("orientation", [1, 6])
def test_avif_holds_exif_byte_for_byte(orientation: int) -> None:
    """Text beyond ASCII, in UTF-8 too, and a thumbnail: what Pillow changes where it writes EXIF anew."""
    turn = entry(ORIENTATION, 3, bytes([orientation, 0]))
    text, utf8 = entry(0x013B, 2, b"\xc3\xa9\xfc\0", 4), entry(0x8298, 129, b"\xc2\xa9J\0", 4)
    first = exif_of(turn, text, utf8)[:-4]
    thumbnail = struct.pack("<IHHHIHHI", len(first) - 2, 1, 259, 3, 1, 6, 0, 0)
    source = described(exif=first + thumbnail)
    back = saved(source, "AVIF")
    assert back.info["exif"] == source.info["exif"]
    assert convert.upright(back).size == ((48, 80) if orientation == 6 else (80, 48))


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("said", [None, 0, 1, 6])
def test_exif_counts_before_xmp_in_files_with_a_turn_of_their_own(kind: str, said: int | None) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    source = described(xmp=TURNED_XMP, **({} if said is None else {"exif": exif(said)}))
    turned = said in (None, 6)
    assert convert.upright(source).size == ((48, 80) if turned else (80, 48))
    back = saved(source, kind)
    assert convert.upright(back).size == ((48, 80) if turned else (80, 48))
    again = caesura.decode(caesura.encode(back, effort=1))
    assert convert.upright(again).size == ((48, 80) if turned else (80, 48))


def test_xmp_turns_no_avif() -> None:
    stream = io.BytesIO()
    photo().save(stream, "AVIF", xmp=TURNED_XMP)
    assert caesura.decode(caesura.encode(Image.open(stream), strip=True, effort=1)).size == (80, 48)
    back = caesura.decode(caesura.encode(Image.open(stream), effort=1))
    assert (convert.upright(back).size, back.info["xmp"]) == ((80, 48), UNTURNED_XMP)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("icc_profile", value) for value in ("text", -1, 10**9)),
        *(("exif", value) for value in ("text", 5)),
        ("xmp", {}),
        ("XML:com.adobe.xmp", 3),
    ],
)
@pytest.mark.parametrize("strip", [False, True])
def test_metadata_of_a_wrong_type_is_left_out_with_a_warning(name: str, value: Any, strip: bool) -> None:
    source = photo()
    source.info[name] = value
    with pytest.warns(
        UserWarning, match=f"image has {name} of type {type(value).__name__}, which is left out"
    ):
        back = caesura.decode(caesura.encode(source, strip=strip, effort=1))
    assert back.info == {}


def test_text_and_views_are_taken_for_bytes() -> None:
    source = photo()
    source.info |= {"xmp": XMP.decode(), "exif": memoryview(exif(6)), "icc_profile": bytearray(PROFILE)}
    back = caesura.decode(caesura.encode(source, effort=1))
    assert back.info == {"xmp": XMP, "exif": exif(6), "icc_profile": PROFILE}


def test_a_text_in_a_png_is_no_profile(tmp_path: Path) -> None:
    for after in (False, True):
        notes = PngInfo()
        notes.add(b"tEXt", b"icc_profile\0text", after_idat=after)
        photo().save(tmp_path / "a.png", pnginfo=notes)
        with pytest.warns(UserWarning, match="icc_profile of type str"):
            assert caesura.decode(caesura.encode(tmp_path / "a.png", effort=1)).info == {}


# ---- what TIFFs hold


def tiff(tag: int, kind: int, value: Any, frames: int = 1) -> Image.Image:
    """A TIFF with a maker and a tag of a type."""
    made = ImageFileDirectory_v2()
    made[0x010F] = "Maker"
    made.tagtype[tag] = kind
    made[tag] = value
    stream = io.BytesIO()
    photo().save(stream, "TIFF", tiffinfo=made, save_all=frames > 1, append_images=[photo()] * (frames - 1))
    return Image.open(stream)


@pytest.mark.filterwarnings("ignore:image has 2 frames")
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(("kind", "value"), [(12, 1.5), (4, 10**9), (8, -1), (4, (1, 2))])
@pytest.mark.parametrize(("tag", "name"), [(tags.ICC, "icc_profile"), (tags.XMP, "xmp")])
def test_a_tag_of_a_wrong_type_costs_that_tag_alone(
    tag: int, name: str, kind: int, value: Any, frames: int, tmp_path: Path
) -> None:
    if tag == tags.ICC and isinstance(value, tuple):
        value = value[0]
    with pytest.warns(UserWarning, match=f"image has {name} of type .*, which is left out"):
        back = caesura.decode(caesura.encode(tiff(tag, kind, value, frames), effort=1))
    assert (dict(back.getexif()), {*back.info}) == ({0x010F: "Maker"}, {"exif"})


def test_xmp_of_a_tiff_may_be_text() -> None:
    assert (
        caesura.decode(caesura.encode(tiff(tags.XMP, 2, "<x:xmpmeta/>"), effort=1)).info["xmp"]
        == b"<x:xmpmeta/>"
    )


def test_iptc_that_says_it_is_numbers_is_kept() -> None:
    iptc = b"\x1c\x02\x05\0\x05title\0\0"
    made = ImageFileDirectory_v2()
    made.tagtype[65001] = 7
    made[65001] = iptc
    stream = io.BytesIO()
    photo().save(stream, "TIFF", tiffinfo=made)
    content = stream.getvalue().replace(struct.pack("<HHI", 65001, 7, 12), struct.pack("<HHI", 33723, 4, 3))
    for _ in range(2):  # also from the TIFF that is written of it
        back = caesura.decode(caesura.encode(Image.open(io.BytesIO(content)), effort=1))
        assert back.getexif()[33723] == iptc
        content = formats.saved(back, "TIFF")


def test_tags_about_pixels_never_come_from_exif() -> None:
    odd = Image.Exif()
    for tag in tags.LAYOUT:
        odd[tag] = 7
    odd[0x010F] = "Maker"
    for mode in ("L", "LA", "RGB", "RGBA"):
        picture = photo().convert(mode)
        plain = formats.saved(picture, "TIFF")
        picture.info["exif"] = odd.tobytes()
        with Image.open(io.BytesIO(formats.saved(picture, "TIFF"))) as back:
            assert back.getexif()[0x010F] == "Maker"
            assert {*back.tag_v2} & tags.LAYOUT == {*Image.open(io.BytesIO(plain)).tag_v2} & tags.LAYOUT
            np.testing.assert_array_equal(back, picture)


def rich(orientation: int) -> Image.Exif:
    """EXIF with directories in it, and text beyond ASCII."""
    made = Image.Exif()
    made.load(exif(orientation))
    made[0x8298] = "\u00a9 J\u00fcrgen".encode("latin-1")
    made[0x011A] = made[0x011B] = 300.0
    made[0x8769] = {0x829A: 0.008, 0x927C: b"MAKER NOTE" * 9, 0x9003: "2020:01:01 00:00:00"}
    made[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    loaded = Image.Exif()
    loaded.load(made.tobytes())
    return loaded


def test_tiff_holds_every_tag_and_gives_it_back() -> None:
    source = rich(1)
    picture = described(exif=source.tobytes())
    picture.info["exif"] = picture.info["exif"].replace(b"? J?rgen", b"\xa9 J\xfcrgen")
    with Image.open(io.BytesIO(formats.saved(picture, "TIFF"))) as scan:
        again = caesura.decode(caesura.encode(scan, effort=1)).getexif()
    assert again[0x8298] == "\u00a9 J\u00fcrgen"
    assert (again[0x010F], again[0x011A]) == ("Maker", 300)
    assert again.get_ifd(0x8769) == source.get_ifd(0x8769)
    assert again.get_ifd(0x8825) == source.get_ifd(0x8825)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_tiff_is_turned_and_its_tags_kept(orientation: int, mode: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(formats.saved(described(exif=exif(orientation)).convert(mode), "TIFF"))
    looked_at = ImageOps.exif_transpose(described(exif=exif(orientation)).convert(mode))
    for source in (Image.open(path), loading.open_image(path)):
        kept = read_metadata.from_image(convert.codable(source))
        np.testing.assert_array_equal(convert.codable(source), looked_at)
        made = Image.Exif()
        made.load(kept.exif or b"")
        assert made.pop(ORIENTATION, 1) == 1
        assert dict(made) == {0x010F: "Maker"}


def test_private_data_of_a_tiff_is_left_out_with_a_warning() -> None:
    stream = io.BytesIO()
    photo().save(stream, "TIFF", tiffinfo={0x010F: "Maker", 65000: b"x" * 70_000})
    with pytest.warns(UserWarning, match="too large tags, 65000, which are left out"):
        back = caesura.decode(caesura.encode(Image.open(stream), effort=1))
    assert dict(back.getexif()) == {0x010F: "Maker"}


def test_pillow_saves_a_tiffs_tags(tmp_path: Path) -> None:
    stream = io.BytesIO(formats.saved(described(exif=exif(6)), "TIFF"))
    Image.open(stream).save(tmp_path / "a.cae", effort=1)
    with Image.open(tmp_path / "a.cae") as back:
        assert (back.size, dict(back.getexif())) == ((48, 80), {0x010F: "Maker"})


# ---- what formats cannot hold


LONG = b"<x:xmpmeta>" + b" " * 70_000 + b"</x:xmpmeta>"


def test_what_is_too_long_for_jpeg_is_left_out_with_a_warning() -> None:
    picture = described(xmp=LONG, exif=exif(6) + bytes(70_000), icc_profile=PROFILE)
    with pytest.warns(UserWarning, match="is left out; JPEG can hold") as caught:
        back = Image.open(io.BytesIO(formats.saved(picture, "JPEG")))
    assert [str(warning.message) for warning in caught] == [
        f"exif has {70_000 + len(exif(6)) - 6} bytes and is left out; JPEG can hold 65527",
    ]
    assert dict(back.getexif()) == {ORIENTATION: 6}
    kept = read_metadata.from_image(back)
    assert (kept.icc, kept.xmp) == (PROFILE, LONG)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icc", "exif"])
@pytest.mark.parametrize("more", [0, 1])
def test_the_limits_of_jpeg_are_those_of_the_format(name: str, more: int) -> None:
    kept = Metadata(**{name: bytes(write_metadata._MAX_BYTES["JPEG"][name] + more)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = io.BytesIO()
        photo().save(stream, "JPEG", **write_metadata.options(kept, "JPEG"))
    assert len(caught) == more
    assert read_metadata.from_image(Image.open(stream)) == (Metadata() if more else kept)


@pytest.mark.parametrize("size", [65_504, 65_505, 200_000])
@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
def test_long_xmp_is_spread_over_segments_and_joined(size: int, kind: str) -> None:
    packet = bytes(np.random.default_rng(1).integers(32, 127, size, np.uint8))
    back = Image.open(io.BytesIO(formats.saved(described(xmp=packet), kind)))
    assert read_metadata.from_image(back).xmp == packet
    assert caesura.decode(caesura.encode(back, effort=1)).info["xmp"] == packet


def test_xmp_that_another_program_has_spread_is_joined_if_whole() -> None:
    main = b'<x><rdf:RDF a="b"><rdf:Description xmpNote:HasExtendedXMP="' + b"A" * 32 + b'"/></rdf:RDF></x>'
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
    rest = b'<rdf:RDF xmlns:rdf="r"><rdf:Description/></rdf:RDF>'
    parts = [head + struct.pack(">II", len(rest), start) + rest[start : start + 30] for start in (30, 0)]
    whole = main.replace(b"A" * 32, b"").replace(b"</rdf:RDF>", b"<rdf:Description/></rdf:RDF>")
    assert extended_xmp.joined(main, parts) == whole
    assert extended_xmp.joined(main, parts[:1]) == main
    assert extended_xmp.joined(main, []) == main
    assert extended_xmp.joined(XMP, parts) == XMP


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PPM", "TGA", "JPEG2000", "QOI"])
def test_formats_that_hold_no_metadata_warn_and_apply_the_orientation(kind: str) -> None:
    picture = described(exif=exif(6), xmp=XMP, icc_profile=PROFILE)
    with pytest.warns(
        UserWarning, match=rf"{kind} cannot hold icc \(\d+ bytes\), exif .*, xmp .*, which is"
    ) as caught:
        back = Image.open(io.BytesIO(formats.saved(picture, kind)))
    assert len(caught) == 1
    assert back.size == (48, 80)
    assert read_metadata.from_image(back) == Metadata()


@pytest.mark.parametrize("kind", sorted(write_metadata.FORMATS - {"HEIF", "AVIF", "TIFF"}))
def test_formats_that_hold_metadata_return_every_byte(kind: str) -> None:
    picture = described(exif=exif(6), xmp=b"\xff not UTF-8", icc_profile=PROFILE)
    kept = read_metadata.from_image(picture)
    assert read_metadata.from_image(Image.open(io.BytesIO(formats.saved(picture, kind)))) == kept


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tiff", ".bmp"])
def test_decoding_strips_with_strip(suffix: str, tmp_path: Path) -> None:
    coded, out = tmp_path / "photo.cae", tmp_path / f"photo{suffix}"
    coded.write_bytes(caesura.encode(described(exif=exif(6), xmp=LONG, icc_profile=PROFILE), effort=1))
    outcome = run("decode", "--strip", coded, "-o", out)
    succeeded(outcome)
    assert outcome.err == ""
    with Image.open(out) as back:
        assert (back.size, read_metadata.from_image(back)) == ((48, 80), Metadata())
    succeeded(run("decode", "--strip", "--scale", "1/2", coded, "-o", out, "-f"))
    with Image.open(out) as back:
        assert back.size == (24, 40)


# ---- damaged files


def animation(kind: str) -> bytes:
    stream = io.BytesIO()
    frames = [Image.effect_noise((40, 30), 20 + 20 * number) for number in range(4)]
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "MPO"])
def test_a_file_cut_anywhere_is_read_or_refused(kind: str) -> None:
    data = animation(kind)
    for end in range(20, len(data), len(data) // 60):
        for settle in (convert.codable, convert.upright, convert.check_whole):
            try:
                picture = Image.open(io.BytesIO(data[:end]))
            except Exception:
                continue
            with contextlib.suppress(ImageError):
                settle(picture)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "error", [KeyError(7), IndexError("x"), struct.error("y"), TypeError(), ZeroDivisionError("z")]
)
@pytest.mark.parametrize("name", ["load", "n_frames"])
def test_whatever_a_library_raises_is_our_error(
    error: Exception, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.open(io.BytesIO(animation("GIF")))

    def fail(*ignored: Any) -> None:
        raise error

    monkeypatch.setattr(type(picture), name, property(fail) if name == "n_frames" else fail)
    with pytest.raises(ImageError, match="image cannot be read: "):
        caesura.encode(picture)


def test_a_damaged_file_ends_no_run(tmp_path: Path) -> None:
    data = animation("TIFF")
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    (tmp_path / "b.jpg").write_bytes(b"")
    photo().save(tmp_path / "b.jpg", exif=DAMAGED["a unit of a signed type"])
    outcome = run("encode", "--strip", "-e", 1, "-r", tmp_path)
    assert outcome.status == 1
    assert "a.tif: image cannot be read: " in outcome.err
    assert container.read_header((tmp_path / "b.cae").read_bytes()).height == 80


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_small_tiff_that_is_to_be_turned_is_read_by_pillow(mode: str, tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((48, 64)).convert(mode)
    picture.putpixel((5, 7), 0 if mode == "L" else (0, 0, 0, 128)[: len(mode)])
    exif_of_six = Image.Exif()
    exif_of_six[274] = 6
    picture.info["exif"] = exif_of_six.tobytes()
    decoded = caesura.decode(caesura.encode(picture, effort=1))
    (tmp_path / "a.tif").write_bytes(formats.saved(decoded, "TIFF"))
    with Image.open(tmp_path / "a.tif") as back:  # by its name, so that it may be mapped
        assert np.array_equal(back, decoded.transpose(Image.Transpose.ROTATE_270))
