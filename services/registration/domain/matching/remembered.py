"""How much of what was worked out before is kept: enough for a day's names, and a service stays small."""

from __future__ import annotations

WORDS = 1 << 14
"""Readings of one word or one text."""

PAIRS = 1 << 15
"""Likenesses of two."""
