"""A caller's own send: a template of `routing.yaml`'s `own`, to one recipient or to many, with a callback if wanted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, Instant, personal

MOST_ITEMS = 500


class Item(BaseModel):
    """One recipient. `reference` is the caller's own word for it, repeated in answers and callbacks."""

    model_config = ConfigDict(frozen=True)

    to: str
    variables: dict[str, str] = personal({})
    reference: str = ""


class SendRequested(Event):
    caller: str
    """A digest of who asked: callers see their own sends only."""
    template: Code
    items: tuple[Item, ...]
    languages: tuple[str, ...] = ()
    callback: str | None = None
    requested_at: Instant
    useful_until: Instant
    look_at: Instant


class SendTold(Event):
    """Every message of it is written; until then a timer completes what a crash cut in half."""


class SendErased(Event):
    """What was said of its recipients is gone; who they were by id stands."""


class Send(BaseModel):
    model_config = ConfigDict(frozen=True)

    caller: str
    template: Code
    items: tuple[Item, ...]
    languages: tuple[str, ...] = ()
    callback: str | None = None
    requested_at: Instant
    useful_until: Instant
    look_at: Instant | None = None


EVENTS: tuple[type[Event], ...] = (SendRequested, SendTold, SendErased)


@dataclass(frozen=True)
class Request:
    caller: str
    template: str
    items: Sequence[tuple[str, Mapping[str, str], str]]
    """Recipient, variables, the caller's reference."""
    languages: tuple[str, ...]
    callback: str | None
    requested_at: dt.datetime
    useful_until: dt.datetime
    look_at: dt.datetime


@dataclass(frozen=True)
class Told:
    pass


def decide(state: Send | None, command: Request | Told) -> Sequence[Event]:
    if isinstance(command, Told):
        return (SendTold(),) if state and state.look_at is not None else ()
    if state is not None:
        return ()
    return (
        SendRequested(
            caller=command.caller,
            template=command.template,
            items=tuple(
                Item(to=to, variables=dict(variables), reference=reference)
                for to, variables, reference in command.items
            ),
            languages=command.languages,
            callback=command.callback,
            requested_at=command.requested_at,
            useful_until=command.useful_until,
            look_at=command.look_at,
        ),
    )


def evolve(state: Send | None, event: Event) -> Send:
    if isinstance(event, SendRequested):
        return Send(**{name: getattr(event, name) for name in SendRequested.model_fields})
    assert state is not None
    # An erased send has told what it had to: nothing of it can be rendered any more.
    return state.model_copy(update={"look_at": None})
