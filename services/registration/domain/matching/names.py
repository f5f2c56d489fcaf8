"""Names as tokens, and how alike two of them are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA, JaroWinkler

from services.registration.domain.matching.remembered import PAIRS, WORDS
from services.registration.domain.matching.scripts import is_latin, latin, listed
from services.registration.domain.matching.sounds import bones, skeleton, sound


class Alike(IntEnum):
    """How much two names, or two words of them, are one; the smaller the more."""

    EXACT = 0
    SOUND = 1
    NEAR = 2
    SHORT = 3
    PARTLY = 4
    DIFFERENT = 5


class Word(NamedTuple):
    """One word of a name in Latin letters; `latin` is false where it was written in another script."""

    text: str
    latin: bool = True


class Name(NamedTuple):
    """`given` are the words before the last, or the only one; `family` the last, empty for one-word names."""

    given: tuple[Word, ...] = ()
    family: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        return self.given + self.family

    def __bool__(self) -> bool:
        return bool(self.given or self.family)


_RELATION = re.compile(r"\b[sdwch]\s*/\s*o\b\.?.*$|\b(?:son|daughter|wife|widow|d|s|w) of\b.*$")
_SPLIT = re.compile(r"[^a-z0-9]+")

# What is said before a name and names nobody, in these languages and in English.
TITLES = frozenset(
    listed(
        "mr mrs ms miss master dr er prof adv shri sri shree sree smt shrimati shreemati km kum late haji hajji haaji "
        "al janab sayeda pandit pt sardar lt col capt maj sgt gen rev father sister ven geshe baby sh mst mstr sr mx"
    )
)
# The same in other scripts, as they come out in Latin letters; in Latin some of these are names.
WRITTEN_TITLES = frozenset(listed("srimti susri do dktr ku jnab jnb hajy hjy mhtrmh"))
# What is said after a name: the younger of two, or a degree.
AFTERWARDS = frozenset(listed("jr sr ii iii iv phd esq mbbs"))
# Endings that many bear, that come and go, and that change with age and marriage: they neither join nor part people.
ENDINGS = frozenset(
    sound(word)
    for word in listed(
        "devi kumari kumar begum bano banu bibi singh kaur lal khatoon khatun bai ji sahib saheb lata "
        "chand jan ram rani parveen"
    )
)


ALWAYS_LAST = frozenset(
    sound(word) for word in listed("devi kumari kumar begum bano bibi kaur khatoon khatun akhter akhtar")
)


def _is_last(word: Word) -> bool:
    return sound(word.text) in ALWAYS_LAST


@lru_cache(maxsize=WORDS)
def read_name(name: str = "", given: str = "", family: str = "") -> Name:
    """From the parts where they are known apart, else from the whole."""
    first, last = words_of(given), words_of(family)
    if first or last:
        return Name(untitled(first), last)
    before, comma, after = name.partition(",")
    if comma and "," not in after and (first := untitled(words_of(after))) and first[0].text not in AFTERWARDS:
        # Smith, John: the family's name was written first.
        return _parted(untitled((*first, *words_of(before))))
    return _parted(untitled(words_of(name)))


def _parted(words: tuple[Word, ...]) -> Name:
    if len(words) == 2 and _is_last(words[0]) and not _is_last(words[1]):
        # Devi Sunita: what always comes last was written first.
        return Name(words[1:], words[:1])
    return Name(words[:-1], words[-1:]) if len(words) > 1 else Name(words)


@lru_cache(maxsize=WORDS)
def words_of(text: str) -> tuple[Word, ...]:
    if not text:
        return ()
    script = is_latin(text)
    plain = _RELATION.sub("", latin(text).replace("'", "").replace("`", ""))
    words = [word for word in _SPLIT.split(plain) if word and not word.isdigit()]
    return tuple(Word(word, script) for word in words)


def untitled(words: tuple[Word, ...]) -> tuple[Word, ...]:
    kept = words
    while len(kept) > 1 and (kept[0].text in TITLES or (not kept[0].latin and kept[0].text in WRITTEN_TITLES)):
        kept = kept[1:]
    while len(kept) > 1 and kept[-1].text in AFTERWARDS:
        kept = kept[:-1]
    return kept


@lru_cache(maxsize=PAIRS)
def words_alike(one: Word, other: Word) -> Alike:
    """By letters within one script, by consonants across two."""
    if one.text == other.text:
        return Alike.EXACT
    if one.latin == other.latin:
        return _within(one.text, other.text)
    return _across(one.text, other.text) if one.latin else _across(other.text, one.text)


def _within(a: str, b: str) -> Alike:
    if len(a) > 1 and len(b) > 1 and sound(a) == sound(b):
        return Alike.SOUND
    if len(b) < len(a):
        a, b = b, a
    if len(a) == 1:
        return Alike.SHORT if b[0] == a else Alike.DIFFERENT
    if _abbreviates(a, b):
        return Alike.SHORT
    closeness = JaroWinkler.similarity(a, b)
    steps = OSA.distance(a, b, score_cutoff=3)
    if (steps == 1 and len(a) >= 4) or (steps == 2 and len(a) >= 7 and a[0] == b[0]) or closeness >= 0.93:
        return Alike.NEAR
    if len(skeleton(a)) > 1 and skeleton(a) == skeleton(b) and closeness >= 0.6:
        return Alike.NEAR
    if closeness >= 0.8 or (steps == 1 and len(a) >= 3) or (steps == 2 and len(a) >= 5):
        return Alike.PARTLY
    return Alike.DIFFERENT


def _across(a: str, b: str) -> Alike:
    """`a` is written in Latin."""
    left, right = bones(a), bones(b)
    if not left or not right:
        return Alike.PARTLY
    if left == right:
        return Alike.SOUND if len(left) > 1 else Alike.NEAR
    if len(a) <= 4 and len(left) < len(right) and not re.search("[aeiou]", a[1:]) and right.startswith(left):
        return Alike.SHORT
    steps = OSA.distance(left, right, score_cutoff=2)
    if steps == 1 and min(len(left), len(right)) >= 3:
        return Alike.NEAR
    return Alike.PARTLY if steps == 1 else Alike.DIFFERENT


def _abbreviates(short: str, long: str) -> bool:
    """Mohd and Md for Mohammad, Gh for Ghulam, Ab for Abdul; Dan for Daniel."""
    if short[0] != long[0] or len(short) > len(long) - 2:
        return False
    if len(short) <= 4 and not re.search("[aeiou]", short[1:]):
        rest = iter(long)
        return all(letter in rest for letter in short)
    return len(short) >= 2 and long.startswith(short) and (len(short) >= 3 or len(long) >= 4)


class Likeness(NamedTuple):
    """How alike two lists of words are; `shared` are the words of the one that the other has too."""

    alike: Alike
    shared: tuple[str, ...] = ()


def lists_alike(ones: Sequence[Word], others: Sequence[Word]) -> Likeness | None:
    """Each word finds its nearest; a word that only one side has says nothing. None where one side is empty."""
    if not ones or not others:
        return None
    if ones == others:
        return Likeness(Alike.EXACT, tuple(word.text for word in ones))
    if len(ones) == 1 and len(others) == 1:
        return Likeness(words_alike(ones[0], others[0]), (_commoner(ones[0], others[0]),))
    joined = Alike.DIFFERENT
    if len(ones) != len(others):
        joined = words_alike(_joined(ones), _joined(others))
        if joined <= Alike.SOUND:
            return Likeness(joined, tuple(word.text for word in ones))
    pairs: list[tuple[Alike, int, int]] = []
    nearest = joined
    for i, one in enumerate(ones):
        for j, other in enumerate(others):
            alike = words_alike(one, other)
            if alike <= Alike.SHORT:
                pairs.append((alike, i, j))
            elif alike < nearest:
                nearest = alike
    if not pairs:
        return Likeness(nearest)
    used: tuple[set[int], set[int]] = (set(), set())
    found: list[tuple[Alike, str]] = []
    for alike, i, j in sorted(pairs) if len(pairs) > 1 else pairs:
        if i in used[0] or j in used[1]:
            continue
        used[0].add(i)
        used[1].add(j)
        found.append((alike, ones[i].text))
    if len(found) < min(len(ones), len(others)):
        return Likeness(Alike.PARTLY, tuple(text for _, text in found))
    if said := [each for each in found if each[0] < Alike.SHORT]:
        # Gh Rashid for Ghulam Rashid: the one word is only shortened, it is the other that agrees.
        least = Alike.EXACT if len(said) == len(found) else Alike.SOUND
        return Likeness(max(least, *(alike for alike, _ in said)), tuple(text for _, text in said))
    return Likeness(Alike.SHORT, tuple(text for _, text in found))


def _commoner(one: Word, other: Word) -> str:
    return one.text if one.latin else other.text


def _joined(words: Sequence[Word]) -> Word:
    return Word("".join(word.text for word in words), words[0].latin)


@lru_cache(maxsize=WORDS)
def is_ending(word: Word) -> bool:
    return sound(word.text) in ENDINGS
