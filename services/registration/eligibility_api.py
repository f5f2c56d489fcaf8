"""Which scheme pays for whom, on any day. Nothing of a question is kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from libs.common.clock import Clock
from libs.common.numbers import Whole
from libs.common.refusal import Refused
from libs.common.web import Reading
from libs.contracts.registration import Sex
from services.registration.domain import eligibility
from services.registration.domain.eligibility import Answer, Officer
from services.registration.domain.family import Family, Member
from services.registration.domain.identifiers import (
    Age,
    Code,
    IsoDate,
    LgdCode,
    NoAadhaar,
    StateCode,
    WithinReach,
)
from services.registration.domain.places import Places
from services.registration.domain.queue import desk_day
from services.registration.domain.schemes import Scheme
from services.registration.rulebook import Rulebook

MOST_MEMBERS = 60

_EXAMPLES: dict[str, Any] = {
    "daily-wage family of six": {
        "summary": "A daily-wage worker's family of six in Himachal Pradesh",
        "value": {
            "on": "2025-07-10",
            "state_lgd": 2,
            "pm_jay": False,
            "members": [
                {"ref": "father", "age_years": 41, "sex": "male", "categories": ["daily-wage"]},
                {"ref": "mother", "age_years": 38, "sex": "female"},
                {"ref": "daughter", "age_years": 15},
                {"ref": "son", "age_years": 12},
                {"ref": "grandfather", "age_years": 68},
                {"ref": "grandmother", "age_years": 64},
            ],
        },
    },
    "state employee": {
        "summary": "A serving state employee's family of six, of whom little is said",
        "value": {
            "on": "2024-08-04",
            "state": "Himachal Pradesh",
            "family_size": 6,
            "categories": ["state-government-serving"],
        },
    },
    "renewal": {
        "summary": "A HIMCARE card that ran out, and a medical superintendent who lets the family renew it at once",
        "value": {
            "on": "2025-07-10",
            "state_lgd": 2,
            "family_size": 4,
            "categories": ["shopkeeper"],
            "cards": [{"scheme": "himcare", "valid_to": "2025-06-30"}],
            "overrides": [{"by": "medical-superintendent", "reason": "severe-disease"}],
        },
    },
    "one question": {
        "summary": "Only what is known: the answer says what is missing",
        "value": {"on": "2026-01-15", "state_lgd": 37},
    },
}


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _coded(said: str) -> str:
    """`Medical Superintendent` as `medical-superintendent`."""
    return "-".join(said.replace("_", " ").casefold().split())


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), NoAadhaar]
Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"), NoAadhaar]
CodeAsSaid = Annotated[Code, BeforeValidator(lambda said: _coded(said) if isinstance(said, str) else said)]
Said = Annotated[tuple[Words, ...] | None, BeforeValidator(_listed)]
Facts = dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")], bool | int | Code]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AskedMember(_Asked):
    """One person of the family. No names: `ref` is any word by which the answer can call them."""

    ref: Ref | None = None
    relation: Words | None = Field(None, description="To the head; no rule asks for it")
    age_years: Age | None = Field(None, validation_alias=AliasChoices("age_years", "age"))
    birth_date: Annotated[dt.date | None, IsoDate, WithinReach] = None
    birth_year: Whole | None = Field(None, ge=1880, le=2200, description="Where only the year is known")
    sex: Sex | None = None
    categories: Said = Field(
        None,
        validation_alias=AliasChoices("categories", "category", "occupation"),
        description="What the person is, of `GET /schemes`; left out: not known",
    )
    disability_percent: Whole | None = Field(None, ge=0, le=100)
    facts: Facts = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_age(self) -> AskedMember:
        if sum(each is not None for each in (self.age_years, self.birth_date, self.birth_year)) > 1:
            raise ValueError("give one of age_years, birth_date and birth_year")
        return self


class AskedCard(_Asked):
    """A card of a scheme that the family has: its last day, or the day it was made and for how many years (the fewest
    that the rules of that day made cards for, if that is not said)."""

    scheme: Code
    valid_to: Annotated[dt.date | None, IsoDate, WithinReach] = None
    issued_on: Annotated[dt.date | None, IsoDate, WithinReach] = None
    years: Whole | None = Field(None, ge=1, le=10)

    @model_validator(mode="after")
    def _has_a_day(self) -> AskedCard:
        if (self.valid_to is None) == (self.issued_on is None):
            raise ValueError("give valid_to or issued_on")
        return self


class AskedOverride(_Asked):
    """An officer who lets the family enrol outside the window, and why: codes of the scheme's rule."""

    by: CodeAsSaid
    reason: CodeAsSaid


class AskEligibility(_Asked):
    """What is known of a family. Whatever is left out counts as not known, and the answer says what it would change."""

    on: Annotated[dt.date | None, IsoDate, WithinReach] = Field(
        None, validation_alias=AliasChoices("on", "date"), description="The day asked for; today (Asia/Kolkata) if not"
    )
    state_lgd: StateCode | None = Field(None, description="LGD code: 1 Jammu and Kashmir, 2 Himachal, 37 Ladakh")
    state: Words | None = Field(None, description="Its name, instead of the code")
    district_lgd: LgdCode | None = Field(None, description="Tells the state, if nothing else does")
    family_size: Whole | None = Field(
        None, ge=1, le=MOST_MEMBERS, description="Everybody, also those not described; at least as many as `members`"
    )
    members: tuple[AskedMember, ...] = Field((), max_length=MOST_MEMBERS)
    categories: Said = Field(
        None,
        validation_alias=AliasChoices("categories", "category"),
        description="What the family or its earner is, of `GET /schemes`; once anything is said, the rest is not so",
    )
    pm_jay: StrictBool | None = Field(None, description="Whether the family is on the list of Ayushman Bharat PM-JAY")
    ration_card: StrictBool | None = None
    mgnrega_days: Whole | None = Field(None, ge=0, le=732, description="In this or the last financial year")
    facts: Facts = Field(default_factory=dict, description="What a single scheme asks for besides")
    cards: tuple[AskedCard, ...] = Field((), max_length=20)
    overrides: tuple[AskedOverride, ...] = Field((), max_length=20)
    schemes: tuple[Code, ...] = Field((), max_length=50, description="Only these; every scheme if left out")


class Answers(BaseModel):
    """Every scheme's answer for that day."""

    on: dt.date
    schemes: tuple[Answer, ...]


class ListedScheme(BaseModel):
    scheme: str
    name: str
    about: str
    territory: tuple[int, ...]
    versions: tuple[eligibility.Rule, ...]


class SchemeList(BaseModel):
    """The schemes, and what can be said of a family: categories by code, further facts by name."""

    schemes: tuple[ListedScheme, ...]
    categories: dict[str, str]
    facts: dict[str, str]


def asked_family(rulebook: Rulebook, places: Places, asked: AskEligibility, on: dt.date, today: dt.date) -> Family:
    """The family as it was on that day: who was born since is not of it yet. Raises Refused naming the field."""
    if asked.family_size is not None and asked.family_size < len(asked.members):
        raise Refused("family-too-small", "is less than the members described", field="family_size")
    members, unborn = [], list[bool]()
    for index, each in enumerate(asked.members):
        place = f"members.{index}"
        born = each.birth_date or (dt.date(each.birth_year, 1, 1) if each.birth_year else None)
        if born is not None and born > max(on, today):
            field = f"{place}.{'birth_date' if each.birth_date else 'birth_year'}"
            raise Refused("born-later", "must not be after today and the day asked for", field=field)
        unborn.append(born is not None and born > on)
        members.append(
            Member(
                ref=each.ref or f"member-{index + 1}",
                age_years=each.age_years,
                birth_date=each.birth_date,
                birth_year=each.birth_year,
                sex=each.sex,
                categories=_categories(rulebook, each.categories, f"{place}.categories"),
                disability_percent=each.disability_percent,
                facts=_facts(rulebook, each.facts, f"{place}.facts"),
            )
        )
    refs = [member.ref for member in members]
    for index, ref in enumerate(refs):
        if ref in refs[:index]:
            raise Refused("ref-twice", "is another member's too", field=f"members.{index}.ref")
    return Family(
        members=tuple(member for member, later in zip(members, unborn, strict=True) if not later),
        size=asked.family_size and (asked.family_size - sum(unborn) or None),
        state_lgd=_state(places, asked),
        categories=_categories(rulebook, asked.categories, "categories"),
        pm_jay=asked.pm_jay,
        ration_card=asked.ration_card,
        mgnrega_days=asked.mgnrega_days,
        facts=_facts(rulebook, asked.facts, "facts"),
    )


def _state(places: Places, asked: AskEligibility) -> int | None:
    if asked.state is None:
        return places.resolve(asked.state_lgd, asked.district_lgd)[0] if asked.district_lgd else asked.state_lgd
    named = places.state_named(asked.state)
    if named is None:
        raise Refused("unknown-state", f"must be one of {', '.join(places.states.values())}", field="state")
    if asked.state_lgd not in (None, named):
        raise Refused("two-states", "is not the state of that code", field="state")
    return named


def _categories(rulebook: Rulebook, said: tuple[str, ...] | None, field: str) -> frozenset[str] | None:
    if said is None:
        return None
    found = []
    for index, each in enumerate(said):
        code = rulebook.category(each)
        if code is None:
            known = ", ".join(sorted(rulebook.categories))
            raise Refused("unknown-category", f"must be one of {known}", field=f"{field}.{index}")
        found.append(code)
    return frozenset(found)


def _facts(rulebook: Rulebook, said: Facts, field: str) -> Facts:
    for name in said:
        if name not in rulebook.facts:
            known = ", ".join(sorted(rulebook.facts)) or "nothing"
            raise Refused("unknown-fact", f"no scheme asks for that; what is asked for besides: {known}", field=field)
    return said


def checked(rulebook: Rulebook, schemes: Sequence[str], cards: Sequence[AskedCard]) -> tuple[str, ...]:
    """The schemes asked for, every one if none is named. Raises Refused naming the field."""
    named = [(f"schemes.{index}", code) for index, code in enumerate(schemes)]
    named += [(f"cards.{index}.scheme", card.scheme) for index, card in enumerate(cards)]
    for field, code in named:
        if code not in rulebook.schemes:
            raise Refused("unknown-scheme", f"must be one of {', '.join(rulebook.schemes)}", field=field)
    return tuple(dict.fromkeys(schemes)) or tuple(rulebook.schemes)


def _card(rulebook: Rulebook, index: int, card: AskedCard) -> eligibility.Card:
    """Raises Refused naming the field."""
    if card.valid_to is not None:
        return eligibility.Card(card.scheme, card.valid_to)
    assert card.issued_on is not None
    version = rulebook.schemes[card.scheme].on(card.issued_on)
    terms = [term.years for term in version.terms] if version else []
    if not terms:
        raise Refused("no-card-then", "no card that ends was made on that day", field=f"cards.{index}.issued_on")
    if card.years is not None and card.years not in terms:
        made = " or ".join(str(years) for years in terms)
        raise Refused("no-such-term", f"cards of that day were for {made} years", field=f"cards.{index}.years")
    return eligibility.Card(card.scheme, eligibility.years_later(card.issued_on, card.years or terms[0]))


def answers(
    rulebook: Rulebook,
    places: Places,
    schemes: Sequence[str],
    family: Family,
    on: dt.date,
    cards: Sequence[AskedCard] = (),
    officers: Mapping[str, tuple[Officer, ...]] | None = None,
) -> Answers:
    """Raises Refused naming the field. `officers` by scheme."""
    chosen = checked(rulebook, schemes, cards)
    held: dict[str, eligibility.Card] = {}
    for index, card in enumerate(cards):
        one = _card(rulebook, index, card)
        # Of several, such as those of two units, the one that lasts longest.
        held[card.scheme] = max(one, held.get(card.scheme, one), key=lambda each: each.valid_to)
    return Answers(
        on=on,
        schemes=tuple(
            eligibility.answer(
                rulebook.schemes[code],
                family,
                on,
                states=places.states,
                card=held.get(code),
                officers=(officers or {}).get(code, ()),
            )
            for code in chosen
        ),
    )


def answered(rulebook: Rulebook, places: Places, asked: AskEligibility, today: dt.date) -> Answers:
    """Raises Refused naming the field."""
    family = asked_family(rulebook, places, asked, asked.on or today, today)
    officers = tuple(Officer(each.by, each.reason) for each in asked.overrides)
    by_scheme = dict.fromkeys(rulebook.schemes, officers)
    return answers(rulebook, places, asked.schemes, family, asked.on or today, asked.cards, by_scheme)


def router(rulebook: Rulebook, places: Places, clock: Clock) -> APIRouter:
    routes = APIRouter(tags=["schemes"])

    @routes.post("/eligibility", summary="What every scheme says to a family on a day; nothing is kept")
    async def ask(asked: Annotated[AskEligibility, Body(openapi_examples=_EXAMPLES)], access: Reading) -> Answers:
        return answered(rulebook, places, asked, desk_day(clock.now()))

    @routes.get(
        "/schemes", summary="The schemes with the days and sources of their rules, and what can be said of a family"
    )
    async def schemes(access: Reading) -> SchemeList:
        return SchemeList(
            schemes=tuple(_listed_scheme(scheme) for scheme in rulebook.schemes.values()),
            categories={code: category.says for code, category in rulebook.categories.items()},
            facts=rulebook.facts,
        )

    return routes


def _listed_scheme(scheme: Scheme) -> ListedScheme:
    return ListedScheme(
        scheme=scheme.scheme,
        name=scheme.name,
        about=scheme.about,
        territory=scheme.territory,
        versions=tuple(eligibility.rule_of(version) for version in scheme.versions),
    )
