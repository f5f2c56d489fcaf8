"""A patient has died: what is still on its way to their number, or to family or ASHA about them, is withdrawn, and
nothing more is sent there. Of a death nobody hears from a phone.

Which events say so is data (`deaths` in routing.yaml). A referral that was made in error said nothing.
"""

from __future__ import annotations

import contextlib

from libs.common.access import SYSTEM
from libs.common.journal import NotFound
from libs.common.records import Received
from libs.contracts.referral import ReferralEvent
from services.notifications import store, usecases
from services.notifications.domain import preference
from services.notifications.domain.message import OPEN, PATIENT_DECEASED, RECIPIENT_DECEASED, Message
from services.notifications.domain.routing import LEAD
from services.notifications.post import Post

KIN = frozenset({"family", "asha"})
"""Those of our own people who are told about a patient because of who they are to them; staff go on."""


async def heard(post: Post, received: Received) -> None:
    """First the fact, so that nothing new goes out, then what waits."""
    event = received.event
    if not isinstance(event, ReferralEvent):
        return
    recipient, case = f"patient:{event.patient}", received.key
    command: preference.Command
    if post.routing.says_death(event):
        command = preference.NoteDeath(recipient, case)
    elif received.type in post.routing.deaths_withdrawn:
        command = preference.WithdrawDeath(recipient, case)
    else:
        return
    cause = received.cause().derive("death", case)
    if isinstance(command, preference.WithdrawDeath):
        # Of most nothing was ever said, and there is nothing to take back.
        with contextlib.suppress(NotFound):
            await usecases.state_preference(post, recipient, command, cause, SYSTEM)
        return
    await usecases.state_preference(post, recipient, command, cause, SYSTEM)
    await _withdraw(post, event.patient, case)


async def _withdraw(post: Post, patient: str, case: str) -> None:
    cases = {case}
    for record in await post.recipients.same_person(patient):
        async for document in store.told(post.database, f"patient:{record}"):
            state = Message.model_validate(document["state"])
            cases.add(state.case)
            if _on_its_way(state):
                await usecases.withdraw(post, document["_id"], RECIPIENT_DECEASED)
    for each in sorted(cases - {""}):
        async for id, state in store.of_case(post.database, each):
            kind, _, key = state.recipient.partition(":")
            person = await post.people.get(key) if kind == "person" and _on_its_way(state) else None
            if person is not None and person.kind in KIN:
                await usecases.withdraw(post, id, PATIENT_DECEASED)


def _on_its_way(state: Message) -> bool:
    return state.channel != LEAD and (state.status in OPEN or state.waits_for_relay)
