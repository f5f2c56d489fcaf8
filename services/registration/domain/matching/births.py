"""Birth dates in any common form, years of birth and ages, and how well two of them agree."""

from __future__ import annotations

import datetime as dt
import re
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA

from services.registration.domain.matching.remembered import WORDS
from services.registration.domain.matching.scripts import latin, listed

LONGEST = 60
"""Signs that a date may have; what is longer is none."""
OLDEST_YEAR, NEWEST_YEAR = 1850, 2100
_MONTHS = {name: number for number, name in enumerate(listed("jan feb mar apr may jun jul aug sep oct nov dec"), 1)}
# In Hindi and Urdu, by the first three of what the general transliteration leaves of them.
_MONTHS |= {
    "jnv": 1, "jnw": 1, "phr": 2, "frw": 2, "mrc": 3, "pry": 4, "mi": 5, "miy": 5, "jwn": 6, "jwl": 7,
    "ags": 8, "gst": 8, "sit": 9, "stm": 9, "akt": 10, "ktw": 10, "nvn": 11, "nwm": 11, "dis": 12, "dsm": 12,
}  # fmt: skip
_SERIAL_DAY = dt.date(1899, 12, 30)
"""Day 0 of a spreadsheet's dates."""
_SERIALS = range(7306, 73051)
"""A date that lost its form in a spreadsheet: days of 1920 to 2099, five digits that could be no other date."""
_EMPTY = frozenset({"", "0", "00000000", "99999999", "na", "n/a", "nan", "none", "null", "nil", "unknown", "-", "?"})


class Dates(IntEnum):
    EXACT = 0
    SWAPPED = 1
    SLIP = 2
    TWO_PARTS = 3
    YEAR = 4
    WITHIN_TWO = 5
    WITHIN_FIVE = 6
    SAME_YEAR = 7
    DIFFERENT = 8


class Birth(NamedTuple):
    """`month` and `day` are 0 where not known. `estimated`: the year comes from an age. `digits` as YYYYMMDD were
    written, also where they make no date; `year` is 0 where they do not even tell that."""

    year: int
    month: int = 0
    day: int = 0
    estimated: bool = False
    digits: str = ""

    @property
    def whole(self) -> bool:
        return self.month > 0 and self.day > 0

    @property
    def precise(self) -> bool:
        """A first of January (or July) is what desks write for a year alone."""
        return self.whole and (self.month, self.day) not in ((1, 1), (7, 1))


@lru_cache(maxsize=WORDS)
def read_birth(text: str, day_first: bool = True) -> Birth | None:
    """None where nothing can be read. `day_first` decides what 04/05/1987 is; year first is never in doubt."""
    plain = latin(text).strip().removesuffix(".0")
    if plain in _EMPTY or len(plain) > LONGEST:
        return None
    plain = re.split(r"[t ](?=\d{1,2}:\d{2})|(?<=-\d\d)(?:z$|[+-]\d\d:\d\d$)", plain)[0].strip()
    if set(re.sub(r"\W", "", plain)) in ({"0"}, {"9"}):
        # What other registers write for no date at all: 0000-00-00, 99/99/9999.
        return None
    if re.fullmatch(r"\d{8}", plain):
        return _eight(plain, day_first)
    if re.fullmatch(r"(18|19|20)\d{2}", plain):
        return _made(int(plain), 0, 0)
    parts = [part for part in re.split(r"[^a-z0-9]+", plain) if part]
    named = next((i for i, part in enumerate(parts) if part[:3] in _MONTHS and part.isalpha()), None)
    if named is not None:
        month = _MONTHS[parts[named][:3]]
        rest = [
            int(re.sub(r"(st|nd|rd|th)$", "", part))
            for i, part in enumerate(parts)
            if i != named and part[0].isdigit() and re.sub(r"(st|nd|rd|th)$", "", part).isdigit()
        ]
        if len(rest) == 2:
            year, day = (rest[0], rest[1]) if rest[0] > 31 else (rest[1], rest[0])
            return _made(_century(year), month, day)
        return _made(_century(rest[0]), month, 0) if len(rest) == 1 else None
    if joined := re.fullmatch(r"(\d{1,2})([a-z]{3})[a-z]*(\d{2,4})", plain):
        month = _MONTHS.get(joined.group(2), 0)
        return _made(_century(int(joined.group(3))), month, int(joined.group(1))) if month else None
    # What is said about it tells no date: "about 1980", "01/02/1980 (approx.)".
    parts = [part for part in parts if not part.isalpha()]
    if not parts or not all(part.isdigit() for part in parts):
        return None
    numbers = [int(part) for part in parts]
    if len(numbers) == 1 and len(parts[0]) == 5 and numbers[0] in _SERIALS:
        date = _SERIAL_DAY + dt.timedelta(days=numbers[0])
        return _made(date.year, date.month, date.day)
    if len(numbers) == 1:
        # A digit too many or too few: no date, but what it was meant to be may be one digit away.
        return Birth(0, digits=parts[0]) if len(parts[0]) in (7, 9) else _made(numbers[0], 0, 0)
    if len(numbers) == 2:
        year, month = (numbers[0], numbers[1]) if numbers[0] > 31 else (numbers[1], numbers[0])
        return _made(year, month, 0) if year > 31 else None
    if len(numbers) != 3:
        return None
    if len(parts[0]) == 4 or numbers[0] > 31:
        year, month, day = numbers
        year = _century(year) if len(parts[0]) <= 2 else year
    else:
        day, month, year = numbers if day_first else (numbers[1], numbers[0], numbers[2])
        year = _century(year) if len(parts[2]) <= 2 else year
    return _made(year, month, day)


def _century(year: int) -> int:
    if year > 99:
        return year
    return 2000 + year if year <= 26 else 1900 + year


def _eight(text: str, day_first: bool) -> Birth | None:
    if OLDEST_YEAR <= int(text[:4]) <= NEWEST_YEAR:
        return _made(int(text[:4]), int(text[4:6]), int(text[6:]), text)
    if OLDEST_YEAR <= int(text[4:]) <= NEWEST_YEAR:
        one, two = int(text[:2]), int(text[2:4])
        day, month = (one, two) if day_first else (two, one)
        return _made(int(text[4:]), month, day)
    return Birth(0, digits=text)


def _made(year: int, month: int, day: int, digits: str = "") -> Birth | None:
    if not OLDEST_YEAR <= year <= NEWEST_YEAR:
        return None
    if month > 12 and 1 <= day <= 12:
        month, day = day, month
    digits = digits or (f"{year:04d}{month:02d}{day:02d}" if month and day else "")
    if not 1 <= month <= 12:
        return Birth(year, digits=digits)
    try:
        dt.date(year, month, day or 1)
    except ValueError:
        return Birth(year, month, digits=digits)
    return Birth(year, month, day, digits=digits)


_AROUND_AGE = re.compile(
    r"^(?:aged?|about|abt|approx|approximately|around|circa|c|~)[.: ]*(?=\d)|(?:[ /]?of age|[ /]*old|\+)\.?$"
)
_SMALL_AGE = re.compile(r"(\d{1,4})\s*(m|mo|mos|mths?|months?|w|wks?|weeks?|d|days?)\.?")
_AGE = re.compile(
    r"(\d{1,3})(?:\.\d+)?\s*-?(?:(?:y|yr|yrs|years?|sa?l|brs|vrs)\.?(?:\s*[/ ]?o\.?)?[ ,]*"
    r"(?:(?:and )?\d{1,2}\s*(?:m|mo|mos|mths?|months?)\.?)?[ ,]*(?:(?:and )?\d{1,3}\s*(?:d|days?)\.?)?)?"
    r"(?:\s*/\s*[mf])?\.?"
)


@lru_cache(maxsize=WORDS)
def read_age(text: str) -> int | None:
    """Whole years; of so many months, weeks or days, those that are full."""
    plain = re.sub(_AROUND_AGE, "", latin(text).strip()).strip()
    if found := _SMALL_AGE.fullmatch(plain):
        return int(found.group(1)) // {"m": 12, "w": 53, "d": 366}[found.group(2)[0]]
    found = _AGE.fullmatch(plain)
    return int(found.group(1)) if found and int(found.group(1)) <= 130 else None


def births_agree(one: Birth, other: Birth) -> Dates | None:
    """None where one of them tells nothing."""
    if one.whole and other.whole:
        if (one.year, one.month, one.day) == (other.year, other.month, other.day):
            return Dates.EXACT if one.precise else Dates.YEAR
        if one.year == other.year:
            if one.month == other.day and one.day == other.month:
                return Dates.SWAPPED
            if not (one.precise and other.precise):
                return Dates.YEAR
    if one.digits and other.digits and not one.estimated and not other.estimated:
        if one.digits == other.digits and one.digits[4:] not in ("0101", "0701"):
            return Dates.EXACT
        if OSA.distance(one.digits, other.digits, score_cutoff=1) == 1:
            return Dates.SLIP
        if one.whole and other.whole:
            return _parts(one, other)
    if not one.year or not other.year:
        return None
    apart = abs(one.year - other.year)
    if apart == 0:
        return Dates.YEAR
    if one.estimated or other.estimated:
        return Dates.WITHIN_TWO if apart <= 2 else Dates.WITHIN_FIVE if apart <= 5 else Dates.DIFFERENT
    if not one.precise or not other.precise:
        return Dates.WITHIN_TWO if apart <= 2 else Dates.DIFFERENT
    return Dates.DIFFERENT


def _parts(one: Birth, other: Birth) -> Dates:
    same = (one.year == other.year) + (one.month == other.month) + (one.day == other.day)
    crossed = one.month == other.day and one.day == other.month
    if same == 2 or crossed:
        return Dates.TWO_PARTS
    if one.year == other.year:
        return Dates.SAME_YEAR
    if not (one.precise and other.precise) and abs(one.year - other.year) <= 2:
        return Dates.WITHIN_TWO
    return Dates.DIFFERENT
