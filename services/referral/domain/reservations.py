"""What a referral holds at its destination: a bed of some kind, or a place in a clinic's hours."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, FacilityCode, Id, Instant

What = Literal["bed", "slot"]


class Slot(BaseModel):
    """A place in a clinic's hours that begin at `at` (UTC)."""

    model_config = ConfigDict(frozen=True)

    clinic: Code
    at: Instant


class Reservation(BaseModel):
    """`id` stands in the ledger that keeps it. `kind` is that of a bed, or the clinic; `at` when the clinic begins."""

    model_config = ConfigDict(frozen=True)

    id: Id
    ledger: Id
    facility: FacilityCode
    what: What
    kind: Code
    at: Instant | None = None
