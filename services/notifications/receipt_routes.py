"""Delivery receipts in, from gateways (signed) and from those who pass messages on (with their own token)."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from libs.common.access import Forbidden
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from libs.common.web import Body, Reading, Requested, bearer_of, service_of
from services.notifications import receipts, store
from services.notifications.api_models import MessageAnswer
from services.notifications.domain.message import Message
from services.notifications.post import Post

Channel = Literal["sms", "email", "whatsapp"]


class GatewayReceipt(BaseModel):
    """`reference` is the one we gave; `id` the gateway's own, where it does not keep ours. `code` is the operator's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    reference: str = Field("", max_length=100)
    id: str = Field("", max_length=200)
    status: Literal["delivered", "undelivered", "failed"]
    code: str | int = Field("", union_mode="left_to_right")


class Noted(BaseModel):
    noted: int
    unknown: int


class PassedOn(Body):
    """Whether the person was told; if not, why, in a code such as `not-found` or `moved-away`."""

    told: StrictBool
    reason: str = Field("", pattern=r"^([a-z0-9][a-z0-9-]{0,63})?$")


class RelayItem(BaseModel):
    """What is to be told, to whom: only the one who is to tell it sees this."""

    id: str
    recipient: str
    language: str
    text: str


class RelayList(BaseModel):
    items: list[RelayItem]
    next: str | None


class ReceiptSecrets(BaseModel):
    """What the gateways sign their receipts with (Standard Webhooks)."""

    sms: str
    email: str


def add(routes: APIRouter, post: Post, read_log: ReadLog, secrets: receipts.Secrets) -> None:
    _gateways(routes, post, secrets)
    _relay(routes, post, read_log)


def _gateways(routes: APIRouter, post: Post, secrets: receipts.Secrets) -> None:
    async def signed(request: Request, channel: str) -> str:
        """What tells one delivery of receipts from another. Raises Unauthenticated, Forbidden."""
        body = await request.body()
        if "webhook-signature" in request.headers:
            return receipts.check_signature(secrets.of(channel), request.headers, body)
        token = bearer_of(request)
        if token is None:
            raise Unauthenticated("a receipt must be signed (Standard Webhooks)")
        caller = await service_of(request).caller(token)
        if caller.role != "operator":
            raise Forbidden("needs the role operator")
        return hashlib.sha256(body).hexdigest()

    @routes.post("/receipts/{channel}", tags=["receipts"])
    async def receive(channel: Channel, request: Request) -> Noted:
        """One receipt, or `{"receipts": [...]}` with up to 500, signed by Standard Webhooks; WhatsApp's as Meta sends
        them, with `X-Hub-Signature-256`. Told twice, a receipt is noted once."""
        body = await request.body()
        if channel == "whatsapp":
            receipts.check_meta_signature(secrets.of("whatsapp"), request.headers.get("x-hub-signature-256"), body)
            found, cause = receipts.of_meta(_json(body)), hashlib.sha256(body).hexdigest()
        else:
            cause, found = await signed(request, channel), _receipts(_json(body))
        noted = 0
        for receipt in found:
            noted += await receipts.note(post, channel, receipt, cause) is not None
        return Noted(noted=noted, unknown=len(found) - noted)

    @routes.get("/receipts/whatsapp", tags=["receipts"])
    async def verify(
        mode: Annotated[str, Query(alias="hub.mode", max_length=20)] = "",
        token: Annotated[str, Query(alias="hub.verify_token", max_length=200)] = "",
        challenge: Annotated[str, Query(alias="hub.challenge", max_length=200, pattern=r"^[\w-]*$")] = "",
    ) -> Response:
        """How Meta asks whether we are the ones to send statuses to."""
        if mode != "subscribe" or not secrets.is_verify_token(token):
            raise Forbidden("the token does not verify")
        return Response(challenge, media_type="text/plain")

    @routes.get("/receipt-secrets", tags=["receipts"])
    async def shown(access: Reading) -> ReceiptSecrets:
        """To be set up at the gateways."""
        return ReceiptSecrets(sms=secrets.of("sms").decode(), email=secrets.of("email").decode())


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("not-json", "the body is not JSON", field="body") from None


def _receipts(body: Any) -> list[receipts.Receipt]:
    listed = body.get("receipts") if isinstance(body, dict) and "receipts" in body else [body]
    if not isinstance(listed, list) or not 0 < len(listed) <= 500:
        raise Refused("receipts-invalid", "must be a list of 1 to 500", field="receipts")
    found = []
    for index, one in enumerate(listed):
        try:
            told = GatewayReceipt.model_validate(one)
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Refused("receipt-invalid", "must be there and in order", field=f"receipts.{index}.{field}") from None
        if not (told.reference or told.id):
            raise Refused("receipt-invalid", "needs reference or id", field=f"receipts.{index}.reference")
        status: Literal["delivered", "undelivered"] = "delivered" if told.status == "delivered" else "undelivered"
        found.append(receipts.Receipt(told.reference, told.id, status, str(told.code)[:64]))
    return found


def _relay(routes: APIRouter, post: Post, read_log: ReadLog) -> None:
    @routes.get("/relay", tags=["relay"])
    async def listed(access: Reading) -> RelayList:
        """What I am to pass on by word of mouth; the reading is logged."""
        person = await post.people.of_subject(access.caller.subject)
        if person is None:
            raise Forbidden("your token names nobody who passes messages on")
        items = []
        for id in await store.waiting_for(post.database, f"relay:person:{person}"):
            document = await post.journal.load(store.MESSAGE, id)
            state = Message.model_validate(document["state"]) if document else None
            if state is None or post.domain_now() >= state.useful_until:
                continue
            await read_log.record(access, patient=state.recipient.partition(":")[2])
            items.append(RelayItem(id=id, recipient=state.recipient, language=state.language, text=state.text))
        return RelayList(items=items, next=None)

    @routes.post("/relay/{id}/passed-on", tags=["relay"])
    async def passed_on(id: Annotated[str, Path(max_length=64)], body: PassedOn, request: Requested) -> MessageAnswer:
        """My receipt: I have told them, or I could not."""
        outcome = await receipts.passed_on(post, id, body.told, body.reason, request.cause, request.access)
        return MessageAnswer.of(outcome.id, outcome.state)
