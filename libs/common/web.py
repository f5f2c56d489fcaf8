"""What a route is given: a verified caller under the route's rule, and for writes the request as a cause."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from libs.common import tracing
from libs.common.aadhaar import COULD_BE, contains_aadhaar
from libs.common.access import ANONYMOUS, Access, Caller, Forbidden
from libs.common.cause import Cause, request_cause
from libs.common.clock import machine_now
from libs.common.read_log import PURPOSES
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated
from libs.contracts.event import EARLIEST, LATEST, Instant

if TYPE_CHECKING:
    from libs.common.service import Service

AHEAD = dt.timedelta(minutes=5)
"""How far after its own time of sending a request may claim that something happened."""

BEHIND = dt.timedelta(days=3653)
"""How long before it: no link is down for ten years."""

LONGEST_KEY = 255
_AS_ON_THE_CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}", re.ASCII)


class Body(BaseModel):
    """A request's body. `occurred_at` is when it happened at the desk, if that was earlier than the sending."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    occurred_at: Instant | None = None


@dataclass(frozen=True)
class Write:
    """A write: why (`cause`), and who under which rule (`access`). `sent` is the request's own time of sending."""

    cause: Cause
    access: Access
    sent: dt.datetime

    @property
    def caller(self) -> Caller:
        return self.access.caller


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def route_of(request: Request) -> str:
    """`POST /referrals/{id}/accept`: the key of the access table and the label of the metrics."""
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', '')}"


def bearer_of(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Authorization must be a bearer token")
    return token.strip()


async def authorise(request: Request) -> None:
    """Runs before every route of every service: deny by default. Raises Unauthenticated, Forbidden."""
    service = service_of(request)
    route = route_of(request)
    rule = service.access.get(route)
    if rule is None:
        raise Forbidden("no rule allows this")
    purpose = request.headers.get("x-purpose", "CAREMGT")
    if purpose not in PURPOSES:
        raise Refused("purpose-unknown", f"must be one of {', '.join(sorted(PURPOSES))}", field="X-Purpose")
    caller, address = ANONYMOUS, request.client.host if request.client else ""
    if not rule.public:
        try:
            token = bearer_of(request)
            if token is not None:
                caller = await service.caller(token)
        except Unauthenticated:
            await service.rates.refused(address)
            raise
        if token is None and "anonymous" not in rule.roles:
            raise Unauthenticated("a bearer token is needed")
        if caller.role not in rule.roles:
            raise Forbidden(f"needs the role {' or '.join(sorted(rule.roles - {'anonymous'}))}")
        if rule.at and caller.role != "citizen" and not caller.facility:
            raise Forbidden("your token names no facility")
    await service.rates.check(caller, address)
    request.state.access = Access(caller, rule, route, purpose)


def reading(request: Request) -> Access:
    access: Access = request.state.access
    return access


def time_of_sending(request: Request) -> dt.datetime:
    """The Date header (RFC 9110); the machine's clock where there is none. Raises Refused naming it."""
    header = request.headers.get("date")
    if header is None:
        return machine_now()
    try:
        sent = parsedate_to_datetime(header)
        sent = (sent if sent.tzinfo else sent.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        if EARLIEST <= sent < LATEST:
            return sent
    except (ValueError, OverflowError):
        pass
    raise Refused("date-invalid", "must be an RFC 9110 date", field="Date")


def check_occurred(occurred: dt.datetime, sent: dt.datetime) -> None:
    if occurred > sent + AHEAD:
        raise Refused(
            "occurred-after-sending", "must not be more than 5 minutes after the time of sending", field="occurred_at"
        )
    if occurred < sent - BEHIND:
        raise Refused("occurred-too-long-ago", "must not be more than ten years ago", field="occurred_at")


def _instant(stated: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(stated)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Refused("occurred-at-invalid", "must be an ISO 8601 time with offset", field="occurred_at")


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        raise Refused("idempotency-key-missing", "every write needs one", field="Idempotency-Key")
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Refused(
            "idempotency-key-invalid", "must be up to 255 printable ASCII characters", field="Idempotency-Key"
        )
    if _AS_ON_THE_CARD.fullmatch(key) and contains_aadhaar(key):
        # It is written down with what it did. A day and a number of that day are no such thing.
        raise Refused("idempotency-key-invalid", COULD_BE, field="Idempotency-Key")
    return key


def fingerprint_of(verb: str, target: str, body: Any) -> str:
    """Of verb, target and body without `occurred_at` (the first one stands)."""
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name != "occurred_at"}
    text = json.dumps([verb, target, body], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def requested(request: Request) -> Write:
    """A write as a cause. Raises Refused naming Idempotency-Key, Date or occurred_at."""
    access = reading(request)
    key, sent = _key(request), time_of_sending(request)
    body: Any = None
    occurred = sent
    if raw := await request.body():
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = hashlib.sha256(raw).hexdigest()
        if isinstance(body, dict) and (stated := body.get("occurred_at")) is not None:
            occurred = _instant(stated)
            check_occurred(occurred, sent)
    service_of(request).clock.saw(sent)
    cause = request_cause(
        f"{access.caller.role}:{access.caller.subject}",
        access.route,
        key,
        fingerprint=fingerprint_of(access.route, request.url.path, body),
        actor=access.caller.actor,
        occurred_at=occurred,
        traceparent=tracing.current(),
    )
    return Write(cause, access, sent)


Reading = Annotated[Access, Depends(reading)]
Requested = Annotated[Write, Depends(requested)]
