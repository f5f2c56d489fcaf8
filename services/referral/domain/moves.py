"""The referral machine as one table, read from moves.yaml and held against what the code knows.

What may be done, the access rules, `GET /referrals/{id}/moves` and docs/referral-machine.md all follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.referral.domain import codes

FILE = Path(__file__).resolve().parents[1] / "moves.yaml"

Side = Literal["origin", "destination"]
Status = Literal[
    "requested",
    "lapsed",
    "accepted",
    "declined",
    "arrived",
    "scheduled",
    "no-show",
    "appointment-cancelled",
    "seen",
    "cancel-requested",
    "cancelled",
    "treated",
    "back-referred",
    "closed",
    "redirected",
    "travel-refused",
    "deceased",
    "entered-in-error",
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

TRANSITIONS_OF_BSER = tuple(f"{number:02}" for number in range(1, 35))


class BadMoves(ValueError):
    """The table cannot be taken; says which row and why."""


@dataclass(frozen=True)
class Needs:
    """A field of a command: one of `codes` if there are any, text of at most `longest` characters if that is set,
    anything of its `kind` otherwise. A field that is not `required` may be absent."""

    field: str
    codes: tuple[str, ...] = ()
    longest: int | None = None
    required: bool = True


KINDS: Mapping[str, Needs] = {
    "urgency": Needs("", codes.URGENCIES),
    "past-reason": Needs("", codes.PAST_REASONS),
    "decline-reason": Needs("", codes.DECLINE_REASONS),
    "cancel-reason": Needs("", codes.CANCEL_REASONS),
    "void-reason": Needs("", codes.VOID_REASONS),
    "wrong-person": Needs("", ("wrong-person",)),
    "depart-mode": Needs("", codes.DEPART_MODES),
    "hold-reason": Needs("", codes.HOLD_REASONS),
    "outcome": Needs("", codes.OUTCOMES),
    "verdict": Needs("", codes.VERDICTS),
    "place-of-death": Needs("", codes.PLACES_OF_DEATH),
    "text-500": Needs("", longest=codes.LONGEST_REASON),
    "text-2000": Needs("", longest=codes.LONGEST_TEXT),
    **{
        kind: Needs("")
        for kind in ("an-id", "a-place", "a-code", "an-instant", "a-slot", "an-outside", "a-flag", "medicines")
    },
}


@dataclass(frozen=True)
class Actor:
    role: str
    side: Side


@dataclass(frozen=True)
class Move:
    """One row: in status `at` (None: there is no referral yet) any of `who` may do `command`, which makes the status
    `to` and is told as `event`. `through` is a status crossed on the way; `transport` is what the leg becomes, if the
    move is about it; `bser` is the number of BSeR's transition, if it is one. `only`: where these fields of the
    referral are one of these values."""

    at: Status | None
    command: str
    to: Status
    who: tuple[Actor, ...]
    event: str
    needs: tuple[Needs, ...] = ()
    through: Status | None = None
    transport: Transport | None = None
    bser: str | None = None
    only: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def fits(self, state: object) -> bool:
        """Whether this referral is one of those in its status that the row is for."""
        return all(getattr(state, field) in values for field, values in self.only)


@dataclass(frozen=True)
class Standing:
    """What is true of a status: its code in BSeR, and which reservations it keeps (`bed`, `slot`)."""

    bser: str | None = None
    holds: frozenset[str] = frozenset()
    holds_if_admitted: frozenset[str] = frozenset()


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: Status | Literal["-"] = Field(alias="in")
    command: str
    who: Annotated[list[str], BeforeValidator(_listed)]
    through: Status | None = None
    next: Status
    told: str
    transport: Transport | None = None
    bser: str | None = None
    must: dict[str, str] = {}
    may: dict[str, str] = {}
    only: dict[Literal["outcome", "settled", "verdict"], list[str | bool]] = {}

    def move(self) -> Move:
        needs = [_needs(name, kind, True) for name, kind in self.must.items()]
        needs += [_needs(name, kind, False) for name, kind in self.may.items()]
        return Move(
            at=None if self.at == "-" else self.at,
            command=self.command,
            to=self.next,
            who=tuple(_actor(text) for text in self.who),
            event=self.told,
            needs=tuple(needs),
            through=self.through,
            transport=self.transport,
            bser=self.bser,
            only=tuple((field, tuple(values)) for field, values in self.only.items()),
        )


class _Standing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bser: str | None = None
    holds: frozenset[Literal["bed", "slot"]] = frozenset()
    holds_if_admitted: frozenset[Literal["bed", "slot"]] = Field(frozenset(), alias="holds-if-admitted")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    statuses: dict[Status, _Standing]
    moves: list[_Row]


def _actor(text: str) -> Actor:
    role, _, side = text.partition("@")
    if side not in get_args(Side) or not role:
        raise BadMoves(f"{text} is not a role at a side")
    return Actor(role, side)  # type: ignore[arg-type]


def _needs(field: str, kind: str, required: bool) -> Needs:
    if kind not in KINDS:
        raise BadMoves(f"{field}: there is no kind {kind}")
    return Needs(field, KINDS[kind].codes, KINDS[kind].longest, required)


def read(text: str) -> tuple[tuple[Move, ...], dict[Status, Standing]]:
    """The table. Raises BadMoves for a row that does not fit with the others, ValidationError for one that is none."""
    file = _File.model_validate(yaml.safe_load(text))
    rows = tuple(row.move() for row in file.moves)
    if missing := set(get_args(Status)) - set(file.statuses):
        raise BadMoves(f"nothing is said of {', '.join(sorted(missing))}")
    seen: set[tuple[str | None, str]] = set()
    led: dict[tuple[str | None, str], tuple[str, str | None]] = {}
    for move in rows:
        name = f"{move.command} in {move.at or '-'}"
        if (move.at, move.command) in seen:
            raise BadMoves(f"{name} stands there twice")
        seen.add((move.at, move.command))
        if led.setdefault((move.at, move.event), (move.to, move.transport)) != (move.to, move.transport):
            raise BadMoves(f"{name}: {move.event} leads elsewhere in another row")
        if move.through and not any(row.at == move.through and row.event == move.event for row in rows):
            raise BadMoves(f"{name}: nothing is told as {move.event} in {move.through}")
    reached: set[str | None] = {None}
    for _ in rows:
        reached |= {move.to for move in rows if move.at in reached}
    if lost := set(get_args(Status)) - reached:
        raise BadMoves(f"nothing leads to {', '.join(sorted(lost))}")
    standings = {
        status: Standing(said.bser, frozenset(said.holds), frozenset(said.holds_if_admitted))
        for status, said in file.statuses.items()
    }
    return rows, standings


MOVES, STANDINGS = read(FILE.read_text(encoding="utf-8"))

_BY_STATUS_AND_COMMAND = {(move.at, move.command): move for move in MOVES}
_BY_STATUS_AND_EVENT = {(move.at, move.event): move for move in MOVES}
_BY_EVENT = {move.event: move for move in MOVES}
_ACTORS: dict[str, tuple[Actor, ...]] = {}
for _move in MOVES:
    _ACTORS[_move.command] = tuple(dict.fromkeys((*_ACTORS.get(_move.command, ()), *_move.who)))


def find(status: Status | None, command: str) -> Move | None:
    """The row for this command in this status; None where the table has none."""
    return _BY_STATUS_AND_COMMAND.get((status, command))


def actors(command: str) -> tuple[Actor, ...]:
    """Whoever may ever do it, in whichever status. Raises KeyError."""
    return _ACTORS[command]


def of_event(status: Status | None, event: str) -> Move:
    """A row that is told as this event in this status; all of them lead to the same. An older journal may have it from
    a status that no row starts from any more: then any row that tells it. Raises KeyError."""
    return _BY_STATUS_AND_EVENT.get((status, event)) or _BY_EVENT[event]


def commands() -> Iterator[str]:
    """Each command that people have, in the table's order."""
    for command, who in _ACTORS.items():
        if any(actor.role != CLOCK for actor in who):
            yield command


def open_to(status: Status, role: str, sides: frozenset[Side]) -> tuple[Move, ...]:
    """The moves that somebody of this role at these sides of the referral has now."""
    theirs = {Actor(role, side) for side in sides}
    return tuple(move for move in MOVES if move.at == status and not theirs.isdisjoint(move.who))
