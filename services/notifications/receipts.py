"""What providers and relays say afterwards of messages they took."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from libs.common.access import SYSTEM, Access, Forbidden
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.journal import NotFound, Outcome
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from services.notifications import store, usecases
from services.notifications.channels import Never, NotTaken, Stopped, whatsapp
from services.notifications.domain import message
from services.notifications.domain.codes import Meaning, written
from services.notifications.domain.message import Message, back_off, decide
from services.notifications.post import Post
from services.notifications.settings import Settings
from services.notifications.standing import name_for
from services.notifications.store import MESSAGE


@dataclass(frozen=True)
class Receipt:
    """`reference` is ours; `provider_reference` the provider's own, where it does not know ours."""

    reference: str
    provider_reference: str
    status: Literal["delivered", "undelivered"]
    code: str = ""
    """The operator's code, as it came."""


class Secrets:
    """What receipts are signed with: a secret per provider, derived and stored nowhere; Meta's own is given by file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _derived(self, purpose: str) -> bytes:
        key = self._settings.secret("seal_key")
        made = hmac.new(key, f"receipts:{purpose}".encode(), hashlib.sha256).digest()
        return b"whsec_" + base64.b64encode(made)

    def of(self, channel: str) -> bytes:
        if channel == "whatsapp" and self._settings.whatsapp_url:
            return self._settings.secret("whatsapp_app_secret")
        return self._derived(channel)

    def is_verify_token(self, token: str) -> bool:
        if not self._settings.whatsapp_url:
            return False
        return hmac.compare_digest(self._settings.secret("whatsapp_verify_token"), token.encode())


def check_signature(secret: bytes, headers: Mapping[str, str], body: bytes) -> str:
    """By Standard Webhooks; returns `webhook-id`. Raises Unauthenticated."""
    from standardwebhooks import Webhook, WebhookVerificationError

    try:
        Webhook(secret.decode()).verify(body, {name.lower(): value for name, value in headers.items()})
    except (WebhookVerificationError, ValueError, KeyError):
        raise Unauthenticated("the signature does not verify") from None
    return headers["webhook-id"]


def check_meta_signature(secret: bytes, signature: str | None, body: bytes) -> None:
    """Meta's `X-Hub-Signature-256`. Raises Unauthenticated."""
    wanted = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, signature or ""):
        raise Unauthenticated("the signature does not verify")


def of_meta(body: Any) -> list[Receipt]:
    """The statuses in a notification of the WhatsApp Cloud API; everything else in it is left alone."""
    found = []
    for entry in _list(body, "entry"):
        for change in _list(entry, "changes"):
            for status in _list(change.get("value"), "statuses"):
                said, errors = status.get("status"), _list(status, "errors")
                if said in ("delivered", "read", "failed"):
                    code = str(errors[0].get("code", "")) if errors else ""
                    outcome: Literal["delivered", "undelivered"] = "undelivered" if said == "failed" else "delivered"
                    mine = str(status.get("biz_opaque_callback_data") or "")
                    found.append(Receipt(mine, str(status.get("id") or ""), outcome, code))
    return found


def _list(value: Any, name: str) -> list[dict[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


async def message_of(post: Post, channel: str, receipt: Receipt) -> str | None:
    """The message that a receipt is about; None for one that is not ours."""
    if receipt.reference:
        return receipt.reference.partition(".")[0]
    return await store.by_reference(post.database, channel, receipt.provider_reference)


async def note(post: Post, channel: str, receipt: Receipt, cause: str) -> Outcome[Message] | None:
    """Writes a receipt into its message, and what it means for number and template. None if it is about no message of
    ours. Told twice, it is noted once."""
    id = await message_of(post, channel, receipt)
    document = await post.journal.load(MESSAGE, id) if id else None
    if id is None or document is None or document["state"]["channel"] != channel:
        post.metrics.receipts.labels(channel, "unknown").inc()
        return None
    state = Message.model_validate(document["state"])
    meaning = _meaning(post, channel, receipt)
    post.metrics.receipts.labels(channel, meaning or receipt.status).inc()
    if meaning == "stop":
        await post.stops.stop(name_for(state.channel, state.template), state.language, written(receipt.code))
    elif meaning == "never" or receipt.status == "delivered":
        await _note_number(post, channel, state, receipt)
    settings, now = post.settings, machine_now()
    rest = back_off(
        state.attempt + state.redeliveries,
        post.chance(),
        base=settings.retry_base_seconds,
        cap=settings.retry_cap_seconds,
    )
    command = message.Receipt(
        receipt.status == "delivered",
        written(receipt.code) if receipt.code else "undelivered",
        retry_at=now + rest if meaning == "later" else None,
        stops=meaning == "stop" and state.channel == "sms",
        at=now,
    )
    made = Cause(derive("receipt", id, cause, receipt.status, receipt.code), f"{channel}-provider", post.clock.now())
    outcome = await post.journal.append(MESSAGE, id, partial(_decided, command, post.domain_now()), made, SYSTEM)
    usecases.settle(post, outcome)
    return outcome


def _decided(command: message.Receipt, now: dt.datetime, state: Message | None) -> Any:
    return decide(state, command, now)


def _meaning(post: Post, channel: str, receipt: Receipt) -> Meaning | None:
    if receipt.status == "delivered" or not receipt.code:
        return None
    if channel == "whatsapp" and receipt.code.isdigit():
        match whatsapp.meaning(int(receipt.code)):
            case Stopped():
                return "stop"
            case NotTaken():
                return "later"
            case Never(number=True):
                return "never"
        return "refused"
    return post.codes.meaning(receipt.code)


async def _note_number(post: Post, channel: str, state: Message, receipt: Receipt) -> None:
    known = await post.recipients.look(state.plan)
    if not isinstance(known, store.Known):
        return
    address = next((one for name, one in known.addresses.items() if name == channel), None)
    if address is None:
        return
    if receipt.status == "delivered":
        await post.numbers.lift(channel, address, "delivered")
    else:
        await post.numbers.mark(channel, address, written(receipt.code))


async def passed_on(post: Post, id: str, told: bool, reason: str, cause: Cause, access: Access) -> Outcome[Message]:
    """An ASHA or a panchayat has told it, or could not. Raises NotFound, and Forbidden for somebody else's."""
    document = await post.journal.load(MESSAGE, id)
    if document is None or document["state"]["channel"] != "relay":
        raise NotFound
    state = Message.model_validate(document["state"])
    mine = await post.people.of_subject(access.caller.subject)
    if access.caller.role != "operator" and state.via != f"person:{mine}":
        raise Forbidden("it is for somebody else to pass on")
    if state.status not in ("sent", "queued", "sending") and not state.delivery:
        raise Refused("not-to-be-passed-on", f"it is {state.status}")
    command = message.Receipt(told, reason or "not-told", at=machine_now())
    outcome = await post.journal.append(MESSAGE, id, partial(_decided, command, post.domain_now()), cause, access)
    usecases.settle(post, outcome)
    return outcome
