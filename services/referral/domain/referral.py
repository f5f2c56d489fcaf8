"""One referral: from a doctor's request to the origin's acknowledgement. The moves are in moves.yaml, as a table."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from libs.common.refusal import Refused
from libs.contracts import referral as contract
from libs.contracts.event import Event, FacilityCode, Id, Instant, is_personal, personal
from services.referral.domain import asking, clocks, moves, next_hop, worklists
from services.referral.domain.answering import check, names_of
from services.referral.domain.chain import FIRST, Outside
from services.referral.domain.commands import (
    Accept,
    Acknowledge,
    AskAgain,
    BackRefer,
    By,
    Command,
    ConfirmCancel,
    Convert,
    Lapse,
    RecordDeath,
    RecordOutcome,
    ReferOnward,
    Request,
    Schedule,
    TellMore,
    Travel,
)
from services.referral.domain.dataset import Findings, Notice
from services.referral.domain.events import (
    BY_NAME,
    AdviceGiven,
    AdviceLapsed,
    AppointmentScheduled,
    ArrivalLapsed,
    ArrivalStretched,
    Asked,
    CancellationRequested,
    ChainLapsed,
    HopAsked,
    HopOpened,
    InterimNoted,
    OutcomeRecorded,
    PassedThrough,
    PatientBackReferred,
    PatientDeceased,
    PatientNoShow,
    Recorded,
    ReferralAccepted,
    ReferralBreached,
    ReferralCancelled,
    ReferralDeclined,
    ReferralErased,
    ReferralLapsed,
    ReferralRedirected,
    ReferralVoided,
    ReservationGivenUp,
    ReservationsReleased,
    StepOwed,
    TransportDeparted,
    TransportHeld,
    TreatedAtOrigin,
)
from services.referral.domain.journey import anew, appointed, avoidable, follow
from services.referral.domain.leg import Leg, LegEvent
from services.referral.domain.medicines import Medicine
from services.referral.domain.moves import Actor, Move, Side, Status, Transport
from services.referral.domain.reservations import Reservation

GIVEN_UP = "reservation-given-up"
DIED = "died"


class Referral(BaseModel):
    """As it stands. `requested_at` and `changed_at` are when the service recorded it (UTC), by the domain's clock.

    `answer_due` and `arrive_due` are when the promises to answer and to arrive are broken, `chain_due` that of the
    whole chain; what waits for a road or a vehicle has its seconds left in `*_seconds`, and `clock_says` why.
    `escalated_to` is the role that was told of a broken promise, and `escalated_at` its facility.
    `answered_by` writes down what a destination outside the network says. `erased`: nothing is written about the
    person any more. `reserved` is held; `releasing` is to go back to its ledgers; `opening` is the hop to be opened.
    `leg` is the way there, None while nobody has said anything of it; `milestones` is when each event last happened,
    and `answered_at` when it was first accepted, declined or redirected. `settled`: declined, and treated at origin.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    patient: Id
    origin: FacilityCode
    destination: FacilityCode
    service: str
    urgency: contract.Urgency
    status: Status
    transport: Transport = "none"
    requested_at: Instant
    changed_at: Instant
    reason: str = personal("")
    past_reason: str | None = None
    findings: Findings | None = personal()
    completeness: int | None = None
    warnings: tuple[Notice, ...] = personal(())
    answer_due: Instant | None = None
    escalated_to: str | None = None
    escalated_at: FacilityCode | None = None
    declined_for: str | None = None
    cancelled_for: str | None = None
    mode: str | None = None
    held_for: str | None = None
    erased: bool = False
    verdict: str | None = None
    specialist_text: str = personal("")
    outcome: str | None = None
    summary: str = personal("")
    advice: str = personal("")

    times_asked: int = 0
    outside: Outside | None = personal()
    answered_by: FacilityCode | None = None
    chain: Id | None = None
    hop: int = FIRST
    previous: Id | None = None
    hop_why: str | None = None
    replaces: Id | None = None
    next: Id | None = None
    opening: HopAsked | None = personal()
    chain_began_at: Instant | None = None
    chain_due: Instant | None = None
    chain_seconds: int | None = None
    chain_escalated: bool = False
    arrive_due: Instant | None = None
    arrive_seconds: int | None = None
    arrival_lapsed: bool = False
    times_stretched: int = 0
    clock_says: str | None = None
    reserved: tuple[Reservation, ...] = ()
    releasing: tuple[Reservation, ...] = ()
    given_up: tuple[Id, ...] = ()
    appointment_at: Instant | None = None
    appointments: int = 0
    no_shows: int = 0
    redirected_for: str | None = None
    void_for: str | None = None
    place_of_death: str | None = None
    notes: tuple[str, ...] = personal(())

    leg: Leg | None = None
    milestones: dict[str, Instant] = Field(default_factory=dict)
    avoidable: bool | None = None
    medicines: tuple[Medicine, ...] = personal(())
    reminded: int = 0
    reminded_at: Instant | None = None
    answered_at: Instant | None = None
    settled: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def lists(self) -> tuple[str, ...]:
        """The worklists that it stands on."""
        return worklists.entries(self)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rank(self) -> str:
        """In which order."""
        return worklists.rank(self)


def sides_of(state: Referral, facility: str) -> frozenset[Side]:
    """At which ends of the referral this facility acts; the origin at both where the destination is outside."""
    sides: set[Side] = set()
    if facility and facility == state.origin:
        sides.add("origin")
    if facility and facility in (state.destination, state.answered_by):
        sides.add("destination")
    return frozenset(sides)


def open_moves(state: Referral, by: By) -> tuple[Move, ...]:
    """The moves this actor has now."""
    theirs = moves.open_to(state.status, by.role, sides_of(state, by.facility))
    return tuple(move for move in theirs if move.fits(state))


def decide(state: Referral | None, command: Command, by: By, now: dt.datetime) -> list[Event]:
    """The events that follow from this command. Returns [] for a step on a referral that does not exist.

    Raises Refused: `not-yours` for a role or facility whose move it is not, `illegal-move` (with the moves this actor
    has now) where the table has no such row, and with a field where something that must be present is not.
    """
    if isinstance(command, Request):
        return _ask(state, command, by, now)
    if state is None:
        return []
    move = _row(state, command, by)
    said = dict(vars(command))
    check(move, said)
    events = [PassedThrough(status=move.through, at=now)] if move.through else []
    said |= _found(state, command, now)
    kind = BY_NAME[move.event]
    if state.erased:
        said = {name: value for name, value in said.items() if not _says_who(kind, name)}
    return [*events, kind(**said | _public(state) | {"at": now}), *next_hop.asked_for(state, command, now)]


def _row(state: Referral, command: Command, by: By) -> Move:
    theirs = {Actor(by.role, side) for side in sides_of(state, by.facility)}
    who = moves.actors(command.verb)
    if theirs.isdisjoint(who):
        names = " or ".join(f"the {actor.role} at the {actor.side}" for actor in who)
        raise Refused("not-yours", f"{command.verb} is for {names}", allowed=names_of(open_moves(state, by)))
    move = moves.find(state.status, command.verb)
    if move is None or theirs.isdisjoint(move.who) or not move.fits(state):
        raise Refused(
            "illegal-move",
            f"{command.verb} is no move of a referral that is {state.status}",
            allowed=names_of(open_moves(state, by)),
        )
    return move


def _says_who(kind: type[Event], name: str) -> bool:
    return name in kind.model_fields and is_personal(kind.model_fields[name])


def _found(state: Referral, command: Command, now: dt.datetime) -> dict[str, Any]:
    """What an event says beyond what its command did."""
    match command:
        case Convert() | AskAgain() | TellMore():
            return asking.again(state, command, now)
        case Accept():
            _still_there(state, command)
            if command.slot is not None and clocks.is_over(command.slot.at, now):
                raise Refused("in-the-past", "these hours are over", field="slot")
            return clocks.to_arrive(state, command, now)
        case Schedule(appointment_at=at):
            if at < now:
                raise Refused("in-the-past", "must lie ahead", field="appointment_at")
            _still_there(state, command)
        case ConfirmCancel():
            return {"reason": state.cancelled_for or "other"}
        case ReferOnward():
            return {"outcome": "referred-onward", "summary": command.reason, "avoidable": False}
        case RecordOutcome(outcome=outcome, procedure=procedure):
            if outcome == state.outcome:
                raise Refused("is-so-already", "is what was said", field="outcome")
            return {"avoidable": avoidable(state, outcome, procedure, now)}
        case RecordDeath() if state.status == "treated":
            return {"outcome": DIED, "summary": state.summary, "avoidable": state.avoidable}
        case BackRefer() | Acknowledge():
            return {"deceased": state.outcome == DIED}
        case _:
            pass
    return {}


def _still_there(state: Referral, command: Accept | Schedule) -> None:
    """Raises Refused where what is reserved for it was given up, or what it keeps has gone back since."""
    has = {each.id for each in state.reserved}
    if not has.issuperset(command.kept) or any(each.id in state.given_up for each in command.reserved):
        raise Refused(GIVEN_UP, "what was reserved went back meanwhile; send it again")


def _ask(state: Referral | None, command: Request, by: By, now: dt.datetime) -> list[Event]:
    hop = command.hop
    if state is not None:
        if hop is not None:
            return []
        raise Refused("illegal-move", "this referral exists already", allowed=names_of(open_moves(state, by)))
    move = moves.find(None, command.verb)
    assert move is not None
    if by.role not in {actor.role for actor in move.who} or not by.facility:
        raise Refused("not-yours", f"{command.verb} is for the {move.who[0].role} at the {move.who[0].side}")
    if hop is None:
        # A hop that was asked for is opened, whatever has become of the directory or of the person meanwhile.
        asking.can_be_taken(move, command, by)
    return [BY_NAME[move.event](**asking.first(command, by, now), at=now)]


def due(state: Referral) -> dt.datetime | None:
    """When a clock is to look at it next."""
    return min((at for at, _ in clocks.running(state)), default=None)


def overdue(state: Referral | None, escalated_to: str, travel: Travel | None, now: dt.datetime) -> list[Event]:
    """What follows from the oldest broken promise; [] where it was kept, or time is left. That to arrive is stretched
    while nobody comes through."""
    if state is None:
        return []
    broken = sorted((at, clock) for at, clock in clocks.running(state) if at <= now)
    if not broken:
        return []
    match broken[0][1]:
        case "answer":
            lapsed = decide(state, Lapse(escalated_to), By(moves.CLOCK, state.destination), now)
            # Nobody outside this service knows of a question for advice, nor that it was not answered.
            asked = any(isinstance(event, ReferralLapsed) for event in lapsed)
            return [*lapsed, _breached(state, "answer", escalated_to, now)] if asked else lapsed
        case "arrival":
            if travel is not None and (stretched := clocks.late(state, travel, now)) is not None:
                return [ArrivalStretched(until=stretched[0], says=stretched[1], at=now)]
            lost = ArrivalLapsed(escalated_to=escalated_to, at=now)
            return [lost, _breached(state, "arrival", escalated_to, now)]
        case _:
            return [ChainLapsed(escalated_to=escalated_to, at=now), _breached(state, "chain", escalated_to, now)]


def _breached(state: Referral, promise: clocks.Clock, escalated_to: str, now: dt.datetime) -> ReferralBreached:
    return ReferralBreached(
        **_public(state),
        promise=promise,
        rests_with=clocks.rests_with(state),
        escalated_to=escalated_to,
        facility=escalated_to.partition("@")[2] or None,
        at=now,
    )


def owes(state: Referral) -> bool:
    """Whether something is left to be done elsewhere: reservations to give back, a hop to open."""
    return bool(state.releasing) or state.opening is not None


def evolve(state: Referral | None, event: Event) -> Referral:
    """The state after this event. Reasons, outcome and texts are kept beside the status they led to."""
    if isinstance(event, Asked):
        return _asked(state, event)
    assert state is not None, f"{event.TYPE} before anything was asked"
    if isinstance(event, LegEvent | StepOwed):
        return state.model_copy(update=follow(state, event))
    assert isinstance(event, Recorded)
    changes = _aside(state, event)
    if changes is None:
        changes = _moved(state, event)
    return _let_go(state.model_copy(update=changes | follow(state, event)))


def _asked(state: Referral | None, event: Event) -> Referral:
    assert isinstance(event, Asked)
    move = moves.of_event(state.status if state else None, type(event).__name__)
    asked = {name: getattr(event, name) for name in Asked.model_fields if name != "at"} | _public(event)
    asked |= {"status": move.to, "requested_at": event.at, "changed_at": event.at}
    asked |= {"reminded": 0, "answered_at": None}
    asked["milestones"] = (state.milestones if state else {}) | {type(event).__name__: event.at}
    asked |= {"times_asked": state.times_asked + 1 if state else 1, "arrive_due": None, "arrive_seconds": None}
    asked |= anew(state) if state else {}
    # Advice that becomes a request keeps what the specialist said.
    return Referral(**asked) if state is None else _let_go(state.model_copy(update=asked))


def _aside(state: Referral, event: Recorded) -> dict[str, Any] | None:
    """What changes beside the table of moves; None for a move."""
    match event:
        case ReferralErased():
            return {"erased": True}
        case ReferralBreached():
            return {}
        case PassedThrough(status=status):
            return {"status": status}
        case HopAsked():
            return {"next": event.next, "opening": event} | clocks.passed_on()
        case HopOpened():
            return {"opening": None}
        case ReservationsReleased(ids=ids):
            return {"releasing": tuple(each for each in state.releasing if each.id not in ids)}
        case ReservationGivenUp(id=id):
            return {"given_up": (*state.given_up, id)}
        case ArrivalStretched(until=until, says=says):
            return {"arrive_due": until, "clock_says": says, "times_stretched": state.times_stretched + 1}
        case ArrivalLapsed(escalated_to=to):
            lapsed = {"arrival_lapsed": True, "arrive_due": None, "clock_says": None}
            return lapsed | {"changed_at": event.at} | _told(to)
        case ChainLapsed(escalated_to=to):
            return {"chain_escalated": True, "changed_at": event.at} | _told(to)
        case _:
            return None


def _moved(state: Referral, event: Recorded) -> dict[str, Any]:
    move = moves.of_event(state.status, type(event).__name__)
    changes: dict[str, Any] = {"status": move.to, "changed_at": event.at, "settled": False}
    if move.transport is not None:
        changes["transport"] = move.transport
    match event:
        case ReferralDeclined(reason=reason):
            changes["declined_for"] = reason
        case ReferralCancelled(reason=reason) | CancellationRequested(reason=reason):
            changes["cancelled_for"] = reason
        case TransportDeparted(mode=mode):
            changes |= {"mode": mode, "held_for": None} | clocks.resumed(state, event.at)
        case TransportHeld(reason=reason):
            changes |= {"held_for": reason} | clocks.paused(state, event.at, reason)
        case OutcomeRecorded(outcome=outcome, summary=summary, place=place):
            changes |= {"outcome": outcome, "summary": summary, "place_of_death": place}
        case AdviceGiven(verdict=verdict, text=text):
            changes |= {"verdict": verdict, "specialist_text": text}
        case ReferralLapsed(escalated_to=to) | AdviceLapsed(escalated_to=to):
            changes |= _told(to)
        case PatientBackReferred(advice=advice):
            changes["advice"] = advice
        case ReferralAccepted():
            changes |= {"reserved": (*state.reserved, *event.reserved), "arrival_lapsed": False}
            changes |= {name: getattr(event, name) for name in ("arrive_due", "clock_says", "appointment_at")}
        case AppointmentScheduled():
            changes |= appointed(state, event)
        case PatientNoShow():
            changes["no_shows"] = state.no_shows + 1
        case InterimNoted(text=text):
            changes["notes"] = (*state.notes, text)
        case TreatedAtOrigin() if move.to == "declined":
            changes |= clocks.settled(state, event.at)
        case ReferralRedirected(reason=reason):
            changes["redirected_for"] = reason
        case ReferralVoided(reason=reason):
            changes["void_for"] = reason
        case PatientDeceased(place=place):
            changes["place_of_death"] = place
        case _:
            pass
    return changes


def _told(escalated_to: str) -> dict[str, Any]:
    return {"escalated_to": escalated_to, "escalated_at": escalated_to.partition("@")[2]}


def _let_go(state: Referral) -> Referral:
    """What its status does not keep any more is to go back."""
    if not state.reserved:
        return state
    standing = moves.STANDINGS[state.status]
    kept = standing.holds | (standing.holds_if_admitted if state.outcome == "admitted" else frozenset())
    if state.arrival_lapsed and state.status in clocks.TO_ARRIVE:
        kept = frozenset()
    gone = tuple(each for each in state.reserved if each.what not in kept)
    if not gone:
        return state
    left = tuple(each for each in state.reserved if each.what in kept)
    return state.model_copy(update={"reserved": left, "releasing": (*state.releasing, *gone)})


def _public(source: Referral | Event) -> dict[str, Any]:
    """What every referral event carries."""
    return {name: getattr(source, name) for name in contract.ReferralEvent.model_fields}
