"""What a camera writes into a picture of where, when and with which device it was taken: left out where the one who
sends it is not to be known. What follows the picture's own end is left out too; what has no such end is refused.

Sources: JPEG (ITU-T T.81, markers APP1 to APP15 and COM; fill bytes, B.1.1.2), PNG (W3C, ancillary chunks), WebP (RIFF
container).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from libs.common.refusal import Refused

_SCAN, _END = 0xDA, 0xD9
_JPEG_KEPT = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
"""How the picture is meant, by what it begins with: some cameras write of themselves in the same segments."""

_MARKER = re.compile(rb"\xff+[\xc0-\xcf\xd9-\xfe]")
_AFTER_SCAN = re.compile(rb"\xff[^\xff\x00\xd0-\xd7]")
"""Within a scan there are stuffed bytes, fill bytes and restarts."""

_PNG_KEPT = frozenset(b"tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs sPLT hIST acTL fcTL fdAT".split())
"""Of the ancillary chunks, those by which it is drawn."""

_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_WEBP_FLAGS = 0x08 | 0x04
"""Of the extended header: that there is EXIF, and XMP."""


def without(content: bytes, kind: str) -> bytes:
    """The same picture, `kind` being its media type; anything else as it is.

    Raises Refused (`content-damaged`) naming `content`, where a picture cannot be read to its end.
    """
    read = _READ.get(kind)
    if read is None:
        return content
    try:
        return read(content)
    except IndexError:
        raise Refused("content-damaged", "is a picture that cannot be read to its end", field="content") from None


def _part(content: bytes, start: int, end: int) -> bytes:
    """Raises IndexError where it is not all there."""
    if end > len(content):
        raise IndexError
    return content[start:end]


def _jpeg(content: bytes) -> bytes:
    return content[:2] + b"".join(_segments(content))


def _segments(content: bytes) -> Iterator[bytes]:
    at, marker = 2, 0
    while marker != _END:
        found = _MARKER.match(content, at)
        if found is None:
            raise IndexError
        after = found.end()
        marker = content[after - 1]
        end = after if marker == _END else after + int.from_bytes(_part(content, after, after + 2), "big")
        if marker == _SCAN:
            following = _AFTER_SCAN.search(content, end)
            end = following.start() if following else len(content)
        segment = _part(content, after - 2, end)
        begins = _JPEG_KEPT.get(marker)
        if segment[4:].startswith(begins) if begins else not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            yield segment
        at = end


def _png(content: bytes) -> bytes:
    return content[:8] + b"".join(_png_chunks(content))


def _png_chunks(content: bytes) -> Iterator[bytes]:
    at, name = 8, b""
    while name != b"IEND":
        end = at + 12 + int.from_bytes(_part(content, at, at + 4), "big")
        chunk = _part(content, at, end)
        name = chunk[4:8]
        if name[:1].isupper() or name in _PNG_KEPT:
            yield chunk
        at = end


def _webp(content: bytes) -> bytes:
    chunks = b"".join(_webp_chunks(_part(content, 0, 8 + int.from_bytes(content[4:8], "little"))))
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    at = 12
    while at < len(content):
        name, size = content[at : at + 4], int.from_bytes(_part(content, at + 4, at + 8), "little")
        end = at + 8 + size + size % 2
        chunk = _part(content, at, end)
        if name == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if name in _WEBP_KEPT:
            yield chunk
        at = end


_READ: dict[str, Callable[[bytes], bytes]] = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}
