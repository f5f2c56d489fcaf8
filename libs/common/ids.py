"""Ids derived from what caused them (UUIDv5, RFC 9562), so that doing a thing twice is doing it once."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.UUID("6f1f8f0e-58a3-5b5c-9a55-3d0c7d6f9b11")


def derive(*parts: str | int) -> str:
    """The id that follows from `parts`, in order. The separator cannot occur in a part that an outsider chooses."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(str(part).replace("\x1f", "") for part in parts)))
