"""Campaigns: previewed, approved by a second person, told at a pace, stopped at any time, with figures."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from libs.common.access import SYSTEM, Access
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.gathering import gathered
from libs.common.journal import Outcome
from libs.common.mongo import Document
from services.notifications import saying, store, usecases
from services.notifications.domain import campaign
from services.notifications.domain.message import OPEN, Message, Plan, Render
from services.notifications.domain.routing import LEAD, Variable
from services.notifications.domain.timing import indian_day
from services.notifications.people import PERSON
from services.notifications.post import Post
from services.notifications.store import Known

CAMPAIGN = AggregateType(
    name="campaign",
    collection="campaigns",
    state=campaign.Campaign,
    events=campaign.EVENTS,
    evolve=campaign.evolve,
    retry_at=lambda state: state.next_at,
    indexes=(("state.status", "_id"),),
)

READ_AT_ONCE = 500
READ_PER_STEP = 5_000
"""Cards looked at in one step at most: a small place in a large register takes several steps."""


async def _everybody(post: Post, who: campaign.Audience, after: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Id and card of everybody of the register, in the order of ids."""
    patients = who.who == "patients"
    collection = post.database["patients" if patients else PERSON.collection]
    field = "card" if patients else "state"
    while True:
        found = (
            await collection.find({"_id": {"$gt": after}}, {field: 1}).sort("_id", 1).limit(READ_AT_ONCE).to_list(None)
        )
        for document in found:
            after = document["_id"]
            yield after, document.get(field) or {"status": "entered-in-error"}
        if len(found) < READ_AT_ONCE:
            return


def _plan(post: Post, id: str, state: campaign.Campaign, person: str) -> Plan:
    own = post.routing.own[state.template]
    started = state.approved_at or post.clock.now()
    kind = "patient" if state.audience.who == "patients" else "person"
    return Plan(
        event=id,
        event_type=campaign.CAMPAIGN,
        occurred_at=started,
        recipient=f"{kind}:{person}",
        template=state.template,
        channels=own.flat,
        useful_until=started + dt.timedelta(hours=state.useful_hours),
        variables=tuple(Variable(name=name, form="text", value=value) for name, value in state.variables.items()),
        purpose=own.purpose,
        when=own.when,
        ladders=own.ladders,
        case=id,
    )


async def decide(
    post: Post, id: str, command: campaign.Command, cause: Cause, access: Access
) -> Outcome[campaign.Campaign]:
    """Raises NotFound, Forbidden, and Refused."""
    return await post.journal.append(CAMPAIGN, id, lambda state: campaign.decide(state, command), cause, access)


async def _hear(post: Post, id: str, state: campaign.Campaign, since: dt.datetime) -> None:
    """So many of its messages at a time: what a pause held goes out, or what waits is withdrawn."""
    found: list[tuple[str, Message]] = []
    stopped, more = state.status == "stopped", False
    async for one, message in store.of_case(post.database, id):
        waits = message.status in OPEN and message.channel != LEAD
        if waits and (stopped or message.reason == campaign.CAMPAIGN_PAUSED):
            if more := len(found) == store.AT_A_TIME:
                break
            found.append((one, message))
    if stopped:
        jobs = [usecases.withdraw(post, one, campaign.CAMPAIGN_STOPPED) for one, _ in found]
    else:
        jobs = [usecases.release(post, one, message) for one, message in found]
    await gathered(*jobs, at_once=store.AT_ONCE)
    cycle = int(since.timestamp() * 1000)
    cause = timer_cause("heard", 1, cycle, aggregate=id, service=usecases.SERVICE, now=post.clock.now())
    await decide(post, id, campaign.Hear(since, more, machine_now()), cause, SYSTEM)


async def reach(post: Post, id: str, state: campaign.Campaign) -> campaign.Reach:
    """Whom it would reach today: what each would be sent is rendered, and nothing is written."""
    languages: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    people = segments = 0
    today = indian_day(post.domain_now())
    async for person, card in _everybody(post, state.audience, ""):
        if not state.audience.fits(card, today):
            continue
        plan = _plan(post, id, state, person)
        known = await post.recipients.look(plan)
        if not isinstance(known, Known) or known.gone:
            continue
        people += 1
        for channel in saying.usable(plan, known):
            said = saying.said_through(post, plan, channel, known)
            if isinstance(said, Render):
                channels[channel] += 1
                if channel == "sms":
                    segments += said.segments
                if channel == plan.channels[0]:
                    languages[said.language] += 1
    return campaign.Reach(
        people=people,
        by_language=dict(languages),
        by_channel=dict(channels),
        segments=segments,
        paise=segments * post.registration.paise_per_segment,
    )


async def step(post: Post, id: str, document: Document) -> None:
    """A tenth of a minute's people; who is told twice after a crash is told once, by the message's own id."""
    state = campaign.Campaign.model_validate(document["state"])
    if state.next_at is None or state.next_at > machine_now():
        return
    if state.unheard:
        await _hear(post, id, state, state.next_at)
    if state.unheard or state.status != "running":
        return
    due = max(1, round(state.per_minute * campaign.STEP_SECONDS / 60))
    pause = due * 60 / state.per_minute
    today = indian_day(post.domain_now())
    told = looked_at = 0
    cursor, over = state.cursor, True
    async for person, card in _everybody(post, state.audience, state.cursor):
        if told >= due or looked_at >= READ_PER_STEP:
            over = False
            break
        looked_at += 1
        if state.audience.fits(card, today):
            plan = _plan(post, id, state, person)
            await usecases.tell(post, plan, Cause(plan.event, usecases.SERVICE, plan.occurred_at))
            told += 1
        cursor = person
    next_at = machine_now() + dt.timedelta(seconds=pause)
    command = campaign.Advance(told, cursor, next_at, over)
    cycle = int(state.next_at.timestamp() * 1000)
    cause = timer_cause("advance", state.told, cycle, aggregate=id, service=usecases.SERVICE, now=post.clock.now())
    await decide(post, id, command, cause, SYSTEM)


async def figures(post: Post, id: str) -> dict[str, Any]:
    """What became of its messages, by channel: counted, never named."""
    by_channel: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    people: set[str] = set()
    delivered = segments = 0
    async for _, message in store.of_case(post.database, id):
        people.add(message.recipient)
        by_channel.setdefault(message.channel, Counter())[message.status] += 1
        delivered += message.delivery == "delivered"
        if message.channel == "sms" and message.status == "sent":
            segments += message.segments
        if message.reason and message.status in ("failed", "lapsed"):
            reasons[message.reason] += 1
    return {
        "people": len(people),
        "by_channel": {channel: dict(counts) for channel, counts in sorted(by_channel.items())},
        "reasons": dict(reasons),
        "delivered": delivered,
        "segments": segments,
        "paise": segments * post.registration.paise_per_segment,
    }
