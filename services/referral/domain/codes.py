"""The code lists of the referral machine, and how a patient is named in it. They may grow; they are never free text."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import StringConstraints

PatientId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""As registration gives it. It goes on a thin topic, where a name or a number typed in its place must not."""

DeclineReason = Literal["no-bed", "no-specialist", "manageable-at-origin", "wrong-service", "facility-closed", "other"]
CancelReason = Literal["patient-improved", "patient-refused", "patient-died", "entered-in-error", "other"]
DepartMode = Literal["ambulance-108", "own-vehicle", "helicopter", "army-convoy", "other"]
HoldReason = Literal["pass-closed", "weather", "air-grounded", "vehicle", "other"]
OutcomeCode = Literal[
    "admitted", "treated-and-discharged", "manageable-at-origin", "referred-onward", "died", "left-against-advice"
]

VoidReason = Literal["wrong-person", "duplicate", "other"]
PlaceOfDeath = Literal["at-origin", "on-the-way", "at-destination", "at-home"]

Verdict = Literal["treat-there", "send", "tell-more"]

PastReason = Literal["patient-chose", "no-bed", "specialist-away", "safer-road", "known-there", "other"]
"""Why a nearer or lower facility was passed by."""

PAST_REASONS: tuple[str, ...] = get_args(PastReason)
VERDICTS: tuple[str, ...] = get_args(Verdict)
URGENCIES = ("routine", "urgent", "emergency")
DECLINE_REASONS: tuple[str, ...] = get_args(DeclineReason)
CANCEL_REASONS: tuple[str, ...] = get_args(CancelReason)
DEPART_MODES: tuple[str, ...] = get_args(DepartMode)
HOLD_REASONS: tuple[str, ...] = get_args(HoldReason)
OUTCOMES: tuple[str, ...] = get_args(OutcomeCode)
VOID_REASONS: tuple[str, ...] = get_args(VoidReason)
PLACES_OF_DEATH: tuple[str, ...] = get_args(PlaceOfDeath)

LONGEST_REASON = 500
LONGEST_TEXT = 2000
"""Characters of a summary or of advice."""
