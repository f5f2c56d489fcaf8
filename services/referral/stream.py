"""What comes in: registration's patient cards, kept as a copy of our own, and who was erased is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.access import Access, Caller, Rule
from libs.common.records import Received
from libs.common.service import Service
from libs.contracts import registration
from services.referral import usecases
from services.referral.domain.commands import Request
from services.referral.patients import Patients
from services.referral.usecases import Surroundings


def patients(service: Service) -> Patients:
    """Keeps the replica `patients`: corrected, voided and erased records follow by themselves."""
    return Patients(service.replica(registration.PATIENT, "patients", indexes=(("card.merged_into",),)))


def screened(service: Service, around: Surroundings) -> Callable[[Received], Awaitable[None]]:
    """An accepted suggestion of a screening becomes a referral, with the programme and its result as the reason. What
    cannot be one (a facility that is not in the directory) is a dead letter, for a person to see."""

    async def told(received: Received) -> None:
        event = received.event
        if isinstance(event, registration.ScreeningReferred):
            doctor = Access(Caller("screening", "doctor", event.facility), Rule(frozenset({"doctor"}), ("origin",)))
            command = Request(event.patient, event.to, event.service, event.urgency, reason_of(event))
            await usecases.request(service.journal, around, service.clock, command, received.cause(), doctor)

    return told


def reason_of(event: registration.ScreeningReferred) -> str:
    return f"Screening {event.programme}: {event.result.replace('-', ' ')} ({event.suggestion})"


def erasures(service: Service, patients: Patients) -> Callable[[Received], Awaitable[None]]:
    """First the card, so that nothing new is written about the person; then what was."""

    async def told(received: Received) -> None:
        if received.event.TOMBSTONE:
            await patients.bury(received)
            for id in await patients.same_person(received.key):
                cause = received.cause() if id == received.key else received.cause().derive(id)
                await usecases.forget(service.journal, service.database, service.clock, id, cause)

    return told
