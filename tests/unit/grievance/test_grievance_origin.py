"""A picture from somebody who is not to be known does not say where it was taken, and is still a picture."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.sampled_from(["image/jpeg", "image/png", "image/webp"]), st.binary(max_size=80))
def test_whatever_comes_it_stays_what_it_is(kind: str, rest: bytes) -> None:
    start = {"image/jpeg": b"\xff\xd8\xff", "image/png": SIGNATURE, "image/webp": b"RIFF\0\0\0\0WEBP"}[kind]
    cleaned = origin.without(start + rest, kind)
    assert kind_of(cleaned) == kind_of(start + rest) or kind == "image/jpeg"
    assert len(cleaned) <= len(start + rest)


def test_what_is_no_picture_is_left_as_it_is() -> None:
    assert origin.without(b"%PDF-1.7 " + WHERE, "application/pdf") == b"%PDF-1.7 " + WHERE
