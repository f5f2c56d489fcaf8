"""What happens to a complaint. Those of the contract leave the journal without what they carry more here."""

from __future__ import annotations

from libs.contracts import grievance as contract
from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, personal
from services.grievance.domain.clocks import Clock
from services.grievance.domain.policy import CasePolicy
from services.grievance.domain.state import Attachment


class Filed(contract.GrievanceFiled):
    """`source` is the id of the event that opened it, where nobody complained yet."""

    also_about: tuple[FacilityCode, ...] = ()
    about_person: str | None = personal()
    sealed: bool = False
    door: Code = "online"
    because: Code | None = None
    source: Id | None = None
    received_at: Instant | None = None
    text: str = personal("")
    filed_by: str | None = personal()
    filed_at: Instant
    state_cell: FacilityCode
    state_lgd: int
    district_lgd: int
    policy: CasePolicy
    parent: Id | None = None


class Acknowledged(contract.GrievanceAcknowledged):
    acknowledged_at: Instant
    clocks: tuple[Clock, ...]


class Assigned(contract.GrievanceAssigned):
    assigned_at: Instant


class Resolved(contract.GrievanceResolved):
    """`resolver` is the subject of who said so: somebody else verifies, where nobody complained."""

    action_taken: str = personal("")
    resolver: str = personal("")
    resolved_at: Instant
    clocks: tuple[Clock, ...] = ()


class Confirmed(contract.GrievanceConfirmed):
    confirmed_at: Instant


class Reopened(contract.GrievanceReopened):
    """`clocks` is the on-call ladder of an emergency, which begins anew."""

    reason: str = personal("")
    reopened_at: Instant
    clocks: tuple[Clock, ...] = ()


class Escalated(contract.GrievanceEscalated):
    """`clocks` is the next level's, if there is one."""

    escalated_at: Instant
    clocks: tuple[Clock, ...] = ()


class Paged(contract.GrievancePaged):
    """`clocks` is the next rung's, if there is one."""

    paged_at: Instant
    clocks: tuple[Clock, ...] = ()


class Private(Event):
    """Stays in the journal, with the ticket where others must know it."""


class Transferred(Private):
    """Moved to another office; when it was received stays when it was received."""

    ticket: str
    category: Code
    about_facility: FacilityCode
    handled_by: FacilityCode
    reason: Code
    explanation: str = personal("")
    transferred_at: Instant


class InterimReplied(Private):
    """It will take longer: why, and until when. The promise stays what it was."""

    expected_by: Instant
    reason: str = personal("")
    replied_at: Instant


class Paused(Private):
    reason: Code
    until: Instant
    paused_at: Instant


class Resumed(Private):
    resumed_at: Instant
    clocks: tuple[Clock, ...]


class ContactAttempted(Private):
    channel: Code
    reached: bool
    note: str = personal("")
    attempted_at: Instant


class ClosedUnreachable(Private):
    """Closed without the complainant's word, which is counted apart from closed with it."""

    ticket: str
    category: Code
    about_facility: FacilityCode
    handled_by: FacilityCode
    attempts: int
    closed_at: Instant


class Appealed(Private):
    child: Id
    reason: str = personal("")
    appealed_at: Instant


class AppealOpened(Private):
    """The appeal's own case stands."""

    child: Id


class AppealDecided(Private):
    """The appeal `child` was closed; the one who filed it now says whether that is enough."""

    child: Id
    outcome: Code | None
    decided_at: Instant
    clocks: tuple[Clock, ...] = ()


class ParentTold(Private):
    pass


class ClockMissed(Private):
    """A date passed that no level above is told of."""

    clock: str
    due_at: Instant
    missed_at: Instant


class Rederived(Private):
    """A changed calendar moved these dates; `was` keeps the old ones."""

    clocks: tuple[Clock, ...]
    due_at: Instant | None
    was: tuple[Clock, ...]
    was_due_at: Instant | None


class Consulted(Private):
    """Another body is asked for its part; the lead answers for all."""

    office: FacilityCode
    question: str = personal("")
    by: Instant


class Contributed(Private):
    office: FacilityCode
    answer: str = personal("")
    answered_at: Instant


class Screened(Private):
    """It belongs to another procedure: explained to the complainant, and passed on there. Journaled with the
    resolution, so that the complainant may contradict."""

    reason: Code
    passed_to: Code


class Attached(Private):
    attachment: Attachment


class Clustered(Private):
    """Found to be a case of this root cause."""

    cluster: Id


class Verified(Private):
    """A second officer looked: a case that nobody had complained of is closed."""

    ticket: str
    category: Code
    about_facility: FacilityCode
    handled_by: FacilityCode
    verified_at: Instant


EVENTS = (
    Filed,
    Acknowledged,
    Assigned,
    Resolved,
    Confirmed,
    Reopened,
    Escalated,
    Paged,
    Transferred,
    Consulted,
    Contributed,
    Screened,
    Attached,
    Clustered,
    Verified,
    InterimReplied,
    Paused,
    Resumed,
    ContactAttempted,
    ClosedUnreachable,
    Appealed,
    AppealOpened,
    AppealDecided,
    ParentTold,
    ClockMissed,
    Rederived,
)
