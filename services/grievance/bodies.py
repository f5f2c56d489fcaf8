"""What requests say. Nothing here echoes what was sent in."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from libs.common.aadhaar import without_aadhaar
from libs.common.web import Body
from libs.contracts.event import FacilityCode, Id, Instant
from services.grievance.catalogue import WrittenShift
from services.grievance.domain.route import ANSWERING

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), AfterValidator(without_aadhaar)
]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(without_aadhaar)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(without_aadhaar)
]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{7,14}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$", max_length=254)]
Language = Literal["en", "hi", "ur", "bo", "lbj", "doi", "ks"]
ReferralId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
"""It goes out on a thin topic, so nothing else may stand in its place."""
Coded = Annotated[str, StringConstraints(max_length=64)]


class ContactBody(BaseModel):
    """How to reach a reporter who is not a patient; one of phone and email is needed. `phone` is E.164."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None


def _as_tokens_say_it(staff: str) -> str:
    """Nobody escapes by a capital letter: a role at a facility is written as a token says it, a staff id in lower
    case, in which callers are compared too (`Caller.names`)."""
    role, at, facility = staff.partition("@")
    return f"{role.lower()}@{facility.upper()}" if at and role.lower() in ANSWERING else staff.lower()


StaffMember = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,79}$"),
    AfterValidator(without_aadhaar),
    AfterValidator(_as_tokens_say_it),
]
"""A staff id, or a role at a facility (`nodal-officer@CODE`); not a name."""


class ComplaintBody(Body):
    """What every complaint says, through whatever door."""

    category: Coded = Field(description="One of GET /categories")
    text: Text
    about_facility: FacilityCode
    also_about: tuple[FacilityCode, ...] = Field((), max_length=5, description="Others that it is about as well")
    about_person: StaffMember | None = Field(
        None, description="The person complained about: a staff id or role@facility. They never see it or act on it"
    )
    about_referral: ReferralId | None = None
    anonymous: StrictBool = False
    sealed: StrictBool = Field(
        False, description="No officer learns who filed it; the phone or e-mail in `contact` still gets the status"
    )
    language: Language = "en"
    patient: Id | None = Field(None, description="The patient the token says the caller is")
    contact: ContactBody | None = None


class FileBody(ComplaintBody):
    """A complaint. Anonymous and sealed ones: their Idempotency-Key must be a random UUID; only anonymous ones need no
    token."""


class IntakeBody(ComplaintBody):
    """A complaint that came on paper or by voice, entered for whoever made it. Who holds the ticket's secret acts."""

    door: Literal["paper", "post", "phone", "walk-in", "complaint-box"]
    received_at: Instant = Field(description="When it reached the first office; its promises count from then")
    patient: Id | None = Field(None, description="The patient who complains, if they are one")


class ScreenBody(Body):
    reason: Coded = Field(description="One of GET /screening-reasons")


class ConsultBody(Body):
    office: FacilityCode
    question: Text
    by: Instant = Field(description="Until then the answer to the complainant waits for it; at most 30 days")


class ContributeBody(Body):
    answer: Text


class VerifyBody(Body):
    """Of a case that opened by itself: whether it is put right."""

    fixed: StrictBool
    note: Text


class AssignBody(Body):
    to: str = Field(max_length=80, description="`nodal-officer@` and a facility that handles or handled it")


class TransferBody(Body):
    to: FacilityCode
    reason: Coded = Field(description="wrong-office, several-offices, sub-judice, rti, service-matter, policy-matter")
    explanation: Text = Field(description="For the complainant: why it is passed on")


class InterimBody(Body):
    expected_by: Instant
    reason: Text


class PauseBody(Body):
    reason: Coded = Field(description="awaiting-complainant, awaiting-document, sub-judice, road-closed, weather")
    until: Instant = Field(description="At most 30 days ahead; its clocks go on then by themselves")


class Nothing(Body):
    """A move that needs nothing to be said."""


class ResolveBody(Body):
    outcome: Coded = Field(description="fixed, explained, compensated, action-taken or not-fixed")
    action_taken: Text


class ClusterBody(Body):
    about_facility: FacilityCode
    category: Coded
    month: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")] = Field(
        description="The Indian month in which they were filed"
    )
    owner: str = Field(max_length=80, description="`nodal-officer@` and an office above the facility")
    root_cause: Text
    fix_by: Instant


class ReviseBody(Body):
    owner: str = Field(max_length=80)
    root_cause: Text
    fix_by: Instant


class FixBody(Body):
    outcome: Coded = Field(description="As of a resolution")
    what_was_done: Text


class AttemptBody(Body):
    channel: Coded = Field(description="phone, visit, letter, sms, through-asha, through-panchayat")
    reached: StrictBool
    note: Note = ""


class ConfirmBody(Body):
    rating: int = Field(ge=1, le=5, strict=True)


class ReopenBody(Body):
    reason: Text


class AppealBody(Body):
    reason: Text


class DayBody(Body):
    """No shifts: closed that day. Times are Indian; a shift may be written as in the files, `10:00-13:30`."""

    day: dt.date
    shifts: tuple[WrittenShift, ...] = Field((), max_length=6)
    reason: Coded
