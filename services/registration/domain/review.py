"""A record that may be somebody already known waits for a person to decide; the record itself says so."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, Id, personal
from services.registration.domain.matching.model import Band

Decision = Literal["same", "different"]


class FieldWeight(BaseModel):
    """`says` in words, `weight` in bits: above 0 for one person, below against. Nothing of it is what was entered."""

    model_config = ConfigDict(frozen=True)

    field: str
    says: str
    weight: float


class Candidate(BaseModel):
    """Somebody already known who may be the same. `weight` in bits, `probability` between 0 and 1."""

    model_config = ConfigDict(frozen=True)

    patient: str
    band: Band
    weight: float
    probability: float
    fields: tuple[FieldWeight, ...] = ()


class MatchesNoted(Event):
    """At registration somebody alike was known: it is for a person to say whether they are one."""

    candidates: tuple[Candidate, ...]


class ReviewResolved(Event):
    """`overridden`: the decision goes against what the weights said. `by` is role@facility; `candidate` is whom the
    record was said to be."""

    decision: Decision
    reason: str = personal("")
    overridden: bool
    by: str
    candidate: Id | None = None


class RecordExplained(Event):
    """Why a record was put together with `other`, taken apart from it again, or voided. `by` is role@facility."""

    what: Literal["merged", "unmerged", "voided"]
    other: Id | None = None
    reason: str = personal("")
    by: str


class Review(BaseModel):
    model_config = ConfigDict(frozen=True)

    candidates: tuple[Candidate, ...] = ()
    status: Literal["open", "resolved"] = "open"
    decision: Decision | None = None
    reason: str | None = personal()
    overridden: bool = False
    by: str | None = None
    candidate: Id | None = None

    def resolved(self, event: ReviewResolved) -> Review:
        return self.model_copy(update={"status": "resolved", **event.model_dump()})
