"""Who is this, asked at a door: a card as the matcher reads it, the keys it is found by, and the answer in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from libs.contracts.registration import PatientCard
from services.registration.domain.matching.births import Birth
from services.registration.domain.matching.blocking import name_words
from services.registration.domain.matching.compare import BIRTH, GIVEN, Side, compare
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.matching.model import ASK_FROM, Model, band, probability
from services.registration.domain.matching.names import Alike, is_ending, lists_alike, read_name
from services.registration.domain.matching.person import Person, read_guardian, read_identifier, read_place
from services.registration.domain.matching.sounds import bones, skeleton
from services.registration.domain.review import Candidate, FieldWeight

KINDS = (
    "abha-number", "abha-address", "him-parivar-member", "tibetan-refugee-card", "border-id-card", "domicile", "mrn",
    "family_id", "ration_card",
)  # fmt: skip
"""Identifiers in the order they are compared; the last two belong to a family."""
OF_ONE_PERSON = KINDS[:-2]
_AS_KIND = {"him-parivar-family": "family_id", "ration-card": "ration_card"}
RETURNING_YEARS, DISCOVERY_YEARS = 2, 5
YEARS_TOGETHER = 4
"""ABDM: a returning patient's age may differ by two years, one who is discovered from a phone's by five."""
BORNE_BY_MANY = frozenset(bones(word) for word in ("mohammad", "ghulam", "gh", "abdul", "ab"))
"""What stands before, or after, the own names of a great part of a people: by itself it finds a crowd."""
MOST_CANDIDATES = 10
FEWEST_PEOPLE = 20_000
"""Below this a register's size tells nothing of how many people there are."""
HOUSEHOLD_MEMBERS = 4.0
RETURNING = 0.5
"""How likely it is, before anything is compared, that somebody at the desk is known."""


def to_person(id: str, card: Mapping[str, Any]) -> Person:
    """`card` as it is stored (JSON)."""
    identifiers = {
        _AS_KIND.get(one["type"], one["type"]): read_identifier(f"{one.get('facility') or ''}{one['value']}")
        for one in card.get("identifiers") or ()
    }
    for kind in ("abha_number", "abha_address"):
        if card.get(kind):
            identifiers[kind.replace("_", "-")] = read_identifier(card[kind])
    sex = card.get("sex")
    phone = re.sub(r"\D", "", card.get("phone") or "")[-10:]
    return Person(
        id=id,
        name=read_name(card.get("name") or ""),
        sex="m" if sex == "male" else "f" if sex == "female" else "",
        birth=_birth(card),
        phones=frozenset({phone} if phone else ()),
        guardian=read_guardian(card.get("guardian") or ""),
        village=read_place(card.get("village") or ""),
        district=str(card.get("district_lgd") or ""),
        state=str(card.get("state_lgd") or ""),
        identifiers=identifiers,
    )


def _birth(card: Mapping[str, Any]) -> Birth | None:
    date = card.get("birth_date")
    if date:
        year, month, day = (int(part) for part in str(date).split("-"))
        return Birth(year, month, day, digits=f"{year:04d}{month:02d}{day:02d}")
    known = card.get("birth_year")
    return Birth(int(known), estimated=True) if known else None


def index_keys(card: PatientCard) -> tuple[str, ...]:
    """What the record is found by, kept with it."""
    person = to_person(card.id, card.model_dump(mode="json"))
    years = [person.birth.year] if person.birth and person.birth.year else []
    return tuple(dict.fromkeys(_keys(person, years)))


def lookup_keys(person: Person, years_around: int = RETURNING_YEARS) -> tuple[str, ...]:
    """What to ask for: the same keys, and the years around the birth: somewhere it may be known by an age only."""
    years: list[int] = []
    if person.birth and person.birth.year:
        years = [person.birth.year - years_around, person.birth.year, person.birth.year + years_around]
    return tuple(dict.fromkeys(_keys(person, years)))


def identifier_key(kind: str, value: str) -> str:
    """`value` as `read_identifier` leaves it; of a record number with its facility before it."""
    return f"i:{kind}:{value}"


def _telling(words: list[str]) -> list[str]:
    return [word for word in words if word not in BORNE_BY_MANY] or words


def _keys(person: Person, years: Sequence[int]) -> Iterable[str]:
    """Each is rare even among a million people: a name never stands alone. Whoever's sex is not known has both."""
    for kind, value in person.identifiers.items():
        if value:
            yield identifier_key(kind, value)
    for phone in person.phones:
        yield f"p:{phone}"
    telling = sorted({bones(word.text) for word in person.name.words if not is_ending(word)})
    spoken = " ".join(telling or sorted(bones(word.text) for word in person.name.words))
    words = list(dict.fromkeys(bones(word) for word in name_words(person.name.words)))
    alone = _telling(words)
    village = skeleton(person.village.replace(" ", "")) if person.village else ""
    sexes = (person.sex,) if person.sex else ("f", "m")
    if village:
        yield from (f"v:{village}:{spoken}:{sex}" for sex in sexes)
    if person.birth and person.birth.whole and person.birth.precise:
        first, second = sorted((person.birth.month, person.birth.day))
        for word in words:
            yield f"d:{person.birth.year}:{first}:{second}:{word}"
    where = person.district or person.state
    if len(telling) < 2:
        # One word is too common for a whole district.
        where = f"{where}:{village[:2]}"
    elders = _telling([bones(word) for word in name_words(person.guardian)])[:1]
    spans = dict.fromkeys(year // YEARS_TOGETHER for year in years)
    for span, sex in product(spans, sexes):
        yield f"y:{span}:{where}:{spoken}:{sex}"
        for word in alone:
            if village:
                yield f"w:{span}:{village}:{word}:{sex}"
            for elder in elders:
                yield f"g:{span}:{person.district}:{elder}:{word}:{sex}"


class Matcher:
    """Scores candidates. `people` is how many the register holds."""

    def __init__(self, frequencies: Frequencies, people: int) -> None:
        everybody = max(people, FEWEST_PEOPLE)
        self._frequencies = frequencies
        self._model = Model(KINDS, prior_match=RETURNING / everybody, prior_household=HOUSEHOLD_MEMBERS / everybody)

    def candidates(self, one: Person, others: Iterable[Person], unlike: bool = False) -> list[Candidate]:
        """The likeliest first; those of the band `new` only if `unlike`. At most one of them is this person: where two
        fit equally well, a person is asked."""
        weighed = []
        for other in others:
            sides = compare(one, other, KINDS)
            weight = self._model.weigh(sides, self._frequencies)
            weighed.append((self._model.odds(weight), other, sides, weight))
        weighed.sort(key=lambda row: -row[0])
        together = 1 + math.fsum(math.exp(min(odds, 700)) for odds, *_ in weighed)
        found = []
        for odds, other, sides, weight in weighed[:MOST_CANDIDATES]:
            rivals = max(together - math.exp(min(odds, 700)), 1.0)
            chance = probability(odds - math.log(rivals))
            chosen = band(chance)
            if chosen == "same" and _another_name(one, other, sides):
                chosen = "ask"
            if chosen == "new" and (probability(odds) >= ASK_FROM or _same_paper(one, other)):
                chosen = "ask"
            if chosen == "new" and not unlike:
                continue
            found.append(
                Candidate(
                    patient=other.id,
                    band=chosen,
                    weight=round(self._model.weight(weight), 1),
                    probability=round(chance, 4),
                    fields=self._in_words(sides, weight.parts),
                )
            )
        return found

    def _in_words(self, sides: Sequence[Side], parts: Sequence[float]) -> tuple[FieldWeight, ...]:
        said = []
        for field, side, part in zip(self._model.fields, sides, parts, strict=True):
            if side.level < 0:
                continue
            bits = round(part / 0.6931471805599453, 1)
            said.append(
                FieldWeight(
                    field=field.name,
                    says=f"{_NAMES.get(field.name, field.name)}: {field.levels[side.level]}",
                    weight=bits,
                )
            )
        return tuple(said)


def _another_name(one: Person, other: Person, sides: Sequence[Side]) -> bool:
    """Sunita for Sumita: one consonant for another, so as likely her sister as a slip of the pen, where no whole birth
    date and no number of her own says which."""
    if sides[GIVEN].level != Alike.NEAR or sides[BIRTH].level == 0 or _same_paper(one, other):
        return False
    pairs = ((a.text, b.text) for a in one.name.given for b in other.name.given)
    return any(_one_consonant(a, b) for a, b in pairs) and not _same_bones(one, other)


def _one_consonant(a: str, b: str) -> bool:
    apart = [(x, y) for x, y in zip(a, b, strict=False) if x != y]
    return len(a) == len(b) and len(apart) == 1 and not set(apart[0]) & set("aeiouyh")


def _same_bones(one: Person, other: Person) -> bool:
    pair = (one.name.given, other.name.given)
    return any(
        set.intersection(*({heard(word.text) for word in given} for given in pair)) for heard in (skeleton, bones)
    )


def _same_paper(one: Person, other: Person) -> bool:
    """Both have a number that only one person can have: a slip of the pen, or something a person must look at."""
    return any(one.identifiers.get(kind) == other.identifiers.get(kind) is not None for kind in OF_ONE_PERSON)


_NAMES = {
    "given_name": "given name", "family_name": "family name", "birth_date": "birth date", "age": "age",
    "sex": "sex", "phone": "phone", "guardian": "father, husband or guardian", "locality": "village and district",
    "dwelling": "house and street", "family_id": "Him Parivar family", "ration_card": "ration card",
}  # fmt: skip


def abdm_rule(one: Person, other: Person) -> str | None:
    """Which of ABDM's two rules holds: `returning` (mobile and gender exact, age within 2 years, name close by sound),
    `discovery` (age within 5 years), or neither."""
    names = lists_alike(one.name.words, other.name.words)
    if names is None or names.alike > Alike.SHORT or not (one.phones & other.phones):
        return None
    if not one.sex or one.sex != other.sex or one.birth is None or other.birth is None:
        return None
    apart = abs(one.birth.year - other.birth.year)
    return "returning" if apart <= RETURNING_YEARS else "discovery" if apart <= DISCOVERY_YEARS else None
