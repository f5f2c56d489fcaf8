"""Where a patient can go now: every facility ranked or left out, with the reason for each."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from libs.contracts.referral import FacilityCard
from services.referral.domain import roads
from services.referral.domain.dataset import Notice
from services.referral.domain.roads import Seasons, Way

LEVELS = ("PHC", "CHC", "SDH", "DH", "MC")
"""From the lowest; a level that is not named here ranks above them all."""

ABOUT_AS_FAR_HOURS = 0.5
"""Facilities this close to each other in time count as equally far, and the lower level comes first."""


@dataclass(frozen=True)
class Ranked:
    """`hours` of travel today, by road or, in part, by air; `reasons` in the order in which they weigh."""

    card: FacilityCard
    hours: float
    by_air: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    code: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Destinations:
    """`at_origin`: the facility that asks offers the service itself, and nobody need travel for it."""

    at_origin: bool
    ranked: tuple[Ranked, ...]
    left_out: tuple[LeftOut, ...]


def rank(origin: str, service: str, day: dt.date, cards: Mapping[str, FacilityCard], seasons: Seasons) -> Destinations:
    """Nearest first by the season's roads; of those about as far, the lower level first.

    A lower or nearer facility that can treat it thus comes before a higher and farther one.
    """
    legs = roads.legs_on(day, cards.values(), seasons)
    ways = roads.ways_from(origin, legs)
    closed = roads.closed_between(origin, legs)
    ranked: list[Ranked] = []
    left_out: list[LeftOut] = []
    for code in sorted(set(cards) - {origin}):
        card = cards[code]
        if service not in card.services:
            left_out.append(LeftOut(code, (f"does not offer {service}",)))
        elif code not in ways:
            left_out.append(LeftOut(code, closed.get(code, ("no road to it is known",))))
        else:
            ranked.append(Ranked(card, ways[code].hours, ways[code].by_air, _reasons(service, card, ways[code])))
    ranked.sort(key=_weight)
    own = cards.get(origin)
    return Destinations(own is not None and service in own.services, tuple(ranked), tuple(left_out))


def passed_by(code: str, found: Destinations) -> tuple[Ranked, ...]:
    """The facilities that come before this one, which whoever sends the patient there goes past."""
    places = [ranked.card.code for ranked in found.ranked]
    return found.ranked[: places.index(code)] if code in places else ()


def notices(code: str, found: Destinations, past_reason: str | None) -> Iterator[Notice]:
    """What to warn of when a patient is sent to this facility: going past others without a reason, or a closed road."""
    passed = passed_by(code, found)
    if passed and past_reason is None:
        first = passed[0]
        yield Notice(
            code="passed-by",
            field="past_reason",
            detail=f"{first.card.code} offers it and comes first ({first.hours:g} hours); say why it is passed by",
        )
    for left in found.left_out:
        if left.code == code and not left.reasons[0].startswith("does not offer"):
            yield Notice(code="not-reachable", field="to", detail="; ".join(left.reasons))


def _weight(ranked: Ranked) -> tuple[int, int, float, str]:
    return (
        math.ceil(ranked.hours / ABOUT_AS_FAR_HOURS),
        _level(ranked.card),
        ranked.hours,
        ranked.card.code,
    )


def _level(card: FacilityCard) -> int:
    return LEVELS.index(card.level) if card.level in LEVELS else len(LEVELS)


def _reasons(service: str, card: FacilityCard, way: Way) -> tuple[str, ...]:
    travel = f"{way.hours:g} hours {'partly by air' if way.by_air else 'by road'}"
    return (f"offers {service}", travel, *way.says, f"level {card.level}")
