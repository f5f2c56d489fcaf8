"""A family as a question about schemes describes it: no names, only what rules ask for. What is not said is unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.registration.domain.schemes import Condition, Group

Fact = bool | int | str
Truth = bool | None
"""None: not known."""


@dataclass(frozen=True)
class Member:
    """`ref` is what the question calls them. `categories` None: nobody said what they are."""

    ref: str
    age_years: int | None = None
    birth_date: dt.date | None = None
    birth_year: int | None = None
    sex: str | None = None
    categories: frozenset[str] | None = None
    disability_percent: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def age(self, on: dt.date, year_of_birth: Literal["same-january", "next-january"]) -> int | None:
        """Completed years on that day."""
        born = self.birth_date
        if born is None and self.birth_year is not None:
            born = dt.date(self.birth_year + (year_of_birth == "next-january"), 1, 1)
        if born is None:
            return self.age_years
        return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


@dataclass(frozen=True)
class Family:
    """`size` counts everybody, described or not; None: nobody said."""

    members: tuple[Member, ...] = ()
    size: int | None = None
    state_lgd: int | None = None
    categories: frozenset[str] | None = None
    pm_jay: bool | None = None
    ration_card: bool | None = None
    mgnrega_days: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def everybody(self) -> tuple[Member, ...]:
        """The described members, then those who were only counted."""
        described = len(self.members)
        return (*self.members, *(Member(f"member-{n + 1}") for n in range(described, self.size or described)))

    @property
    def counted(self) -> bool:
        return bool(self.members) or self.size is not None

    def all_categories(self) -> frozenset[str] | None:
        """What the family or any member is; once anybody has said anything, what is not named is not so."""
        said = [each for each in (self.categories, *(m.categories for m in self.members)) if each is not None]
        return frozenset().union(*said) if said else None


@dataclass(frozen=True)
class Asking:
    """How conditions are looked at: on which day, and from what a year of birth is counted."""

    on: dt.date
    year_of_birth: Literal["same-january", "next-january"]

    def holds(self, group: Group, family: Family) -> Truth:
        """Three-valued (Kleene): unknown only where what is not known could decide it."""
        if group.who == "family":
            return _all(self.of_family(condition, family) for condition in group.when)
        each = [self.applies(group.when, member) for member in family.everybody]
        if group.who == "every-member":
            return _all(each) if each else None
        return _any(each) if family.counted else None

    def applies(self, conditions: Iterable[Condition], member: Member) -> Truth:
        return _all(self.of_member(condition, member) for condition in conditions)

    def of_family(self, condition: Condition, family: Family) -> Truth:
        if condition.fact == "category":
            return _one_of(condition, family.all_categories())
        known: dict[str, Fact | None] = {
            "pm_jay": family.pm_jay,
            "ration_card": family.ration_card,
            "mgnrega_days": family.mgnrega_days,
        }
        return _meets(condition, known.get(condition.fact, family.facts.get(condition.fact)))

    def of_member(self, condition: Condition, member: Member) -> Truth:
        if condition.fact == "category":
            return _one_of(condition, member.categories)
        known: dict[str, Fact | None] = {
            "age_years": member.age(self.on, self.year_of_birth),
            "disability_percent": member.disability_percent,
            "sex": member.sex,
        }
        return _meets(condition, known.get(condition.fact, member.facts.get(condition.fact)))

    def unsaid(self, group: Group, family: Family) -> list[str]:
        """The facts of a group that nobody told, as the question names them."""
        if group.who == "family":
            return [_FIELDS.get(c.fact, f"facts.{c.fact}") for c in group.when if self.of_family(c, family) is None]
        return self.unsaid_of_members(group.when, family)

    def unsaid_of_members(self, conditions: Iterable[Condition], family: Family) -> list[str]:
        conditions = tuple(conditions)
        if not family.counted:
            return ["members"]
        described = len(family.members)
        found: dict[str, None] = {}
        for index, member in enumerate(family.everybody):
            if self.applies(conditions, member) is not None:
                continue
            for condition in conditions:
                if self.of_member(condition, member) is None:
                    name = _FIELDS.get(condition.fact, f"facts.{condition.fact}")
                    found[f"members.{index}.{name}" if index < described else "members"] = None
        return list(found)


_FIELDS = {
    "category": "categories",
    **{name: name for name in ("age_years", "disability_percent", "mgnrega_days", "sex", "pm_jay", "ration_card")},
}


def _one_of(condition: Condition, categories: frozenset[str] | None) -> Truth:
    return None if categories is None else not categories.isdisjoint(condition.in_ or ())


def _meets(condition: Condition, value: Fact | None) -> Truth:
    if value is None:
        return None
    if condition.is_ is not None:
        return value is condition.is_
    if condition.in_ is not None:
        return value in condition.in_
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    if condition.at_least is not None:
        return value >= condition.at_least
    return value <= (condition.at_most or 0)


def _all(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    return False if False in found else None if None in found else True


def _any(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    return True if True in found else None if None in found else False
