"""Composition root. Nothing opens at import, nor before the app starts."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from libs.common.service import Service
from libs.common.tokens import KeySet
from services.registration import (
    api,
    ashas_api,
    camp_api,
    camp_desk,
    care_api,
    eligibility_api,
    fhir_api,
    home_api,
    households_api,
    matching,
    matching_api,
    opd_api,
    places_api,
    screenings,
    screenings_api,
    share_api,
    stream,
    usecases,
)
from services.registration.abdm import Gateway
from services.registration.access import ACCESS
from services.registration.acknowledge import Acknowledging
from services.registration.aggregates import CAMP_UPLOAD, IDENTITY, KINDS, QUEUE, SHARE
from services.registration.board import Boards
from services.registration.camp_store import CampStore
from services.registration.domain.queue import desk_day
from services.registration.home import Home, HomeStore
from services.registration.households import Registry
from services.registration.opd_store import OpdStore
from services.registration.places import read_places
from services.registration.programme_files import read_programmes
from services.registration.rulebook import read_rulebook
from services.registration.screenings import Camp
from services.registration.settings import Settings
from services.registration.store import Store


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadFile for a scheme, a programme or a place file that contradicts itself or leaves a gap."""
    settings = settings or Settings()
    rulebook = read_rulebook(settings.schemes)
    service = Service(
        "registration",
        settings,
        kinds=KINDS,
        access=ACCESS,
        about="Who a patient is, and their place in the OPD queue: at the desk, or by ABDM Scan & Share.",
    )
    stream.keep_directory(service)
    opds = OpdStore(service.database)
    known = matching.KnownPeople(service.database["patients"])
    service.on_start(known.start)
    service.on_stop(known.stop)
    store = Store(service.database)
    house = usecases.House(service.journal, store, read_places(), settings.token_validity, opds, known)
    client = httpx.AsyncClient()
    gateway = Gateway(settings, client)
    acknowledging = Acknowledging(service.journal, gateway, settings.token_validity, service.metrics.registry)
    by_session = settings.abdm_jwks.startswith(("http://", "https://"))
    keys = KeySet(settings.abdm_jwks, fetch=gateway.key_set if by_session else None)
    door = share_api.Door(house, keys, service.clock, strict_time=settings.clock == "system")

    service.include(api.router(house, service.journal, service.read_log))
    desk = matching_api.Desk(known, service.journal, service.database, house.places, service.read_log)
    service.include(matching_api.router(desk))
    service.include(care_api.router(desk))
    service.include(fhir_api.router(desk, house.store))
    service.include(share_api.router(door))
    service.include(eligibility_api.router(rulebook, house.places, service.clock))
    boards = Boards(opds, service.clock)
    office = opd_api.Office(house, service.journal, settings, service.clock, boards, service.read_log)
    service.include(opd_api.router(office, service.metrics.registry))
    service.on_stop(boards.stop)
    registry = Registry(service.journal, service.database, rulebook, house.places)
    today = lambda: desk_day(service.clock.now())  # noqa: E731
    service.include(households_api.router(registry, service.journal, service.read_log, today))
    service.include(places_api.router(house.places, service.database, service.journal, service.read_log, today))
    camp = Camp(registry, read_programmes(settings.programmes))
    house.forgetting.append(lambda patient, cause: screenings.forget(camp, patient, cause))
    service.include(screenings_api.router(camp, service.journal, service.read_log))
    service.include(ashas_api.router(camp, service.journal, settings.fonts, today))
    camps = CampStore(service.database)
    home_store = HomeStore(service.database)
    field_camps = camp_desk.Camp(house, camps, home_store)
    service.on_start(camps.ensure_indexes)
    service.include(camp_api.router(field_camps, service.read_log))
    at_home = Home(house, home_store)
    keeper = home_api.Doorkeeper(settings.home_calls_per_minute)
    service.include(home_api.router(home_api.HomeDoor(at_home, settings, service.read_log, keeper)))
    service.timer(QUEUE, lambda id, document: usecases.keep_promises(house, id, document))
    service.timer(SHARE, acknowledging.step)
    service.timer(IDENTITY, lambda id, document: matching.settle(service.journal, id, document))
    service.timer(CAMP_UPLOAD, lambda id, document: camp_desk.step(field_camps, id, document))
    service.on_stop(client.aclose)
    return service.app
