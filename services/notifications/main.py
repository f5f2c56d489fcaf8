"""The composition root of the notifications service. Nothing opens at import."""

from __future__ import annotations

import random
from functools import partial

from fastapi import FastAPI

from libs.common.service import Service
from libs.contracts import grievance, referral, registration
from libs.contracts.notifications import Channel
from services.notifications import api, catalogue, store, stream, usecases
from services.notifications.access import ACCESS
from services.notifications.channels import Provider
from services.notifications.channels.fallback import Fallback
from services.notifications.channels.in_app import InApp
from services.notifications.channels.sms_gateway import SmsGateway
from services.notifications.channels.smtp import Smtp
from services.notifications.domain import dlt
from services.notifications.metrics import MessageMetrics
from services.notifications.sending import Sending
from services.notifications.settings import Settings
from services.notifications.store import MESSAGE, PREFERENCES, Recipients
from services.notifications.usecases import Post


def _sms(settings: Settings, metrics: MessageMetrics) -> Provider:
    """One gateway as it is; of two, the second takes what the first surely has not."""

    def gateway(url: str) -> SmsGateway:
        return SmsGateway(
            url,
            connect_seconds=settings.sms_connect_seconds,
            answer_seconds=settings.sms_answer_seconds,
            at_once=settings.sends_at_once,
        )

    first = gateway(settings.sms_gateway_url)
    if not settings.sms_gateway_url_second:
        return first

    def saw(name: str, standing: str) -> None:
        metrics.resting.labels("sms", name).set(standing != "closed")

    providers = {"first": first, "second": gateway(settings.sms_gateway_url_second)}
    return Fallback("sms", providers, saw=saw)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Raises CatalogueInvalid, with every fault, if the routing and the templates do not fit the contracts."""
    settings = settings or Settings()
    routing, wording = catalogue.read(settings.routing_file, settings.templates_dir)
    registered = catalogue.read_registration(settings.dlt_file)
    if faults := dlt.lint_all(wording, catalogue.sms_templates(routing), registered):
        raise catalogue.CatalogueInvalid(f"{settings.dlt_file.name}: " + "; ".join(str(fault) for fault in faults))
    service = Service(
        "notifications",
        settings,
        kinds=(MESSAGE, PREFERENCES),
        access=ACCESS,
        about="Tells people and desks of each step, in their language, once.",
    )
    patients = service.replica(registration.PATIENT, "patients", changed=stream.cards_changed("patient", lambda: post))
    contacts = service.replica(grievance.CONTACT, "contacts", changed=stream.cards_changed("contact", lambda: post))
    facilities = service.replica(
        referral.FACILITY, "facilities", changed=stream.cards_changed("facility", lambda: post)
    )

    metrics = MessageMetrics(service.metrics)
    providers: dict[Channel, Provider] = {
        "in-app": InApp(),
        "sms": _sms(settings, metrics),
        "email": Smtp(settings.smtp_host, settings.smtp_port, settings.mail_from, seconds=settings.smtp_seconds),
    }
    chance = random.SystemRandom().random
    sending = Sending(service.journal, service.clock, settings, providers, registered, metrics, chance)
    post = Post(
        journal=service.journal,
        database=service.database,
        clock=service.clock,
        settings=settings,
        routing=routing,
        wording=wording,
        registration=registered,
        recipients=Recipients(
            patients,
            contacts,
            facilities,
            partial(store.preferences_of, service.database),
            routing.mailbox_language,
        ),
        sending=sending,
        metrics=metrics,
        chance=chance,
    )

    told = stream.reaction(post)
    erasures = stream.Erasures(post)
    service.react(registration.PATIENT, erasures.reaction("patient", patients, told))
    service.react(grievance.CONTACT, erasures.reaction("contact", contacts, told))
    for topic in (registration.VISIT, referral.REFERRAL, grievance.GRIEVANCE):
        service.react(topic, told)
    service.timer(MESSAGE, partial(usecases.step, post))
    service.include(api.router(post, service.read_log))
    service.on_stop(erasures.stop)
    service.on_stop(sending.stop)
    return service.app
