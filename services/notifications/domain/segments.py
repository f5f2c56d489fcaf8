"""How many SMS a text costs, and how to shorten a variable without breaking a letter.

Source of the counts: 3GPP TS 23.038 (GSM 7-bit default alphabet and its extension table) and TS 23.040 (a six-octet
header in every part of a longer message). The national shift tables for Indian scripts are left alone on purpose:
handsets and aggregators do not agree on them, so everything outside the default alphabet is counted as UCS-2.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import regex  # type: ignore[import-untyped]

Encoding = Literal["gsm-7", "ucs-2"]

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM_7 = BASIC | EXTENSION

SINGLE = {"gsm-7": 160, "ucs-2": 70}
PART = {"gsm-7": 153, "ucs-2": 67}
"""Units in a message of one part, and in each part of a longer one: septets, or UTF-16 units."""

VARIABLE_LIMIT = 30
"""Characters (UTF-16 units) of one variable in an SMS, spaces included (operators' rule for DLT templates)."""

_GRAPHEME = regex.compile(r"\X")


class Segments(NamedTuple):
    encoding: Encoding
    units: int
    segments: int


def units_of(text: str) -> int:
    """UTF-16 units: what operators count as characters, and what UCS-2 is made of."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _pack(sizes: list[int], per_part: int) -> int:
    """Parts needed when no escape pair and no surrogate pair may be torn over two parts."""
    parts, room = 1, per_part
    for size in sizes:
        if size > room:
            parts, room = parts + 1, per_part
        room -= size
    return parts


def count(text: str) -> Segments:
    """The encoding a text needs, its length in that encoding's units, and the number of SMS it is sent as."""
    if BASIC.issuperset(text):
        units = len(text)
        return Segments("gsm-7", units, 1 if units <= SINGLE["gsm-7"] else -(-units // PART["gsm-7"]))
    if _GSM_7.issuperset(text):
        return _counted("gsm-7", [2 if letter in EXTENSION else 1 for letter in text])
    if (units := units_of(text)) == len(text):  # no letter is a pair, so none can be torn
        return Segments("ucs-2", units, 1 if units <= SINGLE["ucs-2"] else -(-units // PART["ucs-2"]))
    return _counted("ucs-2", [units_of(letter) for letter in text])


def _counted(encoding: Encoding, sizes: list[int]) -> Segments:
    units = sum(sizes)
    segments = 1 if units <= SINGLE[encoding] else _pack(sizes, PART[encoding])
    return Segments(encoding, units, segments)


def trim(value: str, limit: int = VARIABLE_LIMIT) -> str:
    """At most `limit` UTF-16 units, cut only between graphemes, so that no vowel sign is left without its letter."""
    if units_of(value) <= limit:
        return value
    kept, used = [], 0
    for grapheme in _GRAPHEME.findall(value):
        used += units_of(grapheme)
        if used > limit:
            break
        kept.append(grapheme)
    return "".join(kept).rstrip(" ,;:(-–")
