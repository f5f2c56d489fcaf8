"""Aadhaar numbers are never kept: twelve digits whose Verhoeff check digit holds (UIDAI numbering)."""

from __future__ import annotations

import re
import unicodedata

# Looked for at every place: a year or a house number may stand before it.
_TWELVE = re.compile(r"(?<!\d)(?=((?:\d[ \-\u00a0]?){11}\d)(?!\d))")
# In the three groups of the card itself whatever may stand between them; elsewhere that would be any list of numbers.
_BETWEEN = r"[\s./_\-\u2010-\u2015\u200b-\u200d\u2060]{1,3}"
_GROUPS = re.compile(rf"(?<!\d)(?=(\d{{4}}{_BETWEEN}\d{{4}}{_BETWEEN}\d{{4}})(?!\d))")

COULD_BE = (
    "holds twelve digits that could be an Aadhaar number, which is never kept here: leave them out; "
    "a phone number belongs in the phone field, or is written without +91"
)
"""What to tell whoever wrote them; the digits are never said back. One in ten phone numbers with +91 looks like one."""
_MULTIPLY = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
_FIRST = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]


def _permutations() -> list[list[int]]:
    rows = [list(range(10))]
    for _ in range(7):
        rows.append([_FIRST[digit] for digit in rows[-1]])
    return rows


_PERMUTE = _permutations()


def passes_verhoeff(digits: str) -> bool:
    """Whether the last digit is the Verhoeff check digit of the others (J. Verhoeff, 1969)."""
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = _MULTIPLY[check][_PERMUTE[position % 8][int(digit)]]
    return check == 0


def without_aadhaar(text: str) -> str:
    """The text as it is. Raises ValueError, which repeats nothing of it, where it could hold one."""
    if contains_aadhaar(text):
        raise ValueError(COULD_BE)
    return text


def _plain(char: str) -> str:
    """A digit, space or dash of any script as ASCII has it; nothing for what cannot be seen."""
    if char.isdecimal():
        return str(int(char))
    match unicodedata.category(char):
        case "Cf":
            return ""
        case "Zs":
            return " "
        case "Pd":
            return "-"
    return "-" if char == "\u2212" else char


def contains_aadhaar(text: str) -> bool:
    """Whether twelve digits that pass Verhoeff stand in the text, in any script's digits, plain or in groups."""
    plain = text if text.isascii() else "".join(map(_plain, text))
    found = (match.group(1) for form in (_TWELVE, _GROUPS) for match in form.finditer(plain))
    return any(passes_verhoeff(re.sub(r"\D", "", digits)) for digits in found)
