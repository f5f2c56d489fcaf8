"""A phone number that takes no SMS, known by a keyed digest only: nothing is sent to it until the mark is lifted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, Instant


class NumberMarked(Event):
    reason: Code
    at: Instant


class MarkLifted(Event):
    """A receipt, or a person, says that it takes SMS after all."""

    reason: Code


class Number(BaseModel):
    model_config = ConfigDict(frozen=True)

    marked: bool
    reason: Code
    since: Instant


EVENTS: tuple[type[Event], ...] = (NumberMarked, MarkLifted)


@dataclass(frozen=True)
class Mark:
    reason: str
    at: dt.datetime


@dataclass(frozen=True)
class Lift:
    reason: str


def decide(state: Number | None, command: Mark | Lift) -> Sequence[Event]:
    if isinstance(command, Mark):
        return () if state and state.marked else (NumberMarked(reason=command.reason, at=command.at),)
    return (MarkLifted(reason=command.reason),) if state and state.marked else ()


def evolve(state: Number | None, event: Event) -> Number:
    if isinstance(event, NumberMarked):
        return Number(marked=True, reason=event.reason, since=event.at)
    assert state is not None
    assert isinstance(event, MarkLifted)
    return state.model_copy(update={"marked": False, "reason": event.reason})
