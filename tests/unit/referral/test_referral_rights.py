"""A move that is offered never fails for want of right, and one that is not offered never succeeds: everybody, in every
status, at every end, through the route's own rule and the real domain."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from typing import Any

import pytest

from libs.common.access import Access, Caller, Forbidden
from libs.common.refusal import Refused
from services.referral import way
from services.referral.access import ACCESS, route
from services.referral.domain import codes, leg, moves
from services.referral.domain import commands as machine
from services.referral.domain.chain import Outside
from services.referral.domain.commands import By, Step
from services.referral.domain.events import Asked
from services.referral.domain.leg import Leg
from services.referral.domain.referral import Referral, decide, evolve, open_moves
from services.referral.store import REFERRAL

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE, ELSEWHERE, ABOVE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "LA-LEH-DH-SNM", "HP-SML-MC-IGMC"
ROLES = ("doctor", "desk", "transport", "officer", "nodal-officer", "operator", "citizen", "anonymous")
OUT = Outside(state_lgd=4, kind="tertiary-hospital", name="the institute in the plains")
FIRST: dict[str, Any] = {
    "outcome": codes.OUTCOMES[0],
    "mode": codes.DEPART_MODES[0],
    "verdict": codes.VERDICTS[0],
    "place": codes.PLACES_OF_DEATH[0],
    "to": ELSEWHERE,
    "service": "surgery",
    "next": "r2",
    "appointment_at": NOW + dt.timedelta(days=1),
}


def row(command: str) -> moves.Move:
    return next(move for move in moves.MOVES if move.command == command)


def said(step: type[Step]) -> Step:
    """The command with everything that must be said with it."""
    fields = dataclasses.fields(step)
    needed = [field for field in fields if field.default is dataclasses.MISSING or field.name == "next"]
    found = {field.name: FIRST.get(field.name, "as it is") for field in needed}
    if "reason" in found:
        kind = next(need for need in row(step.verb).needs if need.field == "reason")
        found["reason"] = kind.codes[0] if kind.codes else "needs a theatre"
    return step(**found)


STEPS: dict[str, Step] = {step.verb: said(step) for step in Step.__args__}  # type: ignore[attr-defined]


def referral(status: str, *, outside: bool) -> Referral:
    to = OUT.code if outside else THERE
    request = machine.Request("p1", to, "surgery", "urgent", "acute abdomen", outside=OUT if outside else None)
    [asked] = decide(None, request, By("doctor", HERE), NOW)
    assert isinstance(asked, Asked)
    return evolve(None, asked).model_copy(update={"status": status, "escalated_at": ABOVE})


def taken(state: Referral, command: str, caller: Caller) -> bool:
    """Whether the route lets it through and the machine does it."""
    rule = ACCESS[route(command)]
    if caller.role not in rule.roles:
        return False
    try:
        Access(caller, rule).check(REFERRAL.stored(state))
        decide(state, STEPS[command], By(caller.role, caller.facility), NOW)
    except Forbidden:
        return False
    except Refused as refused:
        if refused.code in ("not-yours", "illegal-move"):
            return False
        raise
    return True


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("status", moves.STANDINGS)
def test_what_is_offered_is_what_is_taken(status: str, outside: bool) -> None:
    state = referral(status, outside=outside)
    for role, facility in itertools.product(ROLES, (HERE, THERE, ELSEWHERE, ABOVE, "")):
        caller = Caller("somebody", role, facility)
        offered = [move.command for move in open_moves(state, By(role, facility))]
        assert offered == [command for command in commands_in_order(state) if taken(state, command, caller)], caller


def commands_in_order(state: Referral) -> list[str]:
    """Of this status in the table's order; then every other."""
    here = [move.command for move in moves.MOVES if move.at == state.status and move.command in STEPS]
    return [*here, *(command for command in STEPS if command not in here)]


@pytest.mark.parametrize("status", moves.STANDINGS)
def test_what_is_offered_of_the_way_is_what_is_taken(status: str) -> None:
    said_of_it: dict[str, dict[str, Any]] = {
        "request": {},
        "assign": {"mode": "helicopter", "code": "ABCDEFGH"},
        "position": {"latitude": 34.1, "longitude": 77.6},
        "hand-over": {},
    }
    for stage in ("none", "requested", "assigned", "departed", "held", "handed-over"):
        state = referral(status, outside=False).model_copy(update={"leg": Leg(status=stage)})  # type: ignore[arg-type]
        for role, facility in itertools.product(ROLES, (HERE, THERE, ELSEWHERE)):
            caller = Caller("somebody", role, facility)
            offered = way.open_to(state, caller)
            done = []
            for command, fields in said_of_it.items():
                rule = ACCESS[f"POST /referrals/{{id}}/transport/{command}"]
                if caller.role not in rule.roles:
                    continue
                try:
                    Access(caller, rule).check(REFERRAL.stored(state))
                    sides = frozenset(side for side, at in (("origin", HERE), ("destination", THERE)) if at == facility)
                    leg.decide(status, state.leg or Leg(), command, fields, role, sides, NOW)
                except (Forbidden, Refused):
                    continue
                done.append(command)
            assert offered == tuple(done), (stage, caller)
