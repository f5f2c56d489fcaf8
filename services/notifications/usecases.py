"""One verb, one function: load, decide, append. Sending is in `sending.py`."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.gathering import gathered
from libs.common.ids import derive
from libs.common.journal import Outcome
from libs.common.logs import logger
from libs.common.mongo import Document
from libs.contracts.event import Event
from libs.contracts.notifications import Channel, MessageErased
from services.notifications import store
from services.notifications.ceiling import has_ceiling, in_slot
from services.notifications.domain import audience, message, preference
from services.notifications.domain.campaign import CAMPAIGN, CAMPAIGN_PAUSED, CAMPAIGN_STOPPED
from services.notifications.domain.message import (
    CARD_AWAITED,
    CATCHING_UP,
    DAY_CEILING,
    DIGEST,
    MAY_REPEAT,
    NO_ADDRESS,
    NOT_PASSED_ON,
    NUMBER_MARKED,
    OPEN,
    OPTED_OUT,
    PATIENT_DECEASED,
    RECIPIENT_DECEASED,
    SUPERSEDED,
    TEMPLATE_STOPPED,
    TOO_LATE,
    Await,
    Command,
    Lapse,
    Message,
    Plan,
    Render,
    SendAttempted,
    Settle,
    back_off,
    decide,
)
from services.notifications.domain.person import PersonErased
from services.notifications.domain.routing import Routing
from services.notifications.domain.segments import count
from services.notifications.people import AUDIENCE, PERSON
from services.notifications.post import Post
from services.notifications.saying import quiet_until, said_through
from services.notifications.sending import UNSETTLED
from services.notifications.store import MESSAGE, PREFERENCES, Known, NotYet, message_id

log = logger("usecases")

SERVICE = "notifications"

SUPERSEDED_FROM_ATTEMPT = 6
"""Failed attempts after which a message that newer news of its case has overtaken is not tried again."""


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
            urgency=target.urgency,
            ladders=target.ladders,
        )
        for target in routing.targets(event, occurred_at)
    ]


async def tell(post: Post, plan: Plan, cause: Cause, card: Mapping[str, Any] | None = None) -> None:
    """Puts what is planned on its way, once. The first channel leads: its message says which others follow.

    `cause` is the event; `card` the recipient's card where the event carries it. Of a group every member is told.
    """
    if plan.recipient.startswith(GROUPS):
        await _tell_group(post, plan, cause)
        return
    lead = plan.channels[0]
    known = await post.recipients.look(plan, card)
    if isinstance(known, NotYet):
        look_at = machine_now() + _rest(post, 1)
        outcome = await create(post, plan, lead, Await(plan, lead, known.card, look_at), cause)
        # Once more: the card may have come between the look and the writing that it had not.
        await complete(post, outcome.id, reschedule=False)
        return
    outcome = await create(post, plan, lead, said_through(post, plan, lead, known), cause, known)
    if outcome.state.status == "waiting":
        await complete(post, outcome.id, reschedule=False)
    else:
        await _follow(post, plan, outcome.state.also, known, cause)


GROUPS = ("family:", "asha:", "duty:")

NOBODY = {"family": "no-family-known", "asha": "no-asha-known", "duty": "nobody-on-duty"}


async def _tell_group(post: Post, plan: Plan, cause: Cause) -> None:
    """Its members are looked up once and written down, so that a repeat of the event tells the same people."""
    id = derive(plan.event, "audience", plan.recipient, plan.template)
    kind, _, key = plan.recipient.partition(":")
    if await post.journal.load(AUDIENCE, id) is None:
        deceased = kind != "duty" and await post.recipients.deceased(key)
        members = [] if deceased else await _members(post, plan)
        reason = None if members else PATIENT_DECEASED if deceased else NOBODY[kind]
        outcome = await post.journal.create(
            AUDIENCE,
            id,
            lambda state: audience.decide(state, plan.event, plan.recipient, members, reason),
            cause.derive(plan.recipient, plan.template),
            SYSTEM,
        )
        state = outcome.state
    else:
        state = await post.journal.read(AUDIENCE, id, SYSTEM)
    patient = "" if kind == "duty" else key
    for member in state.members:
        channels = plan.channels if member.startswith("person:") else ("email",)
        to = {"recipient": member, "channels": channels, "patient": patient}
        await tell(post, plan.model_copy(update=to), cause)


async def _members(post: Post, plan: Plan) -> list[str]:
    """Recipients. Where nobody is on duty, the role's mailbox, or that of the role that stands in for it, if the
    facility has one."""
    kind, _, key = plan.recipient.partition(":")
    if kind == "duty":
        roles, _, facility = key.partition("@")
        mailboxes = [f"{role}@{facility}" for role in roles.split("/")]
        on_duty = await post.people.on_duty(mailboxes[0], post.domain_now())
        if on_duty:
            return [f"person:{id}" for id in on_duty]
        for mailbox in mailboxes:
            known = await post.recipients.look(plan.model_copy(update={"recipient": mailbox, "variables": ()}))
            if isinstance(known, Known) and known.addresses:
                return [mailbox]
            if isinstance(known, NotYet):
                # The message to the one that stands in waits for the facility's card, as any other does.
                return mailboxes[1:]
        return []
    records = await post.recipients.same_person(key)
    if kind == "family":
        found = await post.people.family_of(records)
    else:
        found = await post.people.ashas_of(records, await post.recipients.village_of(key))
    return [f"person:{id}" for id in found]


async def _follow(post: Post, plan: Plan, channels: tuple[Channel, ...], known: Known, cause: Cause) -> None:
    for channel in channels:
        await create(post, plan, channel, said_through(post, plan, channel, known), cause, known)


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
    said = said_through(post, state.plan, state.channel, known)
    if isinstance(said, Render):
        await _follow(post, state.plan, said.also, known, _cause_of(state))
    outcome = await _step(post, id, said, "complete", 1)
    settle(post, outcome)
    _send_if_claimed(post, outcome, known)


async def create(
    post: Post, plan: Plan, channel: Channel, command: Command, cause: Cause, known: Known | None = None
) -> Outcome[Message]:
    if isinstance(command, Render) and has_ceiling(plan.recipient, channel):
        outcome = await _create_in_slot(post, plan, channel, command, cause)
    else:
        outcome = await _write_new(post, plan, channel, command, cause)
    settle(post, outcome)
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


async def _create_in_slot(post: Post, plan: Plan, channel: Channel, command: Render, cause: Cause) -> Outcome[Message]:
    """It takes one of its person's numbered places of the day; the places are unique, so nothing passes them."""
    outcome = await in_slot(
        post,
        plan.recipient,
        channel,
        lambda slot: _write_new(post, plan, channel, dataclasses.replace(command, slot=slot), cause),
    )
    return outcome or await _write_new(post, plan, channel, Settle(plan, channel, "lapsed", DAY_CEILING), cause)


def _send_if_claimed(post: Post, outcome: Outcome[Message], known: Known) -> None:
    """The first attempt, if this very append claimed it: whoever finds it in the journal already does not send."""
    if not outcome.repeated and any(isinstance(event, SendAttempted) for event in outcome.events):
        post.sending.start(outcome.id, outcome.state, known.addresses[outcome.state.channel])


def settle(post: Post, outcome: Outcome[Message]) -> None:
    """Counts what was decided, once."""
    if outcome.repeated or not outcome.events:
        return
    for event in outcome.events:
        if isinstance(event, message.MessageRendered) and event.channel == "sms":
            post.metrics.segments.labels(event.encoding, event.language).inc(event.segments)
    if outcome.state.status not in UNSETTLED:
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
    """What a due message needs: to lapse, a look for its card, its next attempt, another channel, or a question to
    the provider."""
    state = Message.model_validate(document["state"])
    if state.status in OPEN and post.domain_now() >= state.useful_until:
        settle(post, await _step(post, id, Lapse(TOO_LATE), "lapse", 1))
    elif state.waits_for_relay:
        if post.domain_now() >= state.useful_until:
            nobody_did = message.Receipt(False, NOT_PASSED_ON, at=machine_now())
            settle(post, await _step(post, id, nobody_did, NOT_PASSED_ON, 1))
    elif state.held_until is not None and state.reason == DIGEST:
        await _digest(post, id, state)
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
    elif state.passing_on:
        await _pass_on(post, id, state)


async def _attempt(post: Post, id: str, state: Message) -> None:
    """The next attempt: claimed before the provider is called."""
    known = await post.recipients.look(state.plan)
    if isinstance(known, NotYet):
        # A card that was there when it was rendered: the replica is being read anew. It waits for it once more.
        log.info("a message waits for a card", extra={"id": id, "card": known.card.partition(":")[0]})
        await _postpone(post, id, state, CARD_AWAITED, _rest(post, state.looks + 3))
        return
    if (never := _needless_or_unwanted(state, known)) is not None:
        settle(post, await _step(post, id, Lapse(never), "lapse", 1))
        return
    if state.channel in known.marked:
        failed = message.Fail(NUMBER_MARKED, machine_now())
        settle(post, await _step(post, id, failed, "fail", state.attempt))
        return
    if state.channel == "sms" and post.stops.reason_of(state.template, state.language) is not None:
        await _hold_for_template(post, id, state)
        return
    if (needless := await _needless(post, state)) is not None:
        settle(post, await _step(post, id, Lapse(needless), "lapse", 1))
        return
    if await _paused(post, state):
        await _hold_for_campaign(post, id, state)
        return
    outcome = await _claim(post, id, state)
    settle(post, outcome)
    if not outcome.repeated and any(isinstance(event, SendAttempted) for event in outcome.events):
        await post.sending.send(id, outcome.state, known.addresses[state.channel])


def _needless_or_unwanted(state: Message, known: Known) -> str | None:
    """Why it is not sent any more, by what is known of its recipient now."""
    if known.gone:
        return known.gone
    if known.deceased:
        return RECIPIENT_DECEASED
    if state.channel not in known.addresses:
        return NO_ADDRESS
    return OPTED_OUT if state.channel in known.refused else None


async def _claim(post: Post, id: str, state: Message) -> Outcome[Message]:
    """What is sent again although it may have been sent takes one more place of its person's day."""

    async def claim(slot: str | None) -> Outcome[Message]:
        now = machine_now()
        lease_until = post.sending.lease_until(state.channel, now)
        return await _step(post, id, message.Claim(now, lease_until, slot), "claim", state.attempt + 1)

    if state.reason != MAY_REPEAT or not has_ceiling(state.recipient, state.channel):
        return await claim(None)
    outcome = await in_slot(post, state.recipient, state.channel, claim)
    return outcome or await _step(post, id, message.GiveUp(), "give-up", state.attempt)


async def _hold_for_template(post: Post, id: str, state: Message) -> None:
    await _step(post, id, message.Stopped(state.attempt, TEMPLATE_STOPPED), "hold", state.attempt, _cycle(state))


async def _hold_for_campaign(post: Post, id: str, state: Message) -> None:
    outcome = await _step(post, id, message.Hold(CAMPAIGN_PAUSED), "hold", state.attempt, _cycle(state))
    settle(post, outcome)
    # Once more: it may have been resumed between the look and the writing, and then nobody would release it.
    if not await _paused(post, state):
        await release(post, id, outcome.state)


async def release(post: Post, id: str, state: Message) -> None:
    """What a paused campaign held goes out, by day: the pause may have carried it into the night."""
    now, quiet = machine_now(), quiet_until(post, state.plan, state.channel)
    at = now + (quiet - post.domain_now() if quiet else _rest(post, 1))
    await _step(post, id, message.Release(CAMPAIGN_PAUSED, at), "release", state.attempt, int(now.timestamp() * 1000))


def _cycle(state: Message) -> int:
    """Which of its looks this is."""
    return int((state.retry_at or state.held_until or machine_now()).timestamp() * 1000)


async def _pass_on(post: Post, id: str, state: Message) -> None:
    """Another channel of the ladder, the next one that works, then the note that it was tried."""
    plan, to = state.plan, ""
    known = await post.recipients.look(plan)
    if isinstance(known, Known) and post.domain_now() < state.useful_until and not state.erased:
        to = next((channel for channel in state.after(state.channel) if known.usable(channel)), "")
        if to:
            channel: Channel = next(one for one in plan.channels if one == to)
            await create(post, plan, channel, said_through(post, plan, channel, known), _cause_of(state), known)
    reached = bool(to) or await store.told_otherwise(post.database, plan, state.channel)
    await _step(post, id, message.PassOn(to, reached), "pass-on", 1)


async def _digest(post: Post, id: str, state: Message) -> None:
    """Everything that goes to one recipient at this time goes in one message; one alone goes as it is."""
    together = await store.held_for_digest(post.database, state)
    known = await post.recipients.look(state.plan)
    if len(together) < 2 or isinstance(known, NotYet):
        await _attempt(post, id, state)
        return
    if _needless_or_unwanted(state, known) is not None:
        await _attempt(post, id, state)
        return
    held_until = state.held_until or post.domain_now()
    plan = state.plan.model_copy(
        update={
            "event": derive("digest", state.recipient, state.channel, held_until.isoformat()),
            "event_type": DIGEST,
            "template": DIGEST,
            "variables": (),
            "occurred_at": held_until,
            "useful_until": max(other.useful_until for _, other in together),
            "case": "",
            "patient": "",
            "ladders": (),
        }
    )
    rendered = post.wording.render(DIGEST, known.languages[0], {}, limit=None)
    text = "\n\n".join([rendered.text, *(f"- {other.text}" for _, other in together)])
    size, now = count(text), machine_now()
    command = Render(
        plan,
        state.channel,
        language=rendered.language,
        text=text,
        subject=rendered.subject,
        encoding=size.encoding,
        segments=size.segments,
        at=now,
        version=rendered.version,
        members=tuple(other_id for other_id, _ in together),
    )
    cause = Cause(plan.event, SERVICE, held_until)
    outcome = await create(post, plan, state.channel, command, cause, known)
    # Only what stands in it: what was rendered since goes with the next.
    for member in outcome.state.members:
        settle(post, await _step(post, member, message.Digest(outcome.id), "digest", 1))
    if id not in outcome.state.members:
        await _attempt(post, id, state)


async def _postpone(post: Post, id: str, state: Message, reason: str, rest: dt.timedelta) -> None:
    """Not now, and nothing was sent: looked at again after `rest`."""
    await _step(post, id, message.Postpone(reason, machine_now() + rest), "postpone", state.attempt, _cycle(state))


async def _needless(post: Post, state: Message) -> str | None:
    """Why it need not go out any more: its campaign was stopped; or it was held back, or could not be sent for long,
    and has been overtaken by news of the same case."""
    if state.event_type == CAMPAIGN and await store.campaign_status(post.database, state.case) == "stopped":
        return CAMPAIGN_STOPPED
    late = state.held_until is not None or CATCHING_UP in state.because
    delayed = (late or state.attempt >= SUPERSEDED_FROM_ATTEMPT) and state.event_type != DIGEST and bool(state.case)
    return SUPERSEDED if delayed and await store.newer_of_case(post.database, state) else None


async def _paused(post: Post, state: Message) -> bool:
    return state.event_type == CAMPAIGN and await store.campaign_status(post.database, state.case) == "paused"


async def withdraw(post: Post, id: str, reason: str) -> None:
    """It is not to be told any more; what is at a provider cannot be called back."""
    settle(post, await _step(post, id, Lapse(reason), "withdraw", 1))


async def cards_came(post: Post, kind: str, keys: list[str]) -> None:
    """Goes on with what waits for these cards."""
    if not await store.any_waiting(post.database):
        return
    found = await gathered(*(store.waiting_for(post.database, f"{kind}:{key}") for key in keys), at_once=store.AT_ONCE)
    await gathered(*(complete(post, id, reschedule=False) for ids in found for id in ids), at_once=store.AT_ONCE)


async def forget(post: Post, recipient: str) -> None:
    """Erases every text told to a recipient who was erased; what waits or is queued lapses."""
    async for document in store.told(post.database, recipient):
        id, state = document["_id"], Message.model_validate(document["state"])
        if state.status in OPEN:
            settle(post, await _step(post, id, Lapse(message.RECIPIENT_ERASED), "lapse-erased", 1))
        if state.text or state.subject:
            cause = timer_cause("erase", 1, 0, aggregate=id, service=SERVICE, now=post.clock.now())
            await post.journal.erase(MESSAGE, id, MessageErased(**state.facts), cause, SYSTEM)
    kind, _, key = recipient.partition(":")
    for relative in await post.people.family_only_of(key) if kind == "patient" else ():
        cause = timer_cause("erase", 1, 0, aggregate=relative, service=SERVICE, now=post.clock.now())
        await post.journal.erase(PERSON, relative, PersonErased(), cause, SYSTEM)
        await forget(post, f"person:{relative}")


async def state_preference(
    post: Post, recipient: str, command: preference.Command, cause: Cause, access: Access
) -> Outcome[preference.Preferences]:
    """A person's choice, heeded from now on: what is already at a provider cannot be called back."""
    return await post.journal.append(
        PREFERENCES, recipient, lambda state: preference.decide(state, command), cause, access
    )
