"""A picture from somebody who is not to be known does not say where it was taken, and is still a picture."""

from __future__ import annotations

import contextlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from services.grievance.domain import origin
from services.grievance.domain.content import kind_of

WHERE = b"Exif GPS 34.15 77.57 of Rigzin's phone"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def part(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)


def riff(*parts: bytes) -> bytes:
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


SCAN = segment(0xDA, b"\x01") + b"the picture \xff\x00" + WHERE[:4] + b"\xff\xd9"
JFIF, TABLES = segment(0xE0, b"JFIF\0"), segment(0xDB, b"tables")
HEADER, DATA, END = chunk(b"IHDR", b"h" * 13), chunk(b"IDAT", b"the picture"), chunk(b"IEND", b"")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("kind", "taken", "clean"),
    [
        (
            "image/jpeg",
            b"\xff\xd8" + JFIF + segment(0xE1, WHERE) + segment(0xED, WHERE) + segment(0xFE, WHERE) + TABLES + SCAN,
            b"\xff\xd8" + JFIF + TABLES + SCAN,
        ),
        (
            "image/png",
            SIGNATURE + HEADER + chunk(b"eXIf", WHERE) + chunk(b"tEXt", WHERE) + DATA + chunk(b"iTXt", WHERE) + END,
            SIGNATURE + HEADER + DATA + END,
        ),
        (
            "image/webp",
            riff(part(b"VP8X", b"\x1c" + b"x" * 9), part(b"VP8 ", b"odd"), part(b"EXIF", WHERE), part(b"XMP ", WHERE)),
            riff(part(b"VP8X", b"\x10" + b"x" * 9), part(b"VP8 ", b"odd")),
        ),
    ],
)
def test_where_it_was_taken_is_left_out_and_nothing_else(kind: str, taken: bytes, clean: bytes) -> None:
    assert kind_of(taken) == kind
    assert WHERE in taken
    assert origin.without(taken, kind) == clean == origin.without(clean, kind)


# Real structures: what is kept, what is left out, and what stands between and behind them

said = st.binary(max_size=12).map(lambda data: data + WHERE)
fill = st.integers(0, 3).map(lambda more: b"\xff" * more)
scans = st.lists(st.sampled_from([b"\x01\x02", b"\xff\x00", b"\xff\xd3", b"x"]), max_size=6).map(
    lambda data: segment(0xDA, b"\x01") + b"".join(data)
)
jpeg_kept = st.one_of(
    st.builds(segment, st.sampled_from([0xDB, 0xC0, 0xC2, 0xC4, 0xDD]), st.binary(max_size=12)),
    st.binary(max_size=8).map(lambda data: segment(0xE0, b"JFIF\0" + data)),
    scans,
)
jpeg_left_out = st.builds(segment, st.sampled_from([*range(0xE0, 0xF0), 0xFE]), said)
png_kept = st.builds(chunk, st.sampled_from([b"IDAT", b"PLTE", b"tRNS", b"fdAT"]), st.binary(max_size=12))
png_left_out = st.builds(chunk, st.sampled_from([b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"caBX"]), said)
webp_kept = st.builds(part, st.sampled_from([b"VP8 ", b"VP8L", b"ALPH", b"ICCP"]), st.binary(max_size=9))
webp_left_out = st.builds(part, st.sampled_from([b"EXIF", b"XMP ", b"C2PA"]), said)


def drawn(draw: st.DrawFn, kept: st.SearchStrategy[bytes], left_out: st.SearchStrategy[bytes]) -> tuple[bytes, bytes]:
    """What came, and what must be left of it."""
    pieces = draw(st.lists(st.one_of(kept.map(lambda one: (one, True)), left_out.map(lambda one: (one, False)))))
    return b"".join(one for one, _ in pieces), b"".join(one for one, stays in pieces if stays)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """A media type, a picture of it, and the same without what its camera wrote."""
    kind = draw(st.sampled_from(["image/jpeg", "image/png", "image/webp"]))
    if kind == "image/jpeg":
        taken, clean = drawn(draw, jpeg_kept, st.builds(bytes.__add__, fill, jpeg_left_out))
        return kind, b"\xff\xd8" + JFIF + taken + b"\xff\xd9", b"\xff\xd8" + JFIF + clean + b"\xff\xd9"
    if kind == "image/png":
        taken, clean = drawn(draw, png_kept, png_left_out)
        return kind, SIGNATURE + HEADER + taken + END, SIGNATURE + HEADER + clean + END
    taken, clean = drawn(draw, webp_kept, webp_left_out)
    return kind, riff(taken), riff(clean)


FILL = re.compile(rb"\xff+")


@given(pictures(), st.sampled_from([b"", b"\0", b"\xff\xd8" + segment(0xE1, WHERE) + SCAN, WHERE]))
def test_nothing_is_left_of_where_it_was_taken_also_behind_its_end(
    picture: tuple[str, bytes, bytes], behind: bytes
) -> None:
    kind, taken, clean = picture
    left = origin.without(taken + behind, kind)
    assert WHERE not in left
    assert FILL.sub(b"\xff", left) == FILL.sub(b"\xff", clean), "fill bytes may stay in a scan"
    assert origin.without(left, kind) == left


@given(pictures(), st.data())
def test_what_does_not_come_to_its_end_is_refused(picture: tuple[str, bytes, bytes], data: st.DataObject) -> None:
    kind, taken, _ = picture
    cut = data.draw(st.integers(12, len(taken) - 1)) if len(taken) > 12 else len(taken)
    if cut < len(taken):
        with pytest.raises(Refused) as refusal:
            origin.without(taken[:cut], kind)
        assert refusal.value.field == "content"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image/webp", b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0"),
        ("image/webp", b"RIFF\x0c\0\0\0WEBPVP8X\x0a\0\0\0"),
        ("image/webp", b"RIFF\x08\0\0\0WEBPVP8 "),
        ("image/jpeg", b"\xff\xd8\xff\xd8\xff\xe1" + SCAN),
        ("image/jpeg", b"\xff\xd8\xff"),
        ("image/jpeg", b"\xff\xd8" + b"\xff" * 100_000 + b"\0"),
        ("image/jpeg", b"\xff\xd8" + segment(0xDA, b"\x01") + b"\xff" * 100_000 + b"\0"),
        ("image/png", SIGNATURE + HEADER + DATA),
    ],
)
def test_what_cannot_be_read_is_refused_and_breaks_nothing(kind: str, content: bytes) -> None:
    assert kind_of(content) == kind
    with pytest.raises(Refused):
        origin.without(content, kind)


@given(st.sampled_from(["image/jpeg", "image/png", "image/webp"]), st.binary(max_size=80))
def test_whatever_comes_is_a_picture_or_refused(kind: str, rest: bytes) -> None:
    start = {"image/jpeg": b"\xff\xd8\xff", "image/png": SIGNATURE, "image/webp": b"RIFF\x10\0\0\0WEBP"}[kind]
    with contextlib.suppress(Refused):
        assert kind_of(origin.without(start + rest, kind)) == kind


def test_what_is_no_picture_is_left_as_it_is() -> None:
    assert origin.without(b"%PDF-1.7 " + WHERE, "application/pdf") == b"%PDF-1.7 " + WHERE
