"""The composition root of the grievance service. Nothing opens at import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from libs.common.mongo import Document
from libs.common.service import Service
from services.grievance import (
    api,
    attachments_api,
    clustering,
    clusters_api,
    figures_api,
    intake_api,
    open311_api,
    stream,
    together_api,
    usecases,
)
from services.grievance.access import ACCESS
from services.grievance.attachments import attachment_store
from services.grievance.catalogue import (
    read_calendars,
    read_categories,
    read_jurisdictions,
    read_proactive,
    read_screening,
)
from services.grievance.clustering import CLUSTER
from services.grievance.hours import WorkingTime
from services.grievance.settings import Settings
from services.grievance.sightings import Sightings
from services.grievance.store import CONTACT, DECLARED, GRIEVANCE
from services.grievance.tracking import TrackingKey

if TYPE_CHECKING:
    import httpx


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadFile with the line of a bad data file, FileNotFoundError without a tracking key."""
    settings = settings or Settings()
    service = Service(
        "grievance",
        settings,
        kinds=(GRIEVANCE, CONTACT, DECLARED, CLUSTER),
        access=ACCESS,
        about="What went wrong, and that it is put right in time, by somebody other than the one complained about.",
    )
    categories = read_categories(settings.categories)
    reasons = read_screening(settings.screening)
    directory = stream.directory(service)
    sightings = Sightings(service.database)
    office = usecases.Office(
        journal=service.journal,
        database=service.database,
        clock=service.clock,
        directory=directory,
        cells=usecases.Cells(settings.state_cells, settings.national_cell),
        jurisdictions=read_jurisdictions(settings.jurisdictions, known=categories),
        working_time=WorkingTime(read_calendars(settings.calendars), service.journal),
        categories=categories,
        sightings=sightings,
        not_opened=lambda why: service.metrics.skipped.labels("proactive", why).inc(),
    )
    stream.reactions(service, office, read_proactive(settings.proactive, known=categories))
    tracking = TrackingKey(settings.tracking_key())
    service.include(api.router(service, office, categories, reasons, tracking))
    service.include(intake_api.router(office, categories, reasons, tracking))
    service.include(together_api.router(service, office, reasons))
    service.include(clusters_api.router(service, office))
    service.include(figures_api.router(service, office, settings.figures_seconds))
    service.include(open311_api.router(office, categories, tracking, settings))
    client = _s3_client(settings)
    kept = attachment_store(settings, service.database, client)
    service.include(attachments_api.router(service, office, kept, tracking))
    if client is not None:
        service.on_stop(client.aclose)
    service.on_start(sightings.ensure_indexes)

    async def on_timer(id: str, document: Document) -> None:
        await usecases.on_timer(office, id, document)

    async def follow_calendar(code: str, document: Document) -> None:
        await usecases.follow_calendar(office, code, document)

    async def on_cluster(id: str, document: Document) -> None:
        await clustering.on_timer(office, id, document)

    service.timer(GRIEVANCE, on_timer)
    service.timer(CLUSTER, on_cluster)
    service.timer(DECLARED, follow_calendar)
    service.ready("directory", directory.missing)
    return service.app


def _s3_client(settings: Settings) -> httpx.AsyncClient | None:
    if not settings.s3_endpoint:
        return None
    import httpx

    return httpx.AsyncClient(timeout=20)
