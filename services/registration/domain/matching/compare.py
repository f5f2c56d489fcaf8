"""Two records side by side: each field's level of agreement, and the value whose frequency tells what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA, JaroWinkler

from services.registration.domain.matching.births import Birth, Dates, births_agree
from services.registration.domain.matching.names import Alike, Name, Word, is_ending, lists_alike
from services.registration.domain.matching.person import Person
from services.registration.domain.matching.remembered import PAIRS, WORDS
from services.registration.domain.matching.sounds import sound

MISSING = -1

NAME_LEVELS = ("the same", "sounds the same", "nearly the same", "shortened", "partly the same", "different")
DATE_LEVELS = (
    "the same", "day and month swapped", "one digit differs", "two of day, month and year agree",
    "only the year agrees", "different",
)  # fmt: skip
AGE_LEVELS = ("the same year", "within two years", "within five years", "different")
EQUAL_LEVELS = ("the same", "one digit differs", "different")
LOCALITY_LEVELS = (
    "village and postcode agree", "village agrees", "postcode agrees", "district agrees", "state agrees", "different",
)  # fmt: skip
DWELLING_LEVELS = (
    "house and street agree",
    "street agrees",
    "street nearly agrees",
    "house number agrees",
    "different",
)


@dataclass(frozen=True)
class Field:
    """One thing that is compared. `matching`, `random` and `household` are first guesses of how often each level is met
    among records of one person, of strangers, and of two people of one household.

    `shared`: a household has it in common. `counted`: agreeing on a rare value is worth more (term frequency).
    """

    name: str
    levels: tuple[str, ...]
    matching: tuple[float, ...]
    random: tuple[float, ...]
    household: tuple[float, ...]
    shared: bool = False
    counted: bool = True


GIVEN, FAMILY, BIRTH, AGE, SEX, PHONE, GUARDIAN, LOCALITY, DWELLING = range(9)

_GIVEN_RANDOM = (0.020, 0.006, 0.008, 0.006, 0.06, 0.90)
_FAMILY_RANDOM = (0.030, 0.008, 0.008, 0.004, 0.06, 0.89)
_GUARDIAN_RANDOM = (0.006, 0.003, 0.004, 0.007, 0.09, 0.89)
FIELDS: tuple[Field, ...] = (
    Field("given_name", NAME_LEVELS, (0.76, 0.08, 0.06, 0.03, 0.03, 0.04), _GIVEN_RANDOM,
          (0.008, 0.003, 0.012, 0.007, 0.17, 0.80)),
    Field("family_name", NAME_LEVELS, (0.78, 0.07, 0.06, 0.02, 0.02, 0.05), _FAMILY_RANDOM,
          (0.60, 0.05, 0.03, 0.02, 0.05, 0.25), shared=True),
    Field("birth_date", DATE_LEVELS, (0.86, 0.02, 0.06, 0.03, 0.01, 0.02),
          (0.00005, 0.00003, 0.001, 0.006, 0.012, 0.98), (0.020, 0.00003, 0.001, 0.006, 0.012, 0.966), counted=False),
    Field("age", AGE_LEVELS, (0.50, 0.33, 0.12, 0.05), (0.014, 0.055, 0.08, 0.851), (0.03, 0.11, 0.16, 0.70),
          counted=False),
    Field("sex", ("the same", "different"), (0.98, 0.02), (0.5, 0.5), (0.5, 0.5), counted=False),
    Field("phone", EQUAL_LEVELS, (0.70, 0.04, 0.26), (0.0005, 0.0003, 0.9992), (0.60, 0.02, 0.38), shared=True),
    Field("guardian", NAME_LEVELS, (0.66, 0.09, 0.07, 0.05, 0.06, 0.07), _GUARDIAN_RANDOM,
          (0.33, 0.05, 0.04, 0.03, 0.15, 0.40), shared=True),
    Field("locality", LOCALITY_LEVELS, (0.55, 0.25, 0.06, 0.05, 0.04, 0.05), (0.002, 0.004, 0.01, 0.06, 0.25, 0.674),
          (0.60, 0.25, 0.06, 0.04, 0.03, 0.02), shared=True),
    Field("dwelling", DWELLING_LEVELS, (0.62, 0.10, 0.08, 0.07, 0.13), (0.0002, 0.002, 0.004, 0.02, 0.9738),
          (0.70, 0.10, 0.05, 0.05, 0.10), shared=True),
)  # fmt: skip

HOUSEHOLD_IDENTIFIERS = frozenset({"ration_card", "him_parivar_family", "family_id", "household_id", "household"})


def identifier_field(kind: str) -> Field:
    shared = kind in HOUSEHOLD_IDENTIFIERS
    random = (0.0002, 0.0002, 0.9996)
    return Field(
        kind, EQUAL_LEVELS, (0.90, 0.05, 0.05), random, (0.85, 0.03, 0.12) if shared else random, shared=shared
    )


class Side(NamedTuple):
    """One field of a pair: its level, and the value the two have in common ("" if none). `crossed`: of a name, one has
    it as the given name and the other as the family's, so that nobody can say which it is."""

    level: int
    value: str = ""
    crossed: bool = False


_NONE, _NEARLY_EQUAL, _UNEQUAL = Side(MISSING), Side(1), Side(2)


def compare(one: Person, other: Person, kinds: Sequence[str] = ()) -> tuple[Side, ...]:
    """A Side for each of FIELDS, then for each kind of identifier in `kinds`."""
    given, family = _names(one.name, other.name)
    return (
        given,
        family,
        *_birth(one.birth, other.birth),
        _sex(one.sex, other.sex),
        _phones(one.phones, other.phones),
        _words(one.guardian, other.guardian),
        _locality(one, other),
        _dwelling(one, other),
        *_identifiers(one.identifiers, other.identifiers, kinds),
    )


def _identifiers(ones: Mapping[str, str], others: Mapping[str, str], kinds: Sequence[str]) -> Iterable[Side]:
    if not ones or not others:
        return (_NONE,) * len(kinds)
    return [_identifier(ones.get(kind, ""), others.get(kind, "")) for kind in kinds]


@lru_cache(maxsize=PAIRS)
def _words(ones: tuple[Word, ...], others: tuple[Word, ...]) -> Side:
    likeness = lists_alike(ones, others)
    return _NONE if likeness is None else Side(int(likeness.alike), " ".join(likeness.shared))


@lru_cache(maxsize=PAIRS)
def _names(one: Name, other: Name) -> tuple[Side, Side]:
    given, family = _words(one.given, other.given), _family(one, other)
    if max(given.level, family.level) <= Alike.NEAR and given.level != MISSING:
        return given, family
    # Given and family name written the other way round.
    crossed_given, crossed_family = _words(one.given, other.family), _words(one.family, other.given)
    if MISSING not in (crossed_given.level, crossed_family.level):
        if max(crossed_given.level, crossed_family.level) <= Alike.NEAR:
            # Worth a little less than the right way round.
            return (
                Side(max(crossed_given.level, Alike.SOUND), crossed_given.value, crossed=True),
                Side(max(crossed_family.level, Alike.SOUND), crossed_family.value, crossed=True),
            )
    elif given.level > Alike.NEAR or given.level == MISSING:
        # One has a single word: it may be what the other calls the family name.
        single = crossed_given if crossed_given.level != MISSING else crossed_family
        if MISSING < single.level <= Alike.NEAR:
            return Side(max(single.level, Alike.SHORT), single.value), _NONE
    return given, family


def _family(one: Name, other: Name) -> Side:
    side = _words(one.family, other.family)
    if side.level <= Alike.NEAR:
        return side
    if all(map(is_ending, one.family)) or all(map(is_ending, other.family)):
        # Devi for Kumari, Thakur for Devi: it says nothing.
        return _NONE
    if len(one.words) != len(other.words) and _words(one.words, other.words).level <= Alike.NEAR:
        return _NONE
    return side


_AS_DATE = {
    Dates.EXACT: 0, Dates.SWAPPED: 1, Dates.SLIP: 2, Dates.TWO_PARTS: 3, Dates.SAME_YEAR: 4, Dates.DIFFERENT: 5,
}  # fmt: skip
_AS_AGE = {Dates.YEAR: 0, Dates.WITHIN_TWO: 1, Dates.WITHIN_FIVE: 2, Dates.DIFFERENT: 3}


def _birth(one: Birth | None, other: Birth | None) -> tuple[Side, Side]:
    """As a date where both are precise, else as an age: the two are worth different things."""
    if one is None or other is None:
        return _NONE, _NONE
    agree = births_agree(one, other)
    if agree is None:
        return _NONE, _NONE
    if agree == Dates.DIFFERENT:
        exact = one.precise and other.precise
        return (Side(_AS_DATE[agree]), _NONE) if exact else (_NONE, Side(_AS_AGE[agree]))
    return (Side(_AS_DATE[agree]), _NONE) if agree in _AS_DATE else (_NONE, Side(_AS_AGE[agree]))


@lru_cache(maxsize=16)
def _sex(one: str, other: str) -> Side:
    return _NONE if not one or not other else Side(int(one != other), one)


def _phones(ones: frozenset[str], others: frozenset[str]) -> Side:
    if not ones or not others:
        return _NONE
    if common := ones & others:
        return Side(0, min(common))
    for a in ones:
        for b in others:
            if _one_step(a, b, 7):
                return _NEARLY_EQUAL
    return _UNEQUAL


def _one_step(a: str, b: str, at_least: int) -> bool:
    """Not remembered: numbers seldom come again, and looking them up would cost more."""
    return min(len(a), len(b)) >= at_least and OSA.distance(a, b, score_cutoff=1) <= 1


def _identifier(a: str, b: str) -> Side:
    if not a or not b:
        return _NONE
    if a == b:
        return Side(0, a)
    return _NEARLY_EQUAL if _one_step(a, b, 6) else _UNEQUAL


@lru_cache(maxsize=PAIRS)
def place_alike(a: str, b: str) -> int:
    """0 the same, 1 nearly the same or the same by ear, 2 different, MISSING."""
    if not a or not b:
        return MISSING
    if a == b:
        return 0
    if a.isdigit() and b.isdigit():
        return 2
    if sorted(a.split()) == sorted(b.split()) or a.replace(" ", "") == b.replace(" ", ""):
        return 0
    if (a[0].isdigit() or b[0].isdigit()) and _numbers(a) != _numbers(b):
        return 2
    if sound(a.replace(" ", "")) == sound(b.replace(" ", "")):
        return 1
    steps = OSA.distance(a, b, score_cutoff=2)
    if (steps == 1 and min(len(a), len(b)) >= 4) or (steps == 2 and min(len(a), len(b)) >= 7):
        return 1
    if JaroWinkler.similarity(a, b) >= 0.92:
        return 1
    shorter, longer = sorted((set(a.split()), set(b.split())), key=len)
    return 1 if shorter < longer and max(map(len, shorter)) >= 5 else 2


def _numbers(text: str) -> list[str]:
    return sorted(word for word in text.split() if any(char.isdigit() for char in word))


def _locality(one: Person, other: Person) -> Side:
    village = place_alike(one.village, other.village)
    post = _post(one.postcode, other.postcode) if one.postcode and other.postcode else MISSING
    if village == 0 and post == 0:
        return Side(0, one.village)
    if village == 0 or (village == 1 and post == 0):
        return Side(1, one.village)
    if post == 0:
        return Side(2, one.postcode)
    district, state = place_alike(one.district, other.district), place_alike(one.state, other.state)
    if village == 1 and district == 0 and state != 2:
        # Written by ear; how common it is, is known of the village as it is written elsewhere, not of the slip.
        return Side(1)
    if village == 1 or post == 1 or (district in (0, 1) and state != 2):
        return Side(3)
    if state in (0, 1):
        return Side(4)
    return _NONE if village == post == district == state == MISSING else Side(5)


@lru_cache(maxsize=WORDS)
def _post(a: str, b: str) -> int:
    if not a or not b:
        return MISSING
    if a == b or (min(len(a), len(b)) >= 5 and a[:5] == b[:5] and len(a) != len(b)):
        return 0
    return 1 if len(a) >= 4 and OSA.distance(a, b, score_cutoff=1) <= 1 else 2


def _dwelling(one: Person, other: Person) -> Side:
    if not ((one.street and other.street) or (one.house and other.house)):
        return _NONE
    street = place_alike(one.street, other.street)
    house = MISSING if not one.house or not other.house else int(one.house != other.house)
    if street == 0 and house == 0:
        return Side(0, one.street)
    if (street == 0 and house == MISSING) or (street == 1 and house == 0):
        return Side(1, one.street)
    if street in (0, 1):
        return Side(2)
    if house == 0:
        return Side(3)
    return Side(4)
