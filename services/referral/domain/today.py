"""What a facility has to give at a moment, of all that it lists. Days and hours are those of India."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from libs.contracts.referral import EVERY_DAY, Duty, FacilityCard, Unavailable

INDIA = ZoneInfo("Asia/Kolkata")

NEEDS_THEATRE = frozenset({"surgery", "orthopaedics", "neurosurgery"})
NEEDS_THEATRE_IN_AN_EMERGENCY = frozenset({"obstetrics", "ophthalmology", "ent"})
NEEDS_BLOOD_IN_AN_EMERGENCY = frozenset({"surgery", "obstetrics", "neurosurgery"})
NEEDS_OXYGEN = frozenset({"emergency", "surgery", "cardiology", "neurosurgery"})


def day_of(moment: dt.datetime) -> dt.date:
    return moment.astimezone(INDIA).date()


def away(card: FacilityCard, service: str, now: dt.datetime) -> Unavailable | None:
    """Why a service that it lists is not to be had now; None if it is."""
    for each in card.unavailable:
        if each.service == service and (each.until is None or each.until > now):
            return each
    return None


def available(card: FacilityCard, now: dt.datetime) -> tuple[str, ...]:
    """The services that it lists and has now."""
    if not card.takes_referrals:
        return ()
    return tuple(service for service in card.services if away(card, service, now) is None)


def is_open(card: FacilityCard, at: dt.datetime) -> bool:
    """Whether referred patients are received at this moment."""
    return not card.hours or any(_holds(each.days, each.opens, each.closes, at) for each in card.hours)


def opens_next(card: FacilityCard, at: dt.datetime) -> dt.datetime:
    """When it next receives patients: this moment if it does already. Within a week, or it names no hours."""
    if is_open(card, at):
        return at
    here = at.astimezone(INDIA)
    coming = []
    for ahead in range(8):
        date = here.date() + dt.timedelta(days=ahead)
        for each in card.hours:
            if EVERY_DAY[date.weekday()] in each.days:
                opens = dt.datetime.combine(date, dt.time.fromisoformat(each.opens), INDIA)
                if opens > here:
                    coming.append(opens)
    return min(coming, default=at)


def on_duty(card: FacilityCard, service: str | None, at: dt.datetime) -> tuple[Duty, ...]:
    """Who answers now: the duties for this service, or, where none is on, those that are for all."""
    now = [each for each in card.duty if _holds(each.days, each.starts, each.ends, at)]
    own = tuple(each for each in now if service is not None and each.service == service)
    return own or tuple(each for each in now if each.service is None)


def lacks(card: FacilityCard, service: str, urgency: str, blood_group: str | None = None) -> Iterator[str]:
    """What the service needs there and is known not to be there. What nobody has said is not held against it."""
    emergency = urgency == "emergency"
    theatre = service in NEEDS_THEATRE or (emergency and service in NEEDS_THEATRE_IN_AN_EMERGENCY)
    if theatre and card.theatre in ("closed", "none"):
        yield "the theatre is closed" if card.theatre == "closed" else "there is no theatre"
    if service in NEEDS_OXYGEN and card.oxygen == "none":
        yield "there is no oxygen"
    if card.blood is not None:
        if blood_group is not None and blood_group not in card.blood:
            yield f"no {blood_group} blood in stock"
        elif emergency and service in NEEDS_BLOOD_IN_AN_EMERGENCY and not card.blood:
            yield "no blood in stock"


def _holds(days: tuple[str, ...], starts: str, ends: str, at: dt.datetime) -> bool:
    here = at.astimezone(INDIA)
    clock, today = here.strftime("%H:%M"), EVERY_DAY[here.weekday()]
    if starts < ends:
        return today in days and starts <= clock < ends
    yesterday = EVERY_DAY[here.weekday() - 1]
    return (today in days and clock >= starts) or (yesterday in days and clock < ends)
