"""What a scheme says to a family on a day: yes or no, what it costs, what is missing, and by which rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.registration.domain.family import Asking, Family, Member
from services.registration.domain.schemes import EVERYBODY_ELSE, Scheme, Slab, Version, opens

LOOK_AHEAD = dt.timedelta(days=800)
"""How far ahead a day for enrolling is looked for."""


class Shown(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Unit(Shown):
    """People who share one cover."""

    members: tuple[str, ...]
    """As the question calls them; `member-6` is the sixth, of whom nothing was said."""
    people: int
    premium_inr: int
    """For one year."""


class Price(Shown):
    """A card of so many years."""

    years: int
    per_unit_inr: int
    total_inr: int | None
    """For all units; null while nobody said how many people there are."""
    card_valid_to: dt.date | None
    """The last day of a card made on the day asked for, or on the first day that one can enrol."""


class Cost(Shown):
    per_unit_inr: int | None
    """For one unit and year."""
    units: int | None
    total_inr: int | None
    """For all units for one year."""
    options: tuple[Price, ...] = ()
    centre_fee_inr: int = 0
    """What the centre that makes the card asks besides, for each card."""
    says: str


class Enrol(Shown):
    """Whether a card is made on that day; `opens_on` is otherwise the first day on which it is."""

    kind: Literal["new", "renewal", "renewal-after-expiry"]
    open: bool
    opens_on: dt.date | None = None
    closes_on: dt.date | None = None
    by_override: bool = False
    says: str


class CardShown(Shown):
    """The card that the family has."""

    valid_to: dt.date
    status: Literal["live", "expired", "ended"]
    says: str


class Missing(Shown):
    """A fact that nobody told and that could change the answer. `assumed` is what was taken for it meanwhile."""

    field: str
    assumed: Literal["no"] | None
    says: str


class Rule(Shown):
    """The version of the rules that answered, with its days (both included) and who says so."""

    code: str | None
    valid_from: dt.date | None
    valid_to: dt.date | None
    says: str
    source: str
    confidence: Literal["high", "medium", "low"]


class Answer(Shown):
    """One scheme's answer. `eligible` null: it depends on what is missing."""

    scheme: str
    name: str
    answer: Literal["yes", "no", "unknown"]
    eligible: bool | None
    says: str
    slab: str | None = None
    because: str
    unit_kind: str
    units: tuple[Unit, ...] | None = None
    cost: Cost | None = None
    cover_inr: int
    cover: str
    enrolment: Enrol | None = None
    card: CardShown | None = None
    missing: tuple[Missing, ...] = ()
    bring: tuple[str, ...] = Field(())
    """Papers to bring."""
    rule: Rule


@dataclass(frozen=True)
class Card:
    """A card that the family has; it ends after `valid_to`."""

    scheme: str
    valid_to: dt.date


@dataclass(frozen=True)
class Officer:
    """An officer lets the family enrol outside the window: in which office, and why (a code of the rule)."""

    by: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """`eligible` None: `missing` could decide it."""

    eligible: bool | None
    slab: Slab | None
    because: str
    missing: tuple[Missing, ...] = ()


def answer(
    scheme: Scheme,
    family: Family,
    on: dt.date,
    *,
    states: Mapping[int, str],
    card: Card | None = None,
    officers: Sequence[Officer] = (),
) -> Answer:
    """`states` are names of states by LGD code, for the words."""
    version = scheme.on(on)
    if version is None:
        return _no_rule(scheme, on)
    verdict = judged(scheme, version, family, on, states)
    asking = Asking(on, scheme.year_of_birth)
    units = None
    if verdict.eligible is not False and verdict.slab is not None:
        units = pack(scheme, belonging(scheme, family, asking), verdict.slab.premium_inr) if family.counted else None
    missing = list(verdict.missing)
    if verdict.eligible and not family.counted:
        missing.append(Missing(field="members", assumed=None, says="How many people are there, and how old?"))
    held = _held(version, verdict, card, on)
    enrolment = None
    if verdict.eligible:
        enrolment = _enrol(scheme, version, family, on, states, held, officers)
    cost = _cost(scheme, version, verdict, units, enrolment, on) if verdict.eligible else None
    return Answer(
        scheme=scheme.scheme,
        name=scheme.name,
        answer="unknown" if verdict.eligible is None else "yes" if verdict.eligible else "no",
        eligible=verdict.eligible,
        says=_says(version, verdict, cost, enrolment, held),
        slab=verdict.slab.slab if verdict.slab and verdict.eligible else None,
        because=verdict.because,
        unit_kind=scheme.unit.kind,
        units=units if verdict.eligible else None,
        cost=cost,
        cover_inr=scheme.cover_inr,
        cover=scheme.cover,
        enrolment=enrolment,
        card=held,
        missing=tuple(missing),
        bring=scheme.bring if verdict.eligible else (),
        rule=rule_of(version),
    )


def judged(scheme: Scheme, version: Version, family: Family, on: dt.date, states: Mapping[int, str]) -> Verdict:
    """Whether this version takes the family, at which slab, and what that depends on."""
    if scheme.territory:
        homes = " or ".join(states.get(code, str(code)) for code in scheme.territory)
        if family.state_lgd is None:
            ask = Missing(field="state_lgd", assumed=None, says="In which state or territory do they live?")
            return Verdict(None, None, f"it is for who lives in {homes}", (ask,))
        if family.state_lgd not in scheme.territory:
            return Verdict(False, None, f"it is only for who lives in {homes}")
    asking = Asking(on, scheme.year_of_birth)
    truths = {code: asking.holds(group, family) for code, group in scheme.groups.items()}
    assumed = {code: bool(truth) for code, truth in truths.items()}
    verdict = _by_groups(scheme, version, assumed)
    missing: list[Missing] = []
    undecided = False
    for code in (code for code, truth in truths.items() if truth is None):
        group = scheme.groups[code]
        otherwise = _by_groups(scheme, version, assumed | {code: True})
        if (otherwise.eligible, otherwise.slab) == (verdict.eligible, verdict.slab):
            continue
        ask_first = group.unsaid == "ask" and otherwise.eligible != verdict.eligible
        undecided = undecided or ask_first
        missing += [
            Missing(field=field, assumed=None if ask_first else "no", says=f"{group.question} {_then(otherwise)}")
            for field in asking.unsaid(group, family)
        ]
    belongs = _belonging_is_known(scheme, family, asking)
    if verdict.eligible is not False and belongs is not True:
        if belongs is False:
            return Verdict(False, None, f"nobody of the household belongs to it: {scheme.unit.says.removesuffix('.')}")
        undecided = True
        fields = asking.unsaid_of_members(scheme.unit.members, family)
        missing += [Missing(field=field, assumed=None, says=scheme.unit.says) for field in fields]
    found = tuple({(each.field, each.says): each for each in missing}.values())
    if undecided:
        return Verdict(None, verdict.slab, "it depends on what is missing", found)
    return Verdict(verdict.eligible, verdict.slab, verdict.because, found)


def _by_groups(scheme: Scheme, version: Version, truths: Mapping[str, bool]) -> Verdict:
    """Who is excluded is excluded whatever else they are; of several slabs the cheapest."""
    for code in version.not_for:
        if truths.get(code):
            return Verdict(False, None, scheme.groups[code].says)
    mine = [(slab, code) for slab in version.slabs for code in slab.for_ if truths.get(code)]
    if mine:
        slab, code = min(mine, key=lambda each: each[0].premium_inr)
        return Verdict(True, slab, scheme.groups[code].says)
    if EVERYBODY_ELSE in version.not_for:
        wanted = "; ".join(scheme.groups[code].says for slab in version.slabs for code in slab.for_)
        return Verdict(False, None, f"none of these: {wanted}")
    [slab] = [slab for slab in version.slabs if EVERYBODY_ELSE in slab.for_]
    return Verdict(True, slab, "Everybody whom no other group describes")


def _then(verdict: Verdict) -> str:
    if not verdict.eligible:
        return "Then the answer is no."
    assert verdict.slab is not None
    return f"Then it is slab {verdict.slab.slab} at Rs {verdict.slab.premium_inr} a year."


def _belonging_is_known(scheme: Scheme, family: Family, asking: Asking) -> bool | None:
    """Whether anybody of the household belongs to the unit."""
    if not scheme.unit.members:
        return True
    if not family.counted:
        return None
    each = [asking.applies(scheme.unit.members, member) for member in family.everybody]
    return True if True in each else None if None in each else False


def belonging(scheme: Scheme, family: Family, asking: Asking) -> tuple[Member, ...]:
    """Those of the household who share this scheme's cover, in the order they were named."""
    if not scheme.unit.members:
        return family.everybody
    return tuple(member for member in family.everybody if asking.applies(scheme.unit.members, member))


def pack(scheme: Scheme, members: Sequence[Member], premium_inr: int) -> tuple[Unit, ...]:
    """Units of at most so many, filled in order; the rest form further units."""
    most = scheme.unit.at_most or max(1, len(members))
    packs = [members[start : start + most] for start in range(0, len(members), most)]
    return tuple(
        Unit(members=tuple(member.ref for member in each), people=len(each), premium_inr=premium_inr) for each in packs
    )


def _held(version: Version, verdict: Verdict, card: Card | None, on: dt.date) -> CardShown | None:
    if card is None:
        return None
    if verdict.eligible is False and version.ends_cards:
        return CardShown(
            valid_to=card.valid_to, status="ended", says=f"The card ended on {_day(version.valid_from)} with the rule."
        )
    if card.valid_to < on:
        return CardShown(valid_to=card.valid_to, status="expired", says=f"The card ran out on {_day(card.valid_to)}.")
    return CardShown(valid_to=card.valid_to, status="live", says=f"The card is valid to {_day(card.valid_to)}.")


def _enrol(
    scheme: Scheme,
    version: Version,
    family: Family,
    on: dt.date,
    states: Mapping[int, str],
    held: CardShown | None,
    officers: Sequence[Officer],
) -> Enrol:
    """Whether a card is made that day, else when; where the rules change before, by the rules of then."""
    kind: Literal["new", "renewal", "renewal-after-expiry"] = "new"
    if held is not None:
        kind = "renewal" if held.status == "live" else "renewal-after-expiry"
    where = f" {version.enrolment.where}" if version.enrolment.where else ""
    found = _next_open(scheme, family, on, states, kind)
    if found and found[0] <= on:
        first, last = found
        until = f" until {_day(last)}" if last else ", as on any day"
        return Enrol(kind=kind, open=True, opens_on=first, closes_on=last, says=f"Today{until}.{where}")
    for officer in officers:
        for override in version.overrides:
            if officer.by in override.by and officer.reason in override.reasons:
                says = f"Today, by leave of the {_words(officer.by)}: {override.reasons[officer.reason]}.{where}"
                return Enrol(kind=kind, open=True, opens_on=on, by_override=True, says=says)
    leave = "".join(f" {override.says}" for override in version.overrides)
    if officers:
        leave += f" No rule of that day lets a {_words(officers[0].by)} do so for that reason."
    if found is None:
        return Enrol(kind=kind, open=False, says=f"No day for it is known.{where}{leave}")
    first, last = found
    stretch = f"from {_day(first)} to {_day(last)}" if last else f"from {_day(first)} on"
    says = f"Not today: come in {first:%B %Y}, {stretch}.{where}{leave}"
    return Enrol(kind=kind, open=False, opens_on=first, closes_on=last, says=says)


def _words(code: str) -> str:
    return code.replace("-", " ")


def _next_open(
    scheme: Scheme, family: Family, on: dt.date, states: Mapping[int, str], kind: str
) -> tuple[dt.date, dt.date | None] | None:
    """First and last day; no last one where cards are made on any day."""
    until = on + LOOK_AHEAD
    for version in scheme.versions:
        last = min(version.valid_to or until, until)
        if last < on or version.valid_from > until:
            continue
        first = max(on, version.valid_from)
        opening = version.enrolment.new
        if kind != "new":
            opening = version.enrolment.live if kind == "renewal" else version.enrolment.expired
        found = opens(opening, first, last)
        if found is None or (
            version.valid_from > on and not judged(scheme, version, family, found[0], states).eligible
        ):
            continue
        return found[0], None if opening == "always" else found[1]
    return None


def _cost(
    scheme: Scheme,
    version: Version,
    verdict: Verdict,
    units: Sequence[Unit] | None,
    enrolment: Enrol | None,
    on: dt.date,
) -> Cost:
    assert verdict.slab is not None
    premium, count = verdict.slab.premium_inr, None if units is None else len(units)
    made = enrolment.opens_on if enrolment and not enrolment.open else on
    options = tuple(
        Price(
            years=term.years,
            per_unit_inr=premium * term.premiums,
            total_inr=None if count is None else count * premium * term.premiums,
            card_valid_to=years_later(made, term.years) if made else None,
        )
        for term in version.terms
    )
    total = None if count is None else count * premium
    if premium == 0:
        says = "Nothing."
    elif count is None:
        says = f"Rs {premium} a year for each unit."
    else:
        says = f"{_units(units or ())} at Rs {premium} each a year: Rs {total}."
    if longer := [option for option in options if option.years > 1 and premium]:
        says += "".join(f" For {each.years} years Rs {each.per_unit_inr} each." for each in longer)
    return Cost(
        per_unit_inr=premium,
        units=count,
        total_inr=total,
        options=options,
        centre_fee_inr=scheme.centre_fee_inr,
        says=says,
    )


def years_later(day: dt.date, years: int) -> dt.date:
    """The last day of so many years from `day`."""
    try:
        return day.replace(year=day.year + years) - dt.timedelta(days=1)
    except ValueError:
        return dt.date(day.year + years, 2, 28)


def _units(units: Sequence[Unit]) -> str:
    if len(units) == 1:
        return f"1 unit of {units[0].people}"
    return f"{len(units)} units ({' + '.join(str(unit.people) for unit in units)} people)"


def _says(
    version: Version,
    verdict: Verdict,
    cost: Cost | None,
    enrolment: Enrol | None,
    held: CardShown | None,
) -> str:
    parts = []
    if verdict.eligible is None:
        needed = dict.fromkeys(each.says for each in verdict.missing if each.assumed is None)
        parts.append("That cannot be said yet: " + " ".join(needed))
    elif not verdict.eligible:
        since = f"By the rules since {_day(version.valid_from)}: {version.says}"
        parts += [f"No: {verdict.because}.", since]
    else:
        assert verdict.slab is not None
        slab = f", slab {verdict.slab.slab}" if len(version.slabs) > 1 else ""
        parts.append(f"Yes{slab}: {verdict.because}.")
        if cost is not None:
            parts.append(f"Cost: {cost.says}")
        if enrolment is not None:
            parts.append(f"Card: {enrolment.says}")
    if held is not None:
        parts.append(held.says)
    return " ".join(parts)


def rule_of(version: Version) -> Rule:
    return Rule(**{name: getattr(version, name) for name in Rule.model_fields})


def _no_rule(scheme: Scheme, on: dt.date) -> Answer:
    first, last = scheme.versions[0], scheme.versions[-1]
    if on < first.valid_from:
        says, source = f"{scheme.name} began on {_day(first.valid_from)}", first.source
        rule = Rule(
            code=None,
            valid_from=None,
            valid_to=first.valid_from - dt.timedelta(days=1),
            says=f"{says}.",
            source=source,
            confidence=first.confidence,
        )
    else:
        assert last.valid_to is not None
        says, source = f"{scheme.name} ended on {_day(last.valid_to)}", last.source
        rule = Rule(
            code=None,
            valid_from=last.valid_to + dt.timedelta(days=1),
            valid_to=None,
            says=f"{says}.",
            source=source,
            confidence=last.confidence,
        )
    return Answer(
        scheme=scheme.scheme,
        name=scheme.name,
        answer="no",
        eligible=False,
        says=f"No: {says}.",
        because=says,
        unit_kind=scheme.unit.kind,
        cover_inr=scheme.cover_inr,
        cover=scheme.cover,
        rule=rule,
    )


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"
