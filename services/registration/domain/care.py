"""Opening a record for care at a facility that did not know the person, and what the person agreed to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, FacilityCode, Instant, personal

Purpose = Literal["CAREMGT", "PUBHLTH", "HPAYMT", "DSRCH"]
"""ABDM consent purposes (HL7 v3 PurposeOfUse) that a person can agree to; break-glass is nobody's to agree to."""


class Consent(BaseModel):
    """`at` is when it was given; `withdrawn_at` when it was taken back."""

    model_config = ConfigDict(frozen=True)

    purpose: Purpose
    at: Instant
    withdrawn_at: Instant | None = None


class ConsentGiven(Event):
    purpose: Purpose
    at: Instant
    how: str


class ConsentWithdrawn(Event):
    purpose: Purpose
    at: Instant


class OpenedForCare(Event):
    """Why somebody who did not know the person opened the record. `glass`: against the person's word."""

    facility: FacilityCode
    reason: str = personal("")
    by: str
    glass: bool


def given(consents: tuple[Consent, ...], purpose: str) -> bool | None:
    """Whether the person agrees now; None where nobody asked."""
    said = [one for one in consents if one.purpose == purpose]
    return None if not said else said[-1].withdrawn_at is None
