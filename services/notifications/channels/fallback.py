"""The providers of one channel, in order: the next one only where the one before surely has not taken it.

What one may have taken is never given to another: it is asked for first, and of all of them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Provider, Standing, Stopped, Taken
from services.notifications.domain.circuit import Circuit, Limits


class Fallback:
    """`providers` by name, the preferred one first. A bad one rests, and is tried by one call when its rest is over."""

    def __init__(
        self,
        channel: Channel,
        providers: Mapping[str, Provider],
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        saw: Callable[[str, str], None] = lambda name, standing: None,
    ) -> None:
        if not providers or any(provider.channel != channel for provider in providers.values()):
            raise ValueError(f"each provider must be of {channel}")
        self.channel = channel
        self.seconds = sum(provider.seconds for provider in providers.values())
        self.can_be_asked = any(provider.can_be_asked for provider in providers.values())
        self._providers = dict(providers)
        self._circuits = {name: Circuit(limits or Limits()) for name in providers}
        self._clock = clock
        self._saw = saw

    async def send(self, message: Outgoing) -> Answer:
        answer: Answer = NotTaken("all-resting")
        for name, provider in self._providers.items():
            circuit, started = self._circuits[name], self._clock()
            if not circuit.lets_through(started, provider.seconds):
                continue
            answer = await provider.send(message)
            now = self._clock()
            # A refusal of this one message says nothing against the provider.
            circuit.note(now, now - started, ok=isinstance(answer, Taken | Never | Stopped))
            self._saw(name, circuit.standing(now))
            if isinstance(answer, Taken) and not answer.provider:
                return dataclasses.replace(answer, provider=name)
            if not isinstance(answer, NotTaken):
                return answer
        return answer

    async def standing(self, reference: str) -> Standing:
        """`accepted` if one has it; `not-known` only if every one says so."""
        known: Standing = "not-known"
        for provider in self._providers.values():
            match await provider.standing(reference) if provider.can_be_asked else "no-answer":
                case "accepted":
                    return "accepted"
                case "no-answer":
                    known = "no-answer"
        return known

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()
