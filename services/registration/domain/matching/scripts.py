"""Names in Devanagari, Arabic and Tibetan script, and Latin with accents, brought to plain Latin letters.

Letters that are written and not spoken are left to `sounds`, save in Tibetan, whose spelling is read by its own rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from anyascii import anyascii

from services.registration.domain.matching.remembered import WORDS


def listed(words: str) -> list[str]:
    return words.split()


# What the general transliteration writes ambiguously: च would be `c`, which in Latin names is a k.
_BEFORE = str.maketrans(
    {"च": "ch", "छ": "ch", "ञ": "n", "ङ": "n", "ः": "", "ँ": "n", "ं": "n", "چ": "ch", "ء": "", "ع": "", "ھ": "h"}
)
# Hindi says gy where it writes jñ, and ng before h: ज्ञान, सिंह.
_SPOKEN = (("ज्ञ", "ग्य"), ("ंह", "ंघ"))
_TIBETAN_BASE = dict(
    zip(
        range(0x0F40, 0x0F6D),
        listed(
            "k kh g gh ng c ch j ? ny t th d dh n t th d dh n p ph b bh m ts tsh dz dzh w zh z ' y r l sh ss s h a "
            "kss r kk rr"
        ),
        strict=False,
    )
)
_TIBETAN_VOWELS = {
    0x0F71: "",
    0x0F72: "i",
    0x0F74: "u",
    0x0F7A: "e",
    0x0F7C: "o",
    0x0F7B: "e",
    0x0F7D: "o",
    0x0F80: "i",
}
_PREFIXES = frozenset({"g", "d", "b", "m", "'"})
_SUPERSCRIPTS = frozenset({"r", "l", "s"})
_WITH_YA = {"p": "ch", "ph": "ch", "b": "j", "m": "ny"}
_WITH_RA = {"k": "t", "t": "t", "p": "t", "kh": "th", "th": "th", "ph": "th", "g": "d", "d": "d", "b": "d"}


def is_latin(text: str) -> bool:
    return all(ord(char) < 0x250 or not char.isalpha() for char in text)


@lru_cache(maxsize=WORDS)
def latin(text: str) -> str:
    """Lower case Latin letters, digits and what stood between them."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFC", text)
    if any(0x0F00 <= ord(char) <= 0x0FFF for char in text):
        text = _tibetan(text)
    for written, spoken in _SPOKEN:
        text = text.replace(written, spoken)
    return str(anyascii(text.translate(_BEFORE))).lower().replace("'", "").replace("`", "")


def _tibetan(text: str) -> str:
    """Read by syllable, as it is spoken. The script has no space between words: of four syllables and more each two are
    one of a person's names."""
    spoken: list[str] = []
    for run in text.split():
        parts = [part for part in re.split("[\u0f0b\u0f0c\u0f0d]", run) if part]
        heard = [len(re.findall("[aeiou]+", _syllable(part)[1])) for part in parts]
        several = sum(heard) > 3
        words: list[list[str]] = [[]]
        for place, part in enumerate(parts):
            done = sum(heard[place - len(words[-1]) : place])
            if several and done >= 2 and sum(heard[place:]) >= 2:
                words.append([])
            words[-1].append(part)
        spoken += [_spoken(word) for word in words]
    return " ".join(spoken)


def _spoken(syllables: Sequence[str]) -> str:
    read = ""
    for part in syllables:
        linking, syllable = _syllable(part)
        if syllable.startswith("w") and read.endswith(("ag", "eg", "ig", "og", "ug")):
            read = read[:-1]  # ngag-dbang
        # What is silent at a syllable's beginning is heard at the end of an open one before it: blo-bzang, rdo-rje.
        read += (linking if read[-1:] in ("a", "e", "i", "o", "u") else "") + syllable
    return read


def _syllable(text: str) -> tuple[str, str]:
    """The consonant that only links it to an open syllable before it, and the rest, as they are spoken."""
    stacks: list[tuple[list[str], str]] = []
    other = ""
    for char in text:
        code = ord(char)
        if code in _TIBETAN_BASE:
            stacks.append(([_TIBETAN_BASE[code]], ""))
        elif 0x0F90 <= code <= 0x0FBC and stacks:
            stacks[-1][0].append(_TIBETAN_BASE.get(code - 0x50, ""))
        elif code in _TIBETAN_VOWELS and stacks:
            stacks[-1] = (stacks[-1][0], _TIBETAN_VOWELS[code])
        elif not 0x0F00 <= code <= 0x0FFF:
            other += char
    if not stacks:
        return "", other
    root = _root(stacks)
    letters, vowel = stacks[root]
    linking = "r" if letters[0] == "r" and len(letters) > 1 else ""
    if root and stacks[root - 1][0] == ["b"]:
        linking = "b"
    onset = _onset(letters)
    if root and stacks[root - 1][0] == ["d"] and letters == ["b"]:
        onset = "w"
    after = [stack[0][0] for stack in stacks[root + 1 :] if stack[0][0] != "'"]
    coda = after[0] if after and after[0] != "s" else ""
    if root + 1 < len(stacks) and len(stacks[root + 1][0]) > 1:
        # A word of Sanskrit, whose second syllable stands below: pad-ma.
        below, end = stacks[root + 1]
        other = "".join(below[1:]) + (end or "a") + other
    return linking, onset + (vowel or "a") + coda + other


def _root(stacks: list[tuple[list[str], str]]) -> int:
    for place, (letters, vowel) in enumerate(stacks):
        if vowel or len(letters) > 1:
            return place if stacks[0][0][0] in _PREFIXES else 0
    prefixed = len(stacks) > 2 or (len(stacks) == 2 and stacks[1][0] == ["'"])
    return 1 if prefixed and stacks[0][0][0] in _PREFIXES and stacks[1][0] != ["'"] else 0


def _onset(letters: list[str]) -> str:
    if len(letters) > 1 and letters[0] in _SUPERSCRIPTS and letters[1] not in ("h", "y", "r", "w"):
        letters = letters[1:]
    first, under = letters[0], letters[1:]
    if "y" in under:
        return _WITH_YA.get(first, first)
    if "r" in under:
        return _WITH_RA.get(first, first)
    if "l" in under:
        return "d" if first == "z" else "l"
    if first == "l" and "h" in under:
        return "lh"
    return first.replace("'", "")
