"""What comes in: registration's patient cards, kept as a copy of our own, and who was erased is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.records import Received
from libs.common.service import Service
from libs.contracts import registration
from services.referral import usecases
from services.referral.patients import Patients


def patients(service: Service) -> Patients:
    """Keeps the replica `patients`: corrected, voided and erased records follow by themselves."""
    return Patients(service.replica(registration.PATIENT, "patients"))


def erasures(service: Service, patients: Patients) -> Callable[[Received], Awaitable[None]]:
    """First the card, so that nothing new is written about the person; then what was."""

    async def told(received: Received) -> None:
        if received.event.TOMBSTONE:
            await patients.bury(received)
            await usecases.forget(service.journal, service.database, service.clock, received.key, received.cause())

    return told
