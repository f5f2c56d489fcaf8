"""The composition root of the notifications service. Nothing opens at import."""

from __future__ import annotations

import random
from functools import partial

from fastapi import FastAPI

from libs.common.service import Service
from libs.contracts import grievance, notifications, referral, registration
from services.notifications import api, campaigns, catalogue, providers, sends, store, stream, usecases
from services.notifications.access import ACCESS
from services.notifications.campaigns import CAMPAIGN
from services.notifications.merges import Merges
from services.notifications.metrics import MessageMetrics
from services.notifications.people import AUDIENCE, PERSON, ROSTER, People
from services.notifications.post import Post
from services.notifications.receipts import Secrets
from services.notifications.sending import Sending
from services.notifications.sends import SEND, Callbacks
from services.notifications.settings import Settings
from services.notifications.standing import NUMBER, STOP, Numbers, Stops
from services.notifications.store import MESSAGE, PREFERENCES, Recipients

KINDS = (MESSAGE, PREFERENCES, PERSON, ROSTER, AUDIENCE, STOP, NUMBER, SEND, CAMPAIGN)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises BadFile or CatalogueInvalid, with file and line, if a data file does not fit the contracts or others."""
    settings = settings or Settings()
    routing, wording, registered, codes = catalogue.read_all(
        settings.routing_file, settings.templates_dir, settings.dlt_file, settings.codes_file
    )
    service = Service(
        "notifications",
        settings,
        kinds=KINDS,
        access=ACCESS,
        about="Tells people and desks of each step, in their language, once.",
    )
    patients = service.replica(
        registration.PATIENT,
        "patients",
        indexes=(("card.merged_into",),),
        changed=stream.cards_changed("patient", lambda: post),
    )
    contacts = service.replica(grievance.CONTACT, "contacts", changed=stream.cards_changed("contact", lambda: post))
    callers = service.replica(registration.CALLER, "callers", changed=stream.cards_changed("caller", lambda: post))
    facilities = service.replica(
        referral.FACILITY, "facilities", changed=stream.cards_changed("facility", lambda: post)
    )

    merges = Merges(patients.collection)
    metrics = MessageMetrics(service.metrics)
    metrics.begin((name, of.language) for of in wording.languages.values() for name in of.templates)
    key = settings.secret("seal_key")
    stops = Stops(service.database, service.journal, metrics)
    numbers = Numbers(service.database, service.journal, key)
    callbacks = Callbacks(service.database, key)
    people = People(service.database)
    outside = providers.build(settings, codes, registered, metrics, callbacks.secret_of)
    chance = random.SystemRandom().random
    sending = Sending(
        service.journal, service.clock, settings, outside, registered, metrics, chance, stops, numbers, routing
    )
    post = Post(
        journal=service.journal,
        database=service.database,
        clock=service.clock,
        settings=settings,
        routing=routing,
        wording=wording,
        registration=registered,
        codes=codes,
        recipients=Recipients(
            store.Cards(patients),
            store.Cards(contacts),
            facilities,
            store.StatedPreferences(service.database).of,
            people,
            numbers.mark_of,
            callbacks.url_of,
            service.clock.now,
            frozenset(outside),
            routing.mailbox_language,
            routing.consent_needed,
            callers=store.Cards(callers),
            merges=merges,
        ),
        people=people,
        stops=stops,
        numbers=numbers,
        sending=sending,
        metrics=metrics,
        chance=chance,
    )

    told = stream.reaction(post, merges.saw)
    erasures = stream.Erasures(post)
    service.react(registration.PATIENT, erasures.reaction("patient", patients, told))
    service.react(grievance.CONTACT, erasures.reaction("contact", contacts, told))
    service.react(registration.CALLER, erasures.reaction("caller", callers, told))
    for topic in (registration.VISIT, referral.REFERRAL, grievance.GRIEVANCE):
        service.react(topic, told)
    service.react(notifications.MESSAGE, partial(sends.call_back, post))
    service.timer(MESSAGE, partial(usecases.step, post))
    service.timer(SEND, partial(sends.step, post))
    service.timer(CAMPAIGN, partial(campaigns.step, post))
    service.include(api.router(post, service.read_log, Secrets(settings)))
    service.on_start(stops.start)
    service.on_stop(stops.close)
    service.on_stop(erasures.stop)
    service.on_stop(sending.stop)
    return service.app
