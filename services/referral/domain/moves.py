"""The referral machine as one table. What may be done, the access rules, `GET /referrals/{id}/moves` and the diagram
in docs/referral-machine.md all follow from it; nothing else knows a transition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from services.referral.domain import codes

Side = Literal["origin", "destination"]
Status = Literal[
    "requested",
    "accepted",
    "declined",
    "cancelled",
    "no-show",
    "arrived",
    "treated",
    "back-referred",
    "closed",
    "lapsed",
    "advice-asked",
    "advice-lapsed",
    "advice-given",
    "treated-at-origin",
    "withdrawn",
]
Transport = Literal["none", "departed", "held"]
"""The leg on the road: a second dimension, never a precondition of arriving."""

CLOCK = "clock"
"""Whoever watches promises: a role that no token gives."""


@dataclass(frozen=True)
class Needs:
    """A field of a command: one of `codes` if there are any, text of at most `longest` characters if that is set,
    any code otherwise. A field that is not `required` may be absent."""

    field: str
    codes: tuple[str, ...] = ()
    longest: int | None = None
    required: bool = True


@dataclass(frozen=True)
class Move:
    """One row: in status `at` (None: there is no referral yet) the `role` at the `side` may do `command`, which makes
    the status `to` and is told as `event`. `transport` is what the leg becomes, if the move is about it."""

    at: Status | None
    command: str
    to: Status
    role: str
    side: Side
    event: str
    needs: tuple[Needs, ...] = ()
    transport: Transport | None = None


_REQUEST = (
    Needs("patient"),
    Needs("to"),
    Needs("service"),
    Needs("urgency", codes=codes.URGENCIES),
    Needs("reason", longest=codes.LONGEST_REASON),
    Needs("past_reason", codes=codes.PAST_REASONS, required=False),
)
_DECLINE = (Needs("reason", codes=codes.DECLINE_REASONS),)
_CANCEL = (Needs("reason", codes=codes.CANCEL_REASONS),)
_DEPART = (Needs("mode", codes=codes.DEPART_MODES),)
_HOLD = (Needs("reason", codes=codes.HOLD_REASONS),)
_OUTCOME = (
    Needs("outcome", codes=codes.OUTCOMES),
    Needs("summary", longest=codes.LONGEST_TEXT, required=False),
)
_VERDICT = (Needs("verdict", codes=codes.VERDICTS), Needs("text", longest=codes.LONGEST_TEXT))
_ADVICE = (Needs("advice", longest=codes.LONGEST_TEXT),)

MOVES: tuple[Move, ...] = (
    Move(None, "request", "requested", "doctor", "origin", "ReferralRequested", _REQUEST),
    Move(None, "ask", "advice-asked", "doctor", "origin", "AdviceAsked", _REQUEST),
    Move("advice-asked", "advise", "advice-given", "doctor", "destination", "AdviceGiven", _VERDICT),
    Move("advice-asked", "lapse", "advice-lapsed", CLOCK, "destination", "AdviceLapsed"),
    Move("advice-asked", "convert", "requested", "doctor", "origin", "ReferralRequested"),
    Move("advice-asked", "withdraw", "withdrawn", "doctor", "origin", "AdviceWithdrawn"),
    Move("advice-lapsed", "advise", "advice-given", "doctor", "destination", "AdviceGiven", _VERDICT),
    Move("advice-lapsed", "convert", "requested", "doctor", "origin", "ReferralRequested"),
    Move("advice-lapsed", "withdraw", "withdrawn", "doctor", "origin", "AdviceWithdrawn"),
    Move("advice-given", "convert", "requested", "doctor", "origin", "ReferralRequested"),
    Move("advice-given", "treat-here", "treated-at-origin", "doctor", "origin", "TreatedAtOrigin"),
    Move("requested", "accept", "accepted", "doctor", "destination", "ReferralAccepted"),
    Move("requested", "decline", "declined", "doctor", "destination", "ReferralDeclined", _DECLINE),
    Move("requested", "cancel", "cancelled", "doctor", "origin", "ReferralCancelled", _CANCEL),
    Move("accepted", "cancel", "cancelled", "doctor", "origin", "ReferralCancelled", _CANCEL),
    Move("requested", "lapse", "lapsed", CLOCK, "destination", "ReferralLapsed"),
    Move("lapsed", "accept", "accepted", "doctor", "destination", "ReferralAccepted"),
    Move("lapsed", "decline", "declined", "doctor", "destination", "ReferralDeclined", _DECLINE),
    Move("lapsed", "cancel", "cancelled", "doctor", "origin", "ReferralCancelled", _CANCEL),
    Move("accepted", "no-show", "no-show", "desk", "destination", "PatientNoShow"),
    Move("accepted", "depart", "accepted", "transport", "origin", "TransportDeparted", _DEPART, "departed"),
    Move("accepted", "hold", "accepted", "transport", "origin", "TransportHeld", _HOLD, "held"),
    Move("accepted", "arrive", "arrived", "desk", "destination", "PatientArrived"),
    Move("arrived", "outcome", "treated", "doctor", "destination", "OutcomeRecorded", _OUTCOME),
    Move("treated", "back-refer", "back-referred", "doctor", "destination", "PatientBackReferred", _ADVICE),
    Move("back-referred", "acknowledge", "closed", "doctor", "origin", "ReferralClosed"),
)

_BY_STATUS_AND_COMMAND = {(move.at, move.command): move for move in MOVES}
_BY_EVENT = {move.event: move for move in MOVES}


def find(status: Status | None, command: str) -> Move | None:
    """The row for this command in this status; None where the table has none."""
    return _BY_STATUS_AND_COMMAND.get((status, command))


def rule_of(command: str) -> Move:
    """A row of this command, for whose it is. Raises StopIteration for none that the table has."""
    return next(move for move in MOVES if move.command == command)


def of_event(event: str) -> Move:
    """A row that tells of this event; all of them lead to the same status. Raises KeyError."""
    return _BY_EVENT[event]


def commands() -> Iterator[Move]:
    """One row of each command that people have, in the table's order: whose it is does not depend on the status."""
    seen: set[str] = {move.command for move in MOVES if move.role == CLOCK}
    for move in MOVES:
        if move.command not in seen:
            seen.add(move.command)
            yield move


def open_to(status: Status, role: str, sides: frozenset[Side]) -> tuple[Move, ...]:
    """The moves that somebody of this role at these sides of the referral has now."""
    return tuple(move for move in MOVES if move.at == status and move.role == role and move.side in sides)
