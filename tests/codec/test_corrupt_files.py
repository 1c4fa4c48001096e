"""Files that were damaged or forged: decode refuses them, or gives a picture of the header's shape."""

from __future__ import annotations

import dataclasses
import functools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caesura
from caesura.errors import CaesuraError, FormatError, TruncatedError
from caesura.format import container
from caesura.format.container import Header, Payload, SegmentData
from container_helpers import layers

START = 5  # bytes of signature and version
MAX_PIXELS = 4096
REFUSAL = (
    r"starts with|format version|ends (after|before|within)|bytes are missing|does not match its checksum"
    r"|shortest form|more than 5 bytes|at most"
)

Edit = tuple[int, int]
edits = st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4)


@functools.cache
def coded(channels: int = 3, quality: float = 60, model: str = "cae2017") -> bytes:
    """A coded picture of 16x16."""
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, channels), dtype=np.uint8)
    return caesura.encode(pixels, quality=quality, model=model)


SMALL = [("cae2017", 60), ("photo-psnr", 60), ("photo-psnr", 90)]  # the last has a detail chunk


@pytest.fixture(scope="module", params=SMALL, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def small(request: pytest.FixtureRequest) -> bytes:
    """A file of each kind."""
    model, quality = request.param
    return coded(quality=quality, model=model)


def changed(data: bytes, changes: list[Edit]) -> bytes:
    """Bytes xored: (position, wrapped at the end; mask)."""
    result = bytearray(data)
    for position, mask in changes if data else []:
        result[position % len(data)] ^= mask
    return bytes(result)


def with_checksum(body: bytes) -> bytes:
    """A chunk's type, length and payload with the checksum that fits them."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def split_header(data: bytes) -> tuple[bytes, bytes]:
    """The header chunk without its checksum, and all that follows it; its length takes one byte."""
    end = START + 2 + data[START + 1]
    return data[START:end], data[end + 4 :]


def assert_decodes_or_refuses(data: bytes) -> None:
    try:
        header = container.read_header(data, max_pixels=MAX_PIXELS)
        pixels = caesura.decode_array(data, max_pixels=MAX_PIXELS)
    except CaesuraError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape == (header.height, header.width, header.channels)


# ---- damage: checksums do not fit


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_damaged_byte_is_noticed(small: bytes, mask: int) -> None:
    for position in range(len(small)):
        with pytest.raises(FormatError, match=REFUSAL):
            caesura.decode(changed(small, [(position, mask)]))


@pytest.mark.slow
def test_every_truncation_is_noticed(small: bytes) -> None:
    with pytest.raises(FormatError, match="starts with nothing"):
        caesura.decode(b"")
    header, payload = container.read(small)
    without_detail = container.write(header, Payload([SegmentData(layers(payload).latents)]))
    for length in range(1, len(small)):
        if small[:length] == without_detail:  # whole, but of a quality that needs a detail chunk
            with pytest.raises(FormatError, match="detail: the chunk is missing"):
                caesura.decode(small[:length])
            continue
        with pytest.raises(TruncatedError, match=REFUSAL):
            caesura.decode(small[:length])


@pytest.mark.slow
@given(st.sampled_from(SMALL), st.binary(min_size=1, max_size=20))
def test_rubbish_behind_the_file_is_noticed(kind: tuple[str, float], rubbish: bytes) -> None:
    model, quality = kind
    with pytest.raises(FormatError, match=REFUSAL):
        caesura.decode(coded(quality=quality, model=model) + rubbish)


def test_two_files_in_one_are_refused(small: bytes) -> None:
    with pytest.raises(FormatError, match="chunk 'H' comes twice"):
        caesura.decode(small + small[START:])


# ---- forgery: checksums fit


samples = st.builds(
    coded,
    channels=st.sampled_from([1, 3]),
    quality=st.sampled_from([1, 60, 100]),
    model=st.sampled_from(["cae2017", "photo-psnr"]),
)
detailed = st.builds(
    coded,
    channels=st.sampled_from([1, 3]),
    quality=st.sampled_from([73, 90, 100]),
    model=st.just("photo-psnr"),
)


def test_the_helpers_here_put_a_file_together_as_it_was(small: bytes) -> None:
    header, rest = split_header(small)
    assert small[:START] + with_checksum(header) + rest == small
    assert container.write(*container.read(small)) == small


@pytest.mark.slow
@given(samples, edits, st.integers(0, 400), st.binary(max_size=12))
@settings(max_examples=300)
def test_forged_latents_give_a_picture_of_that_shape_or_an_error(
    data: bytes, changes: list[Edit], kept: int, more: bytes
) -> None:
    header, payload = container.read(data)
    forged = changed(layers(payload).latents[:kept], changes) + more
    assert_decodes_or_refuses(container.write(header, Payload([SegmentData(forged, layers(payload).detail)])))


@pytest.mark.slow
@given(detailed, edits, st.integers(0, 1000), st.binary(max_size=12))
@settings(max_examples=100)
def test_a_forged_detail_gives_a_picture_of_that_shape_or_an_error(
    data: bytes, changes: list[Edit], kept: int, more: bytes
) -> None:
    header, payload = container.read(data)
    assert layers(payload).detail is not None
    forged = changed(layers(payload).detail[:kept], changes) + more
    assert_decodes_or_refuses(
        container.write(header, Payload([SegmentData(layers(payload).latents, forged)]))
    )


@pytest.mark.slow
@given(samples, st.binary(max_size=400), st.booleans())
@settings(max_examples=50)
def test_a_made_up_payload_gives_a_picture_of_that_shape_or_an_error(
    data: bytes, made_up: bytes, in_detail: bool
) -> None:
    header, payload = container.read(data)
    words = made_up[: len(made_up) // 4 * 4]
    for forged in (made_up, words, words + b"\xff\xff\xff\xff"):
        other = (layers(payload).latents, forged) if in_detail else (forged, layers(payload).detail)
        assert_decodes_or_refuses(container.write(header, Payload([SegmentData(*other)])))


@pytest.mark.slow
@given(samples, edits)
@settings(max_examples=100)
def test_a_forged_header_gives_a_picture_of_its_shape_or_an_error(data: bytes, changes: list[Edit]) -> None:
    header, rest = split_header(data)
    fields = changed(header[2:], changes)
    assert_decodes_or_refuses(data[:START] + with_checksum(header[:2] + fields) + rest)


@pytest.mark.slow
@given(
    samples, st.integers(1, 64), st.integers(1, 64), st.integers(100, 10000), st.sampled_from([1, 2, 3, 4])
)
@settings(max_examples=50)
def test_a_header_that_is_not_of_its_payload_gives_a_picture_of_its_shape_or_an_error(
    data: bytes, width: int, height: int, quality: int, channels: int
) -> None:
    header, payload = container.read(data)
    other = Header(header.model_id, channels, quality, 1, width, height)
    assert_decodes_or_refuses(container.write(other, payload))
    detail = b"" if layers(payload).detail is None else None  # for qualities that need what this one has not
    assert_decodes_or_refuses(container.write(other, Payload([SegmentData(layers(payload).latents, detail)])))


@pytest.mark.slow
@given(samples, samples)
@settings(max_examples=50)
def test_a_header_of_another_file_gives_a_picture_of_its_shape_or_an_error(one: bytes, other: bytes) -> None:
    header, _ = container.read(one)
    _, payload = container.read(other)
    assert_decodes_or_refuses(container.write(header, payload))


def test_a_file_that_claims_too_many_pixels_is_refused_before_it_is_decoded(small: bytes) -> None:
    header, payload = container.read(small)
    huge = dataclasses.replace(header, width=1 << 14, height=1 << 14)
    with pytest.raises(FormatError, match=f"max_pixels allows {MAX_PIXELS}"):
        caesura.decode(container.write(huge, payload), max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("forged", [b"", b"\x01\x00\x00\x00", b"\xff" * 4, b"\xff" * 8, b"\xff" * 4000])
def test_a_payload_of_nothing_or_of_one_byte_repeated_gives_a_picture_or_an_error(
    small: bytes, forged: bytes
) -> None:
    header, payload = container.read(small)
    assert_decodes_or_refuses(container.write(header, Payload([SegmentData(forged, layers(payload).detail)])))
    assert_decodes_or_refuses(
        container.write(header, Payload([SegmentData(layers(payload).latents, forged)]))
    )
    assert_decodes_or_refuses(container.write(header, Payload([SegmentData(forged, forged)])))
