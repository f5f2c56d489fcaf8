"""How a written name sounds in these hills, by rules on letters and never by a list of names.

`sound` keeps vowels by class and is for names of one script; `skeleton` keeps the consonants by class, for blocking;
`bones` drops whatever Urdu and Devanagari leave unwritten too, for names of two scripts.
"""

from __future__ import annotations

import re
from functools import lru_cache

from services.registration.domain.matching.remembered import WORDS

# Order matters: what is longer goes first.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (r"(.)\1+", r"\1"),
        (r"^(?:mc|mac)(?=[^aeiou])", "mk"),
        (r"^kn", "n"),
        (r"^wr", "r"),
        (r"^ng", "n"),
        (r"sch", "sh"),
        (r"^s(?=[tkpgdbjz])", ""),  # Stanzin and Tanzin, Skarma and Karma
        (r"^r(?=[tkgdjzmnlt])", ""),  # Rdorje and Dorje, Rgyal and Gyal
        (r"ght", "t"),
        (r"(?<=[aeiou])gh(?=[aeiou]?$)", ""),
        (r"tsh|tch|chh|ts|ch|cz", "C"),
        (r"sh", "s"),
        (r"dz|zh|z|jh|dj", "j"),
        (r"dg(?=[ei])", "j"),
        (r"ck|q", "k"),
        (r"x", "ks"),
        (r"c(?=[eiy])", "s"),
        (r"c", "k"),
        (r"ph", "f"),
        (r"(?<=[kgtdbjlrnsC])h", ""),
        (r"w", "v"),
        (r"(?<=[td])r(?=[aeiou])", ""),  # Trashi and Tashi, Drolma and Dolma
        (r"(?<=[kg])y(?=[aeiou])", ""),
        (r"n(?=[pb])", "m"),
        (r"ng(?![aeiou])", "n"),
        (r"(?<=[aeiou])h(?=$|[^aeiou])", ""),
        (r"aye|ay|ai|ey|ei|ee|ea|ie|iy|y(?![aeiou])", "i"),
        (r"oo|ou|au|ow|aw|ao", "u"),
        (r"(?<=[^aeiou])e(?=[^aeiou]|$)", "i"),
        (r"o", "u"),
        (r"e", "i"),
        (r"iy|yi", "i"),
        (r"(?<=[iu])a(?=[^aiu]|$)", ""),
        (r"(?<=.[^aiu])[aiu]$", ""),
        (r"g$", "k"),
        (r"d$", "t"),
        (r"b$", "p"),
        (r"(.)\1+", r"\1"),
    )
)
_NOT_LETTERS = re.compile(r"[^a-z]")
_CLASSES = str.maketrans({"g": "k", "d": "t", "b": "p", "f": "p", "j": "C", "v": "p"})


@lru_cache(maxsize=WORDS)
def sound(token: str) -> str:
    """A Latin token, lower case, as it sounds. `Tshering`, `Chhering` and `Tsering` are one; `Sunita`, `Sumita` two."""
    text = _NOT_LETTERS.sub("", token)
    for pattern, put in _SPELLINGS:
        text = pattern.sub(put, text)
    return text or token


@lru_cache(maxsize=WORDS)
def skeleton(token: str) -> str:
    """The consonants of a sound by class; a vowel only at its beginning."""
    spoken = sound(token)
    kept = spoken[:1] + re.sub(r"[aiuyh]", "", spoken[1:])
    if kept[:1] in "iu":
        kept = "a" + kept[1:]
    kept = kept.translate(_CLASSES)
    return re.sub(r"(.)\1+", r"\1", kept)


@lru_cache(maxsize=WORDS)
def bones(token: str) -> str:
    """For names of two scripts: no vowels, and none of the letters that stand for them."""
    spoken = sound(token)
    # Arabic script writes w for o and u, y for i; final -g and -h come and go.
    kept = re.sub(r"n(?=p)", "m", re.sub(r"[aiuyhv]", "", spoken).translate(_CLASSES))
    return re.sub(r"(.)\1+", r"\1", kept)
