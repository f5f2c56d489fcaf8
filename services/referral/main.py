"""The composition root of the referral service. Nothing opens at import."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.mongo import Document
from libs.common.service import Service
from libs.contracts import registration
from services.referral import (
    api,
    audit_api,
    beds,
    beds_api,
    cells,
    country_api,
    directory,
    fhir_api,
    fhir_bundle_api,
    promises,
    roadbook,
    seasons,
    stream,
    usecases,
    way_api,
    worklist_api,
)
from services.referral.access import ACCESS
from services.referral.country import Country
from services.referral.domain.ledger import Ledger
from services.referral.domain.referral import Referral
from services.referral.gauges import Gauges
from services.referral.settings import Settings
from services.referral.slips import SlipKey
from services.referral.store import FACILITY, LEDGER, REFERRAL, ROAD
from services.referral.usecases import Surroundings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadRow (line and field), BadPromises, BadCells, BadSeasons, BadRoads and FileNotFoundError for a file that
    cannot be taken, ValueError for a `slip_key` that is none."""
    settings = settings or Settings()
    promised, seasonal = promises.read(settings.promises), seasons.read(settings.seasons)
    rows = directory.read(settings.facilities, seasonal)
    own = {row.card.code for row in rows}
    rows += [row for row in cells.read(settings.cells) if row.card.code not in own]
    roads = roadbook.read(settings.roads, seasonal)
    service = Service(
        "referral",
        settings,
        kinds=(REFERRAL, FACILITY, ROAD, LEDGER),
        access=ACCESS,
        about="From the health centre to the district hospital and back again, with every step told to both.",
    )
    patients = stream.patients(service)
    service.react(registration.PATIENT, stream.erasures(service, patients))
    around = Surroundings(service.database, patients, promised, Country(service.database, seasonal, roads))
    service.react(registration.SCREENING, stream.screened(service, around))
    service.include(api.router(service, around))
    service.include(country_api.router(service, around))
    service.include(fhir_api.router(service, around))
    service.include(fhir_bundle_api.router(service, around))
    service.include(audit_api.router(service, around.country))
    gauges = service.app.state.gauges = Gauges(service, around.country)
    service.on_start(gauges.start)
    service.on_stop(gauges.stop)
    service.include(worklist_api.router(service, patients))
    service.include(way_api.router(service, around, SlipKey(settings.secret("slip_key")), settings.fonts))
    service.include(beds_api.router(service))

    async def list_facilities() -> None:
        await usecases.list_facilities(service.journal, service.database, service.clock, rows)
        # What was looked at while the directory was written is not kept.
        around.country.changed()

    async def attend(id: str, document: Document) -> None:
        state = Referral.model_validate(document["state"])
        await usecases.attend(service.journal, around, service.clock, id, state)
        await usecases.remind(service.journal, service.clock, id, state)

    service.on_start(list_facilities)

    async def attend_ledger(id: str, document: Document) -> None:
        await beds.attend(service.journal, service.clock, id, Ledger.model_validate(document["state"]))

    service.timer(REFERRAL, attend)
    service.timer(LEDGER, attend_ledger)
    return service.app
