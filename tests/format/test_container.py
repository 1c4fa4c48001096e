"""The .cae layout: what goes in comes out, and nothing that was damaged or made up gets through."""

from __future__ import annotations

import dataclasses
import string
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caesura.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    SignatureError,
    TruncatedError,
    VersionError,
)
from caesura.format import container
from caesura.format.container import MAX_PIXELS, MAX_SIDE, Header, Payload, SegmentData

START = bytes.fromhex("89 43 41 45 01")
HEADER = Header(model_id=0xDEADBEEF, channels=3, ladder_position=6000, cells=5, width=300, height=5)
LATENTS = bytes(range(200))  # its length takes two bytes
FILE = container.write(HEADER, Payload([SegmentData(LATENTS)]))
SMALL = container.write(HEADER, Payload([SegmentData(b"latents!", b"detail")]))

sides = st.integers(1, MAX_SIDE)
headers = st.builds(
    Header,
    model_id=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 4),
    ladder_position=st.integers(100, 10000),
    cells=st.integers(1, 32),
    width=sides,
    height=sides,
).filter(lambda header: header.width * header.height <= MAX_PIXELS and header.segments <= 9)
layer = st.binary(max_size=300)
maybe = st.one_of(st.none(), layer)
learned = st.builds(SegmentData, latents=layer, detail=maybe, alpha=maybe, lossless=maybe, clipped=maybe)
segments = learned | st.builds(SegmentData, latents=st.none(), alpha=maybe, lossless=layer)


@st.composite
def files(draw: st.DrawFn) -> tuple[Header, Payload]:
    """A header, and as many segments as it says."""
    header = draw(headers)
    count = header.segments
    return header, Payload(draw(st.lists(segments, min_size=count, max_size=count)))


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + [groups[-1]])


def chunk(kind: bytes, payload: bytes, length: bytes | None = None) -> bytes:
    body = kind + (varint(len(payload)) if length is None else length) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def header_chunk(header: Header = HEADER, extra: bytes = b"") -> bytes:
    fields = struct.pack("<IBHB", header.model_id, header.channels, header.ladder_position, header.cells)
    return chunk(b"H", fields + varint(header.width) + varint(header.height) + extra)


@pytest.mark.slow
@given(files())
@example((HEADER, Payload([SegmentData(b"", b"")])))  # a detail of nothing is not the same as no detail
@example((HEADER, Payload([SegmentData(b"", None)])))
def test_what_is_written_is_read_back(file: tuple[Header, Payload]) -> None:
    data = container.write(*file)
    assert container.read(data) == file
    assert container.read_header(data) == file[0]


@pytest.mark.slow
@given(files(), st.sets(st.integers(0, 8)))
def test_segments_that_are_not_wanted_are_stepped_over(
    file: tuple[Header, Payload], wanted: set[int]
) -> None:
    header, payload = file
    data = bytearray(container.write(header, payload))
    for number, segment in enumerate(payload.segments):
        if number not in wanted and segment is not None and segment.latents:
            at = data.index(chunk(b"L", varint(number) + segment.latents))
            data[at + len(varint(len(segment.latents) + 1)) + 2] ^= 1  # which is not looked at
    read = container.read(bytes(data), wanted=wanted)[1].segments
    for number, segment in enumerate(payload.segments):
        assert read[number] == (segment if number in wanted else None)


@pytest.mark.slow
@given(files())
def test_the_layout_is_signature_version_header_and_the_layers_of_each_segment(
    file: tuple[Header, Payload],
) -> None:
    header, payload = file
    expected = START + header_chunk(header)
    for number, segment in enumerate(payload.segments):
        assert segment is not None
        contents = segment.lossless, segment.clipped, segment.latents, segment.detail, segment.alpha
        for kind, content in zip((b"W", b"C", b"L", b"D", b"A"), contents, strict=True):
            if content is not None:
                expected += chunk(kind, varint(number) + content)
    assert container.write(header, payload) == expected


def test_the_bytes_of_a_small_file_never_change() -> None:
    header = Header(model_id=1, channels=3, ladder_position=100, cells=1, width=1, height=1)
    data = container.write(header, Payload([SegmentData(b"")]))
    assert data.hex() == "8943414501480a0100000003640001010118fc2fc54c0100f79cda9f"
    assert container.write(header, Payload([SegmentData(b"", b"")])).hex() == data.hex() + "4401004fcdc991"


@given(st.integers(1, 16383), st.integers(1, 16383), st.integers(0, 2_000_000))
@example(16383, 16383, 2_000_000)
def test_overhead_of_one_segment_is_at_most_32_bytes(width: int, height: int, size: int) -> None:
    header = dataclasses.replace(HEADER, cells=32, width=width, height=height)
    assert len(container.write(header, Payload([SegmentData(bytes(size))]))) - size <= 32


@pytest.mark.parametrize("start", [b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"\x89CAF\x01", b"x"])
def test_another_format_is_told_by_its_signature(start: bytes) -> None:
    expected = f"the file starts with {start[:4].hex(' ')}; a .cae starts with 89 43 41 45"
    with pytest.raises(SignatureError, match=expected):
        container.read(start)


def test_an_empty_file_has_no_signature() -> None:
    with pytest.raises(SignatureError, match="starts with nothing"):
        container.read(b"")


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_unknown_version_is_named(version: int) -> None:
    with pytest.raises(VersionError, match=f"format version {version}; version 1 is known"):
        container.read(FILE[:4] + bytes([version]) + FILE[5:])


def test_every_truncation_is_noticed() -> None:
    for length in range(1, len(FILE)):
        with pytest.raises(TruncatedError, match=r"ends (after|before|within)"):
            container.read(FILE[:length])


def test_every_truncation_within_the_header_is_noticed_by_read_header() -> None:
    for length in range(1, len(START + header_chunk())):
        with pytest.raises(TruncatedError, match=r"ends (after|before|within)"):
            container.read_header(FILE[:length])


def test_a_file_without_latents_is_truncated() -> None:
    with pytest.raises(TruncatedError, match="ends after 0 of 1 segments"):
        container.read(START + header_chunk())


def test_a_file_without_its_last_segments_is_truncated() -> None:
    header = dataclasses.replace(HEADER, cells=1)
    data = container.write(header, Payload([SegmentData(LATENTS)] * 5))
    with pytest.raises(TruncatedError, match="ends after 4 of 5 segments"):
        container.read(data[: -len(chunk(b"L", b"4" + LATENTS))])


@pytest.mark.slow
def test_every_change_of_every_byte_is_noticed() -> None:
    for position in range(len(SMALL)):
        if position < 4:
            expected = "starts with"
        elif position == 4:
            expected = "format version"
        else:
            expected = "does not match its checksum|bytes are missing|ends within|shortest form|5 bytes"
        for flip in range(1, 256):
            damaged = bytearray(SMALL)
            damaged[position] ^= flip
            with pytest.raises(FormatError, match=expected):
                container.read(bytes(damaged))


def test_a_damaged_payload_does_not_match_its_checksum() -> None:
    damaged = bytearray(FILE)
    damaged[-20] ^= 1
    with pytest.raises(ChecksumError, match=r"chunk 'L' at byte \d+ does not match its checksum"):
        container.read(bytes(damaged))


def test_read_header_does_not_look_behind_the_header() -> None:
    assert container.read_header(FILE[:-20]) == HEADER
    assert container.read_header(START + header_chunk() + b"anything") == HEADER


WRONG_FIELDS = [
    (
        "channels",
        0,
        FormatError,
        "channels is 0; 1 .grey. and 3 .RGB. are allowed, one more with transparency",
    ),
    ("channels", 5, FormatError, "channels is 5"),
    ("cells", 0, FormatError, "segments have 0 cells a side; 1 to 32 of 64 pixels are allowed"),
    ("cells", 33, FormatError, "segments have 33 cells"),
    ("ladder_position", 0, FormatError, "ladder position is 0; 100 to 10000 hundredths are allowed"),
    ("ladder_position", 99, FormatError, "ladder position is 99"),
    ("ladder_position", 10001, FormatError, "ladder position is 10001"),
    ("width", 0, LimitError, "width is 0; 1 to 1048576 pixels are allowed"),
    ("width", MAX_SIDE + 1, LimitError, "width is 1048577"),
    ("width", 2**35 - 1, LimitError, "width is 34359738367"),
    ("height", 0, LimitError, "height is 0"),
    ("height", MAX_SIDE + 1, LimitError, "height is 1048577"),
]


@pytest.mark.parametrize(("field", "value", "error", "message"), WRONG_FIELDS)
def test_reader_and_writer_refuse_the_same_headers(
    field: str, value: int, error: type[FormatError], message: str
) -> None:
    header = dataclasses.replace(HEADER, **{field: value})
    with pytest.raises(error, match=message):
        container.write(header, Payload([SegmentData(b"")]))
    with pytest.raises(error, match=message):
        container.read(START + header_chunk(header) + chunk(b"L", b""))
    with pytest.raises(error, match=message):
        container.read_header(START + header_chunk(header))


@pytest.mark.parametrize("model_id", [-1, 2**32])
def test_a_model_id_beyond_32_bits_is_not_written(model_id: int) -> None:
    with pytest.raises(FormatError, match=f"model id is {model_id}; 32 bits are allowed"):
        container.write(dataclasses.replace(HEADER, model_id=model_id), Payload([SegmentData(b"")]))


def test_max_pixels_counts_pixels_not_sides() -> None:
    for call in (container.read, container.read_header):
        call(FILE, max_pixels=300 * 5)
        with pytest.raises(LimitError, match="300 x 5 = 1500 pixels; max_pixels allows 1499"):
            call(FILE, max_pixels=300 * 5 - 1)
    with pytest.raises(LimitError, match="max_pixels allows 1499"):
        container.write(HEADER, Payload([SegmentData(b"")]), max_pixels=300 * 5 - 1)


def test_sides_that_are_allowed_one_by_one_can_be_too_many_pixels() -> None:
    header = dataclasses.replace(HEADER, width=MAX_SIDE, height=MAX_SIDE)
    with pytest.raises(LimitError, match=f"max_pixels allows {MAX_PIXELS}"):
        container.read_header(START + header_chunk(header))


def test_the_header_comes_first() -> None:
    with pytest.raises(FormatError, match="first chunk has type 0x4c; the header, 0x48, must come first"):
        container.read(START + chunk(b"L", b"") + header_chunk())


def test_a_header_that_is_too_short_is_refused() -> None:
    with pytest.raises(FormatError, match="header: 7 bytes; at least 10 are needed"):
        container.read(START + chunk(b"H", bytes(7)))
    with pytest.raises(FormatError, match="header: width: the data ends within the number"):
        container.read(START + chunk(b"H", struct.pack("<IBHB", 1, 3, 6000, 1)))
    with pytest.raises(FormatError, match="header: height: the data ends within the number"):
        container.read(START + chunk(b"H", struct.pack("<IBHB", 1, 3, 6000, 1) + b"\x01"))


def test_a_header_that_is_too_long_is_refused() -> None:
    with pytest.raises(FormatError, match="header: 12 bytes; 11 are used"):
        container.read(START + header_chunk(extra=b"\x00") + chunk(b"L", b""))


@pytest.mark.parametrize("kind", [b"H", b"D", b"A", b"i"])
@pytest.mark.parametrize("content", [b"\0latents!", b"\0another"])
def test_a_chunk_that_comes_twice_is_refused(kind: bytes, content: bytes) -> None:
    again = (
        header_chunk() if kind == b"H" else chunk(kind, zlib.compress(content) if kind == b"i" else content)
    )
    start = START + header_chunk() + chunk(b"L", b"\0" + LATENTS) + (b"" if kind == b"H" else again)
    name = f"chunk '{kind.decode()}'" + (" of segment 0" if kind in b"DA" else "")
    with pytest.raises(FormatError, match=f"{name} comes twice; once is allowed"):
        container.read(start + again)


@pytest.mark.parametrize("kind", [b"D", b"A"])
def test_a_layer_comes_behind_its_latents(kind: bytes) -> None:
    with pytest.raises(FormatError, match=f"chunk '{kind.decode()}' comes before any latents"):
        container.read(START + header_chunk() + chunk(kind, b"\0layer") + chunk(b"L", b"\0" + LATENTS))
    with pytest.raises(FormatError, match=f"chunk '{kind.decode()}' is of segment 1; 0 is next"):
        container.read(FILE + chunk(kind, b"\1layer"))


@pytest.mark.parametrize("kind", [b"W", b"C"])
def test_a_layer_that_comes_before_its_latents_comes_nowhere_else(kind: bytes) -> None:
    layer, start = chunk(kind, b"\0layer"), START + header_chunk()
    with pytest.raises(FormatError, match=f"chunk '{kind.decode()}' is of segment 0; 1 is next"):
        container.read(FILE + layer)
    with pytest.raises(FormatError, match=f"chunk '{kind.decode()}' is of segment 0; 1 is next"):
        container.read(start + layer + layer + chunk(b"L", b"\0" + LATENTS))
    with pytest.raises(FormatError, match="chunk 'W' is of segment 0; 1 is next"):
        container.read(
            start + chunk(b"C", b"\0layer") + chunk(b"W", b"\0layer") + chunk(b"L", b"\0" + LATENTS)
        )


def test_a_segment_without_latents_has_a_lossless_layer() -> None:
    start = START + header_chunk()
    found = container.read(start + chunk(b"W", b"\0layer"))[1].segments
    assert found == [SegmentData(None, lossless=b"layer")]
    with pytest.raises(TruncatedError, match="segment 0 has clipped, and no latents"):
        container.read(start + chunk(b"C", b"\0layer"))
    header = dataclasses.replace(HEADER, cells=1)
    two = START + header_chunk(header) + chunk(b"C", b"\0layer") + chunk(b"L", b"\1latents")
    with pytest.raises(TruncatedError, match="segment 0 has clipped, and no latents"):
        container.read(two)


@pytest.mark.parametrize("number", [0, 2, 127])
def test_segments_come_in_order(number: int) -> None:
    header = dataclasses.replace(HEADER, cells=1)
    first = START + header_chunk(header) + chunk(b"L", b"\0first")
    with pytest.raises(FormatError, match=f"chunk 'L' is of segment {number}; 1 is next"):
        container.read(first + chunk(b"L", varint(number) + b"next"))


def test_segments_beyond_the_picture_are_refused() -> None:
    with pytest.raises(FormatError, match="chunk 'L' is of segment 1; the picture has 1"):
        container.read(FILE + chunk(b"L", b"\1more"))


def test_a_segment_without_its_number_is_refused() -> None:
    with pytest.raises(TruncatedError, match="chunk 'L': segment: the data ends within the number"):
        container.read(START + header_chunk() + chunk(b"L", b""))


@pytest.mark.parametrize("kind", sorted(set(string.ascii_uppercase) - set("HWCLDA")))
def test_an_unknown_uppercase_chunk_is_refused(kind: str) -> None:
    with pytest.raises(FormatError, match=f"chunk type {ord(kind):#04x} is needed to decode the file"):
        container.read(FILE + chunk(kind.encode(), b"?"))


@given(
    st.integers(0, 255).filter(lambda kind: chr(kind) not in string.ascii_uppercase + "iex"),
    st.binary(max_size=200),
)
@example(ord("a"), b"note")
@example(0xC0, b"an upper-case letter in Latin-1, but not in ASCII")
def test_an_unknown_chunk_of_any_other_type_is_skipped(kind: int, payload: bytes) -> None:
    unknown = chunk(bytes([kind]), payload)
    behind, between = FILE + unknown, START + header_chunk() + unknown + chunk(b"L", b"\0" + LATENTS)
    assert container.read(behind) == container.read(between) == (HEADER, Payload([SegmentData(LATENTS)]))


def test_a_damaged_chunk_is_noticed_even_if_it_would_be_skipped() -> None:
    with pytest.raises(ChecksumError, match="chunk 'x'"):
        container.read(FILE + chunk(b"x", b"note")[:-1] + b"?")


def test_a_number_that_is_not_in_its_shortest_form_is_refused() -> None:
    with pytest.raises(FormatError, match="chunk 'L': length: the number is not in its shortest form"):
        container.read(START + header_chunk() + chunk(b"L", b"?", length=b"\x81\x00"))
    fields = struct.pack("<IBHB", 1, 3, 6000, 1)
    with pytest.raises(FormatError, match="header: width: the number is not in its shortest form"):
        container.read(START + chunk(b"H", fields + b"\x85\x80\x00" + b"\x01"))


def test_a_number_of_more_than_five_bytes_is_refused() -> None:
    with pytest.raises(LimitError, match="chunk 'L': length: the number has more than 5 bytes"):
        container.read(START + header_chunk() + chunk(b"L", b"?", length=b"\x81\x80\x80\x80\x80\x01"))


def test_a_length_beyond_the_limit_is_refused_before_the_end_is_looked_for() -> None:
    with pytest.raises(LimitError, match="chunk 'L': length is 4294967297; at most 4294967296 is allowed"):
        container.read(START + header_chunk() + chunk(b"L", b"?", length=varint(2**32 + 1)))


def test_a_length_beyond_the_end_is_refused() -> None:
    with pytest.raises(TruncatedError, match="ends within chunk 'L': 4294967295 bytes are missing"):
        container.read(START + header_chunk() + chunk(b"L", b"?", length=varint(2**32)))


@given(st.binary(max_size=100))
def test_made_up_bytes_are_refused_or_read_but_nothing_else(data: bytes) -> None:
    for start in (b"", START, START + header_chunk()):
        try:
            header, _ = container.read(start + data)
        except FormatError:
            continue
        assert header == HEADER


@pytest.mark.slow
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=12)), max_size=5))
def test_made_up_chunks_are_refused_or_read_but_nothing_else(chunks: list[tuple[bytes, bytes]]) -> None:
    data = START + b"".join(chunk(kind, payload) for kind, payload in chunks)
    try:
        header, payload = container.read(data)
    except FormatError:
        return
    header.check()
    assert len([kind for kind, _ in chunks if kind == b"L"]) == len(payload.segments) == header.segments
