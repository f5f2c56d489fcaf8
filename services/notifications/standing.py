"""What operators have told us of templates and numbers, kept in journals and heeded before anything is sent."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac

from libs.common import background
from libs.common.access import SYSTEM, Access
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.journal import Journal, Outcome
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY, Database
from libs.contracts.notifications import Channel
from services.notifications.domain import number
from services.notifications.domain import stop as stopping
from services.notifications.lookup import Lookup
from services.notifications.metrics import MessageMetrics

log = logger("standing")

STOP = AggregateType(
    name="template-stop",
    collection="template_stops",
    state=stopping.Stop,
    events=stopping.EVENTS,
    evolve=stopping.evolve,
)
"""Its id is `<template>:<language>`."""

NUMBER = AggregateType(
    name="number",
    collection="numbers",
    state=number.Number,
    events=number.EVENTS,
    evolve=number.evolve,
)
"""Its id is a keyed digest: the number itself stands nowhere."""

LOOK_AGAIN_SECONDS = 5.0
"""How often a process reads which templates another one has seen stopped."""


def stop_id(template: str, language: str) -> str:
    return f"{template}:{language}"


def name_for(channel: Channel, template: str) -> str:
    """Under which a template is stopped: the operators' registration and Meta's approval are two things."""
    return template if channel == "sms" else f"{channel}-{template}"


class Stops:
    """Which templates are stopped: known in memory, so that asking costs nothing."""

    def __init__(self, database: Database, journal: Journal, metrics: MessageMetrics) -> None:
        self._database = database
        self._journal = journal
        self._metrics = metrics
        self._reasons: dict[tuple[str, str], str] = {}
        self._task: asyncio.Task[None] | None = None

    def reason_of(self, template: str, language: str) -> str | None:
        """The operators' code; None for a template that is in order."""
        return self._reasons.get((template, language))

    async def stop(self, template: str, language: str, reason: str) -> None:
        """Raises whatever the store raises."""
        now = machine_now()
        cause = Cause(derive("template-stop", template, language, now.isoformat()), "notifications", now)
        command = stopping.Refuse(template, language, reason)
        outcome = await self._journal.append(
            STOP, stop_id(template, language), lambda state: stopping.decide(state, command), cause, SYSTEM
        )
        self._note(outcome.state)
        if outcome.events:
            log.error("template stopped", extra={"template": template, "language": language, "code": reason})

    async def resume(self, template: str, language: str, cause: Cause, access: Access) -> Outcome[stopping.Stop]:
        """Raises Forbidden, and Refused (`not-stopped`)."""

        outcome = await self._journal.append(
            STOP, stop_id(template, language), lambda state: stopping.decide(state, stopping.Resume()), cause, access
        )
        self._note(outcome.state)
        return outcome

    def _note(self, state: stopping.Stop) -> None:
        key = (state.template, state.language)
        self._metrics.stopped.labels(*key).set(state.stopped)
        if state.stopped:
            self._reasons[key] = state.reason
        else:
            self._reasons.pop(key, None)

    async def look(self) -> None:
        async for document in self._database[STOP.collection].find({}, {"state": 1}):
            self._note(stopping.Stop.model_validate(document["state"]))

    async def start(self) -> None:
        await self.look()
        self._task = asyncio.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            with contextlib.suppress(*STORE_AWAY):
                await self.look()

    async def close(self) -> None:
        await background.end(self._task)


class Numbers:
    """Which numbers take nothing by a channel: SMS or WhatsApp."""

    def __init__(self, database: Database, journal: Journal, key: bytes) -> None:
        self._journal = journal
        self._key = key
        self._found = Lookup(database[NUMBER.collection], {"state": 1})

    def id_of(self, channel: str, phone: str) -> str:
        return hmac.new(self._key, f"number:{channel}:{phone}".encode(), hashlib.sha256).hexdigest()[:32]

    async def mark_of(self, channel: str, phone: str) -> str | None:
        """Why nothing is sent to it; None if something may be."""
        found = await self._found.get(self.id_of(channel, phone))
        if found is None:
            return None
        state = number.Number.model_validate(found["state"])
        return state.reason if state.marked else None

    async def mark(self, channel: str, phone: str, reason: str) -> None:
        await self._decide(channel, phone, number.Mark(reason, machine_now()))

    async def lift(self, channel: str, phone: str, reason: str) -> bool:
        """Whether there was a mark to lift."""
        marked = await self.mark_of(channel, phone) is not None
        return marked and await self._decide(channel, phone, number.Lift(reason))

    async def _decide(self, channel: str, phone: str, command: number.Mark | number.Lift) -> bool:
        id, now = self.id_of(channel, phone), machine_now()
        cause = Cause(derive("number", id, type(command).__name__, now.isoformat()), "notifications", now)
        outcome = await self._journal.append(NUMBER, id, lambda state: number.decide(state, command), cause, SYSTEM)
        return bool(outcome.events)
