"""Requests in, answers out."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from libs.common.access import Forbidden
from libs.common.mongo import Document
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, Instant
from libs.contracts.notifications import Channel
from services.notifications import store, usecases
from services.notifications.domain.message import Message, Status
from services.notifications.store import MESSAGE
from services.notifications.usecases import Post

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Recipient = Annotated[
    str | None, Query(max_length=120, description="`patient:<id>`, `contact:<id>` or `<role>@<facility>`")
]


class FeedItem(BaseModel):
    id: str
    occurred_at: Instant
    template: Code
    language: str
    text: str


class Feed(BaseModel):
    items: list[FeedItem]
    next: str | None


class MessageAnswer(BaseModel):
    """A message without what it says and without where it went."""

    id: str
    event: str
    event_type: str
    recipient: str
    channel: Channel
    template: Code
    language: str
    status: Status
    reason: str | None
    occurred_at: Instant
    useful_until: Instant
    awaiting: str | None
    attempts: int
    encoding: str | None
    segments: int

    @classmethod
    def of(cls, id: str, state: Message) -> MessageAnswer:
        fields = state.model_dump(include=set(cls.model_fields) - {"id", "attempts"})
        return cls(id=id, attempts=state.attempt, **fields)


class Messages(BaseModel):
    items: list[MessageAnswer]
    next: str | None


class Entry(BaseModel):
    type: str
    recorded_at: Instant
    actor: str
    reason: str | None = None


class MessageDetail(MessageAnswer):
    history: list[Entry]


class Resolution(Body):
    """What a person found out about a message whose outcome is unknown."""

    outcome: Literal["sent", "failed"]


def _entry(entry: Document) -> Entry:
    recorded: dt.datetime = entry["recorded_at"]
    data: dict[str, Any] = entry["data"]
    return Entry(type=entry["type"], recorded_at=recorded, actor=entry["actor"], reason=data.get("reason"))


def router(post: Post, read_log: ReadLog) -> APIRouter:
    routes = APIRouter()

    @routes.get("/feed", tags=["feed"])
    async def feed(access: Reading, cursor: Cursor = None, limit: Limit = 50) -> Feed:
        """What I was told, newest first; the reading is logged."""
        patient = access.caller.patient
        if not patient:
            raise Forbidden("your token names no patient")
        await read_log.record(access, patient=patient)
        documents, following = await store.feed(post.database, access, patient, cursor, limit)
        items = []
        for document in documents:
            state = Message.model_validate(document["state"])
            items.append(
                FeedItem(
                    id=document["_id"],
                    occurred_at=state.occurred_at,
                    template=state.template,
                    language=state.language,
                    text=state.text,
                )
            )
        return Feed(items=items, next=following)

    @routes.get("/messages", tags=["messages"])
    async def messages(
        access: Reading,
        recipient: Recipient = None,
        status: Status | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Messages:
        """What became of messages, newest first: by recipient, by status, or both. No text and no number."""
        where = {name: value for name, value in (("recipient", recipient), ("status", status)) if value is not None}
        if not where:
            raise Refused("filter-missing", "name a recipient or a status", field="recipient")
        documents, following = await store.listed(post.database, access, where, cursor, limit)
        items = [MessageAnswer.of(found["_id"], Message.model_validate(found["state"])) for found in documents]
        return Messages(items=items, next=following)

    @routes.get("/messages/{id}", tags=["messages"])
    async def message(id: str, access: Reading) -> MessageDetail:
        """One message and what happened to it, without its text."""
        state = await post.journal.read(MESSAGE, id, access)
        history = [_entry(entry) for entry in await post.journal.history(MESSAGE, id)]
        return MessageDetail(**MessageAnswer.of(id, state).model_dump(), history=history)

    @routes.post("/messages/{id}/resolve", tags=["messages"])
    async def resolve(id: str, body: Resolution, request: Requested) -> MessageAnswer:
        """A person settles an unknown outcome; who did stands in the message's history."""
        outcome = await usecases.resolve(post, id, body.outcome, request.cause, request.access)
        return MessageAnswer.of(outcome.id, outcome.state)

    return routes
