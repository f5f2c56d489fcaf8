"""Ids derived from what caused them (UUIDv5, RFC 9562), so that doing a thing twice is doing it once."""

from __future__ import annotations

import hashlib
import uuid

NAMESPACE = uuid.UUID("6f1f8f0e-58a3-5b5c-9a55-3d0c7d6f9b11")
_NAMESPACE = NAMESPACE.bytes


def derive(*parts: str | int) -> str:
    """The id that follows from `parts`, in order. The separator cannot occur in a part that an outsider chooses."""
    name = "\x1f".join(str(part).replace("\x1f", "") for part in parts)
    digest = bytearray(hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    hexed = digest.hex()
    return f"{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"
