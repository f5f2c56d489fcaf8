"""Calls to providers: bounded, never without a claimed attempt, and what was answered written down."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from libs.common.access import SYSTEM
from libs.common.cause import timer_cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import ClaimTaken, Journal
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY
from libs.contracts.event import Event
from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Provider, Stopped, Taken, Unsure
from services.notifications.domain import message
from services.notifications.domain.dlt import Registration
from services.notifications.domain.message import (
    Accepted,
    Command,
    Message,
    Rejected,
    Troubled,
    Unanswered,
    back_off,
    decide,
)
from services.notifications.domain.routing import Routing
from services.notifications.metrics import MessageMetrics
from services.notifications.settings import Settings
from services.notifications.standing import Numbers, Stops, name_for
from services.notifications.store import MESSAGE

log = logger("sending")

WAITING_PER_CALL = 4
"""Claimed attempts that may wait for each call under way; more are left to the timer."""

WRITES_BEFORE_LEAVING = 6
"""Tries to write an answer down while the store is away; then the lease runs out and the provider is asked."""


UNSETTLED = ("waiting", "queued", "sending")

LONGEST_REST = 900.0
"""Seconds between two questions about one lost answer, at most."""


def reference_of(id: str, state: Message) -> str:
    """Under which a provider knows an attempt: the message's id; with a number behind it where it is sent again on
    purpose, so that a provider that drops repeats does not drop that."""
    again = state.redeliveries + state.repeats
    return f"{id}.{again}" if again else id


class Sending:
    """Every claimed attempt is sent once, or not at all if its turn comes too late in its lease."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        providers: Mapping[Channel, Provider],
        registration: Registration,
        metrics: MessageMetrics,
        chance: Callable[[], float],
        stops: Stops,
        numbers: Numbers,
        routing: Routing,
    ) -> None:
        self._stops = stops
        self._numbers = numbers
        self._routing = routing
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._providers = providers
        self._registration = registration
        self._metrics = metrics
        self._chance = chance
        self._gate = asyncio.Semaphore(settings.sends_at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    def has_room(self) -> bool:
        """Whether an attempt claimed now would have its turn soon."""
        return len(self._tasks) < self._settings.sends_at_once * WAITING_PER_CALL

    def lease_until(self, channel: Channel, now: dt.datetime) -> dt.datetime:
        """An attempt is its claimant's alone for longer than a call by this channel may take."""
        provider = self._providers.get(channel)
        longest = max(self._settings.lease_attempt_seconds, (provider.seconds if provider else 0.0) + 2.0)
        return now + dt.timedelta(seconds=longest)

    def start(self, id: str, state: Message, to: str) -> None:
        """Sends in the background the attempt that was just claimed."""
        task = asyncio.create_task(self._send_safely(id, state, to))
        self._tasks.add(task)
        self._metrics.under_way.set(len(self._tasks))
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._metrics.under_way.set(len(self._tasks))

    async def stop(self) -> None:
        """Waits for the calls under way; each is bounded."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=15)
        for provider in self._providers.values():
            await provider.close()

    async def _send_safely(self, id: str, state: Message, to: str) -> None:
        try:
            await self.send(id, state, to)
        except Exception:
            # Its lease runs out, and the timer finds out what became of it.
            log.error("sending failed", exc_info=True, extra={"id": id, "channel": state.channel})

    async def send(self, id: str, state: Message, to: str) -> None:
        """Calls the provider for the attempt that `state` claims, and writes down what it answered."""
        provider = self._providers[state.channel]
        async with self._gate:
            lease_until = state.retry_at
            if lease_until is None or machine_now() + dt.timedelta(seconds=provider.seconds) > lease_until:
                return
            outgoing = self._outgoing(id, state, to)
            started = time.monotonic()
            answer = await provider.send(outgoing)
            self._metrics.provider_seconds.labels(state.channel).observe(time.monotonic() - started)
        self._metrics.answers.labels(state.channel, type(answer).__name__.lower()).inc()
        await self._note(id, state, provider, answer, to)

    def _outgoing(self, id: str, state: Message, to: str) -> Outgoing:
        own = self._routing.own.get(state.template)
        return Outgoing(
            reference_of(id, state),
            to,
            state.text,
            state.subject,
            self._registration.id_of(state.template, state.language) or state.template,
            state.language,
            name=state.template,
            values=state.values,
            header=self._registration.promotional_header if own and own.promotional else "",
            recipient=state.recipient,
        )

    async def _note(self, id: str, state: Message, provider: Provider, answer: Answer, to: str) -> None:
        match answer:
            case Taken():
                taken = Accepted(state.attempt, answer.provider, answer.reference)
                await self._write(id, state, taken, "accepted")
            case Never():
                if answer.number:
                    await self._numbers.mark(state.channel, to, answer.reason)
                await self._write(id, state, Rejected(state.attempt, answer.reason, machine_now()), "rejected")
            case Stopped():
                await self._stops.stop(name_for(state.channel, state.template), state.language, answer.reason)
                if state.channel == "sms":
                    await self._write(id, state, message.Stopped(state.attempt, answer.reason), "stopped")
                else:
                    # The next channel needs not wait for the approval of this one's.
                    await self._write(id, state, Rejected(state.attempt, answer.reason, machine_now()), "rejected")
            case NotTaken():
                await self._again(id, state, answer.reason)
            case Unsure(over=True) if provider.can_be_asked:
                await self.inquire(id, state)
            case Unsure():
                await self._unanswered(id, state, provider)

    async def inquire(self, id: str, state: Message) -> None:
        """Finds out what became of an attempt whose answer nobody has: by asking the provider, never by sending."""
        provider = self._providers[state.channel]
        reference = reference_of(id, state)
        standing = await provider.standing(reference) if provider.can_be_asked else "no-answer"
        if standing == "accepted":
            await self._write(id, state, Accepted(state.attempt), "accepted")
        elif standing == "not-known":
            await self._again(id, state, "not-taken")
        else:
            await self._unanswered(id, state, provider)

    async def _again(self, id: str, state: Message, reason: str) -> None:
        settings = self._settings
        rest = back_off(state.attempt, self._chance(), base=settings.retry_base_seconds, cap=settings.retry_cap_seconds)
        await self._write(id, state, Troubled(state.attempt, reason, machine_now() + rest), "trouble")

    async def _unanswered(self, id: str, state: Message, provider: Provider) -> None:
        asks = state.asks + 1
        ask_at = None
        if provider.can_be_asked:
            rest = min(self._settings.ask_after_seconds * 2 ** min(asks - 1, 20), LONGEST_REST)
            ask_at = machine_now() + dt.timedelta(seconds=rest)
        repeat_at = None
        if self._routing.unknown_outcome.get(state.urgency) == "may-repeat":
            repeat_at = machine_now() + dt.timedelta(seconds=self._settings.retry_base_seconds)
        await self._write(id, state, Unanswered(state.attempt, asks, ask_at, repeat_at), "unanswered", asks)

    def _decided(self, command: Command, found: Message | None) -> Sequence[Event]:
        return decide(found, command, self._clock.due_before())

    async def _write(self, id: str, state: Message, command: Command, what: str, cycle: int = 0) -> None:
        for tries in range(1, WRITES_BEFORE_LEAVING + 1):
            now = self._clock.now()
            cause = timer_cause(what, state.attempt, cycle, aggregate=id, service="notifications", now=now)
            try:
                outcome = await self._journal.append(MESSAGE, id, partial(self._decided, command), cause, SYSTEM)
            except ClaimTaken:
                # A provider gave one reference twice: what it took is noted all the same, without it.
                if not isinstance(command, Accepted):
                    raise
                command = Accepted(command.attempt, command.provider)
                continue
            except STORE_AWAY:
                if tries == WRITES_BEFORE_LEAVING:
                    raise
                await asyncio.sleep(0.2 * 2**tries)
                continue
            if not outcome.repeated and outcome.events and outcome.state.status not in UNSETTLED:
                self._metrics.settled.labels(state.channel, outcome.state.status).inc()
            return
