"""What may be attached, told by its first bytes: what a sender calls a file is only a claim."""

from __future__ import annotations

from libs.common.refusal import Refused

LARGEST = 5 * 1024 * 1024
"""Bytes of one attachment at most."""

KINDS = ("image/jpeg", "image/png", "image/webp", "application/pdf", "audio/ogg", "audio/mpeg", "audio/amr")


OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "application/ogg": "audio/ogg",
}
"""What phones and browsers call some of them."""


def kind_of(content: bytes) -> str | None:
    """The media type that the bytes themselves say; None for anything else."""
    head = content[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"#!AMR"):
        return "audio/amr"
    if head.startswith(b"ID3") or (len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    return None


def check(content: bytes, claimed: str) -> str:
    """The media type. Raises Refused naming `content`."""
    if not content:
        raise Refused("content-empty", "is empty", field="content")
    if len(content) > LARGEST:
        raise Refused("content-too-large", f"must have at most {LARGEST} bytes", field="content")
    kind = kind_of(content)
    if kind is None:
        raise Refused("content-unknown", f"must be one of {', '.join(KINDS)}", field="content")
    said = claimed.split(";")[0].strip().lower()
    if OTHER_NAMES.get(said, said) not in (kind, "application/octet-stream", ""):
        raise Refused("content-mismatch", f"is {kind}, which is not what Content-Type says", field="Content-Type")
    return kind
