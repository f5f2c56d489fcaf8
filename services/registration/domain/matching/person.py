"""A record as the matcher reads it: cleaned once, compared often. What is empty or cannot be read is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from services.registration.domain.matching.births import Birth, read_age, read_birth
from services.registration.domain.matching.names import Name, Word, read_name, untitled, words_of
from services.registration.domain.matching.remembered import WORDS
from services.registration.domain.matching.scripts import latin, listed

_EMPTY = frozenset({"", "na", "n/a", "nan", "none", "null", "nil", "unknown", "not known", "-", "--", ".", "?", "#n/a"})
_SEXES = {
    "m": "m", "male": "m", "man": "m", "boy": "m", "1": "m", "purush": "m", "mard": "m",
    "f": "f", "female": "f", "woman": "f", "girl": "f", "2": "f", "w": "f", "mahila": "f", "stri": "f", "aurat": "f",
    "fem": "f", "feminine": "f", "lady": "f", "mrs": "f", "miss": "f", "ms": "f",
    "masculine": "m", "mr": "m", "gents": "m",
    "पुरुष": "m", "पु": "m", "मर्द": "m", "आदमी": "m", "مرد": "m", "آدمی": "m", "ཕོ": "m",
    "महिला": "f", "म": "f", "औरत": "f", "स्त्री": "f", "عورت": "f", "خاتون": "f", "མོ": "f",
}  # fmt: skip
_NEITHER = frozenset(listed("trans transgender other not non unknown intersex third"))
_KINDS_OF_STREET = frozenset(
    listed(
        "street st road rd avenue ave av lane ln drive dr place pl court ct crescent cres cr close cl circuit cct "
        "terrace tce parade pde highway hwy way boulevard blvd square sq marg gali house no hno village vill vpo po ps "
        "teh tehsil distt district dist near nr ward block apt unit flat lot"
    )
)
_PHONE_EMPTY = re.compile(r"^(\d)\1+$")


class Person(NamedTuple):
    """`phones` are their last ten digits; places are Latin words without "street", "village" and the like."""

    id: str
    name: Name = Name()
    sex: str = ""
    birth: Birth | None = None
    phones: frozenset[str] = frozenset()
    guardian: tuple[Word, ...] = ()
    house: str = ""
    street: str = ""
    village: str = ""
    district: str = ""
    state: str = ""
    postcode: str = ""
    identifiers: Mapping[str, str] = MappingProxyType({})


def present(text: str | None) -> str:
    """The text, or nothing where it only says that there is nothing."""
    stripped = " ".join((text or "").split())
    return "" if stripped.lower() in _EMPTY else stripped


def read_sex(text: str) -> str:
    """`m`, `f`, or nothing: what is neither, or both, is compared with nothing."""
    plain = text.strip(" .\u0f0b").casefold()
    if known := _SEXES.get(plain) or _SEXES.get(latin(plain)):
        return known
    words = re.findall("[a-z]+", latin(plain))
    said = {_SEXES[word] for word in words if word in _SEXES}
    return said.pop() if len(said) == 1 and not _NEITHER.intersection(words) else ""


def read_phones(text: str) -> frozenset[str]:
    """Each number's last ten digits, with no thought for how it was grouped; too short is none."""
    found = set()
    for part in re.split(r"[,;/|&\n]|\b(?:or|and|extn?|x)\b", _unscaled(latin(text)).removesuffix(".0")):
        whole = re.findall(r"(?<!\d)\d{10,13}(?!\d)", part)
        for number in whole if len(whole) > 1 else [re.sub(r"\D", "", part)]:
            digits = number[-10:]
            if len(digits) >= 6 and not _PHONE_EMPTY.match(digits):
                found.add(digits)
    return frozenset(found)


def _unscaled(text: str) -> str:
    """A number as a spreadsheet shows long ones, 5.550123456E9, in full; nothing where it left digits out."""
    found = re.fullmatch(r"\s*(\d)\.(\d+)e\+?(\d{1,2})\s*", text)
    if found is None:
        return text
    one, rest, power = found.groups()
    return one + rest if len(rest) == int(power) else ""


@lru_cache(maxsize=WORDS)
def read_place(text: str) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", latin(text).replace("'", "")) if word]
    kept = [word for word in words if word not in _KINDS_OF_STREET] or words
    return " ".join(kept)


def read_identifier(text: str) -> str:
    plain = re.sub(r"[^a-z0-9@.]", "", _unscaled(latin(text)).removesuffix(".0"))
    return "" if plain.strip("0.") == "" or plain in _EMPTY else plain


@lru_cache(maxsize=WORDS)
def read_guardian(text: str) -> tuple[Word, ...]:
    plain = re.sub(r"^\s*[sdwch]\s*/\s*o\b\.?\s*", "", text, flags=re.IGNORECASE)
    return untitled(words_of(plain))


PLAIN_FIELDS = (
    "name", "given_name", "family_name", "sex", "birth_date", "age", "phone", "guardian",
    "house", "street", "village", "district", "state", "postcode",
)  # fmt: skip


def read_person(id: str, said: Mapping[str, str], *, day_first: bool = True, this_year: int = 2026) -> Person:
    """`said` is text by field, see PLAIN_FIELDS; any other field is an identifier. Ages count from `this_year`."""
    has = {name: text for name, value in said.items() if (text := present(value))}
    birth = read_birth(has.get("birth_date", ""), day_first)
    if birth is None and (age := read_age(has.get("age", ""))) is not None:
        birth = Birth(this_year - age, estimated=True)
    return Person(
        id=id,
        name=read_name(has.get("name", ""), has.get("given_name", ""), has.get("family_name", "")),
        sex=read_sex(has.get("sex", "")),
        birth=birth,
        phones=read_phones(has.get("phone", "")),
        guardian=read_guardian(has.get("guardian", "")),
        house=read_place(has.get("house", "")),
        street=read_place(has.get("street", "")),
        village=read_place(has.get("village", "")),
        district=read_place(has.get("district", "")),
        state=read_place(has.get("state", "")),
        postcode=re.sub(r"[^a-z0-9]", "", latin(has.get("postcode", "")).removesuffix(".0")),
        identifiers={
            name: value for name, text in has.items() if name not in PLAIN_FIELDS and (value := read_identifier(text))
        },
    )
