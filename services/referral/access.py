"""Who may call what. The rows of the machine follow from its table; see docs/referral-machine.md."""

from __future__ import annotations

from libs.common.access import Table, allow
from services.referral.domain import moves

PARTIES = ("doctor", "desk", "transport", "officer", "nodal-officer")
"""Who works with referrals at either end, and who is told when nobody answers."""

STAFF = (*PARTIES, "operator")
"""Who may look up a facility."""

PLACES = ("origin", "destination", "escalated_at")


_FIRST = {"request": "POST /referrals", "ask": "POST /advice"}


def route(command: str) -> str:
    """The route on which a command of the machine is asked for."""
    return _FIRST.get(command, f"POST /referrals/{{id}}/{command}")


ACCESS: Table = {
    **{route(move.command): allow(move.role, at=move.side) for move in moves.commands()},
    "POST /referrals/check": allow("doctor", reads_person=True),
    "GET /referrals": allow(*PARTIES, at=PLACES),
    "GET /referrals/{id}": allow(*PARTIES, at=PLACES, reads_person=True),
    "GET /referrals/{id}/moves": allow(*PARTIES, at=PLACES),
    "GET /referrals/{id}/history": allow(*PARTIES, at=PLACES),
    "POST /destinations": allow("doctor", "desk", "transport"),
    "GET /facilities": allow(*STAFF),
    "GET /facilities/{code}": allow(*STAFF),
    "PATCH /facilities/{code}": allow("doctor", "desk", "officer", at="card.code"),
    "GET /roads": allow(*STAFF),
    "POST /roads/{id}/close": allow("transport", "officer", "nodal-officer", at="ends"),
    "POST /roads/{id}/open": allow("transport", "officer", "nodal-officer", at="ends"),
    "GET /roads/{id}/referrals": allow(*PARTIES),
}
