"""Who may call what. The rows of the machine follow from its table; see docs/referral-machine.md."""

from __future__ import annotations

from libs.common.access import PUBLIC, Rule, Table, allow
from services.referral.domain import moves

PARTIES = ("doctor", "desk", "transport", "officer", "nodal-officer")
"""Who works with referrals at either end, and who is told when nobody answers."""

STAFF = (*PARTIES, "operator")
"""Who may look up a facility."""

PLACES = ("origin", "destination", "answered_by", "escalated_at")
"""Where a referral is known: `answered_by` writes down what a destination outside the network says."""

_SIDES = {"origin": ("origin",), "destination": ("destination", "answered_by")}


_FIRST = {"request": "POST /referrals", "ask": "POST /advice"}


def route(command: str) -> str:
    """The route on which a command of the machine is asked for."""
    return _FIRST.get(command, f"POST /referrals/{{id}}/{command}")


def rule(command: str) -> Rule:
    """Whoever may ever do it, at the ends where they may; which role at which end, the table itself says."""
    who = [actor for actor in moves.actors(command) if actor.role != moves.CLOCK]
    places = dict.fromkeys(place for actor in who for place in _SIDES[actor.side])
    return allow(*(actor.role for actor in who), at=tuple(places))


ACCESS: Table = {
    **{route(command): rule(command) for command in moves.commands()},
    "POST /referrals/check": allow("doctor", reads_person=True),
    "GET /referrals": allow(*PARTIES, at=PLACES),
    "GET /referrals/{id}": allow(*PARTIES, at=PLACES, reads_person=True),
    "GET /referrals/{id}/moves": allow(*PARTIES, at=PLACES),
    "GET /referrals/{id}/chain": allow(*PARTIES, at=PLACES),
    "GET /referrals/{id}/history": allow(*PARTIES, at=PLACES),
    "POST /referrals/{id}/transport/request": allow("transport", "doctor", "desk", at="origin"),
    "POST /referrals/{id}/transport/assign": allow("transport", at="origin"),
    "POST /referrals/{id}/transport/position": allow("transport", at="origin"),
    "POST /referrals/{id}/transport/hand-over": allow("transport", "desk", at=("origin", "destination")),
    "POST /transport/messages": allow("transport", "operator"),
    "GET /referrals/{id}/slip": allow("doctor", "desk", "transport", at="origin", reads_person=True),
    "GET /slips/keys": PUBLIC,
    "POST /slips/scan": allow("desk"),
    "GET /worklists": allow(*PARTIES),
    "GET /worklists/stream": allow(*PARTIES),
    "GET /worklists/{name}": allow(*PARTIES),
    "GET /audit": allow("officer", "nodal-officer", "operator"),
    "GET /audit.csv": allow("officer", "nodal-officer", "operator"),
    "GET /fhir/metadata": PUBLIC,
    "GET /fhir/ServiceRequest": allow("doctor", "desk", "officer", at=PLACES),
    "GET /fhir/Task": allow("doctor", "desk", "officer", at=PLACES),
    "GET /fhir/ServiceRequest/{id}": allow("doctor", "desk", "officer", at=PLACES, reads_person=True),
    "GET /fhir/Task/{id}": allow("doctor", "desk", "officer", at=PLACES, reads_person=True),
    "GET /fhir/Bundle": allow("doctor", at=PLACES, reads_person=True),
    "GET /fhir/Bundle/{id}": allow("doctor", at=PLACES, reads_person=True),
    "POST /fhir/ServiceRequest": allow("doctor"),
    "POST /fhir": allow("doctor", "desk", at=("origin", "destination", "answered_by")),
    "POST /fhir/Bundle": allow("doctor", "desk", at=("origin", "destination", "answered_by")),
    "PUT /fhir/Task/{id}": allow("doctor", "desk", at=("origin", "destination", "answered_by")),
    "POST /destinations": allow("doctor", "desk", "transport"),
    "GET /facilities": allow(*STAFF),
    "GET /facilities/{code}": allow(*STAFF),
    "PATCH /facilities/{code}": allow("doctor", "desk", "officer", at="card.code"),
    "GET /facilities/{code}/beds": allow(*STAFF),
    "GET /facilities/{code}/slots": allow(*STAFF),
    "PUT /facilities/{code}/slots": allow("doctor", "desk", "officer", at="facility"),
    "GET /roads": allow(*STAFF),
    "POST /roads/{id}/close": allow("transport", "officer", "nodal-officer", at="ends"),
    "POST /roads/{id}/open": allow("transport", "officer", "nodal-officer", at="ends"),
    "GET /roads/{id}/referrals": allow(*PARTIES),
}
