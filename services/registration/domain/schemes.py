"""A scheme's rules as its file has them: who, since when, at what price, when one can enrol, and who says so.

A file that contradicts itself or leaves a gap does not become a Scheme: see the checks below, each with its reason.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, Tag, model_validator

from libs.common.misfit import Misfit
from libs.common.numbers import Whole
from libs.contracts.event import Code
from libs.contracts.registration import UnitKind
from services.registration.domain.identifiers import StateCode

EVERYBODY_ELSE = "everybody-else"
"""Whom no group of the file describes. Each version says what becomes of them."""

Confidence = Literal["high", "medium", "low"]
FactName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Condition(Written):
    """One fact and what it must be; exactly one of `is`, `in`, `at_least`, `at_most`."""

    fact: FactName
    is_: StrictBool | None = Field(None, alias="is")
    in_: tuple[Code, ...] | None = Field(None, alias="in", min_length=1)
    at_least: Whole | None = None
    at_most: Whole | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(said is not None for said in (self.is_, self.in_, self.at_least, self.at_most)) != 1:
            raise ValueError("needs exactly one of is, in, at_least, at_most")
        return self


class Group(Written):
    """People whom all of `when` applies to: the family as one, any member of it, or every member.

    `unsaid: no` takes it that they are not, and the answer says so; `unsaid: ask` answers nothing before it is known.
    """

    says: str = Field(min_length=1, max_length=300)
    who: Literal["family", "any-member", "every-member"] = "family"
    when: tuple[Condition, ...] = Field(min_length=1)
    unsaid: Literal["no", "ask"] = "no"
    asks: str = Field("", max_length=300)

    @property
    def question(self) -> str:
        return self.asks or f"Is this so: {self.says}?"


class Slab(Written):
    """`for` are the groups that pay this; `premium_inr` is for one unit and year."""

    slab: str = Field(min_length=1, max_length=20)
    premium_inr: Whole = Field(ge=0, le=100_000)
    for_: tuple[Code, ...] = Field(alias="for", min_length=1)


class Term(Written):
    """A card of so many years for so many yearly premiums."""

    years: Whole = Field(ge=1, le=10)
    premiums: Whole = Field(ge=0, le=10)


class Between(Written):
    first: dt.date
    last: dt.date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise Misfit("ends before it begins", "last")
        return self


class Months(Written):
    """The first to the last day of each of these months, every year."""

    months: tuple[Annotated[Whole, Field(ge=1, le=12)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if list(self.months) != sorted(set(self.months)):
            raise Misfit("must name each month once, in order", "months")
        return self


class Days(Written):
    """Stretches of days, first and last included."""

    between: tuple[Between, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for index, (before, after) in enumerate(zip(self.between, self.between[1:], strict=False)):
            if after.first <= before.last:
                raise Misfit("begins before the one above it has ended", "between", index + 1)
        return self


FACTS = {
    "age_years": "number",
    "disability_percent": "number",
    "mgnrega_days": "number",
    "sex": "code",
    "category": "code",
    "pm_jay": "yes-no",
    "ration_card": "yes-no",
}
"""What every family and member may be asked for, and how it is answered."""


def _shape(opening: Any) -> str:
    if isinstance(opening, dict):
        return "days" if "between" in opening else "months"
    return "days" if isinstance(opening, Days) else "months" if isinstance(opening, Months) else "word"


Word = Literal["always", "never"]
Opening = Annotated[
    Annotated[Word, Tag("word")] | Annotated[Months, Tag("months")] | Annotated[Days, Tag("days")],
    Discriminator(_shape),
]


class Enrolment(Written):
    """When a card is made: for who has none, who has one that has run out, and who has a live one."""

    new: Opening
    expired: Opening
    live: Opening = "always"
    where: str = Field("", max_length=300)


class Override(Written):
    """Officers who may let a family enrol outside the window, for one of these reasons."""

    by: tuple[Code, ...] = Field(min_length=1)
    reasons: dict[Code, str] = Field(min_length=1)
    says: str = Field(min_length=1, max_length=300)


class Version(Written):
    """The rules from `valid_from` to `valid_to`, both included; without `valid_to`, until further notice.

    `not_for` are excluded whatever else they are. `unnamed` are groups of which this version says nothing: they are
    like everybody else. `ends_cards`: cards that excluded families hold end with the first day.
    """

    code: Code
    valid_from: dt.date
    valid_to: dt.date | None = None
    says: str = Field(min_length=1, max_length=600)
    source: str = Field(min_length=1, max_length=300)
    confidence: Confidence
    slabs: tuple[Slab, ...] = Field(min_length=1)
    not_for: tuple[Code, ...] = ()
    unnamed: tuple[Code, ...] = ()
    ends_cards: StrictBool = False
    terms: tuple[Term, ...] = ()
    enrolment: Enrolment
    overrides: tuple[Override, ...] = ()
    hospitals: str = Field("", max_length=300)

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise Misfit("ends before it begins", "valid_to")
        slabs = Counter(slab.slab for slab in self.slabs)
        if doubled := [name for name, times in slabs.items() if times > 1]:
            raise Misfit(f"slab {doubled[0]} stands twice", "slabs")
        seen: dict[str, str] = {}
        placed: list[tuple[str, str, tuple[str | int, ...]]] = []
        for at, slab in enumerate(self.slabs):
            placed += [(group, f"slab {slab.slab}", ("slabs", at)) for group in slab.for_]
        placed += [(group, "not_for", ("not_for",)) for group in self.not_for]
        placed += [(group, "unnamed", ("unnamed",)) for group in self.unnamed]
        for group, where, place in placed:
            if group in seen:
                raise Misfit(f"contradiction: {group} is in {seen[group]} and in {where}", *place)
            seen[group] = where
        if EVERYBODY_ELSE in self.unnamed:
            raise Misfit(f"{EVERYBODY_ELSE} needs a slab, or not_for", "unnamed")
        if EVERYBODY_ELSE not in seen:
            raise Misfit(f"gap: says nothing of {EVERYBODY_ELSE}", "slabs")
        years = [term.years for term in self.terms]
        if years != sorted(set(years)):
            raise Misfit("must be in order, each number of years once", "terms")
        self._windows_lie_within()
        return self

    def _windows_lie_within(self) -> None:
        for name in ("new", "expired", "live"):
            opening = getattr(self.enrolment, name)
            for index, stretch in enumerate(opening.between if isinstance(opening, Days) else ()):
                if stretch.first < self.valid_from or (self.valid_to is not None and stretch.last > self.valid_to):
                    raise Misfit("lies outside the days of this version", "enrolment", name, "between", index)

    def holds(self, day: dt.date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Unit(Written):
    """Who shares one cover. `at_most` people, the rest form further units; without it there is no cap.

    `members` says who of the household belongs to it; everybody where nothing is said.
    """

    kind: UnitKind
    at_most: Whole | None = Field(None, ge=1, le=50)
    members: tuple[Condition, ...] = ()
    says: str = Field(min_length=1, max_length=300)


class Category(Written):
    """What somebody is, such as a daily-wage worker; `also` are other spellings that are understood."""

    says: str = Field(min_length=1, max_length=200)
    also: tuple[str, ...] = ()


class Scheme(Written):
    """`territory` are the LGD codes of the states whose residents it is for; empty: all of India.

    `asks` are facts, beyond those every family is asked for, that only this scheme wants to know.
    `year_of_birth: next-january` takes somebody of whom only the year is known as born on 1 January of the next.
    """

    scheme: Code
    name: str = Field(min_length=1, max_length=100)
    about: str = Field(min_length=1, max_length=400)
    territory: tuple[StateCode, ...] = ()
    cover_inr: Whole = Field(ge=1)
    cover: str = Field(min_length=1, max_length=300)
    unit: Unit
    year_of_birth: Literal["same-january", "next-january"] = "same-january"
    centre_fee_inr: Whole = Field(0, ge=0, le=1000)
    bring: tuple[str, ...] = ()
    categories: dict[Code, Category] = Field(default_factory=dict)
    asks: dict[FactName, str] = Field(default_factory=dict)
    groups: dict[Code, Group] = Field(default_factory=dict)
    versions: tuple[Version, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _covers_every_day_and_group_once(self) -> Self:
        if EVERYBODY_ELSE in self.groups:
            raise Misfit(f"{EVERYBODY_ELSE} is not a group of its own", "groups", EVERYBODY_ELSE)
        self._asks_what_can_be_answered()
        codes = Counter(version.code for version in self.versions)
        for index, version in enumerate(self.versions):
            if codes[version.code] > 1:
                raise Misfit(f"version {version.code} stands twice", "versions", index, "code")
            self._follows(index, version)
            self._places_every_group(index, version)
        return self

    def _asks_what_can_be_answered(self) -> None:
        known = {**FACTS, **dict.fromkeys(self.asks, "any")}
        for condition, place in self._placed_conditions():
            kind = known.get(condition.fact)
            if kind is None:
                raise Misfit(f"no such fact: {condition.fact}; say what it is under asks", *place, "fact")
            given = "code" if condition.in_ else "yes-no" if condition.is_ is not None else "number"
            if kind not in ("any", given):
                raise Misfit(f"{condition.fact} is a {kind}", *place, "fact")

    def _placed_conditions(self) -> Iterator[tuple[Condition, tuple[str | int, ...]]]:
        for index, condition in enumerate(self.unit.members):
            yield condition, ("unit", "members", index)
        for code, group in self.groups.items():
            for index, condition in enumerate(group.when):
                yield condition, ("groups", code, "when", index)

    def _follows(self, index: int, version: Version) -> None:
        if index == 0:
            return
        before = self.versions[index - 1]
        if before.valid_to is None or before.valid_to >= version.valid_from:
            raise Misfit(
                f"contradiction: {before.code} and {version.code} both hold on {version.valid_from}",
                "versions",
                index,
                "valid_from",
            )
        if before.valid_to + dt.timedelta(days=1) != version.valid_from:
            raise Misfit(
                f"gap: nothing holds from {before.valid_to + dt.timedelta(days=1)} to "
                f"{version.valid_from - dt.timedelta(days=1)}",
                "versions",
                index,
                "valid_from",
            )

    def _places_every_group(self, index: int, version: Version) -> None:
        placed = {*version.not_for, *version.unnamed, *(group for slab in version.slabs for group in slab.for_)}
        if missing := sorted(set(self.groups) - placed):
            raise Misfit(f"gap: says nothing of {', '.join(missing)}", "versions", index, "slabs")
        if unknown := sorted(placed - set(self.groups) - {EVERYBODY_ELSE}):
            raise Misfit(f"no such group: {', '.join(unknown)}", "versions", index, "slabs")

    def on(self, day: dt.date) -> Version | None:
        return next((version for version in self.versions if version.holds(day)), None)

    def category_places(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Each category that a condition names, and where in the file."""
        for condition, place in self._placed_conditions():
            if condition.fact == "category":
                for category in condition.in_ or ():
                    yield category, (*place, "in")


def opens(opening: Opening, day: dt.date, until: dt.date) -> tuple[dt.date, dt.date] | None:
    """The stretch of open days that holds `day` or, failing that, the next that begins by `until`; cut at `until`.

    First and last day are included. None if there is none.
    """
    if opening == "never" or day > until:
        return None
    if opening == "always":
        return day, until
    stretches = opening.between if isinstance(opening, Days) else _months(opening, day, until)
    for stretch in stretches:
        if stretch.last >= day and stretch.first <= until:
            return stretch.first, min(stretch.last, until)
    return None


def _months(opening: Months, day: dt.date, until: dt.date) -> Sequence[Between]:
    """Month after month that is open, neighbours made one stretch."""
    found: list[Between] = []
    for year in range(day.year - 1, min(day.year + 1, until.year) + 1):
        for month in opening.months:
            first = dt.date(year, month, 1)
            following = dt.date(year + month // 12, month % 12 + 1, 1)
            if found and found[-1].last + dt.timedelta(days=1) == first:
                first = found.pop().first
            found.append(Between(first=first, last=following - dt.timedelta(days=1)))
    return found
