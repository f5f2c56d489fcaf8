"""A caller's own sends: requested, told, looked up, and called back about."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from typing import Any

from libs.common.access import SYSTEM, Access, Caller, Forbidden
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.journal import Journal, Outcome
from libs.common.mongo import Database, Document
from libs.common.records import Received
from libs.common.refusal import Refused
from libs.contracts.notifications import (
    MessageDelivered,
    MessageEvent,
    MessageFailed,
    MessageLapsed,
    MessageOutcomeUnknown,
    MessageSent,
    MessageUndelivered,
)
from services.notifications import usecases
from services.notifications.domain import dlt, send
from services.notifications.domain.message import Message, Plan, Render
from services.notifications.domain.routing import Own, Variable
from services.notifications.domain.segments import count
from services.notifications.domain.template import FALLBACK
from services.notifications.lookup import Lookup
from services.notifications.post import Post
from services.notifications.store import MESSAGE, Known, message_id

SEND = AggregateType(
    name="send",
    collection="sends",
    state=send.Send,
    events=send.EVENTS,
    evolve=send.evolve,
    retry_at=lambda state: state.look_at,
    indexes=(("state.items.to",),),
)

LOOK_AGAIN_SECONDS = 10.0
"""When a timer completes a send that a crash cut in half."""

CALLBACK_USEFUL_HOURS = 72

STATUS = {
    MessageSent.TYPE: "sent",
    MessageFailed.TYPE: "failed",
    MessageLapsed.TYPE: "lapsed",
    MessageOutcomeUnknown.TYPE: "outcome-unknown",
    MessageDelivered.TYPE: "delivered",
    MessageUndelivered.TYPE: "undelivered",
}


def caller_digest(caller: Caller) -> str:
    """Who calls, as it may stand in a journal."""
    return hashlib.sha256(f"{caller.role}:{caller.subject}".encode()).hexdigest()[:32]


def person_digest(caller: Caller) -> str:
    """The person who calls, in whatever role."""
    return hashlib.sha256(f"person:{caller.subject}".encode()).hexdigest()[:32]


def callback_secret(key: bytes, caller: str) -> str:
    """What a caller checks our signatures with, as Standard Webhooks writes secrets: derived, and stored nowhere."""
    made = hmac.new(key, b"callback:" + caller.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(made).decode()


class Callbacks:
    """Where a send's caller wants to be called back, and the secret shared with them."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._found = Lookup(database[SEND.collection], {"state.callback": 1, "state.caller": 1})
        self._key = key

    async def url_of(self, id: str) -> str | None:
        found = await self._found.get(id)
        return found["state"].get("callback") if found else None

    async def secret_of(self, recipient: str) -> str:
        found = await self._found.get(recipient.removeprefix("send:"))
        return callback_secret(self._key, found["state"]["caller"] if found else "")


def own_template(post: Post, template: str) -> Own:
    """Raises Refused for a template that callers may not send."""
    own = post.routing.own.get(template)
    if own is None:
        known = ", ".join(sorted(post.routing.own))
        raise Refused("template-unknown", f"not one that may be sent by name; there are {known}", field="template")
    return own


def check_variables(post: Post, template: str, variables: dict[str, str], field: str) -> None:
    """Raises Refused naming what is missing, what the template does not have, or what operators would drop unseen."""
    needed = post.wording.placeholders(template)
    if missing := needed - variables.keys():
        raise Refused("variables-missing", f"needs {', '.join(sorted(missing))}", field=field)
    if unknown := variables.keys() - needed:
        raise Refused("variables-unknown", f"has no {', '.join(sorted(unknown))}", field=field)
    empty = sorted(name for name, value in variables.items() if not value.strip())
    if empty:
        raise Refused("variables-empty", f"{', '.join(empty)} must say something", field=field)
    for name, tag in sorted(post.wording.languages[FALLBACK].templates[template].placeholders):
        for rule, why in dlt.value_faults(name, tag, variables[name].strip(), post.registration):
            raise Refused(rule, why, field=field)


async def request(post: Post, command: send.Request, cause: Cause, access: Access) -> Outcome[send.Send]:
    """Journals what is asked for, then tells each recipient; a retry completes what a crash cut in half."""
    id = cause.new_id("send")
    outcome = await post.journal.create(SEND, id, lambda state: send.decide(state, command), cause, access)
    await tell(post, id, outcome.state)
    return outcome


async def tell(post: Post, id: str, state: send.Send) -> None:
    """Puts every message of a send on its way, once."""
    for plan in plans(post, id, state):
        await usecases.tell(post, plan, Cause(plan.event, usecases.SERVICE, state.requested_at))
    cause = timer_cause("told", 1, 0, aggregate=id, service=usecases.SERVICE, now=post.clock.now())
    await post.journal.append(SEND, id, lambda found: send.decide(found, send.Told()), cause, SYSTEM)


async def step(post: Post, id: str, document: Document) -> None:
    state = send.Send.model_validate(document["state"])
    if state.look_at is not None and state.look_at <= machine_now():
        await tell(post, id, state)


def plans(post: Post, id: str, state: send.Send) -> list[Plan]:
    own = post.routing.own[state.template]
    made = []
    for index, item in enumerate(state.items):
        mailbox = ":" not in item.to
        made.append(
            Plan(
                event=derive(id, index),
                event_type="send",
                occurred_at=state.requested_at,
                recipient=item.to,
                template=state.template,
                channels=("email",) if mailbox else own.flat,
                useful_until=state.useful_until,
                variables=tuple(
                    Variable(name=name, form="text", value=value) for name, value in item.variables.items()
                ),
                purpose=own.purpose,
                when=own.when,
                ladders=() if mailbox else own.ladders,
                send=id,
                languages=state.languages,
            )
        )
    return made


async def read(journal: Journal, id: str, access: Access) -> send.Send:
    """Raises NotFound, and Forbidden for somebody else's send."""
    state = await journal.read(SEND, id, access)
    if access.caller.role != "operator" and state.caller != caller_digest(access.caller):
        raise Forbidden("only the one who asked for a send may look at it")
    return state


async def messages_of(post: Post, id: str, state: send.Send) -> list[list[tuple[str, Message]]]:
    """Per item, its messages: their ids follow from the send."""
    found: list[list[tuple[str, Message]]] = []
    for plan in plans(post, id, state):
        of_item = []
        for channel in plan.channels:
            one = message_id(plan.event, plan.recipient, channel)
            document = await post.journal.load(MESSAGE, one)
            if document is not None:
                of_item.append((one, Message.model_validate(document["state"])))
        found.append(of_item)
    return found


async def forget(post: Post, recipient: str) -> None:
    """What callers had said of a recipient who was erased; with it what the same sends said of others."""
    async for document in post.database[SEND.collection].find({"state.items.to": recipient}):
        if any(item["variables"] for item in document["state"]["items"]):
            id = document["_id"]
            cause = timer_cause("erase", 1, 0, aggregate=id, service=usecases.SERVICE, now=post.clock.now())
            await post.journal.erase(SEND, id, send.SendErased(), cause, SYSTEM)


async def call_back(post: Post, received: Received) -> None:
    """What became of a message of a send is told to its caller, if they asked for it: once per event."""
    event = received.event
    if not isinstance(event, MessageEvent) or not event.send or received.type not in STATUS:
        return
    document = await post.journal.load(SEND, event.send)
    if document is None or not document["state"].get("callback"):
        return
    state = send.Send.model_validate(document["state"])
    text = json.dumps(_told(received, event, state), ensure_ascii=False, separators=(",", ":"))
    recipient = f"send:{event.send}"
    plan = Plan(
        event=received.id,
        event_type=received.type,
        occurred_at=received.occurred_at,
        recipient=recipient,
        template="callback",
        channels=("webhook",),
        useful_until=post.domain_now() + dt.timedelta(hours=CALLBACK_USEFUL_HOURS),
    )
    size, now = count(text), machine_now()
    lease = post.sending.lease_until("webhook", now)
    command = Render(
        plan,
        "webhook",
        language="und",
        text=text,
        subject="",
        encoding=size.encoding,
        segments=0,
        at=now,
        lease_until=lease if post.sending.has_room() else None,
    )
    known = await post.recipients.look(plan)
    assert isinstance(known, Known)
    await usecases.create(post, plan, "webhook", command, received.cause(), known)


def _told(received: Received, event: MessageEvent, state: send.Send) -> dict[str, Any]:
    """As Standard Webhooks writes a payload."""
    references = [item.reference for item in state.items if item.to == event.recipient and item.reference]
    return {
        "type": f"message.{STATUS[received.type]}",
        "timestamp": received.occurred_at.isoformat().replace("+00:00", "Z"),
        "data": {
            "send": event.send,
            "message": received.key,
            "reference": references[0] if len(references) == 1 else None,
            "recipient": event.recipient,
            "channel": event.channel,
            "status": STATUS[received.type],
            "reason": getattr(event, "reason", None),
        },
    }
