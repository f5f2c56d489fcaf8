"""What a person decides about messages: a template is in order again, an unknown outcome is settled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Literal

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.journal import Outcome
from libs.contracts.event import Event
from services.notifications import store
from services.notifications.domain import message
from services.notifications.domain.message import TEMPLATE_STOPPED, Command, Message, Resolve, decide
from services.notifications.post import Post
from services.notifications.store import MESSAGE
from services.notifications.usecases import SERVICE, settle


async def resume(post: Post, template: str, language: str, cause: Cause, access: Access) -> int:
    """A template is in order again: what was held for it goes out. Returns how many messages that are.

    Raises Forbidden, and Refused (`not-stopped`).
    """
    await post.stops.resume(template, language, cause, access)
    released = 0
    async for id, state in store.queued_for(post.database, TEMPLATE_STOPPED):
        if (state.template, state.language) == (template, language):
            at = machine_now() + dt.timedelta(seconds=post.settings.retry_base_seconds * post.chance())
            step = timer_cause("release", state.attempt, 0, aggregate=id, service=SERVICE, now=post.clock.now())
            await post.journal.append(
                MESSAGE,
                id,
                partial(_released, message.Release(TEMPLATE_STOPPED, at), post.domain_now()),
                step.derive(cause.id),
                SYSTEM,
            )
            released += 1
    return released


def _released(command: Command, now: dt.datetime, state: Message | None) -> Sequence[Event]:
    return decide(state, command, now)


async def resolve(
    post: Post, id: str, outcome: Literal["sent", "failed"], cause: Cause, access: Access
) -> Outcome[Message]:
    """A person settles an unknown outcome. Raises NotFound, Forbidden, and Refused (`not-unknown`)."""
    decided = await post.journal.append(
        MESSAGE, id, lambda state: decide(state, Resolve(outcome), post.domain_now()), cause, access
    )
    settle(post, decided)
    return decided
