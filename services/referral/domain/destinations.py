"""Where a patient can go now: every facility ranked or left out, with the reason for each."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from libs.contracts.referral import FacilityCard
from services.referral.domain import today
from services.referral.domain.dataset import Notice
from services.referral.domain.facility import OFFICE
from services.referral.domain.roads import Way

LEVELS = ("PHC", "CHC", "SDH", "DH", "MC")
"""From the lowest; a level that is not named here ranks above them all."""

ABOUT_AS_FAR_HOURS: Mapping[str, float] = {"routine": 1.0, "urgent": 0.5, "emergency": 0.5}
"""By urgency: facilities this close to each other in time count as equally far, and the lower level comes first."""

GENERAL = "general"
"""The kind of bed that is looked for where none is named."""

NOT_LISTED = "does not offer"


def kinds_of(card: FacilityCard) -> Mapping[str, int]:
    """Beds that stand there, by kind; a facility that names no kinds has its beds."""
    return card.beds_by_kind or {GENERAL: card.beds}


@dataclass(frozen=True)
class Wanted:
    """What the patient needs. `bed`: a kind, where one has to be free there."""

    service: str
    urgency: str = "urgent"
    bed: str | None = None
    blood_group: str | None = None


@dataclass(frozen=True)
class Ranked:
    """`hours` of travel now, by road or, in part, by air; `reasons` in the order in which they weigh."""

    card: FacilityCard
    hours: float
    by_air: bool
    reasons: tuple[str, ...]
    roads: tuple[str, ...] = ()
    free_beds: Mapping[str, int] | None = None


@dataclass(frozen=True)
class LeftOut:
    """`not_reachable`: it could treat the patient, but no way leads there now."""

    code: str
    reasons: tuple[str, ...]
    not_reachable: bool = False
    hours: float | None = None


@dataclass(frozen=True)
class Destinations:
    """`at_origin`: the facility that asks has the service itself today, and nobody need travel for it."""

    at_origin: bool
    ranked: tuple[Ranked, ...]
    left_out: tuple[LeftOut, ...]


def rank(
    origin: str,
    wanted: Wanted,
    now: dt.datetime,
    cards: Mapping[str, FacilityCard],
    ways: Mapping[str, Way],
    closed: Callable[[], Mapping[str, tuple[str, ...]]],
    beds: Mapping[str, Mapping[str, int]],
) -> Destinations:
    """Nearest first by the roads as they are; of those about as far, the lower level first.

    A lower or nearer facility that can treat it thus comes before a higher and farther one. `closed()` says what
    stands between the origin and those that no way leads to; `beds` are those free, where a ledger is kept.
    """
    ranked: list[Ranked] = []
    left_out: list[LeftOut] = []
    for code in sorted(cards):
        if code == origin or cards[code].level == OFFICE:
            continue
        card, way, free = cards[code], ways.get(code), beds.get(code)
        if lacking := tuple(_lacking(card, wanted, now, way, free)):
            left_out.append(LeftOut(code, lacking, hours=way.hours if way else None))
        elif way is None:
            left_out.append(LeftOut(code, closed().get(code, ("no road to it is known",)), not_reachable=True))
        else:
            reasons = tuple(_reasons(card, wanted, now, way, free))
            ranked.append(Ranked(card, way.hours, way.by_air, reasons, way.roads, free))
    about = ABOUT_AS_FAR_HOURS.get(wanted.urgency, 0.5)
    ranked.sort(key=lambda each: (math.ceil(each.hours / about), _level(each.card), each.hours, each.card.code))
    own = cards.get(origin)
    at_origin = own is not None and not any(_lacking(own, wanted, now, None, beds.get(origin)))
    return Destinations(at_origin, tuple(ranked), tuple(left_out))


def passed_by(code: str, found: Destinations, *, outside: bool = False) -> tuple[Ranked, ...]:
    """The facilities that come before this one, which whoever sends the patient there goes past: of one that is left
    out, those that are nearer; of a place outside the network, every one."""
    if outside:
        return found.ranked
    places = [ranked.card.code for ranked in found.ranked]
    if code in places:
        return found.ranked[: places.index(code)]
    left = next((each for each in found.left_out if each.code == code), None)
    if left is None or left.hours is None:
        return ()
    return tuple(each for each in found.ranked if each.hours < left.hours)


def notices(code: str, found: Destinations, past_reason: str | None, *, outside: bool = False) -> Iterator[Notice]:
    """What to warn of when a patient is sent to this facility: going past others without a reason, a closed road, or
    what is not to be had there today."""
    left = next((each for each in found.left_out if each.code == code), None)
    passed = passed_by(code, found, outside=outside)
    if passed and past_reason is None:
        first = passed[0]
        yield Notice(
            code="passed-by",
            field="past_reason",
            detail=f"{first.card.code} offers it and comes first ({first.hours:g} hours); say why it is passed by",
        )
    if left is None:
        return
    if left.not_reachable:
        yield Notice(code="not-reachable", field="to", detail="; ".join(left.reasons))
    elif not left.reasons[0].startswith(NOT_LISTED):
        yield Notice(code="not-today", field="to", detail="; ".join(left.reasons))


def _lacking(
    card: FacilityCard, wanted: Wanted, now: dt.datetime, way: Way | None, free: Mapping[str, int] | None
) -> Iterator[str]:
    """Why the patient cannot be treated there now, wherever it is."""
    if wanted.service not in card.services:
        yield f"{NOT_LISTED} {wanted.service}"
        return
    if not card.takes_referrals:
        yield "takes no referrals now"
        return
    if (away := today.away(card, wanted.service, now)) is not None:
        back = f" until {today.day_of(away.until)}" if away.until else ""
        yield f"{wanted.service} is not available{back}: {away.reason.replace('-', ' ')}"
    yield from today.lacks(card, wanted.service, wanted.urgency, wanted.blood_group)
    if wanted.urgency != "routine" and way is not None:
        there = now + dt.timedelta(hours=way.hours)
        if not today.is_open(card, there):
            yield "closed when the patient would arrive"
    if free is not None and (none := _no_bed(wanted, free)):
        yield none


def _no_bed(wanted: Wanted, free: Mapping[str, int]) -> str | None:
    if wanted.bed is not None:
        if wanted.bed not in free:
            return f"has no {wanted.bed} beds"
        return f"no {wanted.bed} bed is free" if free[wanted.bed] <= 0 else None
    return "no bed is free" if free and sum(free.values()) <= 0 else None


def _level(card: FacilityCard) -> int:
    return LEVELS.index(card.level) if card.level in LEVELS else len(LEVELS)


def _reasons(
    card: FacilityCard, wanted: Wanted, now: dt.datetime, way: Way, free: Mapping[str, int] | None
) -> Iterator[str]:
    yield f"offers {wanted.service}"
    yield f"{way.hours:g} hours {'partly by air' if way.by_air else 'by road'}"
    yield from way.says
    if free:
        kind = wanted.bed or (GENERAL if GENERAL in free else None)
        count = free[kind] if kind else sum(free.values())
        yield f"{count} {kind + ' ' if kind else ''}bed{'' if count == 1 else 's'} free"
    elif wanted.bed is not None:
        yield f"whether {wanted.bed} beds are free is not known"
    if not today.is_open(card, now):
        yield f"opens at {today.opens_next(card, now).astimezone(today.INDIA):%d-%m %H:%M}"
    yield f"level {card.level}"
