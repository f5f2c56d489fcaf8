"""Which move is legal when, for whom, and the codes that moves are said with."""

from __future__ import annotations

import datetime as dt

from libs.common.refusal import Refused
from services.grievance.domain.state import Grievance, Status

OUTCOMES = ("fixed", "explained", "compensated", "action-taken", "not-fixed")
"""`not-fixed` is counted apart: a case is never shown as put right when it was not."""

PASSED_ON = "passed-on"
"""The outcome of a case that belongs to another procedure: counted apart, and open to contradiction."""

PAUSES = ("awaiting-complainant", "awaiting-document", "sub-judice", "road-closed", "weather")
LONGEST_PAUSE = dt.timedelta(days=30)

TRANSFERS = ("wrong-office", "several-offices", "sub-judice", "rti", "service-matter", "policy-matter")
"""Why it is passed on. "Does not pertain to this office" never closes a case."""

CHANNELS = ("phone", "visit", "letter", "sms", "through-asha", "through-panchayat")

LONGEST_INTERIM = dt.timedelta(days=366)
LONGEST_CONSULTATION = dt.timedelta(days=30)
MOST_ATTACHMENTS = 10

MOVES: dict[str, tuple[tuple[Status, ...], str]] = {
    "assign": (("filed", "assigned"), "officer"),
    "transfer": (("filed", "assigned"), "officer"),
    "interim": (("filed", "assigned"), "nodal-officer"),
    "pause": (("filed", "assigned"), "nodal-officer"),
    "resume": (("filed", "assigned"), "nodal-officer"),
    "resolve": (("filed", "assigned"), "nodal-officer"),
    "screen": (("filed", "assigned"), "nodal-officer"),
    "consult": (("filed", "assigned"), "nodal-officer"),
    "attempt": (("resolved",), "nodal-officer"),
    "close-unreachable": (("resolved",), "nodal-officer"),
    "confirm": (("resolved",), "reporter"),
    "reopen": (("resolved", "closed-unreachable"), "reporter"),
    "appeal": (("resolved", "closed-unreachable"), "reporter"),
    "verify": (("resolved",), "officer"),
}
"""Each move: where it is legal, and who makes it."""

CLOSING = ("confirm", "reopen", "close-unreachable", "appeal")
"""Moves that wait for an open appeal."""


def allowed(state: Grievance, who: str) -> tuple[str, ...]:
    """The moves that are legal now for `who`: officer, nodal-officer or reporter."""
    return tuple(
        move
        for move, (legal, mover) in MOVES.items()
        if mover == who and state.status in legal and not _in_the_way(state, move)
    )


def _in_the_way(state: Grievance, move: str) -> str | None:
    """What else stands against a move that its status would allow."""
    if state.appeals_open and move in CLOSING:
        return "its appeal is still open"
    if move == "verify" and (state.because is None or state.reporter.kind != "anonymous"):
        return "the one who filed it says whether it is put right"
    if move == "pause" and state.paused is not None:
        return "it is paused"
    if move == "resume" and state.paused is None:
        return "it is not paused"
    if move in ("reopen", "appeal") and state.status == "closed-unreachable" and state.parent is not None:
        return "the appeal was decided"
    if move == "appeal" and state.policy.appeal is None:
        return "there is no appeal from here"
    if move == "close-unreachable" and state.policy.unreachable is None:
        return "only the one who filed it closes it here"
    return None


def never_the_accused(accused: tuple[str, ...], office: str) -> None:
    if office in accused:
        raise Refused("accused-in-route", "nobody answers a complaint about themselves", field="about_facility")


def require(state: Grievance, move: str) -> None:
    legal, mover = MOVES[move]
    if state.status not in legal:
        raise Refused(
            "move-not-allowed", f"{move} is not possible while it is {state.status}", allowed=allowed(state, mover)
        )
    if reason := _in_the_way(state, move):
        raise Refused("move-not-allowed", f"{move} is not possible: {reason}", allowed=allowed(state, mover))


def require_one_of(given: str, codes: tuple[str, ...], field: str) -> None:
    if given not in codes:
        raise Refused(f"unknown-{field}", f"must be one of {', '.join(codes)}", field=field)


def require_nodal_officer(state: Grievance, to: str) -> None:
    if to == state.about_person:
        raise Refused("accused-in-route", "nobody answers a complaint about themselves", field="to")
    role, _, facility = to.partition("@")
    if role != "nodal-officer" or facility not in state.offices:
        places = ", ".join(f"nodal-officer@{office}" for office in state.offices)
        raise Refused("not-an-officer-of-this-case", f"must be one of {places}", field="to")
