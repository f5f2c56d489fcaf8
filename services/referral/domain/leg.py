"""The way from origin to destination, beside the referral: asked for, assigned, under way, held, handed over.

A second dimension and never a precondition: a patient who stands at the desk has arrived, whatever is known of the way.
What may be done is the table LEG_MOVES; `depart` and `hold` are moves of the referral's own table and show here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, Instant

LegStatus = Literal["none", "requested", "assigned", "departed", "held", "handed-over"]

TO_COME = frozenset({"requested", "lapsed", "accepted", "scheduled", "no-show", "appointment-cancelled"})
"""Statuses of a referral in which its patient may still travel."""

CAME = frozenset({"arrived", "seen", "treated", "back-referred"})
"""Statuses in which a hand-over may still be told late."""

POSITIONS_KEPT = 60
"""Positions that one journey journals at most: of a longer one the state keeps the last, the journal the first ones."""


@dataclass(frozen=True)
class LegMove:
    """One row: while the leg is any of `at` and the referral any of `while_`, any of `who` (role, side) may do
    `command`."""

    command: str
    at: frozenset[LegStatus]
    to: LegStatus | None
    who: frozenset[tuple[str, str]]
    while_: frozenset[str]
    event: str


_ORIGIN = frozenset({("transport", "origin")})
LEG_MOVES: tuple[LegMove, ...] = (
    LegMove(
        "request",
        frozenset({"none", "requested"}),
        "requested",
        _ORIGIN | {("doctor", "origin"), ("desk", "origin")},
        TO_COME,
        "LegRequested",
    ),
    LegMove("assign", frozenset({"none", "requested", "assigned"}), "assigned", _ORIGIN, TO_COME, "LegAssigned"),
    LegMove("position", frozenset({"assigned", "departed", "held"}), None, _ORIGIN, TO_COME, "LegPositioned"),
    LegMove(
        "hand-over",
        frozenset({"assigned", "departed", "held"}),
        "handed-over",
        _ORIGIN | {("desk", "destination")},
        TO_COME | CAME,
        "LegHandedOver",
    ),
)


class Position(BaseModel):
    """Degrees, and the facility it is at, if that was said."""

    model_config = ConfigDict(frozen=True)

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    at: Instant


class Leg(BaseModel):
    """`lost_seconds` by cause of holding, of holds that are over; `held_since` is the one that is not. `lost_before` of
    them were lost on an earlier way, where the patient came another time.
    `code` is what an SMS names the journey by. `expected_at` is when the patient should be there by the roads as they
    were at departure, put off by every hold since."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: LegStatus = "none"
    code: str | None = None
    mode: Code | None = None
    vehicle: str | None = None
    needs: tuple[Code, ...] = ()
    requested_at: Instant | None = None
    assigned_at: Instant | None = None
    departed_at: Instant | None = None
    held_since: Instant | None = None
    held_for: Code | None = None
    expected_release: Instant | None = None
    lost_seconds: dict[str, int] = Field(default_factory=dict)
    lost_before: int = 0
    travel_seconds: int | None = None
    handed_over_at: Instant | None = None
    ended_at: Instant | None = None
    position: Position | None = None
    positions: int = 0

    @property
    def under_way(self) -> bool:
        return self.status in ("departed", "held") and self.ended_at is None

    @property
    def expected_at(self) -> dt.datetime | None:
        """None while nothing is known of it; while held, as if released when that is expected."""
        if self.departed_at is None or self.travel_seconds is None:
            return None
        lost = sum(self.lost_seconds.values()) - self.lost_before
        expected = self.departed_at + dt.timedelta(seconds=self.travel_seconds + lost)
        if self.held_since is not None and self.expected_release is not None:
            expected += max(self.expected_release - self.held_since, dt.timedelta(0))
        return expected


class LegEvent(Event):
    """Private to the journal; `at` is by the domain's clock."""

    at: Instant


class LegRequested(LegEvent):
    mode: Code | None = None
    needs: tuple[Code, ...] = ()


class LegAssigned(LegEvent):
    mode: Code
    vehicle: str | None = None
    code: str


class LegPositioned(LegEvent):
    """`taken_at`: when the patient was there; a message may come late, or after a later one."""

    latitude: float
    longitude: float
    taken_at: Instant | None = None


class LegHandedOver(LegEvent):
    pass


LEG_EVENTS: tuple[type[LegEvent], ...] = (LegRequested, LegAssigned, LegPositioned, LegHandedOver)
_BY_NAME = {event.__name__: event for event in LEG_EVENTS}


def open_to(status: str, leg: Leg, role: str, sides: frozenset[str]) -> tuple[LegMove, ...]:
    """What somebody of this role at these sides may do about the way now."""
    return tuple(
        move
        for move in LEG_MOVES
        if leg.status in move.at and status in move.while_ and any((role, side) in move.who for side in sides)
    )


def decide(
    status: str, leg: Leg, command: str, said: Mapping[str, Any], role: str, sides: frozenset[str], now: dt.datetime
) -> list[Event]:
    """The event of this command. Raises Refused with what is allowed: `not-yours`, `illegal-move`.

    A position beyond those that are kept in the journal is not an event: [].
    """
    allowed = tuple(move.command for move in open_to(status, leg, role, sides))
    move = next(move for move in LEG_MOVES if move.command == command)
    if not any((role, side) in move.who for side in sides):
        who = " or ".join(sorted(f"the {role} at the {side}" for role, side in move.who))
        raise Refused("not-yours", f"{command} is for {who}", allowed=allowed)
    if command not in allowed:
        raise Refused(
            "illegal-move",
            f"{command} is no move of a journey that is {leg.status}, of a referral that is {status}",
            allowed=allowed,
        )
    if command == "position" and leg.positions >= POSITIONS_KEPT:
        return []
    return [_BY_NAME[move.event](**said, at=now)]


def departed(leg: Leg, mode: str, travel_seconds: int | None, at: dt.datetime) -> Leg:
    """Under way, for the first time or again after a hold."""
    free = _released(leg, at)
    return free.model_copy(
        update={
            "status": "departed",
            "mode": mode,
            "departed_at": leg.departed_at or at,
            "travel_seconds": leg.travel_seconds if leg.departed_at else travel_seconds,
            "handed_over_at": None,
            "ended_at": None,
        }
    )


def held(leg: Leg, reason: str, expected_release: dt.datetime | None, at: dt.datetime) -> Leg:
    """A hold for another reason ends the one before."""
    free = _released(leg, at)
    return free.model_copy(
        update={"status": "held", "held_since": at, "held_for": reason, "expected_release": expected_release}
    )


def ended(leg: Leg, at: dt.datetime) -> Leg:
    """The patient is there, or is not coming any more: nothing goes on being lost."""
    if leg.status == "none" or leg.ended_at is not None:
        return leg
    return _released(leg, at).model_copy(update={"ended_at": at})


def another(leg: Leg) -> Leg:
    """After this one has ended."""
    return Leg(lost_seconds=leg.lost_seconds, lost_before=sum(leg.lost_seconds.values()))


def follow(leg: Leg, event: LegEvent) -> Leg:
    match event:
        case LegRequested(mode=mode, needs=needs, at=at):
            return leg.model_copy(update={"status": "requested", "mode": mode, "needs": needs, "requested_at": at})
        case LegAssigned(mode=mode, vehicle=vehicle, code=code, at=at):
            said = {"status": "assigned", "mode": mode, "vehicle": vehicle, "code": code, "assigned_at": at}
            return leg.model_copy(update=said)
        case LegPositioned(latitude=latitude, longitude=longitude, taken_at=taken, at=at):
            position = Position(latitude=latitude, longitude=longitude, at=taken or at)
            newest = position if leg.position is None or leg.position.at <= position.at else leg.position
            return leg.model_copy(update={"position": newest, "positions": leg.positions + 1})
        case LegHandedOver(at=at):
            return _released(leg, at).model_copy(update={"status": "handed-over", "handed_over_at": at})
        case _:
            return leg


def _released(leg: Leg, at: dt.datetime) -> Leg:
    if leg.held_since is None or leg.held_for is None:
        return leg
    lost = dict(leg.lost_seconds)
    lost[leg.held_for] = lost.get(leg.held_for, 0) + max(0, int((at - leg.held_since).total_seconds()))
    return leg.model_copy(update={"lost_seconds": lost, "held_since": None, "held_for": None, "expected_release": None})
