"""Which providers there are, by what the settings name: none that is not named is ever called."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping

from libs.contracts.notifications import Channel
from services.notifications.channels import Provider
from services.notifications.channels.fallback import Fallback
from services.notifications.channels.listed import Listed
from services.notifications.channels.mobile_seva import MobileSeva
from services.notifications.channels.others import Others
from services.notifications.channels.sms_gateway import SmsGateway
from services.notifications.channels.smtp import Smtp
from services.notifications.channels.webhook import Webhook
from services.notifications.channels.whatsapp import WhatsApp
from services.notifications.domain.circuit import Limits
from services.notifications.domain.codes import Codes
from services.notifications.domain.dlt import Registration
from services.notifications.metrics import MessageMetrics
from services.notifications.settings import Settings

ALONE = Limits(slow=math.inf, longest_rest=60.0)
"""Of a provider that nobody stands in for: a slow one is better than none, and one that errs is probed more often."""


def build(
    settings: Settings,
    codes: Codes,
    registration: Registration,
    metrics: MessageMetrics,
    secret_of: Callable[[str], Awaitable[str]],
) -> dict[Channel, Provider]:
    """Who tells whom outside: each with a circuit, but for those where every address is another server.

    Raises FileNotFoundError for a secret that a named provider needs.
    """
    mail = Smtp(settings.smtp_host, settings.smtp_port, settings.mail_from, seconds=settings.smtp_seconds)
    made: dict[Channel, Provider] = {
        "in-app": Listed("in-app"),
        "relay": Listed("relay"),
        "sms": _resting("sms", _sms(settings, codes, registration), metrics),
        "email": _resting("email", {"smtp": mail}, metrics),
        "webhook": Webhook(secret_of, seconds=settings.webhook_seconds),
        "apprise": Others(seconds=settings.others_seconds, prefixes=settings.addresses),
    }
    if settings.whatsapp_url:
        meta = WhatsApp(
            settings.whatsapp_url,
            settings.whatsapp_phone_number_id,
            settings.secret("whatsapp_token").decode(),
            seconds=settings.sms_connect_seconds + settings.sms_answer_seconds,
        )
        made["whatsapp"] = _resting("whatsapp", {"whatsapp": meta}, metrics)
    return made


def _resting(channel: Channel, providers: Mapping[str, Provider], metrics: MessageMetrics) -> Fallback:
    """A bad one is left alone for a while; of several, the next takes what the ones before surely have not."""

    def saw(name: str, standing: str) -> None:
        metrics.resting.labels(channel, name).set(standing != "closed")

    return Fallback(channel, providers, limits=ALONE if len(providers) == 1 else None, saw=saw)


def _sms(settings: Settings, codes: Codes, registration: Registration) -> dict[str, Provider]:
    found: dict[str, Provider] = {}
    if settings.mobile_seva_url:
        found["mobile-seva"] = MobileSeva(
            settings.mobile_seva_url,
            username=settings.mobile_seva_username,
            password=settings.secret("mobile_seva_password").decode(),
            secure_key=settings.secret("mobile_seva_key").decode(),
            sender=registration.header,
            entity=registration.entity,
            connect_seconds=settings.sms_connect_seconds,
            answer_seconds=settings.sms_answer_seconds,
            codes=codes,
        )
    for name, url in (("first", settings.sms_gateway_url), ("second", settings.sms_gateway_url_second)):
        if url or (name == "first" and not found):
            found[name] = SmsGateway(
                url,
                connect_seconds=settings.sms_connect_seconds,
                answer_seconds=settings.sms_answer_seconds,
                at_once=settings.sends_at_once,
                codes=codes,
            )
    return found
