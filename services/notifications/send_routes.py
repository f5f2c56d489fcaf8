"""A caller's own sends: by template, one or many, with a signed callback; a retry with the same key sends nothing."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from libs.common.clock import machine_now
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, Instant
from libs.contracts.notifications import Channel
from services.notifications import sends
from services.notifications.domain import send
from services.notifications.domain.message import Delivery, Message, Status
from services.notifications.post import Post

To = Annotated[
    str,
    Field(
        pattern=r"^((patient|contact|person):[A-Za-z0-9-]{1,64}|[a-z-]{1,40}@[A-Z0-9][A-Z0-9-]{1,39})$",
        description="`patient:<id>`, `contact:<id>`, `person:<id>` or `<role>@<facility>`",
    ),
]
Variables = Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=10)]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Common(Body):
    template: Code
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = Field((), max_length=5)
    """Before what each recipient reads; where a template has none of them, theirs."""
    callback: str | None = Field(None, max_length=500)
    """Told of each message's end, signed by Standard Webhooks (see GET /callback-secret)."""
    useful_hours: float | None = Field(None, gt=0, le=720)


class One(Common):
    to: To
    variables: Variables = Field(default_factory=dict)
    reference: str = Field("", max_length=120)


class BatchItem(BaseModel):
    to: To
    variables: Variables = Field(default_factory=dict)
    reference: str = Field("", max_length=120)


class Batch(Common):
    items: tuple[BatchItem, ...] = Field(min_length=1, max_length=send.MOST_ITEMS)


class SentMessage(BaseModel):
    id: str
    channel: Channel
    language: str
    status: Status
    reason: str | None
    delivery: Delivery | None
    segments: int

    @classmethod
    def of(cls, id: str, state: Message) -> SentMessage:
        return cls(id=id, **state.model_dump(include=set(cls.model_fields) - {"id"}))


class SentItem(BaseModel):
    to: str
    reference: str
    messages: list[SentMessage]


class SendAnswer(BaseModel):
    id: str
    template: str
    requested_at: Instant
    items: list[SentItem]


class CallbackSecret(BaseModel):
    secret: str


def add(routes: APIRouter, post: Post) -> None:
    async def answer(id: str, state: send.Send) -> SendAnswer:
        found = await sends.messages_of(post, id, state)
        items = [
            SentItem(to=item.to, reference=item.reference, messages=[SentMessage.of(one, m) for one, m in messages])
            for item, messages in zip(state.items, found, strict=True)
        ]
        return SendAnswer(id=id, template=state.template, requested_at=state.requested_at, items=items)

    async def ask(body: Common, items: list[tuple[str, dict[str, str], str]], request: Requested) -> SendAnswer:
        own = sends.own_template(post, body.template)
        if body.callback is not None:
            _check_callback(post, body.callback)
        requested_at = request.cause.occurred_at
        command = send.Request(
            caller=sends.caller_digest(request.caller),
            template=body.template,
            items=items,
            languages=body.languages,
            callback=body.callback,
            requested_at=requested_at,
            useful_until=requested_at + dt.timedelta(hours=body.useful_hours or own.useful_hours),
            look_at=machine_now() + dt.timedelta(seconds=sends.LOOK_AGAIN_SECONDS),
        )
        outcome = await sends.request(post, command, request.cause, request.access)
        return await answer(outcome.id, outcome.state)

    @routes.post("/sends", status_code=202, tags=["sends"])
    async def one(body: One, request: Requested) -> SendAnswer:
        """One template to one recipient, by the channels that `routing.yaml` names for it."""
        sends.own_template(post, body.template)
        sends.check_variables(post, body.template, body.variables, "variables")
        return await ask(body, [(body.to, body.variables, body.reference)], request)

    @routes.post("/sends/batch", status_code=202, tags=["sends"])
    async def many(body: Batch, request: Requested) -> SendAnswer:
        """Up to 500 at once: all are taken, or (a fault in one, named by its place) none."""
        sends.own_template(post, body.template)
        for index, item in enumerate(body.items):
            sends.check_variables(post, body.template, item.variables, f"items.{index}.variables")
        return await ask(body, [(item.to, item.variables, item.reference) for item in body.items], request)

    @routes.get("/sends/{id}", tags=["sends"])
    async def status(id: Annotated[str, Path(max_length=64)], access: Reading) -> SendAnswer:
        """What became of each message so far; one's own sends only."""
        return await answer(id, await sends.read(post.journal, id, access))

    @routes.get("/callback-secret", tags=["sends"])
    async def secret(access: Reading) -> CallbackSecret:
        """What our callbacks to you are signed with (Standard Webhooks). Always the same."""
        key = post.settings.secret("seal_key")
        return CallbackSecret(secret=sends.callback_secret(key, sends.caller_digest(access.caller)))


def _check_callback(post: Post, url: str) -> None:
    """https, to a host that the deployment names; a development machine may also call itself. Raises Refused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("callback-invalid", "must be an address", field="callback") from None
    if post.settings.development and host in LOOPBACK and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https" or not host or parts.username or parts.password:
        raise Refused("callback-invalid", "must be an https address", field="callback")
    if host not in post.settings.callback_hosts:
        raise Refused("callback-host-unknown", "this host is not one that may be called back", field="callback")
