"""The OPD of one facility: its counters, and how long the tokens of each are valid.

A facility that set nothing up gives tokens at any counter, with the service's usual validity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.ids import derive
from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode
from services.registration.domain.identifiers import PlaceName

Minutes = Annotated[int, Field(strict=True, ge=5, le=12 * 60)]
"""How long a token is valid: half an hour by NHA's rule, twelve hours where a state gives them online."""

PaperLanguage = Literal["en", "hi", "ur", "bo", "lbj"]
"""Languages that papers are printed in."""

MOST_COUNTERS = 200


def opd_id(facility: str) -> str:
    return derive("opd", facility)


class OpdCounter(BaseModel):
    """`label` is what people call it; `token_minutes` None: as the facility has it."""

    model_config = ConfigDict(frozen=True)

    label: str
    token_minutes: int | None = None
    status: Literal["open", "closed"] = "open"


class Opd(BaseModel):
    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    token_minutes: int | None = None
    languages: tuple[PaperLanguage, ...] = ()
    counters: dict[str, OpdCounter] = {}

    def validity(self, counter: str) -> dt.timedelta | None:
        """How long a token of this counter is valid; None where nothing was said."""
        known = self.counters.get(counter)
        minutes = (known.token_minutes if known else None) or self.token_minutes
        return dt.timedelta(minutes=minutes) if minutes else None

    def closed(self, counter: str) -> bool:
        known = self.counters.get(counter)
        return known is not None and known.status == "closed"

    def open_counters(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, known in self.counters.items() if known.status == "open"))


class OpdSetUp(Event):
    facility: FacilityCode
    token_minutes: int | None = None
    languages: tuple[PaperLanguage, ...] = ()


class CounterSetUp(Event):
    facility: FacilityCode
    counter: str
    label: str
    token_minutes: int | None = None


class CounterOpened(Event):
    counter: str


class CounterClosed(Event):
    counter: str


@dataclass(frozen=True)
class SetUpOpd:
    facility: str
    token_minutes: int | None
    languages: tuple[PaperLanguage, ...]


@dataclass(frozen=True)
class SetUpCounter:
    """`hip_id` is the facility's: a counter must not be called by it (NHA)."""

    facility: str
    counter: str
    label: PlaceName
    token_minutes: int | None
    hip_id: str = ""


@dataclass(frozen=True)
class OpenCounter:
    counter: str


@dataclass(frozen=True)
class CloseCounter:
    counter: str


Command = SetUpOpd | SetUpCounter | OpenCounter | CloseCounter


def decide(state: Opd | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming the field, or with the moves that are left."""
    match command:
        case SetUpOpd():
            return [OpdSetUp.model_validate(vars(command))]
        case SetUpCounter():
            if command.counter.casefold() in (command.hip_id.casefold(), command.facility.casefold()):
                raise Refused("counter-is-facility", "must not be the facility's own id", field="counter")
            if state and command.counter not in state.counters:
                if len(state.counters) >= MOST_COUNTERS:
                    raise Refused("too-many-counters", f"a facility has at most {MOST_COUNTERS}", field="counter")
                # On a printed code OPD1 and opd1 look alike, and would be two queues.
                if command.counter.casefold() in (name.casefold() for name in state.counters):
                    raise Refused("counter-alike", "differs from another only by capital letters", field="counter")
            said = {name: value for name, value in vars(command).items() if name != "hip_id"}
            return [CounterSetUp.model_validate(said)]
        case OpenCounter() | CloseCounter():
            if state is None or command.counter not in state.counters:
                raise Refused("unknown-counter", "is not set up at this facility", field="counter")
            opens, now = isinstance(command, OpenCounter), state.counters[command.counter].status
            if now == ("open" if opens else "closed"):
                raise Refused("counter-is-so", f"this counter is {now}", allowed=("close" if opens else "open",))
            return [(CounterOpened if opens else CounterClosed)(counter=command.counter)]


def evolve(state: Opd | None, event: Event) -> Opd:
    match event:
        case OpdSetUp():
            state = state or Opd(facility=event.facility)
            return state.model_copy(update={"token_minutes": event.token_minutes, "languages": event.languages})
        case CounterSetUp():
            state = state or Opd(facility=event.facility)
            known = state.counters.get(event.counter)
            new = OpdCounter(
                label=event.label, token_minutes=event.token_minutes, status=known.status if known else "open"
            )
            return state.model_copy(update={"counters": {**state.counters, event.counter: new}})
        case CounterOpened() | CounterClosed() if state:
            status = "open" if isinstance(event, CounterOpened) else "closed"
            changed = state.counters[event.counter].model_copy(update={"status": status})
            return state.model_copy(update={"counters": {**state.counters, event.counter: changed}})
    raise ValueError(f"no OPD can have {event.TYPE}")
