"""One road's closures: who closed it, from when to when, why, and which referrals were then on the wrong side of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Instant
from libs.contracts.referral import Urgency
from services.referral.domain.roads import Closed

LISTED_AT_MOST = 500
"""Referrals that one closure names; of more it says how many."""


class WrongSide(BaseModel):
    """A referral whose patient has not arrived, and whose way led over the road. `hours_after` None: no way is left."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    referral: str
    origin: FacilityCode
    destination: FacilityCode
    urgency: Urgency
    status: str
    transport: str
    hours_before: float
    hours_after: float | None
    by_air: bool = False


class RoadState(BaseModel):
    """`reason` None: it is open. `wrong_side` as it was when the road was closed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    road: str
    ends: tuple[FacilityCode, ...]
    changed_at: Instant
    since: Instant | None = None
    until: Instant | None = None
    reason: Code | None = None
    slower: float | None = None
    air_hours: float | None = None
    wrong_side: tuple[WrongSide, ...] = ()
    wrong_side_count: int = 0

    @property
    def closed(self) -> Closed | None:
        if self.reason is None or self.since is None:
            return None
        return Closed(self.road, self.since, self.until, self.reason, self.slower, self.air_hours)


class RoadClosed(Event):
    """Private: others hear of it by what it does to referrals."""

    road: str
    ends: tuple[FacilityCode, ...]
    since: Instant
    until: Instant | None = None
    reason: Code
    slower: float | None = None
    air_hours: float | None = None
    wrong_side: tuple[WrongSide, ...] = ()
    wrong_side_count: int = 0
    at: Instant


class RoadOpened(Event):
    at: Instant


EVENTS: tuple[type[Event], ...] = (RoadClosed, RoadOpened)


def close(state: RoadState | None, closed: RoadClosed) -> list[Event]:
    """Closing a closed road anew replaces what was said of it. Raises Refused for an end before the beginning or over
    already, and for a later closure of a road that is closed now: it would be open until then."""
    if closed.until is not None and closed.until <= max(closed.since, closed.at):
        over = closed.until > closed.since
        raise Refused("out-of-range", "is over" if over else "must be later than it is closed", field="until")
    before = state.closed if state else None
    if before is not None and before.holds_at(closed.at) and closed.since > closed.at:
        raise Refused("closed-already", "is closed now, and would be open until then", field="since")
    return [closed]


def is_open() -> Refused:
    return Refused("illegal-move", "this road is open", allowed=("close",))


def open_again(state: RoadState | None, now: dt.datetime) -> list[Event]:
    """Raises Refused where it is open."""
    if state is not None and (state.closed is None or state.closed.is_over(now)):
        raise is_open()
    return [] if state is None else [RoadOpened(at=now)]


def evolve(state: RoadState | None, event: Event) -> RoadState:
    if isinstance(event, RoadClosed):
        said: dict[str, Any] = {name: getattr(event, name) for name in RoadClosed.model_fields if name != "at"}
        return RoadState(**said, changed_at=event.at)
    assert isinstance(event, RoadOpened)
    assert state is not None
    return RoadState(road=state.road, ends=state.ends, changed_at=event.at)
