"""Names, phones and identifiers as people write them, made into what is stored.

Every function raises ValueError with a fixed sentence that never repeats its input.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from libs.common.aadhaar import COULD_BE as COULD_BE
from libs.common.aadhaar import contains_aadhaar as contains_aadhaar
from libs.common.aadhaar import without_aadhaar
from libs.common.numbers import Whole
from libs.contracts import event

NAME_AT_MOST = 120
PLACE_AT_MOST = 120

_ABHA_ADDRESS = re.compile(r"^[a-z0-9][a-z0-9_.\-!]{0,200}@[a-z][a-z0-9.\-]{0,40}$")
_E164 = re.compile(r"^\+[1-9]\d{7,14}$")
_SEPARATORS = re.compile(r"[\s\-().\u00a0]")


TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Show a text otherwise than it is written; no name needs them, for each script has its own direction."""
NO_PHONE = "could be an Aadhaar number, which is never kept here: write a phone as ten digits, or as +91 and ten digits"


def plain_text(text: str, at_most: int) -> str:
    """Trimmed, inner spaces made one, NFC. No control characters, none that turn the writing round, no Aadhaar number,
    and a letter somewhere."""
    if any((unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\r\n") or char in TURNS for char in text):
        raise ValueError("must not contain control characters")
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not any(unicodedata.category(char).startswith("L") for char in text):
        raise ValueError("must not be blank, and must contain a letter")
    if len(text) > at_most:
        raise ValueError(f"must be at most {at_most} characters")
    without_aadhaar(text)
    return text


def person_name(text: str) -> str:
    return plain_text(text, NAME_AT_MOST)


def place_name(text: str) -> str:
    return plain_text(text, PLACE_AT_MOST)


def phone(text: str) -> str:
    """E.164; ten bare digits are an Indian number, also after the 0 that is dialled before it within the country.

    `+91` and ten digits are exempt from the Aadhaar rule.
    """
    digits = _SEPARATORS.sub("", text.strip())
    if not digits.isascii():
        digits = "".join(str(int(char)) if char.isdecimal() else char for char in digits)
    if national := re.fullmatch(r"0?(\d{10})", digits):
        return f"+91{national[1]}"
    if not digits.startswith("+"):
        if contains_aadhaar(digits):
            raise ValueError(NO_PHONE)
        raise ValueError("must be ten digits, or + and the country's code")
    if digits.startswith("+91") and not re.fullmatch(r"\+91\d{10}", digits):
        raise ValueError("must have ten digits after +91")
    if not _E164.fullmatch(digits):
        raise ValueError("must be + and 8 to 15 digits (E.164)")
    if not digits.startswith("+91") and contains_aadhaar(digits[1:]):
        raise ValueError(NO_PHONE)
    return digits


def abha_digits(text: str) -> str | None:
    """Its fourteen digits, of any script, dashes and spaces dropped; None where it is no ABHA number."""
    plain = text if text.isascii() else "".join(str(int(char)) if char.isdecimal() else char for char in text)
    digits = re.sub(r"[\s\-\u2010-\u2015]", "", plain)
    return digits if re.fullmatch(r"\d{14}", digits, re.ASCII) else None


def abha_number(text: str) -> str:
    """Fourteen digits. Its check digit is only a warning (see `luhn_holds`)."""
    digits = abha_digits(text)
    if digits is None:
        without_aadhaar(text)
        raise ValueError("must be 14 digits")
    return digits


def no_aadhaar_unless_abha(text: str) -> str:
    """As it is, for searches: fourteen digits are an ABHA number, twelve of which may look like an Aadhaar number."""
    return text if abha_digits(text) else without_aadhaar(text)


def abha_address(text: str) -> str:
    """Folded for matching, and lenient: addresses older than today's creation policy are in use (ABDM on-share)."""
    address = unicodedata.normalize("NFC", text).strip().casefold()
    without_aadhaar(address)
    if not _ABHA_ADDRESS.fullmatch(address):
        raise ValueError("must be like name@abdm")
    return address


def luhn_holds(digits: str) -> bool:
    """Whether the mod-10 check digit of an ABHA number holds. NHA publishes no algorithm: never refuse on it."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def fold(text: str) -> str:
    """For searching: compatibility forms, case and Latin accents folded, everything but letters and digits a space."""
    folded: list[str] = []
    latin = False
    for char in unicodedata.normalize("NFKD", text).casefold():
        category = unicodedata.category(char)
        if category[0] == "M":
            if not latin:
                folded.append(char)
        elif category[0] in "LN":
            latin = "LATIN" in unicodedata.name(char, "")
            folded.append(char)
        elif category != "Cf":
            latin = False
            folded.append(" ")
    return unicodedata.normalize("NFC", " ".join("".join(folded).split()))


def words(text: str) -> tuple[str, ...]:
    """The folded words of a name, each once, in order."""
    return tuple(dict.fromkeys(fold(text).split()))


def _only_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be text")
    if len(value) > 1000:
        raise ValueError("is too long")
    return value


def _iso_date(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("must be a date like 1987-04-30")
    if isinstance(value, (int, float)):
        raise ValueError("must be a date like 1987-04-30")
    return value


def _within_reach(day: dt.date | None) -> dt.date | None:
    if day is not None and not 1900 <= day.year <= 2200:
        raise ValueError("must be a day from 1900 to 2200")
    return day


Text = BeforeValidator(_only_text)
PersonName = Annotated[str, Text, AfterValidator(person_name)]
PlaceName = Annotated[str, Text, AfterValidator(place_name)]
Phone = Annotated[str, Text, AfterValidator(phone)]
AbhaNumber = Annotated[str, Text, AfterValidator(abha_number)]
AbhaAddress = Annotated[str, Text, AfterValidator(abha_address)]
IsoDate = BeforeValidator(_iso_date)
WithinReach = AfterValidator(_within_reach)
"""A day that somebody may ask about."""
Age = Annotated[Whole, Field(ge=0, le=130)]
LgdCode = Annotated[Whole, Field(ge=1, le=999_999)]
StateCode = Annotated[Whole, Field(ge=1, le=38)]
"""Of any state or union territory of India: LGD gave the newest, of 2020, the code 38."""
NoAadhaar = AfterValidator(without_aadhaar)
NoAadhaarUnlessAbha = AfterValidator(no_aadhaar_unless_abha)
Code = Annotated[event.Code, NoAadhaar]
FacilityCode = Annotated[event.FacilityCode, NoAadhaar]
Counter = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$"), NoAadhaar]
"""An OPD counter's id as printed in its QR code: 1 to 20 letters and digits (NHA Scan & Share)."""
