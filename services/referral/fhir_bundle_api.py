"""A whole Bundle received from outside: all of it under our own rules, or nothing."""

from __future__ import annotations

import dataclasses

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from libs.common.access import Access, Forbidden, allow
from libs.common.cause import Cause
from libs.common.fhir import FhirRoute
from libs.common.journal import KeyReused, NotFound
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Write
from services.referral import fhir, fhir_bundle, usecases
from services.referral.domain.commands import By, Step
from services.referral.domain.referral import Referral, decide, sides_of
from services.referral.fhir_api import Received, answer
from services.referral.fhir_bundle import Asked, Fault, NotTaken, Taken, Told
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings


def router(service: Service, around: Surroundings) -> APIRouter:
    routes = APIRouter(prefix="/fhir", tags=["FHIR"], route_class=FhirRoute)

    @routes.post("", response_class=JSONResponse)
    @routes.post("/Bundle", response_class=JSONResponse)
    async def receive(write: Received) -> JSONResponse:
        """A transaction or collection of ServiceRequests and Tasks. What is wrong is said of every entry."""
        request, bundle = write
        desk = _Desk(service, around, request)
        try:
            taken = fhir_bundle.read(bundle, await around.country.cards(), request.caller.facility)
            ids = await desk.take(taken)
        except NotTaken as refused:
            found, status = fhir_bundle.outcome(refused.faults)
            return answer(found, status)
        return answer(fhir_bundle.response(taken, ids, len(bundle["entry"])))

    return routes


class _Desk:
    """Looks at every entry before it writes any. What is told of a referral that is there is written first: others may
    have moved it meanwhile, while nothing stands in the way of a new one."""

    def __init__(self, service: Service, around: Surroundings, request: Write) -> None:
        self._service = service
        self._around = around
        self._cause = request.cause
        self._access = request.access

    async def take(self, taken: Taken) -> dict[int, str]:
        """The referral's id by entry. Raises NotTaken, and KeyReused."""
        faults = [each for asked in taken.asked if (each := await self._wrong(asked.entry, self._rehearse(asked)))]
        step: Step | None = None
        if taken.told is not None:
            try:
                step = await self._step(taken.told)
            except (Refused, Forbidden, NotFound) as error:
                faults.append(_fault(taken.told.entry, error))
        if faults:
            raise NotTaken(sorted(faults, key=lambda each: each.entry or 0))
        ids = {}
        if taken.told is not None:
            if step is not None:
                told = taken.told
                wrong = await self._wrong(told.entry, self._tell(told, step))
                if wrong is not None:
                    raise NotTaken([wrong])
            ids[taken.told.entry] = taken.told.id
        for asked in taken.asked:
            outcome = await usecases.request(
                self._service.journal,
                self._around,
                self._service.clock,
                asked.request,
                self._of(asked.entry),
                self._doctor,
            )
            ids[asked.entry] = outcome.id
        return ids

    def _of(self, entry: int) -> Cause:
        return self._cause.derive("entry", entry)

    @property
    def _doctor(self) -> Access:
        return dataclasses.replace(self._access, rule=allow("doctor", at="origin"))

    async def _wrong(self, entry: int, doing: object) -> Fault | None:
        try:
            await doing  # type: ignore[misc]
        except (Refused, Forbidden, NotFound) as error:
            return _fault(entry, error)
        return None

    async def _rehearse(self, asked: Asked) -> None:
        if self._access.caller.role != "doctor":
            raise Forbidden("a referral is asked for by a doctor")
        await usecases.rehearse(
            self._service.journal, self._around, self._service.clock, asked.request, self._of(asked.entry), self._doctor
        )

    async def _step(self, told: Told) -> Step | None:
        """The move that is told, which would be taken now; None where there is none to make."""
        document = await self._service.journal.load(REFERRAL, told.id)
        if document is None:
            raise NotFound
        self._access.check(document["state"])
        state, caller = Referral.model_validate(document["state"]), self._access.caller
        before = [entry for entry in document["journal"] if entry["cause"] == self._of(told.entry).id]
        if before:
            if before[0].get("fingerprint") != self._cause.fingerprint:
                raise KeyReused
            return None
        persons = await self._around.patients.same_person(state.patient)
        cards = await self._around.country.cards()
        fhir.check_about(told.task, told.id, state, persons, cards, own_id=False)
        step = fhir.told(told.task, state, "origin" in sides_of(state, caller.facility))
        if step is not None:
            decide(state, step, By(caller.role, caller.facility), self._service.clock.now())
        return step

    async def _tell(self, told: Told, step: Step) -> None:
        await usecases.step(
            self._service.journal,
            self._around,
            self._service.clock,
            told.id,
            step,
            self._of(told.entry),
            self._access,
        )


def _fault(entry: int, error: Refused | Forbidden | NotFound) -> Fault:
    if isinstance(error, Refused):
        return fhir_bundle.fault(entry, error)
    if isinstance(error, Forbidden):
        return fhir_bundle.fault(entry, Refused("forbidden", str(error) or "is not yours"), 403)
    return fhir_bundle.fault(entry, Refused("not-found", "there is no such referral", field="focus"), 404)
