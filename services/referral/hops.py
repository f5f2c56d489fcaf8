"""The next referral of a chain: asked for in the journal of the one before, opened from there, once."""

from __future__ import annotations

import dataclasses

from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import Clock
from libs.common.ids import derive
from libs.common.journal import Journal
from libs.common.mongo import Database
from services.referral import outside, store
from services.referral.domain import facility
from services.referral.domain.chain import Hop
from services.referral.domain.commands import By, Elsewhere, Redirect, Request, Void
from services.referral.domain.events import HopAsked, HopOpened
from services.referral.domain.referral import Referral, decide
from services.referral.patients import Patients, Withdrawn
from services.referral.store import REFERRAL


async def prepared(
    journal: Journal, database: Database, patients: Patients, clock: Clock, command: Elsewhere, cause: Cause
) -> Elsewhere:
    """The command with the id that the next referral will have, and what is known of its place, service and person."""
    next_id = cause.derive("hop").new_id("referral")
    if isinstance(command, Void):
        withdrawn = command.patient is not None and isinstance(await patients.get(command.patient), Withdrawn)
        return dataclasses.replace(command, next=next_id, withdrawn=withdrawn)
    if command.outside is not None:
        await outside.list_place(journal, clock, command.outside)
    card = await store.facility_card(database, command.to)
    listed = card is not None and card.level != facility.OFFICE
    if isinstance(command, Redirect):
        return dataclasses.replace(command, next=next_id, listed=listed)
    offered = command.outside is not None or await store.is_offered(database, command.service)
    return dataclasses.replace(command, next=next_id, listed=listed, offered=offered)


def request_of(id: str, state: Referral) -> Request:
    """What the next referral asks, from what the one before (`id`) wrote down."""
    asked = state.opening
    assert asked is not None
    other = asked.why == "right-patient"
    hop = Hop(
        chain=state.chain or id,
        number=state.hop if other else state.hop + 1,
        previous=id,
        why=asked.why,
        began_at=asked.chain_began_at,
        due=asked.chain_due,
        escalated=asked.chain_escalated,
    )
    return Request(
        asked.patient,
        asked.destination,
        asked.service,
        asked.urgency,
        asked.reason,
        asked.findings,
        past_reason=state.past_reason if asked.why != "onward" else None,
        outside=asked.outside,
        hop=hop,
    )


async def open_next(journal: Journal, clock: Clock, id: str, asked: HopAsked, request: Request) -> None:
    """Two appends, each once: a crash between them, or a second process, changes nothing."""
    by = By("doctor", asked.origin)
    cause = Cause(derive("hop", asked.next), f"doctor@{asked.origin}", clock.now())
    await journal.create(REFERRAL, asked.next, lambda state: decide(state, request, by, clock.now()), cause, SYSTEM)
    opened = HopOpened(next=asked.next, at=clock.now())
    await journal.append(
        REFERRAL,
        id,
        lambda state: [opened] if state is not None and state.opening is not None else [],
        cause.derive("opened"),
        SYSTEM,
    )
