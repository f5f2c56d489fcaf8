"""The composition root of the grievance service. Nothing opens at import."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.mongo import Document
from libs.common.service import Service
from services.grievance import api, stream, usecases
from services.grievance.access import ACCESS
from services.grievance.catalogue import read_catalogue
from services.grievance.settings import Settings
from services.grievance.store import CONTACT, GRIEVANCE
from services.grievance.tracking import TrackingKey


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadCatalogue with the line for a bad categories file, FileNotFoundError without a tracking key."""
    settings = settings or Settings()
    service = Service(
        "grievance",
        settings,
        kinds=(GRIEVANCE, CONTACT),
        access=ACCESS,
        about="What went wrong, and that it is put right in time, by somebody other than the one complained about.",
    )
    directory = stream.directory(service)
    office = api.Office(
        directory=directory,
        cells=usecases.Cells(settings.state_cells, settings.national_cell),
        categories=read_catalogue(settings.categories),
        tracking=TrackingKey(settings.tracking_key()),
    )
    service.include(api.router(service, office))

    async def escalate(id: str, document: Document) -> None:
        await usecases.escalate(service.journal, service.clock, directory, id, document)

    service.timer(GRIEVANCE, escalate)
    service.ready("directory", directory.missing)
    return service.app
