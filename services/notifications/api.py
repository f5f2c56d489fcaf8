"""Requests in, answers out."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from libs.common.access import Access, Forbidden
from libs.common.mongo import Document
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested, Write
from libs.contracts.event import Code, Instant
from libs.contracts.notifications import Channel
from services.notifications import store, usecases
from services.notifications.domain import preference
from services.notifications.domain.message import Message, Status
from services.notifications.domain.preference import Choice, Refusable, Scope
from services.notifications.store import MESSAGE
from services.notifications.usecases import Post

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Person = Annotated[str, Path(pattern=r"^(patient|contact):[A-Za-z0-9-]{1,64}$")]
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


class Statement(Body):
    """Whether a channel may be used for a purpose."""

    channel: Refusable
    scope: Scope = "all"
    allowed: bool


class PreferencesAnswer(BaseModel):
    recipient: str
    choices: list[Choice]


class Resolution(Body):
    """What a person found out about a message whose outcome is unknown."""

    outcome: Literal["sent", "failed"]


def _entry(entry: Document) -> Entry:
    recorded: dt.datetime = entry["recorded_at"]
    data: dict[str, Any] = entry["data"]
    return Entry(type=entry["type"], recorded_at=recorded, actor=entry["actor"], reason=data.get("reason"))


def router(post: Post, read_log: ReadLog) -> APIRouter:
    routes = APIRouter()
    _feed(routes, post, read_log)
    _preferences(routes, post)
    _messages(routes, post)
    return routes


def _own(access: Access) -> str:
    """The patient that a citizen is. Raises Forbidden."""
    patient = access.caller.patient
    if not patient:
        raise Forbidden("your token names no patient")
    return patient


def _preferences(routes: APIRouter, post: Post) -> None:
    async def show(recipient: str) -> PreferencesAnswer:
        found = await store.preferences_of(post.database, recipient)
        return PreferencesAnswer(recipient=recipient, choices=list(found.choices) if found else [])

    async def state(recipient: str, body: Statement, request: Write) -> PreferencesAnswer:
        said = preference.State(recipient, body.channel, body.scope, body.allowed, request.cause.occurred_at)
        outcome = await usecases.state_preference(post, said, request.cause, request.access)
        return PreferencesAnswer(recipient=recipient, choices=list(outcome.state.choices))

    @routes.get("/preferences", tags=["preferences"])
    async def own(access: Reading) -> PreferencesAnswer:
        """What I said about how I want to be told."""
        return await show(f"patient:{_own(access)}")

    @routes.post("/preferences", tags=["preferences"])
    async def state_own(body: Statement, request: Requested) -> PreferencesAnswer:
        """I agree to a channel, or refuse it: heeded at once. Named emergencies are told all the same."""
        return await state(f"patient:{_own(request.access)}", body, request)

    @routes.get("/recipients/{recipient}/preferences", tags=["preferences"])
    async def of(recipient: Person, access: Reading) -> PreferencesAnswer:
        """What a person said."""
        return await show(recipient)

    @routes.post("/recipients/{recipient}/preferences", tags=["preferences"])
    async def state_for(recipient: Person, body: Statement, request: Requested) -> PreferencesAnswer:
        """Written down for somebody who said so on the phone or on paper."""
        return await state(recipient, body, request)


def _feed(routes: APIRouter, post: Post, read_log: ReadLog) -> None:
    @routes.get("/feed", tags=["feed"])
    async def feed(access: Reading, cursor: Cursor = None, limit: Limit = 50) -> Feed:
        """What I was told, newest first; the reading is logged."""
        patient = _own(access)
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


def _messages(routes: APIRouter, post: Post) -> None:
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
