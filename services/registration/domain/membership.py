"""Who belongs to a set of people, from which day to which: what households and benefit units have in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Id
from libs.contracts.registration import Member

MOST = 60
"""People in one household or unit."""


class Membership(BaseModel):
    """From `since` to `until`, both included; without `until`, still."""

    model_config = ConfigDict(frozen=True)

    patient: Id
    relation: Code = "member"
    since: dt.date
    until: dt.date | None = None

    def holds(self, day: dt.date) -> bool:
        return self.since <= day and (self.until is None or day <= self.until)


Memberships = tuple[Membership, ...]


@dataclass(frozen=True)
class Join:
    """`on` is the day at the desk, Asia/Kolkata."""

    patient: str
    relation: str
    since: dt.date
    on: dt.date


@dataclass(frozen=True)
class Leave:
    patient: str
    until: dt.date
    reason: str
    on: dt.date


def formed(members: Iterable[Member]) -> Memberships:
    return tuple(Membership(**member.model_dump()) for member in members)


def joined(memberships: Memberships, event: Membership) -> Memberships:
    return (*memberships, event)


def left(memberships: Memberships, patient: str, until: dt.date) -> Memberships:
    return tuple(
        each.model_copy(update={"until": until}) if each.patient == patient and each.until is None else each
        for each in memberships
    )


def current(memberships: Memberships) -> tuple[str, ...]:
    """Who belongs until further notice."""
    return tuple(each.patient for each in memberships if each.until is None)


def check_first(members: Iterable[Member], on: dt.date) -> None:
    """Raises Refused naming the field."""
    seen: set[str] = set()
    for index, member in enumerate(members):
        if member.patient in seen:
            raise Refused("member-twice", "is named twice", field=f"members.{index}.patient")
        seen.add(member.patient)
        if member.since > on:
            raise Refused("since-later", "must not be after the day of the entry", field=f"members.{index}.since")
    if not seen:
        raise Refused("members-needed", "name at least one", field="members")
    if len(seen) > MOST:
        raise Refused("too-many-members", f"must be at most {MOST}", field="members")


def check_join(memberships: Memberships, command: Join) -> None:
    """Raises Refused naming the field."""
    if command.since > command.on:
        raise Refused("since-later", "must not be after the day of the entry", field="since")
    mine = [each for each in memberships if each.patient == command.patient]
    if any(each.until is None for each in mine):
        raise Refused("member-already", "belongs to it already", field="patient")
    if any(each.holds(command.since) for each in mine):
        raise Refused("since-overlaps", "belonged to it on that day already", field="since")
    if len(current(memberships)) >= MOST:
        raise Refused("too-many-members", f"has {MOST} members already", field="patient")


def check_leave(memberships: Memberships, command: Leave) -> None:
    """Raises Refused naming the field."""
    mine = next((each for each in memberships if each.patient == command.patient and each.until is None), None)
    if mine is None:
        raise Refused("not-a-member", "does not belong to it", field="patient")
    if command.until > command.on:
        raise Refused("until-later", "must not be after the day of the entry", field="until")
    if command.until < mine.since:
        raise Refused("until-before-since", f"must not be before {mine.since.isoformat()}", field="until")
