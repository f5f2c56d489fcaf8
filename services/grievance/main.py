"""The composition root of the grievance service. Nothing opens at import."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.mongo import Document
from libs.common.service import Service
from services.grievance import api, stream, usecases
from services.grievance.access import ACCESS
from services.grievance.catalogue import read_calendars, read_categories, read_jurisdictions
from services.grievance.hours import WorkingTime
from services.grievance.settings import Settings
from services.grievance.store import CONTACT, DECLARED, GRIEVANCE
from services.grievance.tracking import TrackingKey


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadFile with the line of a bad data file, FileNotFoundError without a tracking key."""
    settings = settings or Settings()
    service = Service(
        "grievance",
        settings,
        kinds=(GRIEVANCE, CONTACT, DECLARED),
        access=ACCESS,
        about="What went wrong, and that it is put right in time, by somebody other than the one complained about.",
    )
    categories = read_categories(settings.categories)
    directory = stream.directory(service)
    office = usecases.Office(
        journal=service.journal,
        database=service.database,
        clock=service.clock,
        directory=directory,
        cells=usecases.Cells(settings.state_cells, settings.national_cell),
        jurisdictions=read_jurisdictions(settings.jurisdictions, known=categories),
        working_time=WorkingTime(read_calendars(settings.calendars), service.journal),
    )
    service.include(api.router(service, office, categories, TrackingKey(settings.tracking_key())))

    async def on_timer(id: str, document: Document) -> None:
        await usecases.on_timer(office, id, document)

    async def follow_calendar(code: str, document: Document) -> None:
        await usecases.follow_calendar(office, code, document)

    service.timer(GRIEVANCE, on_timer)
    service.timer(DECLARED, follow_calendar)
    service.ready("directory", directory.missing)
    return service.app
