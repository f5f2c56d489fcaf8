"""Found at the next hospital: searched with little, shown with little, opened for care with a reason."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, field_validator

from libs.common.numbers import Whole
from libs.common.web import Body, Reading, Requested
from services.registration.aggregates import PATIENT
from services.registration.api import shown
from services.registration.domain import identifiers
from services.registration.domain.care import Purpose
from services.registration.domain.identifiers import plain_text
from services.registration.domain.papers_of_identity import folded
from services.registration.domain.patient import Agree, Command, Open, Patient, Withdraw, decide
from services.registration.matching_api import Desk, glimpse
from services.registration.usecases import own_facility

RecordId = Annotated[str, Path(min_length=1, max_length=64)]
SHORTEST = 4


def _long_enough(text: str) -> str:
    if len(plain := folded(text)) < SHORTEST:
        raise ValueError(f"must be at least {SHORTEST} letters and digits")
    return plain


class SearchElsewhere(BaseModel):
    """All three must fit: a phone, the year of birth, and the end of any identifier, or the beginning or end of the
    record's own id (as CARE does)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    phone: identifiers.Phone
    birth_year: Whole = Field(ge=1880, le=2100)
    identifier_ends: Annotated[
        str, Field(min_length=SHORTEST, max_length=40), identifiers.NoAadhaarUnlessAbha, AfterValidator(_long_enough)
    ]


class OpenRecord(Body):
    """`break_glass` opens it although the person withdrew consent: only in an emergency, and it is on record."""

    reason: str = Field(min_length=3, max_length=300)
    break_glass: StrictBool = False

    @field_validator("reason")
    @classmethod
    def _plain(cls, value: str) -> str:
        return plain_text(value, 300)


class GiveConsent(Body):
    purpose: Purpose
    how: str = Field("spoken", pattern="^(spoken|signed|app)$")


class WithdrawConsent(Body):
    purpose: Purpose


def router(desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["elsewhere"])

    async def does(id: str, command: Command, request: Requested) -> dict[str, Any]:
        outcome = await desk.journal.append(
            PATIENT, id, lambda state: decide(state, command, desk.places), request.cause, request.access
        )
        consents = [one.model_dump(mode="json") for one in outcome.state.consents]
        return shown(id, outcome.state) | {"consents": consents}

    @routes.post("/patients/elsewhere", summary="Find somebody registered elsewhere; as little is shown as needs")
    async def elsewhere(body: SearchElsewhere, access: Reading) -> dict[str, Any]:
        query = {"state.card.phone": body.phone}
        found = await desk.database["patients"].find(query, {"state": 1}).limit(50).to_list(50)
        states = [(one["_id"], Patient.model_validate(one["state"])) for one in found]
        kept = [(id, state) for id, state in states if state.status == "active" and _fits(id, state, body)]
        await desk.read_log.record(access, patient=[id for id, _ in kept])
        return {"patients": [{"id": id, **glimpse(state.card)} for id, state in kept]}

    @routes.post(
        "/patients/{id}/open", summary="Open a record for care, with a reason; logged, and the person can be told"
    )
    async def open_record(id: RecordId, body: OpenRecord, request: Requested) -> dict[str, Any]:
        facility = own_facility(request.access)
        command = Open(facility, body.reason, request.access.caller.actor, body.break_glass)
        answer = await does(id, command, request)
        await desk.read_log.record(request.access, patient=id)
        return answer

    @routes.post("/patients/{id}/consents", summary="The person agrees to a purpose")
    async def agree(id: RecordId, body: GiveConsent, request: Requested) -> dict[str, Any]:
        return await does(id, Agree(body.purpose, request.cause.occurred_at, body.how), request)

    @routes.post("/patients/{id}/consents/withdraw", summary="The person takes it back, as easily")
    async def withdraw(id: RecordId, body: WithdrawConsent, request: Requested) -> dict[str, Any]:
        return await does(id, Withdraw(body.purpose, request.cause.occurred_at), request)

    return routes


def _fits(id: str, state: Patient, asked: SearchElsewhere) -> bool:
    card, part = state.card, asked.identifier_ends
    held = [card.abha_number, card.abha_address, *state.addresses, *(one.value for one in card.identifiers), id]
    fits = folded(id).startswith(part) or any(folded(one).endswith(part) for one in held if one)
    return card.birth_year == asked.birth_year and fits
