"""What waits for whom: the lists that a referral stands on, by its state alone. Stored with it, and found by one index.

An entry is `<list>@<facility>`; what is expected carries its day (`expected:2026-11-20@…`), so that today's list needs
no clock. Who looks at which list is LISTS.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from services.referral.domain.today import day_of

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral

Name = Literal[
    "to-answer",
    "to-advise",
    "expected-today",
    "en-route",
    "to-treat",
    "to-send-home",
    "to-let-go",
    "to-send",
    "to-decide",
    "to-schedule",
    "to-acknowledge",
    "overdue",
]


@dataclass(frozen=True)
class Listing:
    """Which roles look at it, and what it is, for people."""

    roles: frozenset[str]
    about: str


_DOCTOR, _DESK = frozenset({"doctor"}), frozenset({"doctor", "desk"})
_ALL = frozenset({"doctor", "desk", "transport", "officer", "nodal-officer"})
LISTS: Mapping[Name, Listing] = {
    "to-answer": Listing(_DESK, "asked of us and not answered, emergencies first, then the oldest"),
    "to-advise": Listing(_DOCTOR, "questions for our specialists"),
    "expected-today": Listing(_DESK, "accepted by us, and to arrive today"),
    "en-route": Listing(_ALL, "on the way, from us or to us; held ones too"),
    "to-treat": Listing(_DOCTOR, "arrived here, and without an outcome yet"),
    "to-send-home": Listing(_DOCTOR, "treated here, and not handed back yet"),
    "to-let-go": Listing(_DOCTOR, "the origin asks us to let go of it"),
    "to-send": Listing(frozenset({"doctor", "desk", "transport"}), "accepted for our patients, who have not left yet"),
    "to-decide": Listing(_DOCTOR, "declined, refused or missed: our patients for whom something else must be found"),
    "to-schedule": Listing(_DESK, "missed or without an appointment: another one may be made"),
    "to-acknowledge": Listing(_DOCTOR, "handed back to us with advice"),
    "overdue": Listing(_ALL, "a promise was broken, here or of ours: to answer, to arrive, to be treated"),
}

_UNANSWERED = {"requested", "lapsed"}
_COMING = {"accepted", "scheduled"}
_DEAD = {"cancelled", "closed", "redirected", "deceased", "entered-in-error", "treated-at-origin", "withdrawn"}
_OPEN_ENDED = {"treated", "back-referred"}
_RANKS = {"emergency": "0", "urgent": "1", "routine": "2"}


def key(name: str, facility: str, today: dt.date) -> str:
    """What the entries of this list at this facility are stored as; that of the day for what is expected."""
    return f"expected:{today.isoformat()}@{facility}" if name == "expected-today" else f"{name}@{facility}"


def entries(state: Referral) -> tuple[str, ...]:
    """Every list that it stands on."""
    return tuple(dict.fromkeys(_entries(state)))


def rank(state: Referral) -> str:
    """Emergencies first, then the oldest; sorts as text."""
    at = state.requested_at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _RANKS[state.urgency] + at


def expected_on(state: Referral) -> dt.date | None:
    """The day (in India) on which the patient is expected: of the way they are on, of the appointment, in an emergency
    that of the acceptance, else the last on which they were promised to arrive. None while nobody can say."""
    if state.status not in _COMING:
        return None
    on_the_way = state.leg.expected_at if state.leg and state.leg.under_way else None
    at_once = state.milestones.get("ReferralAccepted") if state.urgency == "emergency" else None
    moment = on_the_way or state.appointment_at or at_once or state.arrive_due
    return day_of(moment) if moment is not None else None


def is_overdue(state: Referral) -> bool:
    """Whether a promise of it is broken and not made good."""
    if state.settled:
        return False
    if state.status in ("lapsed", "advice-lapsed"):
        return True
    if state.status in _COMING and state.arrival_lapsed:
        return True
    return state.chain_escalated and state.status not in _DEAD | _OPEN_ENDED


def _entries(state: Referral) -> Iterator[str]:
    there, here, status = state.answered_by or state.destination, state.origin, state.status
    if status in _UNANSWERED:
        yield f"to-answer@{there}"
    elif status in ("advice-asked", "advice-lapsed"):
        yield f"to-advise@{there}"
    elif status in ("advice-given", "declined", "travel-refused", "no-show") and not state.settled:
        yield f"to-decide@{here}"
    elif status == "appointment-cancelled":
        yield f"to-schedule@{there}"
    elif status in ("arrived", "seen"):
        yield f"to-treat@{there}"
    elif status == "treated":
        yield f"to-send-home@{there}"
    elif status == "back-referred":
        yield f"to-acknowledge@{here}"
    elif status == "cancel-requested":
        yield f"to-let-go@{there}"
    if status == "no-show":
        yield f"to-schedule@{there}"
    if status in _COMING:
        if state.leg is not None and state.leg.under_way:
            yield f"en-route@{there}"
            yield f"en-route@{here}"
        else:
            yield f"to-send@{here}"
        if (day := expected_on(state)) is not None:
            yield f"expected:{day.isoformat()}@{there}"
    if is_overdue(state):
        yield f"overdue@{there}"
        yield f"overdue@{here}"
        if state.escalated_at:
            yield f"overdue@{state.escalated_at}"
