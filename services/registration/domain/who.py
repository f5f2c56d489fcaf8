"""Who is this, asked at a door: a card as the matcher reads it, the keys it is found by, and the answer in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from libs.contracts.registration import PatientCard
from services.registration.domain.matching.births import Birth
from services.registration.domain.matching.blocking import name_words
from services.registration.domain.matching.compare import (
    AGE,
    BIRTH,
    GIVEN,
    GUARDIAN,
    LOCALITY,
    MISSING,
    SEX,
    Side,
    compare,
)
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.matching.model import ASK_FROM, Model, band, probability
from services.registration.domain.matching.names import Alike, Name, Word, is_ending, lists_alike, read_name
from services.registration.domain.matching.person import Person, read_guardian, read_identifier, read_place
from services.registration.domain.matching.remembered import WORDS
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
"""ABDM: a returning patient's age may differ by two years, one who is discovered from a phone's by five."""
NAMESAKE_YEARS = 5
"""By how much an age may be wrong where village and whole name agree."""
BORNE_BY_MANY = frozenset(bones(word) for word in ("mohammad", "ghulam", "gh", "abdul", "ab"))
"""What stands before, or after, the own names of a great part of a people: by itself it finds a crowd."""
MOST_CANDIDATES = 10
FEWEST_PEOPLE = 20_000
"""Below this a register's size tells nothing of how many people there are."""
HOUSEHOLD_MEMBERS = 4.0
RETURNING = 0.5
"""How likely it is, before anything is compared, that somebody at the desk is known."""


READ = (
    "name", "sex", "birth_date", "birth_year", "phone", "guardian", "village", "district_lgd", "state_lgd",
    "abha_number", "abha_address", "identifiers",
)  # fmt: skip
"""All of a card that is compared."""


def to_person(id: str, card: Mapping[str, Any]) -> Person:
    """`card` as it is stored (JSON), of which only what is in READ is asked for."""
    identifiers = {
        _AS_KIND.get(one["type"], one["type"]): read_identifier(f"{one.get('facility') or ''}{one['value']}")
        for one in card.get("identifiers") or ()
    }
    for kind in ("abha_number", "abha_address"):
        if card.get(kind):
            identifiers[kind.replace("_", "-")] = read_identifier(card[kind])
    sex = card.get("sex")
    phone = card.get("phone") or ""
    if not (phone[-10:].isdecimal() and phone.isascii()):
        phone = _NOT_DIGITS.sub("", phone)
    phone = phone[-10:]
    return Person(
        id=id,
        name=read_name(card.get("name") or ""),
        sex="m" if sex == "male" else "f" if sex == "female" else "",
        birth=_birth(card.get("birth_date"), card.get("birth_year")),
        phones=frozenset({phone} if phone else ()),
        guardian=read_guardian(card.get("guardian") or ""),
        village=read_place(card.get("village") or ""),
        district=str(card.get("district_lgd") or ""),
        state=str(card.get("state_lgd") or ""),
        identifiers=identifiers,
    )


@lru_cache(maxsize=WORDS)
def _birth(date: Any, year: Any) -> Birth | None:
    if date:
        in_year, month, day = (int(part) for part in str(date).split("-"))
        return Birth(in_year, month, day, digits=f"{in_year:04d}{month:02d}{day:02d}")
    return Birth(int(year), estimated=True) if year else None


_UNSAID = Side(MISSING)
_NOT_DIGITS = re.compile(r"\D")


class Keys(NamedTuple):
    """`agreed` is, by field, the most that two records have in common that share one of these and none that says more;
    None where having it is enough to be looked at."""

    texts: Sequence[str]
    agreed: Mapping[int, Side] | None = None


def index_keys(card: PatientCard) -> tuple[str, ...]:
    """What the record is found by, kept with it."""
    person = to_person(card.id, card.model_dump(mode="json"))
    years = [person.birth.year] if person.birth and person.birth.year else []
    ageless = [] if years else [_without_age(person)]
    return _all([*_keys(person, years, years), _of_any_age(person), *ageless])


def lookup_keys(person: Person, years_around: int = RETURNING_YEARS) -> tuple[str, ...]:
    """All that may be asked for."""
    return _all(_asked(person, years_around))


def _asked(person: Person, years_around: int) -> Iterable[Keys]:
    """The same keys, and the years around the birth: somewhere it may be known by an age only."""
    if person.birth and person.birth.year:
        year = person.birth.year
        near = range(year - years_around, year + years_around + 1)
        namesakes = range(year - NAMESAKE_YEARS, year + NAMESAKE_YEARS + 1)
        return [*_keys(person, near, namesakes), _without_age(person)]
    return [*_keys(person, [], []), _of_any_age(person)]


def _all(found: Iterable[Keys]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for keys in found for text in keys.texts))


def identifier_key(kind: str, value: str) -> str:
    """`value` as `read_identifier` leaves it; of a record number with its facility before it."""
    return f"i:{kind}:{value}"


def _telling(words: list[str]) -> list[str]:
    return [word for word in words if word not in BORNE_BY_MANY] or words


class _Heard:
    """What keys are made of."""

    def __init__(self, person: Person) -> None:
        telling = sorted({bones(word.text) for word in person.name.words if not is_ending(word)})
        self.telling = len(telling)
        self.spoken = " ".join(telling or sorted(bones(word.text) for word in person.name.words))
        self.words = list(dict.fromkeys(bones(word) for word in name_words(person.name.words)))
        self.alone = _telling(self.words)
        self.village = skeleton(person.village.replace(" ", "")) if person.village else ""
        self.sexes = (person.sex,) if person.sex else ("f", "m")
        self.elder = "".join(_telling([bones(word) for word in name_words(person.guardian)])[:1])
        family = {bones(word.text) for word in person.guardian}
        self.own = [word for word in self.alone if word not in family] or self.alone
        """What a family has in common finds the family: not it, but the words that the elder has not."""


def _keys(person: Person, years: Sequence[int], namesakes: Sequence[int]) -> Iterable[Keys]:
    """Each is rare even among a million people: a name never stands alone. Whoever's sex is not known has both.
    `namesakes` are the years of birth in which those of one village are asked for who bear the whole name."""
    yield Keys([identifier_key(kind, value) for kind, value in person.identifiers.items() if value])
    yield Keys([f"p:{phone}" for phone in person.phones])
    heard = _Heard(person)
    if person.birth and person.birth.whole and person.birth.precise:
        first, second = sorted((person.birth.month, person.birth.day))
        yield Keys([f"d:{person.birth.year}:{first}:{second}:{word}" for word in heard.words])
        if heard.village:
            yield Keys([f"b:{heard.village}:{first}:{second}:{heard.spoken}"])
    where = person.district or person.state
    if heard.telling < 2:
        # One word is too common for a whole district.
        where = f"{where}:{heard.village[:2]}"
    alike = {AGE: Side(0), SEX: Side(0)}
    whole = alike | {place: _exactly(words) for place, words in enumerate(person.name) if words}
    here, near, elder = {LOCALITY: Side(1, person.village)}, {LOCALITY: Side(3)}, {GUARDIAN: _exactly(person.guardian)}
    aged = [f"{year}:{{}}:{sex}" for year, sex in product(years, heard.sexes)]
    yield Keys(["y:" + each.format(f"{where}:{heard.spoken}") for each in aged], whole | near)
    if heard.village:
        spoken = f"{heard.village}:{heard.spoken}"
        ages = product(namesakes, heard.sexes)
        yield Keys([f"n:{year}:{spoken}:{sex}" for year, sex in ages], whole | here)
        for word in heard.alone:
            agreed = alike | here | _one_word(person.name, word)
            yield Keys(["w:" + each.format(f"{heard.village}:{word}") for each in aged], agreed)
    if heard.elder:
        theirs = [f"{person.district}:{heard.elder}:{word}" for word in heard.own]
        yield Keys(["g:" + each.format(them) for each, them in product(aged, theirs)], whole | near | elder)
        if heard.village:
            keys = [f"e:{heard.village}:{heard.elder}:{heard.spoken}:{sex}" for sex in heard.sexes]
            yield Keys(keys, whole | here | elder)


def _of_any_age(person: Person) -> Keys:
    """What only they ask for who do not know an age: where it is known, a village's namesakes of all ages are many."""
    heard = _Heard(person)
    return Keys([f"v:{heard.village}:{heard.spoken}:{sex}" for sex in heard.sexes if heard.village])


def _without_age(person: Person) -> Keys:
    """What only they bear whose age is not known, who are few, and everybody asks for who knows one."""
    agreed = {place: _exactly(words) for place, words in enumerate(person.name) if words}
    texts = [f"u:{text.removeprefix('v:')}" for text in _of_any_age(person).texts]
    return Keys(texts, {SEX: Side(0), LOCALITY: Side(1, person.village)} | agreed)


def _exactly(words: Iterable[Word]) -> Side:
    return Side(Alike.EXACT, " ".join(word.text for word in words))


def _one_word(name: Name, heard: str) -> dict[int, Side]:
    return {
        place: _exactly(same)
        for place, words in enumerate(name)
        if (same := [word for word in words if bones(word.text) == heard])
    }


class Matcher:
    """Scores candidates. `people` is how many the register holds."""

    def __init__(self, frequencies: Frequencies, people: int) -> None:
        everybody = max(people, FEWEST_PEOPLE)
        self._crowded = people > FEWEST_PEOPLE
        self._frequencies = frequencies
        self._model = Model(KINDS, prior_match=RETURNING / everybody, prior_household=HOUSEHOLD_MEMBERS / everybody)

    def worth_asking(self, person: Person, years_around: int = RETURNING_YEARS) -> tuple[str, ...]:
        """The keys that can find somebody who would be shown: not those that only a crowd of namesakes shares, of whom
        nothing but these names, ages and places agree. In a small register they are few, and all are looked at."""
        if not self._crowded:
            return lookup_keys(person, years_around)
        return _all(keys for keys in _asked(person, years_around) if keys.agreed is None or self._might_be(keys.agreed))

    def _might_be(self, agreed: Mapping[int, Side]) -> bool:
        sides = [agreed.get(place, _UNSAID) for place in range(len(self._model.fields))]
        return probability(self._model.odds(self._model.weigh(sides, self._frequencies))) >= ASK_FROM

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
