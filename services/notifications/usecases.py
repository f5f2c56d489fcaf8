"""One verb, one function: load, decide, append. Sending is in `sending.py`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import ClaimTaken, Journal, Outcome
from libs.common.mongo import Database, Document
from libs.contracts.event import Event
from libs.contracts.notifications import Channel, MessageErased
from services.notifications import store
from services.notifications.domain import dlt, message, preference
from services.notifications.domain.message import (
    DAY_CEILING,
    NO_ADDRESS,
    OPEN,
    OPTED_OUT,
    SUPERSEDED,
    TEMPLATE_MISMATCH,
    TOO_LATE,
    Await,
    Command,
    Lapse,
    Message,
    Plan,
    Render,
    Resolve,
    SendAttempted,
    Settle,
    back_off,
    decide,
)
from services.notifications.domain.routing import LEAD, Routing
from services.notifications.domain.segments import VARIABLE_LIMIT, count
from services.notifications.domain.template import Rendered, Wording
from services.notifications.domain.timing import indian_day
from services.notifications.metrics import MessageMetrics
from services.notifications.sending import Sending
from services.notifications.settings import Settings
from services.notifications.store import MESSAGE, PREFERENCES, Known, NotYet, Recipients, Slots, message_id

SERVICE = "notifications"

SUPERSEDED_FROM_ATTEMPT = 6
"""Failed attempts after which a message that newer news of its case has overtaken is not tried again."""


@dataclass(frozen=True)
class Post:
    """What telling needs: put together by the composition root."""

    journal: Journal
    database: Database
    clock: Clock
    settings: Settings
    routing: Routing
    wording: Wording
    registration: dlt.Registration
    recipients: Recipients
    sending: Sending
    metrics: MessageMetrics
    slots: Slots = field(default_factory=Slots)
    chance: Callable[[], float] = random.random

    def domain_now(self) -> dt.datetime:
        """The domain's clock as promises are measured by it: before a played day has begun, nothing is too late."""
        return self.clock.due_before()


class CardMissing(Exception):
    """A card that was there when the message was rendered is not there now: the replica was lost."""


def plans(routing: Routing, event_id: str, event: Event, occurred_at: dt.datetime, case: str = "") -> list[Plan]:
    """What an event makes us tell, and to whom. `case` is the aggregate it is about."""
    return [
        Plan(
            event=event_id,
            event_type=event.TYPE,
            occurred_at=occurred_at,
            recipient=target.recipient,
            template=target.template,
            channels=target.channels,
            useful_until=target.useful_until,
            variables=target.variables,
            purpose=target.purpose,
            override=target.override,
            case=case,
            when=target.when,
        )
        for target in routing.targets(event, occurred_at)
    ]


async def tell(post: Post, plan: Plan, cause: Cause, card: Mapping[str, Any] | None = None) -> None:
    """Puts what is planned on its way, once. The first channel leads: its message says which others follow.

    `cause` is the event; `card` the recipient's card where the event carries it.
    """
    lead = plan.channels[0]
    known = await post.recipients.look(plan, card)
    if isinstance(known, NotYet):
        look_at = machine_now() + _rest(post, 1)
        outcome = await _create(post, plan, lead, Await(plan, lead, known.card, look_at), cause)
        # Once more: the card may have come between the look and the writing that it had not.
        await complete(post, outcome.id, reschedule=False)
        return
    outcome = await _create(post, plan, lead, _said(post, plan, lead, known), cause, known)
    if outcome.state.status == "waiting":
        await complete(post, outcome.id, reschedule=False)
    else:
        await _follow(post, plan, outcome.state.also, known, cause)


async def _follow(post: Post, plan: Plan, channels: tuple[Channel, ...], known: Known, cause: Cause) -> None:
    for channel in channels:
        await _create(post, plan, channel, _said(post, plan, channel, known), cause, known)


async def complete(post: Post, id: str, *, reschedule: bool) -> None:
    """Goes on with a message that waited for a card, if it has come. The others first, the one that waits last, so that
    a crash between leaves it waiting."""
    document = await post.journal.load(MESSAGE, id)
    if document is None or document["state"]["status"] != "waiting":
        return
    state = Message.model_validate(document["state"])
    known = await post.recipients.look(state.plan)
    if isinstance(known, NotYet):
        if reschedule:
            again = Await(state.plan, state.channel, known.card, machine_now() + _rest(post, state.looks + 1))
            await _step(post, id, again, "look", state.looks)
        return
    said = _said(post, state.plan, state.channel, known)
    if isinstance(said, Render):
        await _follow(post, state.plan, said.also, known, _cause_of(state))
    outcome = await _step(post, id, said, "complete", 1)
    _settle(post, outcome)
    _send_if_claimed(post, outcome, known)


def _said(post: Post, plan: Plan, channel: Channel, known: Known) -> Render | Settle:
    """What goes out through one channel."""
    if known.gone:
        return Settle(plan, channel, "lapsed", known.gone)
    if channel not in known.addresses:
        return Settle(plan, channel, "failed", NO_ADDRESS)
    if channel in known.refused:
        return Settle(plan, channel, "lapsed", OPTED_OUT)
    limit = VARIABLE_LIMIT if channel == "sms" else None
    rendered = post.wording.render(plan.template, known.language, known.values, limit=limit)
    if channel == "sms" and not dlt.keeps_to(_approved(post, plan, rendered), rendered.text):
        return Settle(plan, channel, "failed", TEMPLATE_MISMATCH)
    size = count(rendered.text)
    now = machine_now()
    outside = channel != LEAD
    leads = channel == plan.channels[0]
    hold_until = None
    if channel == "sms" and plan.when == "daytime" and plan.override is None:
        hold_until = post.routing.quiet_hours.ends_at(post.domain_now())
    claimed = outside and hold_until is None and post.sending.has_room()
    return Render(
        plan,
        channel,
        language=rendered.language,
        text=rendered.text,
        subject=rendered.subject if channel == "email" else "",
        encoding=size.encoding,
        segments=size.segments,
        also=tuple(other for other in plan.channels[1:] if other in known.addresses) if leads else (),
        at=now,
        lease_until=now + dt.timedelta(seconds=post.settings.lease_attempt_seconds) if claimed else None,
        sent=not outside,
        hold_until=hold_until,
    )


def _approved(post: Post, plan: Plan, rendered: Rendered) -> str:
    """The text as it is registered, with its placeholders."""
    return post.wording.languages[rendered.language].templates[plan.template].text


async def _create(
    post: Post, plan: Plan, channel: Channel, command: Command, cause: Cause, known: Known | None = None
) -> Outcome[Message]:
    if isinstance(command, Render) and channel == "sms":
        outcome = await _create_in_slot(post, plan, command, cause)
    else:
        outcome = await _write_new(post, plan, channel, command, cause)
    _settle(post, outcome)
    if known is not None:
        _send_if_claimed(post, outcome, known)
    return outcome


async def _write_new(post: Post, plan: Plan, channel: Channel, command: Command, cause: Cause) -> Outcome[Message]:
    return await post.journal.create(
        MESSAGE,
        message_id(plan.event, plan.recipient, channel),
        lambda state: decide(state, command, post.domain_now()),
        cause.derive(plan.recipient, channel),
        SYSTEM,
    )


async def _create_in_slot(post: Post, plan: Plan, command: Render, cause: Cause) -> Outcome[Message]:
    """An SMS takes one of its person's numbered places of the day; the places are unique, so nothing passes them."""
    day, most = f"{plan.recipient}:{indian_day(post.clock.now())}", post.settings.sms_per_person_and_day
    place: int | None = post.slots.take(day)
    while place is not None:
        if place <= most:
            try:
                placed = dataclasses.replace(command, slot=f"{day}:{place}")
                outcome = await _write_new(post, plan, "sms", placed, cause)
            except ClaimTaken:
                pass
            else:
                if outcome.repeated:
                    post.slots.give_back(day, place)
                return outcome
        place = await store.free_place(post.database, plan.recipient, day, most)
        post.slots.saw(day, place or most)
    return await _write_new(post, plan, "sms", Settle(plan, "sms", "lapsed", DAY_CEILING), cause)


def _send_if_claimed(post: Post, outcome: Outcome[Message], known: Known) -> None:
    """The first attempt, if this very append claimed it: whoever finds it in the journal already does not send."""
    if not outcome.repeated and any(isinstance(event, SendAttempted) for event in outcome.events):
        post.sending.start(outcome.id, outcome.state, known.addresses[outcome.state.channel])


def _settle(post: Post, outcome: Outcome[Message]) -> None:
    """Counts what was decided, once."""
    if outcome.repeated or not outcome.events:
        return
    for event in outcome.events:
        if isinstance(event, message.MessageRendered) and event.channel == "sms":
            post.metrics.segments.labels(event.encoding, event.language).inc(event.segments)
    if outcome.state.retry_at is None:
        post.metrics.settled.labels(outcome.state.channel, outcome.state.status).inc()


def _cause_of(state: Message) -> Cause:
    """The event that a message tells of, as a cause."""
    return Cause(state.event, SERVICE, state.occurred_at)


def _rest(post: Post, looks: int) -> dt.timedelta:
    return back_off(looks, post.chance(), base=post.settings.retry_base_seconds, cap=300.0)


async def _step(post: Post, id: str, command: Command, clock: str, step: int, cycle: int = 0) -> Outcome[Message]:
    now = post.domain_now()
    cause = timer_cause(clock, step, cycle, aggregate=id, service=SERVICE, now=post.clock.now())
    return await post.journal.append(MESSAGE, id, lambda state: decide(state, command, now), cause, SYSTEM)


async def step(post: Post, id: str, document: Document) -> None:
    """What a due message needs: to lapse, a look for its card, its next attempt, or a question to the provider."""
    state = Message.model_validate(document["state"])
    if state.status in OPEN and post.domain_now() >= state.useful_until:
        _settle(post, await _step(post, id, Lapse(TOO_LATE), "lapse", 1))
    elif state.held_until is not None:
        await _attempt(post, id, state)
    elif state.retry_at is None or state.retry_at > machine_now():
        return
    elif state.status == "waiting":
        await complete(post, id, reschedule=True)
    elif state.status == "queued":
        await _attempt(post, id, state)
    elif state.status == "sending":
        await post.sending.inquire(id, state)


async def _attempt(post: Post, id: str, state: Message) -> None:
    """The next attempt: claimed before the provider is called."""
    known = await post.recipients.look(state.plan)
    if isinstance(known, NotYet):
        raise CardMissing
    address = known.addresses.get(state.channel)
    if known.gone or address is None or state.channel in known.refused:
        reason = known.gone or (NO_ADDRESS if address is None else OPTED_OUT)
        _settle(post, await _step(post, id, Lapse(reason), "lapse", 1))
        return
    if await _needless(post, state):
        _settle(post, await _step(post, id, Lapse(SUPERSEDED), "lapse", 1))
        return
    now = machine_now()
    claim = message.Claim(now, now + dt.timedelta(seconds=post.settings.lease_attempt_seconds))
    outcome = await _step(post, id, claim, "claim", state.attempt + 1)
    _settle(post, outcome)
    if not outcome.repeated and any(isinstance(event, SendAttempted) for event in outcome.events):
        await post.sending.send(id, outcome.state, address)


async def _needless(post: Post, state: Message) -> bool:
    """Whether what was held back, or could not be sent for long, has been overtaken by news of the same case."""
    delayed = state.held_until is not None or state.attempt >= SUPERSEDED_FROM_ATTEMPT
    return delayed and bool(state.case) and await store.newer_of_case(post.database, state)


async def cards_came(post: Post, kind: str, keys: list[str]) -> None:
    """Goes on with what waits for these cards."""
    if not await store.any_waiting(post.database):
        return
    found = await store.gathered(*(store.waiting_for(post.database, f"{kind}:{key}") for key in keys))
    await store.gathered(*(complete(post, id, reschedule=False) for ids in found for id in ids))


async def forget(post: Post, recipient: str) -> None:
    """Erases every text told to a recipient who was erased; what waits or is queued lapses."""
    async for document in store.told(post.database, recipient):
        id, state = document["_id"], Message.model_validate(document["state"])
        if state.status in OPEN:
            _settle(post, await _step(post, id, Lapse(message.RECIPIENT_ERASED), "lapse-erased", 1))
        if state.text or state.subject:
            cause = timer_cause("erase", 1, 0, aggregate=id, service=SERVICE, now=post.clock.now())
            await post.journal.erase(MESSAGE, id, MessageErased(**state.facts), cause, SYSTEM)


async def state_preference(
    post: Post, command: preference.State, cause: Cause, access: Access
) -> Outcome[preference.Preferences]:
    """A person's choice, heeded from now on: what is already at a provider cannot be called back."""
    return await post.journal.append(
        PREFERENCES, command.recipient, lambda state: preference.decide(state, command), cause, access
    )


async def resolve(
    post: Post, id: str, outcome: Literal["sent", "failed"], cause: Cause, access: Access
) -> Outcome[Message]:
    """A person settles an unknown outcome. Raises NotFound, Forbidden, and Refused (`not-unknown`)."""
    decided = await post.journal.append(
        MESSAGE, id, lambda state: decide(state, Resolve(outcome), post.domain_now()), cause, access
    )
    _settle(post, decided)
    return decided
