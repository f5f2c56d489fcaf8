"""What goes out through one channel: its words, when, and whether at all. Nothing is written here."""

from __future__ import annotations

import datetime as dt

from libs.common.clock import machine_now
from libs.contracts.notifications import Channel
from services.notifications.domain import dlt
from services.notifications.domain.message import (
    CATCHING_UP,
    DIGEST,
    NO_ADDRESS,
    NUMBER_MARKED,
    OPTED_OUT,
    QUIET_HOURS,
    RECIPIENT_DECEASED,
    TEMPLATE_MISMATCH,
    TEMPLATE_STOPPED,
    Plan,
    Render,
    Settle,
)
from services.notifications.domain.routing import LEAD
from services.notifications.domain.segments import count
from services.notifications.domain.template import Rendered
from services.notifications.domain.timing import next_at
from services.notifications.post import Post
from services.notifications.standing import name_for
from services.notifications.store import Known


def said_through(post: Post, plan: Plan, channel: Channel, known: Known) -> Render | Settle:
    """What goes out through one channel."""
    if known.gone:
        return Settle(plan, channel, "lapsed", known.gone)
    if channel not in known.addresses:
        return Settle(plan, channel, "failed", NO_ADDRESS)
    if known.deceased and channel != LEAD:
        return Settle(plan, channel, "lapsed", RECIPIENT_DECEASED)
    if channel in known.refused:
        return Settle(plan, channel, "lapsed", OPTED_OUT)
    if channel in known.marked:
        return Settle(plan, channel, "failed", NUMBER_MARKED)
    rendered, because = _worded(post, plan, channel, known)
    if channel != "sms" and post.stops.reason_of(name_for(channel, plan.template), rendered.language) is not None:
        return Settle(plan, channel, "failed", TEMPLATE_STOPPED)
    if channel == "sms" and not dlt.keeps_to(
        _approved(post, plan, rendered), rendered.text, post.registration.variable_limit
    ):
        return Settle(plan, channel, "failed", TEMPLATE_MISMATCH)
    size = count(rendered.text)
    now = machine_now()
    outside = channel != LEAD
    leads = channel == plan.channels[0]
    hold_until, hold_reason = _held(post, plan, channel, rendered.language, known)
    at = now
    if outside and hold_until is None and _catches_up(post, plan):
        at += dt.timedelta(seconds=post.settings.catch_up_seconds * (1 + post.chance()))
        because = (*because, CATCHING_UP)
    claimed = outside and hold_until is None and at <= now and post.sending.has_room()
    return Render(
        plan,
        channel,
        language=rendered.language,
        text=rendered.text,
        subject=rendered.subject if channel in ("email", "apprise") else "",
        encoding=size.encoding,
        segments=size.segments,
        also=tuple(other for other in usable(plan, known) if other != channel) if leads else (),
        at=at,
        lease_until=post.sending.lease_until(channel, now) if claimed else None,
        sent=not outside,
        hold_until=hold_until,
        hold_reason=hold_reason,
        version=rendered.version,
        because=because,
        values=rendered.values if channel == "whatsapp" else (),
        via=known.addresses[channel] if channel == "relay" else "",
    )


def _worded(post: Post, plan: Plan, channel: Channel, known: Known) -> tuple[Rendered, tuple[str, ...]]:
    """The text, and why it is in this language where that is not the first that the person reads."""
    if channel == "sms":
        return post.wording.say(
            plan.template,
            known.languages,
            known.values,
            limit=post.registration.variable_limit,
            budget=post.routing.segment_budget,
        )
    language = post.wording.candidates(plan.template, known.languages)[0]
    because = ("language-stand-in",) if known.languages and language != known.languages[0] else ()
    return post.wording.said_in(language, plan.template, known.values, limit=None), because


def usable(plan: Plan, known: Known) -> tuple[Channel, ...]:
    """The channels that are used, in order: of a ladder one only."""
    left_out: set[Channel] = set()
    for ladder in plan.ladders:
        there = [channel for channel in ladder if channel in known.addresses]
        best = next((channel for channel in there if known.usable(channel)), there[0] if there else None)
        left_out |= set(ladder) - {best}
    return tuple(channel for channel in plan.channels if channel in known.addresses and channel not in left_out)


def _held(post: Post, plan: Plan, channel: Channel, language: str, known: Known) -> tuple[dt.datetime | None, str]:
    """Until when it is held back, and why: its template, the night, or the digest that its recipient asked for."""
    now = post.domain_now()
    if channel == "sms" and post.stops.reason_of(plan.template, language) is not None:
        return plan.useful_until, TEMPLATE_STOPPED
    if (quiet := quiet_until(post, plan, channel)) is not None:
        return quiet, QUIET_HOURS
    wanted_at = known.preferences.digest_of(channel) if known.preferences else None
    if wanted_at is not None and plan.urgency == "routine" and plan.template != DIGEST:
        return next_at(wanted_at, now), DIGEST
    return None, QUIET_HOURS


def quiet_until(post: Post, plan: Plan, channel: Channel) -> dt.datetime | None:
    """When what must not wake anybody may go out; None if that is now."""
    if channel not in ("sms", "whatsapp"):
        return None
    now, own = post.domain_now(), post.routing.own.get(plan.template)
    if own is not None and own.promotional and (quiet := post.routing.promotional_quiet_hours.ends_at(now)):
        return quiet
    waits = plan.when == "daytime" and plan.override is None and plan.urgency == "routine"
    return post.routing.quiet_hours.ends_at(now) if waits else None


def _catches_up(post: Post, plan: Plan) -> bool:
    """Whether it comes so late that newer news of its case is likely on its way: a link was down for long."""
    return post.domain_now() - plan.occurred_at >= dt.timedelta(hours=post.settings.catch_up_after_hours)


def _approved(post: Post, plan: Plan, rendered: Rendered) -> str:
    """The text as it is registered, with its placeholders."""
    return post.wording.languages[rendered.language].templates[plan.template].text
