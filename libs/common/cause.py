"""Why an aggregate changes: a caller's request, the event that led here, or a timer's step. A cause acts once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from libs.common.ids import derive


@dataclass(frozen=True)
class Cause:
    """`id` is what is looked for in a journal before acting.

    `fingerprint` (requests only) tells a retry from another request under the same key.
    `actor` is `role@facility`, `citizen`, or a service's name. `occurred_at` is when it happened at the desk.
    `key` is the caller's own idempotency key, kept so that support can find a request again.
    """

    id: str
    actor: str
    occurred_at: dt.datetime
    fingerprint: str | None = None
    key: str | None = None
    traceparent: str | None = None

    def derive(self, *parts: str | int) -> Cause:
        """The cause of a further step of the same request, on another aggregate."""
        return dataclasses.replace(self, id=derive(self.id, *parts))

    def new_id(self, kind: str) -> str:
        """The id of an aggregate of this kind that this cause creates."""
        return derive(self.id, kind)


def request_cause(
    caller: str,
    verb: str,
    key: str,
    *,
    fingerprint: str,
    actor: str,
    occurred_at: dt.datetime,
    traceparent: str | None = None,
) -> Cause:
    """Derived from caller, verb and key, so that nobody can read another's answer with a guessed key."""
    return Cause(derive("request", caller, verb, key), actor, occurred_at, fingerprint, key, traceparent)


def timer_cause(clock: str, step: int, cycle: int, *, aggregate: str, service: str, now: dt.datetime) -> Cause:
    """Derived from (clock, step, cycle): two clocks due at one instant do not collide, and a deadline derived anew
    does not fire a step twice."""
    return Cause(derive("timer", aggregate, clock, step, cycle), service, now)
