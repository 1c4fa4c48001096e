"""Pillow opens and saves .cae files."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

import caesura
import caesura.pillow_plugin
from caesura import codec
from caesura.errors import CaesuraError, ChecksumError, ConfigError, TruncatedError


def saved(picture: Image.Image, **settings: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "CAE", **settings)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(astronaut[:70, :90])


@pytest.mark.slow
def test_saving_is_encoding(photo: Image.Image) -> None:
    assert saved(photo) == caesura.encode(photo)
    assert saved(photo, quality=20, effort=1) == caesura.encode(photo, quality=20, effort=1)
    clear = photo.copy()
    clear.putalpha(0)
    assert saved(clear, exact=True) == caesura.encode(clear, exact=True) != saved(clear)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_opening_is_decoding(photo: Image.Image, mode: str) -> None:
    data = saved(photo.convert(mode))
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("CAE", mode, (90, 70))
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(caesura.decode(data)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_file_larger_than_its_pixels_is_decoded_too(mode: str, tmp_path: Path) -> None:
    Image.new(mode, (8, 1), "white").save(tmp_path / "a.cae", effort=1)
    with Image.open(tmp_path / "a.cae") as picture:
        assert (tmp_path / "a.cae").stat().st_size > 32
        decoded = caesura.decode((tmp_path / "a.cae").read_bytes())
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(decoded))


def test_size_and_metadata_need_no_pixels(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    data = saved(photo, exif=tags, icc_profile=b"profile", xmp=b"<xmp/>")
    monkeypatch.setattr(codec, "decode_array", lambda _: pytest.fail("decoded"))
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (90, 70)
    assert picture.getexif()[0x0112] == 6
    assert (picture.info["icc_profile"], picture.info["xmp"]) == (b"profile", b"<xmp/>")


def test_files_by_extension(photo: Image.Image, tmp_path: Path) -> None:
    assert Image.registered_extensions()[".cae"] == "CAE"
    photo.save(tmp_path / "photo.cae", quality=30)
    with Image.open(tmp_path / "photo.cae") as picture:
        assert picture.crop((0, 0, 8, 8)).size == (8, 8)
        assert picture.load() is not None


def test_other_files_are_left_to_others(photo: Image.Image) -> None:
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    assert Image.open(io.BytesIO(stream.getvalue())).format == "PNG"
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"\x89CAQ and more"))


def test_damage_raises_ours(photo: Image.Image) -> None:
    data = bytearray(saved(photo))
    data[-1] ^= 1
    with pytest.raises(OSError, match="does not match its checksum") as caught:
        Image.open(io.BytesIO(bytes(data)))
    assert isinstance(caught.value, ChecksumError)
    for length in range(4, len(data), 97):
        with pytest.raises(CaesuraError):
            Image.open(io.BytesIO(bytes(data[:length])))


def test_bad_settings_are_refused(photo: Image.Image) -> None:
    with pytest.raises(ConfigError, match="quality is 0"):
        saved(photo, quality=0)
    wrong = {
        "quality": "50",
        "strict": "no",
        "exif": "text",
        "icc_profile": 5,
        "xmp": 5,
        "target": {"bytes": 9},
    }
    for name, value in wrong.items():
        with pytest.raises(TypeError, match=f"^{name} is .+, of type .+ allowed$"):
            saved(photo, **{name: value})


@pytest.mark.parametrize("value", [None, b"", Image.Exif()])
def test_metadata_that_is_nothing_is_left_out(photo: Image.Image, value: object) -> None:
    tagged = photo.copy()
    tagged.info["exif"] = b"Exif\0\0of the picture"
    assert saved(tagged, exif=value) == saved(photo)


@pytest.mark.slow
def test_threads_share_it(photo: Image.Image) -> None:
    expected = saved(photo)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: saved(photo), range(8))) == {expected}
        opened = pool.map(lambda _: Image.open(io.BytesIO(expected)).tobytes(), range(8))
        assert len(set(opened)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "scale"), [(300, 1), (200, 1), (150, 2), (64, 4), (20, 8), (1, 8)])
def test_a_thumbnail_is_made_of_a_preview(
    astronaut: NDArray[np.uint8], wanted: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    usual = codec.decode_array
    monkeypatch.setattr(
        codec, "decode_array", lambda data, scale: asked.append(scale) or usual(data, scale=scale)
    )
    picture = astronaut[:300, :299]
    opened = Image.open(io.BytesIO(caesura.encode(picture, quality=60)))
    assert opened.size == (299, 300)
    opened.draft(None, (wanted, wanted))
    assert opened.size == (-(-299 // scale), -(-300 // scale))
    assert opened.load() is not None
    assert asked == [scale]
    expected = Image.fromarray(picture).reduce(scale)
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(expected)).mean() < 6
    small = Image.open(io.BytesIO(caesura.encode(picture, quality=60)))
    small.thumbnail((wanted, wanted))
    assert max(small.size) <= max(wanted, 1)


COPIES = {"pickle": lambda p: pickle.loads(pickle.dumps(p)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_an_opened_picture_can_be_copied(photo: Image.Image, kind: str, loaded: bool, mode: str) -> None:
    picture = photo.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(77)
    picture.info["xmp"] = b"<xmp/>"
    opened = Image.open(io.BytesIO(saved(picture, effort=1)))
    if loaded:
        opened.load()
    made = COPIES[kind](opened)
    assert made == opened or kind == "copy"  # which is a picture without a file, as Pillow has it
    assert made.tobytes() == opened.tobytes()
    assert (made.mode, made.size, made.info) == (mode, photo.size, {"xmp": b"<xmp/>"})
    made.putpixel((0, 0), 1 if mode == "L" else (1,) * len(mode))
    assert made.tobytes() != opened.tobytes()
    assert made.convert("L").size == photo.size
    assert made.draft(None, (1, 1)) is None


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_files_are_closed_as_pillow_closes_its_own(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.cae"
    photo.save(path, effort=1)
    with Image.open(path) as picture:
        file = picture.fp
        picture.load()
        assert file.closed
    with Image.open(path) as picture:
        file = picture.fp
    assert file.closed
    picture = Image.open(path)
    picture.verify()
    assert picture.getpixel((0, 0)) == caesura.decode(path).getpixel((0, 0))
    thumbnail = Image.open(path)
    thumbnail.thumbnail((20, 20))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedError):
        Image.open(path)
    del picture, thumbnail
    gc.collect()  # a file that were left open would warn


def test_a_file_that_the_caller_opened_stays_open(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.cae", effort=1)
    with (tmp_path / "photo.cae").open("rb") as file:
        with Image.open(file) as picture:
            picture.load()
        assert not file.closed


def test_a_large_grey_files_pixels_are_not_read_from_the_file_itself(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    path = tmp_path / "noise.cae"
    path.write_bytes(caesura.encode(noise, quality=100))
    assert path.stat().st_size > noise.size
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), caesura.decode_array(path)[:, :, 0])


def test_what_was_decoded_is_not_kept_twice(photo: Image.Image) -> None:
    picture = Image.open(io.BytesIO(saved(photo, effort=1)))
    picture.load()
    assert picture._content is picture.fp is None
    assert picture.tell() == 0
    picture.seek(0)
    with pytest.raises(EOFError):
        picture.seek(1)


@pytest.mark.slow
def test_no_colour_that_nobody_sees_gets_into_a_thumbnail() -> None:
    rows, columns = np.mgrid[:128, :128]
    disc = np.where(((rows - 64) ** 2 + (columns - 64) ** 2 < 2500)[:, :, None], 255, 0)
    data = caesura.encode(disc.repeat(4, 2).astype(np.uint8), quality=90)
    made = [caesura.decode(data, scale=scale) for scale in (2, 4, 8)]
    made.append(caesura.decode(data, scale=4, region=(13, 5, 101, 99)))
    for side in (16, 20, 32):
        opened = Image.open(io.BytesIO(data))
        opened.thumbnail((side, side))
        made.append(opened)
    for picture in made:
        pixels = np.asarray(picture)
        assert pixels[:, :, :3][pixels[:, :, 3] > 60].min() > 235


def test_a_second_draft_changes_nothing(astronaut: NDArray[np.uint8]) -> None:
    opened = Image.open(io.BytesIO(caesura.encode(astronaut[:256, :320], quality=60)))
    for _ in range(2):
        opened.draft("RGB", (160, 128))
        assert opened.size == (160, 128)
    opened.thumbnail((20, 20))
    expected = Image.fromarray(astronaut[:256, :320])
    expected.thumbnail((20, 20))
    assert np.abs(np.asarray(opened).astype(int) - np.asarray(expected)).mean() < 8
