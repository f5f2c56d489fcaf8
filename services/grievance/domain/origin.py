"""What a camera writes into a picture of where, when and with which device it was taken: left out where the one who
sends it is not to be known. What cannot be read as a picture is left as it is.

Sources: JPEG (ITU-T T.81, markers APP1 to APP15 and COM), PNG (W3C, ancillary chunks), WebP (RIFF container).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_JPEG_KEPT = frozenset({0xE0, 0xEE})
"""JFIF, and Adobe's note of how the colours are meant."""

_PNG_LEFT_OUT = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_LEFT_OUT = frozenset({b"EXIF", b"XMP "})
_WEBP_FLAGS = 0x08 | 0x04
"""Of the extended header: that there is EXIF, and XMP."""


def without(content: bytes, kind: str) -> bytes:
    """The same picture, `kind` being its media type; anything else as it is."""
    cleaned = _CLEANED.get(kind)
    return cleaned(content) if cleaned else content


def _jpeg(content: bytes) -> bytes:
    kept, at = [content[:2]], 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        marker = content[at + 1]
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xDA or end > len(content):
            break  # The picture itself follows.
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in _JPEG_KEPT:
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]])


def _png(content: bytes) -> bytes:
    kept, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if end > len(content):
            break
        if content[at + 4 : at + 8] not in _PNG_LEFT_OUT:
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]])


def _webp(content: bytes) -> bytes:
    chunks = b"".join(_webp_chunks(content))
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        chunk = content[at:end]
        if name == b"VP8X" and size:
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if name not in _WEBP_LEFT_OUT:
            yield chunk
        at = end


_CLEANED: dict[str, Callable[[bytes], bytes]] = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}
