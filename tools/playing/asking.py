"""From a line of the day to the HTTP request that a desk, a doctor, a citizen or the ABDM gateway would send."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from deploy.local.issuer import Abdm, Issuer
from tools.playing.day import Line

ANONYMOUS = "citizen:anonymous"


class NotSent(Exception):
    """What this line acts on was never created, because an earlier line failed."""


@dataclass
class Known:
    """What earlier answers told: by label, the `id` (and a grievance's `ticket` and `secret`)."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)

    def id(self, label: str) -> str:
        """Raises NotSent."""
        return str(self._thing(label)["id"])

    def _thing(self, label: str) -> dict[str, Any]:
        if label not in self.things:
            raise NotSent(f"not sent: {label} was not created")
        return self.things[label]

    def ticket(self, label: str) -> tuple[str, str]:
        """Ticket and secret of a grievance. Raises NotSent."""
        thing = self._thing(label)
        if "ticket" not in thing or "secret" not in thing:
            raise NotSent(f"not sent: the answer that filed {label} had no ticket and secret")
        return str(thing["ticket"]), str(thing["secret"])

    def learn(self, line: Line, answer: Any) -> None:
        """From the first good answer of a line with a label."""
        if line.label is None or line.label in self.things or not isinstance(answer, dict):
            return
        identity = answer.get("patient" if line.verb == "opd.share" else "id")
        if identity is not None:
            self.things[line.label] = {**answer, "id": identity}


@dataclass(frozen=True)
class Asked:
    """One POST. `path` begins with a slash; `subject` is whose token it carries, empty for nobody's."""

    service: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    subject: str


class Tokens:
    """Bearer tokens, minted once per person and place."""

    def __init__(self, issuer: Issuer, abdm: Abdm) -> None:
        self.of = lru_cache(maxsize=None)(
            lambda role, facility, subject, patient: issuer.token(
                role=role, facility=facility, subject=subject, patient=patient
            )
        )
        self.gateway = lru_cache(maxsize=1)(lambda: abdm.token(minutes=12 * 60))


def ask(line: Line, known: Known, tokens: Tokens) -> Asked:
    """Raises NotSent."""
    if line.verb == "opd.share":
        return _share(line, tokens)
    service, path, body = _target(line, known)
    headers = {"Idempotency-Key": line.key, "Date": format_datetime(line.at.astimezone(dt.UTC), usegmt=True)}
    if line.occurred_at is not None:
        body = {**body, "occurred_at": line.occurred_at.isoformat()}
    subject = line.actor.id
    if line.actor.role != "citizen":
        token = tokens.of(line.actor.role, line.actor.facility, subject, None)
    elif subject == ANONYMOUS:
        if line.verb != "grievance.file":
            ticket, headers["X-Tracking-Secret"] = known.ticket(str(line.on))
            path = f"/tracking/{ticket}/{_move(line)}"
        return Asked(service, path, headers, body, "")
    else:
        person = subject.removeprefix("citizen:")
        token = tokens.of("citizen", "", subject, known.id(person) if person in known.things else None)
    return Asked(service, path, headers | {"Authorization": f"Bearer {token}"}, body, subject)


def _share(line: Line, tokens: Tokens) -> Asked:
    """The body goes as it stands: the gateway's own, without `occurred_at`."""
    sent = line.at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {
        "Authorization": f"Bearer {tokens.gateway()}",
        "REQUEST-ID": line.key,
        "TIMESTAMP": sent,
        "X-HIP-ID": str(line.body.get("metaData", {}).get("hipId", "")),
    }
    return Asked("registration", "/api/v3/hip/patient/share", headers, line.body, "abdm-gateway")


def _target(line: Line, known: Known) -> tuple[str, str, dict[str, Any]]:
    on = line.on
    if line.verb == "patient.register":
        return "registration", "/patients", line.body
    if line.verb == "opd.token":
        return "registration", "/visits", {"patient": known.id(str(on)), **line.body}
    if line.verb == "referral.request":
        return "referral", "/referrals", {"patient": known.id(str(on)), **line.body}
    if line.verb == "grievance.file":
        return "grievance", "/grievances", line.body if on is None else {**line.body, "patient": known.id(on)}
    kind = line.verb.partition(".")[0]
    if kind == "grievance" and line.actor.id == ANONYMOUS:
        return kind, "", line.body
    return kind, f"/{kind}s/{known.id(str(on))}/{_move(line)}", line.body


def _move(line: Line) -> str:
    return line.verb.partition(".")[2]
