"""Timer of a share: one attempt at a time to acknowledge it to the gateway, claimed before it is sent."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from libs.common.access import SYSTEM
from libs.common.cause import timer_cause
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.journal import Journal
from libs.common.logs import logger
from libs.common.mongo import Document
from services.registration.abdm import Gateway, GatewayRefused, GatewaySilent
from services.registration.aggregates import SHARE
from services.registration.domain import share as shares
from services.registration.domain.share import Share

log = logger("on-share")

WITHIN_LEASE = shares.LEASE.total_seconds() - 3
"""An attempt ends, session token and all, before its lease does."""


def on_share_body(state: Share, validity: dt.timedelta) -> dict[str, Any]:
    """The acknowledgement, or the error where the person has been erased since; never both. `expiry` in seconds.

    `validity` is for shares of before queues had their own. NHA's specification of 2023 has the token flat.
    """
    response = {"requestId": state.request_id}
    if not state.abha_address:
        error = {"code": "ABDM-1010", "message": "patient not found"}
        return {"error": error, "response": response}
    valid = state.valid_seconds or int(validity.total_seconds())
    token = {"context": state.counter, "tokenNumber": str(state.number), "expiry": str(valid)}
    if state.shape == "2023":
        flat = {"status": "SUCCESS", "abhaAddress": state.abha_address, "tokenNumber": str(state.number)}
        return {"acknowledgement": flat, "response": response}
    return {
        "acknowledgement": {"status": "SUCCESS", "abhaAddress": state.abha_address, "profile": token},
        "response": response,
    }


class Acknowledging:
    """Attempts until the gateway has taken it, or until it is of no use to anybody."""

    def __init__(self, journal: Journal, gateway: Gateway, validity: dt.timedelta, registry: CollectorRegistry) -> None:
        self._journal = journal
        self._gateway = gateway
        self._validity = validity
        self._outcomes = Counter(
            "hillhealth_registration_on_share_total",
            "Scan & Share acknowledgements: acknowledged, late, attempt_failed, attempt_silent, given_up",
            ["outcome"],
            registry=registry,
        )

    async def step(self, id: str, document: Document) -> None:
        state = Share.model_validate(document["state"])
        if shares.spent(state, machine_now()):
            await self._give_up(id, state)
            return
        number = state.attempts + 1
        if not await self._decided(id, "attempt", number, shares.Attempt(number)):
            return
        try:
            # The same REQUEST-ID at every attempt, so that the gateway can tell a repeat.
            async with asyncio.timeout(WITHIN_LEASE):
                await self._gateway.on_share(derive(id, "on-share"), on_share_body(state, self._validity))
        except (GatewaySilent, TimeoutError):
            # It may have been taken: nobody tries again before the lease is over.
            self._outcomes.labels("attempt_silent").inc()
            log.warning("on-share unanswered", extra={"share": id, "attempt": number})
            return
        except GatewayRefused as refusal:
            self._outcomes.labels("attempt_failed").inc()
            said = {"code": refusal.code, "fields": ",".join(refusal.fields)}
            log.warning("on-share refused", extra={"share": id, "attempt": number, **said})
            await self._decided(id, "failed", number, shares.Fail(number, refusal.code))
            return
        await self._decided(id, "acknowledged", number, shares.Acknowledge(number))
        late = machine_now() - state.received_at > shares.SCREEN_WAITS
        self._outcomes.labels("late" if late else "acknowledged").inc()

    async def _give_up(self, id: str, state: Share) -> None:
        if await self._decided(id, "given-up", state.attempts, shares.GiveUp()):
            self._outcomes.labels("given_up").inc()
            log.error("on-share given up", extra={"share": id, "code": state.last_error})

    async def _decided(self, id: str, clock: str, number: int, command: shares.Command) -> bool:
        """Whether it was this call that decided, and no other scheduler before."""
        now = machine_now()
        outcome = await self._journal.append(
            SHARE,
            id,
            lambda state: shares.decide(state, command, now),
            timer_cause(f"on-share-{clock}", number, 0, aggregate=id, service="registration", now=now),
            SYSTEM,
        )
        return bool(outcome.events) and not outcome.repeated
