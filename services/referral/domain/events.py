"""What happens to a referral. The contract's events in a fuller form of our own, and what stays in the journal."""

from __future__ import annotations

from pydantic import BaseModel

from libs.contracts import referral as contract
from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, personal
from services.referral.domain.chain import FIRST, Outside, Why
from services.referral.domain.dataset import Findings, Notice
from services.referral.domain.leg import LEG_EVENTS
from services.referral.domain.medicines import Medicine
from services.referral.domain.reservations import Reservation


class Recorded(BaseModel):
    """Each event of the contract has a form of our own: `at`, by the domain's clock in UTC, and the free text stay in
    the journal."""

    at: Instant


class Asked(Recorded):
    """`completeness` of the minimum dataset in percent, `warnings` as they were said to whoever asked;
    `past_reason` says why nearer or lower facilities were passed by. `chain` is the id of its first hop (None: this is
    the first), `hop` counts from 1; `answered_by` writes down what a destination outside the network says."""

    reason: str = personal("")
    past_reason: str | None = None
    findings: Findings | None = personal()
    completeness: int | None = None
    warnings: tuple[Notice, ...] = personal(())
    answer_due: Instant | None = None
    clock_says: str | None = None
    chain: Id | None = None
    hop: int = FIRST
    previous: Id | None = None
    hop_why: str | None = None
    replaces: Id | None = None
    chain_began_at: Instant | None = None
    chain_due: Instant | None = None
    chain_escalated: bool = False
    outside: Outside | None = personal()
    answered_by: FacilityCode | None = None


class AdviceAsked(contract.ReferralEvent, Asked):
    """Before the patient travels: what would the specialist do? Private, as all about advice."""


class AdviceGiven(contract.ReferralEvent, Recorded):
    verdict: str
    text: str = personal("")


class AdviceWithdrawn(contract.ReferralEvent, Recorded):
    pass


class TreatedAtOrigin(contract.ReferralEvent, Recorded):
    """As the specialist advised: a journey not made. Of a referral that was declined: nothing is to be decided any
    more."""


class ReferralRequested(contract.ReferralRequested, Asked):
    pass


class ReferralAccepted(contract.ReferralAccepted, Recorded):
    """`arrive_due` is when the promise to arrive is broken; `clock_says` what the roads make of it. `appointment_at`
    where a clinic's hours are reserved."""

    reserved: tuple[Reservation, ...] = ()
    arrive_due: Instant | None = None
    clock_says: str | None = None
    appointment_at: Instant | None = None


class AppointmentScheduled(contract.AppointmentScheduled, Recorded):
    reserved: tuple[Reservation, ...] = ()


class AppointmentCancelled(contract.AppointmentCancelled, Recorded):
    pass


class CancellationRequested(contract.CancellationRequested, Recorded):
    pass


class ReferralRedirected(contract.ReferralRedirected, Recorded):
    pass


class TravelRefused(contract.TravelRefused, Recorded):
    pass


class PatientDeceased(contract.PatientDeceased, Recorded):
    pass


class ReferralVoided(contract.ReferralVoided, Recorded):
    pass


class InterimNoted(contract.ReferralEvent, Recorded):
    """A visit is done and the work goes on. Private."""

    text: str = personal("")


class ReferralDeclined(contract.ReferralDeclined, Recorded):
    pass


class ReferralCancelled(contract.ReferralCancelled, Recorded):
    """Of a cancellation that was asked for before, `reason` is what was said then."""


class PatientNoShow(contract.PatientNoShow, Recorded):
    pass


class TransportDeparted(contract.TransportDeparted, Recorded):
    travel_seconds: int | None = None


class TransportHeld(contract.TransportHeld, Recorded):
    expected_release: Instant | None = None


class PatientArrived(contract.PatientArrived, Recorded):
    pass


class OutcomeRecorded(contract.OutcomeRecorded, Recorded):
    """`procedure`: whether anything was done that could only be done there; None where nobody said. `place` of a death
    that was written down as one."""

    summary: str = personal("")
    procedure: bool | None = None
    place: Code | None = None


class PatientBackReferred(contract.PatientBackReferred, Recorded):
    advice: str = personal("")
    medicines: tuple[Medicine, ...] = personal(())


class ReferralClosed(contract.ReferralClosed, Recorded):
    pass


class AdviceLapsed(Event, Recorded):
    """Nobody advised in time: `escalated_to` (role@facility) is told, once. Private to the journal."""

    escalated_to: str


class ReferralLapsed(Event, Recorded):
    """The same of a request to take the patient."""

    escalated_to: str


class PassedThrough(Event, Recorded):
    """A state that one command crossed on its way to another. Private: nobody was told of it."""

    status: str


class HopAsked(Event, Recorded):
    """There is to be another referral, `next`: elsewhere (redirected), higher up (onward), or of the right patient."""

    next: Id
    why: Why
    patient: Id
    origin: FacilityCode
    destination: FacilityCode
    service: str
    urgency: contract.Urgency
    reason: str = personal("")
    findings: Findings | None = personal()
    outside: Outside | None = personal()
    chain_began_at: Instant
    chain_due: Instant | None = None
    chain_escalated: bool = False


class HopOpened(Event, Recorded):
    """It is there now."""

    next: Id


class ReferralBreached(contract.ReferralBreached, Recorded):
    """Said aloud beside the private lapse: others act on it."""


class ReservationsReleased(Event, Recorded):
    """The ledgers have them back."""

    ids: tuple[Id, ...]


class ReservationGivenUp(Event, Recorded):
    """A ledger gave it for an acceptance that never came; one that comes now needs another."""

    id: Id


class ArrivalLapsed(Event, Recorded):
    """The patient did not arrive in the time promised: what was reserved is released, and `escalated_to` told, once."""

    escalated_to: str


class ArrivalStretched(Event, Recorded):
    """Nobody comes through still: `says` why, and `until` when the promise to arrive holds now."""

    until: Instant
    says: str


class ChainLapsed(Event, Recorded):
    """Nobody along the whole chain has treated the patient in time; `escalated_to` is told, once."""

    escalated_to: str


class StepOwed(contract.StepOwed, Recorded):
    pass


class ReferralErased(Event, Recorded):
    """The patient was erased: ids and codes stand, what was written about the person is gone. Private."""


ASIDE: tuple[type[Event], ...] = (
    ReferralBreached,
    PassedThrough,
    HopAsked,
    HopOpened,
    ReservationsReleased,
    ReservationGivenUp,
    ArrivalLapsed,
    ArrivalStretched,
    ChainLapsed,
    ReferralErased,
    StepOwed,
    *LEG_EVENTS,
)
"""What happens beside the table of moves. All private but the reminder."""

EVENTS: tuple[type[Event], ...] = (
    AdviceAsked,
    AdviceGiven,
    AdviceLapsed,
    AdviceWithdrawn,
    TreatedAtOrigin,
    ReferralRequested,
    ReferralAccepted,
    ReferralDeclined,
    ReferralCancelled,
    PatientNoShow,
    TransportDeparted,
    TransportHeld,
    PatientArrived,
    OutcomeRecorded,
    PatientBackReferred,
    ReferralClosed,
    ReferralLapsed,
    AppointmentScheduled,
    AppointmentCancelled,
    CancellationRequested,
    ReferralRedirected,
    TravelRefused,
    PatientDeceased,
    ReferralVoided,
    InterimNoted,
    *ASIDE,
)
BY_NAME = {event.__name__: event for event in EVENTS}
