"""The composition root of the referral service. Nothing opens at import."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.service import Service
from services.referral import api, directory, stream, usecases
from services.referral.access import ACCESS
from services.referral.settings import Settings
from services.referral.store import FACILITY, REFERRAL


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadRow (line and field) and FileNotFoundError if the directory's file cannot be taken."""
    settings = settings or Settings()
    rows = directory.read(settings.facilities)
    service = Service(
        "referral",
        settings,
        kinds=(REFERRAL, FACILITY),
        access=ACCESS,
        about="From the health centre to the district hospital and back again, with every step told to both.",
    )
    patients = stream.patients(service)
    service.include(api.router(service, patients))

    async def list_facilities() -> None:
        await usecases.list_facilities(service.journal, service.database, service.clock, rows)

    service.on_start(list_facilities)
    return service.app
