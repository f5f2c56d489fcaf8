"""How much may reach into one person's day: numbered places, unique in the store, so that no storm passes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.journal import ClaimTaken, Outcome
from libs.contracts.notifications import Channel
from services.notifications import store
from services.notifications.domain.message import Message
from services.notifications.domain.timing import indian_day
from services.notifications.post import Post
from services.notifications.store import OUTSIDE


def has_ceiling(recipient: str, channel: Channel) -> bool:
    """Whether so many may come in one day and no more: whatever reaches into a person's day. Mailboxes of a role take
    all there is, and so does the e-mail of who is on duty in it."""
    kind, _, key = recipient.partition(":")
    return bool(key) and channel in OUTSIDE and kind != "send" and (kind, channel) != ("person", "email")


async def in_slot(
    post: Post, recipient: str, channel: Channel, write: Callable[[str], Awaitable[Outcome[Message]]]
) -> Outcome[Message] | None:
    """Writes with the first place of the person's day and channel that nobody has; None if there is none left."""
    by_channel = "" if channel == "sms" else f"{channel}:"
    day, most = f"{recipient}:{by_channel}{indian_day(post.clock.now())}", post.settings.sms_per_person_and_day
    place: int | None = post.slots.take(day)
    while place is not None:
        if place <= most:
            try:
                outcome = await write(f"{day}:{place}")
            except ClaimTaken:
                pass
            else:
                if outcome.repeated:
                    post.slots.give_back(day, place)
                return outcome
        place = await store.free_place(post.database, recipient, channel, day, most)
        post.slots.saw(day, place or most)
    return None
