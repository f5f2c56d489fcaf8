"""The way there: what is asked for, assigned and told of it, and the slip that the patient carries."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from libs.common.access import Access, Caller, Forbidden, allow
from libs.common.cause import Cause
from libs.common.clock import Clock
from libs.common.journal import Journal, NotFound, Outcome
from libs.contracts.event import Event
from services.referral import slips, store, usecases
from services.referral.domain import leg, way_message
from services.referral.domain.commands import Arrive, By, Depart, Hold
from services.referral.domain.events import TransportDeparted, TransportHeld
from services.referral.domain.leg import CAME, Leg
from services.referral.domain.referral import Referral, decide, sides_of
from services.referral.slips import SlipKey
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings

BEFORE_ARRIVING = (
    "ReferralRequested",
    "ReferralAccepted",
    "AppointmentScheduled",
    "TransportDeparted",
    "TransportHeld",
)
"""What nobody has arrived before, whatever a desk's clock says."""

ON_THE_WAY = {TransportDeparted.TYPE, TransportHeld.TYPE}

TRANSPORT_AT_ORIGIN = allow("transport", at="origin")


def open_to(state: Referral, caller: Caller) -> tuple[str, ...]:
    """What this caller may do about the way now."""
    moves = leg.open_to(state.status, state.leg or Leg(), caller.role, sides_of(state, caller.facility))
    return tuple(move.command for move in moves)


def code_of(id: str, secret: bytes) -> str:
    """What an SMS names a journey by: not to be guessed from an id, the same whenever it is asked for."""
    digest = hmac.new(secret, f"leg:{id}".encode(), hashlib.sha256).digest()
    return "".join(way_message.CODE_LETTERS[byte & 31] for byte in digest[: way_message.CODE_LENGTH])


async def step(
    journal: Journal,
    clock: Clock,
    id: str,
    command: str,
    said: Mapping[str, Any],
    cause: Cause,
    access: Access,
) -> Outcome[Referral]:
    """A move of the table of the way. Raises Refused, Forbidden and NotFound."""
    caller = access.caller
    if command == "position":
        said = {**said, "taken_at": cause.occurred_at}

    def decided(state: Referral | None) -> list[Event]:
        if state is None:
            return []
        sides = sides_of(state, caller.facility)
        return leg.decide(state.status, state.leg or Leg(), command, said, caller.role, sides, clock.now())

    return await journal.append(REFERRAL, id, decided, cause, access)


async def message(
    journal: Journal, around: Surroundings, clock: Clock, text: str, cause: Cause, access: Access
) -> Outcome[Referral]:
    """One SMS about a journey, from transport itself or handed on by the gateway's operator: whoever knows the code
    speaks for transport at the origin. One that comes once more, or after a later one, changes nothing.

    Raises Refused, Forbidden, and NotFound for a code of no journey.
    """
    told = way_message.parse(text)
    id = await store.of_leg(around.database, told.code)
    if id is None:
        raise NotFound
    document = await journal.load(REFERRAL, id)
    assert document is not None
    origin = str(document["state"]["origin"])
    if access.caller.role == "transport" and access.caller.facility != origin:
        raise Forbidden("your facility must be its origin")
    as_transport = Access(Caller(access.caller.subject, "transport", origin), TRANSPORT_AT_ORIGIN, access.route)
    said = [entry["occurred_at"] for entry in document["journal"] if entry["type"] in ON_THE_WAY]
    way, at = Referral.model_validate(document["state"]).leg or Leg(), cause.occurred_at
    if told.is_so(way, at) or told.is_late(at, said):
        return await journal.append(REFERRAL, id, lambda state: [], cause, as_transport)
    match told.command:
        case "depart":
            move: Depart | Hold = Depart(told.said["mode"])
            return await usecases.step(journal, around, clock, id, move, cause, as_transport)
        case "hold":
            hours = told.said.get("hours")
            release = cause.occurred_at + dt.timedelta(hours=hours) if hours is not None else None
            move = Hold(told.said["reason"], release)
            return await usecases.step(journal, around, clock, id, move, cause, as_transport)
        case _:
            return await step(journal, clock, id, told.command, told.said, cause, as_transport)


async def scan(
    journal: Journal, clock: Clock, key: SlipKey, text: str, cause: Cause, access: Access
) -> Outcome[Referral]:
    """The desk scans a slip: the patient has arrived. One who has arrived before has not arrived again. A desk without
    a network tells it later: the patient arrived when it was scanned, and the slip was issued and good then.

    Raises Refused naming `slip` and why, or with the moves that are left, Forbidden and NotFound.
    """
    then = min(cause.occurred_at, clock.now())
    good = slips.told_in_time(slips.verify(text, key.key_set, then), clock.now())
    slip = slips.for_here(good, access.caller.facility)
    by = By(access.caller.role, access.caller.facility)

    def decided(state: Referral | None) -> list[Event]:
        if state is None or state.status in CAME or state.status == "closed":
            return []
        earlier = (state.milestones[name] for name in BEFORE_ARRIVING if name in state.milestones)
        return decide(state, Arrive(), by, max((then, *earlier)))

    return await journal.append(REFERRAL, slip.referral, decided, cause, access)
