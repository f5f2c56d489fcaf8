"""Requests in, answers out."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from libs.common.access import Access, Forbidden
from libs.common.journal import NotFound
from libs.common.mongo import Document
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Reading, Requested, Write
from services.notifications import (
    campaign_routes,
    decisions,
    people_routes,
    receipt_routes,
    receipts,
    send_routes,
    store,
    text_routes,
    usecases,
)
from services.notifications.api_models import (
    DigestStatement,
    Entry,
    Feed,
    FeedItem,
    LanguagesStatement,
    Lives,
    MessageAnswer,
    MessageDetail,
    Messages,
    PreferencesAnswer,
    Resolution,
    Resumed,
    Statement,
)
from services.notifications.domain import preference
from services.notifications.domain.message import Message, Status
from services.notifications.post import Post
from services.notifications.store import MESSAGE

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Person = Annotated[
    str,
    Path(
        pattern=r"^((patient|contact|person):[A-Za-z0-9-]{1,64}|[a-z-]{1,40}@[A-Z0-9][A-Z0-9-]{1,39})$", max_length=90
    ),
]
Recipient = Annotated[
    str | None,
    Query(max_length=120, description="`patient:`, `contact:` or `person:<id>`, or `<role>@<facility>`"),
]


def _entry(entry: Document) -> Entry:
    recorded: dt.datetime = entry["recorded_at"]
    data: dict[str, Any] = entry["data"]
    return Entry(type=entry["type"], recorded_at=recorded, actor=entry["actor"], reason=data.get("reason"))


def router(post: Post, read_log: ReadLog, secrets: receipts.Secrets) -> APIRouter:
    routes = APIRouter()
    text_routes.add(routes, post)
    receipt_routes.add(routes, post, read_log, secrets)
    people_routes.add(routes, post)
    send_routes.add(routes, post)
    campaign_routes.add(routes, post)
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


async def _own_recipient(post: Post, access: Access) -> str:
    """As whom a caller is told things: a patient, or a person we know by the subject of their token."""
    if access.caller.role == "citizen":
        return f"patient:{_own(access)}"
    person = await post.people.of_subject(access.caller.subject)
    if person is None:
        raise Forbidden("your token names nobody whom we tell anything")
    return f"person:{person}"


def _preferences(routes: APIRouter, post: Post) -> None:
    async def show(recipient: str) -> PreferencesAnswer:
        found = await store.preferences_of(post.database, recipient)
        return PreferencesAnswer.of(recipient, found)

    async def state(recipient: str, command: preference.Command, request: Write) -> PreferencesAnswer:
        outcome = await usecases.state_preference(post, recipient, command, request.cause, request.access)
        return PreferencesAnswer.of(recipient, outcome.state)

    def choice(recipient: str, body: Statement, request: Write) -> preference.Command:
        return preference.State(recipient, body.channel, body.scope, body.allowed, request.cause.occurred_at)

    def languages(recipient: str, body: LanguagesStatement, request: Write) -> preference.Command:
        return preference.Languages(recipient, body.languages, request.cause.occurred_at)

    def digest(recipient: str, body: DigestStatement, request: Write) -> preference.Command:
        return preference.Together(recipient, body.channel, body.at, request.cause.occurred_at)

    @routes.get("/preferences", tags=["preferences"])
    async def own(access: Reading) -> PreferencesAnswer:
        """What I said about how I want to be told."""
        return await show(await _own_recipient(post, access))

    @routes.post("/preferences", tags=["preferences"])
    async def state_own(body: Statement, request: Requested) -> PreferencesAnswer:
        """I agree to a channel, or refuse it: heeded at once. Named emergencies are told all the same."""
        recipient = await _own_recipient(post, request.access)
        return await state(recipient, choice(recipient, body, request), request)

    @routes.post("/preferences/languages", tags=["preferences"])
    async def own_languages(body: LanguagesStatement, request: Requested) -> PreferencesAnswer:
        """What I read, the best first."""
        recipient = await _own_recipient(post, request.access)
        return await state(recipient, languages(recipient, body, request), request)

    @routes.post("/preferences/digest", tags=["preferences"])
    async def own_digest(body: DigestStatement, request: Requested) -> PreferencesAnswer:
        """What comes by e-mail, once a day and together; or (`at` null) one by one again."""
        recipient = await _own_recipient(post, request.access)
        return await state(recipient, digest(recipient, body, request), request)

    @routes.get("/recipients/{recipient}/preferences", tags=["preferences"])
    async def of(recipient: Person, access: Reading) -> PreferencesAnswer:
        """What a person, or a role's mailbox, said."""
        return await show(recipient)

    @routes.post("/recipients/{recipient}/preferences", tags=["preferences"])
    async def state_for(recipient: Person, body: Statement, request: Requested) -> PreferencesAnswer:
        """Written down for somebody who said so on the phone or on paper."""
        return await state(recipient, choice(recipient, body, request), request)

    @routes.post("/recipients/{recipient}/preferences/languages", tags=["preferences"])
    async def languages_for(recipient: Person, body: LanguagesStatement, request: Requested) -> PreferencesAnswer:
        return await state(recipient, languages(recipient, body, request), request)

    @routes.post("/recipients/{recipient}/preferences/digest", tags=["preferences"])
    async def digest_for(recipient: Person, body: DigestStatement, request: Requested) -> PreferencesAnswer:
        """For a mailbox too: what comes is sent together, once a day."""
        return await state(recipient, digest(recipient, body, request), request)

    @routes.post("/recipients/{recipient}/lives", tags=["preferences"])
    async def lives(recipient: Person, request: Requested) -> Lives:
        """A death was recorded by mistake: they are told things again, under each of their records."""
        kind, _, id = recipient.partition(":")
        records = await post.recipients.same_person(id) if kind == "patient" else ()
        withdrawn = 0
        for record in [f"patient:{one}" for one in records] or [recipient]:
            cause = request.cause if record == recipient else request.cause.derive("lives", record)
            with contextlib.suppress(NotFound):
                command = preference.WithdrawDeath(record, None)
                outcome = await usecases.state_preference(post, record, command, cause, request.access)
                withdrawn += len(outcome.events)
        return Lives(recipient=recipient, withdrawn=withdrawn)


def _feed(routes: APIRouter, post: Post, read_log: ReadLog) -> None:
    @routes.get("/feed", tags=["feed"])
    async def feed(access: Reading, cursor: Cursor = None, limit: Limit = 50) -> Feed:
        """What I was told, newest first; the reading is logged."""
        recipient = await _own_recipient(post, access)
        if recipient.startswith("patient:"):
            await read_log.record(access, patient=_own(access))
        kind, _, id = recipient.partition(":")
        records = await post.recipients.same_person(id) if kind == "patient" else (id,)
        everyone = [f"{kind}:{record}" for record in records]
        documents, following = await store.feed(post.database, access, everyone, cursor, limit)
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
        outcome = await decisions.resolve(post, id, body.outcome, request.cause, request.access)
        return MessageAnswer.of(outcome.id, outcome.state)

    @routes.post("/templates/{template}/{language}/resume", tags=["templates"])
    async def resume(
        template: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")],
        language: Annotated[str, Path(pattern=r"^[a-z]{2,3}$")],
        request: Requested,
    ) -> Resumed:
        """The operators take this template again: what was held for it goes out."""
        released = await decisions.resume(post, template, language, request.cause, request.access)
        return Resumed(template=template, language=language, released=released)
