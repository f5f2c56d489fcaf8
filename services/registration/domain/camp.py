"""Camps and offline desks: a device, the card numbers handed to it beforehand, and what it uploads.

A number is the device's prefix, a serial that counts on from block to block, and a check sign. So devices that never
meet never give the same number, and nothing is numbered anew when they come back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.ids import derive
from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Instant
from services.registration.domain.home_card import SIGNS, check_sign
from services.registration.domain.identifiers import NoAadhaar

DeviceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{1,29}$"), NoAadhaar]
RevokedFor = Literal["lost", "stolen", "broken", "retired", "misused"]
MOST_SERIAL = 99_999
LARGEST_BLOCK = 2_000
ABANDONED = dt.timedelta(days=7)
"""How long an upload that broke off may be gone on with."""
LATEST_BYTES = dt.timedelta(minutes=10)
"""How long after an upload's end a part of it may still be on its way into the store."""

Format = Literal["csv", "jsonl"]


def device_id(facility: str, device: str) -> str:
    return derive("camp-device", facility, device)


def prefix_of(device: str) -> str:
    """Five signs; a collision is refused when the device is set up."""
    number = int.from_bytes(hashlib.sha256(device.encode()).digest()[:8], "big")
    return "".join(SIGNS[number >> shift & 31] for shift in range(0, 25, 5))


def card_number(prefix: str, serial: int) -> str:
    """`C`, five signs, five digits, a check sign."""
    body = f"{prefix}{serial:05d}"
    return f"C{body}{check_sign(body)}"


def serial_of(number: str, prefix: str) -> int | None:
    """The serial of a number of this device; None if it is none, or was copied wrongly."""
    body = number[1:-1]
    if len(number) != 12 or number[0] != "C" or not body.startswith(prefix) or not body[5:].isdecimal():
        return None
    return int(body[5:]) if check_sign(body) == number[-1] else None


class Device(BaseModel):
    """`given` is the newest serial handed out, `used` how many came back on cards; `quota` is how many may be out.
    `districts` are the LGD codes whose people it may take along, `by_officer` those of them that an officer gave; None
    where that was not written down, and any desk might have given any. `keys` counts the keys it was given, of which
    the newest opens; a device that has none yet is told by its name alone, and takes nobody along."""

    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    device: str
    prefix: str
    quota: int
    districts: tuple[int, ...] = ()
    by_officer: tuple[int, ...] | None = None
    given: int = 0
    used: int = 0
    keys: int = 0
    status: Literal["active", "revoked"] = "active"
    revoked_for: str | None = None

    def held(self, own: frozenset[int]) -> frozenset[int]:
        """The districts that count; of those nobody knows who gave only the facility's `own`."""
        return frozenset(self.districts) if self.by_officer is not None else own.intersection(self.districts)


class DeviceSetUp(Event):
    """`by_officer` is missing in older journals, where desks gave districts too."""

    facility: FacilityCode
    device: str
    prefix: str
    quota: int
    districts: tuple[int, ...] = ()
    by_officer: tuple[int, ...] | None = None


class BlockGiven(Event):
    first: int
    last: int


class NumberUsed(Event):
    """In older journals: one at a time."""

    serial: int


class NumbersUsed(Event):
    """They came back on cards."""

    serials: tuple[int, ...]


class DeviceEnrolled(Event):
    """A key was made for it, which is derived and not kept; the one before opens nothing any more."""

    key: int


class DeviceRevoked(Event):
    reason: RevokedFor


@dataclass(frozen=True)
class SetUpDevice:
    """`may_give` are the districts that whoever sets it up can give; None gives any."""

    facility: str
    device: str
    quota: int
    districts: tuple[int, ...]
    may_give: frozenset[int] | None


@dataclass(frozen=True)
class GiveBlock:
    size: int


@dataclass(frozen=True)
class UseNumbers:
    serials: tuple[int, ...]


@dataclass(frozen=True)
class EnrolDevice:
    pass


@dataclass(frozen=True)
class RevokeDevice:
    reason: RevokedFor


DeviceCommand = SetUpDevice | GiveBlock | UseNumbers | EnrolDevice | RevokeDevice


def decide_device(state: Device | None, command: DeviceCommand) -> Sequence[Event]:
    """Raises Refused naming `size` or `districts`, and `device` where it was revoked."""
    if not isinstance(command, UseNumbers):
        in_use(state)
    match command:
        case SetUpDevice():
            by_officer = _by_officer(state, command)
            return [
                DeviceSetUp(
                    facility=command.facility,
                    device=command.device,
                    prefix=prefix_of(device_id(command.facility, command.device)),
                    quota=command.quota,
                    districts=command.districts,
                    by_officer=by_officer,
                )
            ]
        case GiveBlock():
            if state is None:
                return []
            left = state.quota - (state.given - state.used)
            if command.size > left:
                raise Refused("quota", f"{max(left, 0)} of {state.quota} numbers may still be handed out", field="size")
            if state.given + command.size > MOST_SERIAL:
                raise Refused("device-full", "this device has had all its numbers: set up another", field="size")
            return [BlockGiven(first=state.given + 1, last=state.given + command.size)]
        case UseNumbers():
            return [] if state is None else [NumbersUsed(serials=command.serials)]
        case EnrolDevice():
            return [] if state is None else [DeviceEnrolled(key=state.keys + 1)]
        case RevokeDevice():
            return [] if state is None else [DeviceRevoked(reason=command.reason)]


def _by_officer(state: Device | None, command: SetUpDevice) -> tuple[int, ...]:
    """What an officer gave may stay where a desk changes the rest. Raises Refused naming `districts`."""
    if command.may_give is None:
        return command.districts
    others = set(command.districts) - command.may_give - (state.held(command.may_give) if state else frozenset())
    if others:
        named = ", ".join(str(code) for code in sorted(others))
        detail = f"only an officer gives others than the facility's: {named}"
        raise Refused("not-your-districts", detail, field="districts")
    return tuple(code for code in command.districts if code in ((state and state.by_officer) or ()))


def in_use(state: Device | None) -> None:
    """Raises Refused for a device that was revoked: what it had out stays valid, and nothing new comes of it."""
    if state is not None and state.status == "revoked":
        raise Refused("device-revoked", f"was revoked ({state.revoked_for}): set up another", field="device")


def evolve_device(state: Device | None, event: Event) -> Device:
    match event:
        case DeviceSetUp():
            return (state or Device(**event.model_dump())).model_copy(update=event.model_dump())
        case BlockGiven() if state:
            return state.model_copy(update={"given": event.last})
        case NumberUsed() if state:
            return state.model_copy(update={"used": state.used + 1})
        case NumbersUsed() if state:
            return state.model_copy(update={"used": state.used + len(event.serials)})
        case DeviceEnrolled() if state:
            return state.model_copy(update={"keys": event.key})
        case DeviceRevoked() if state:
            return state.model_copy(update={"status": "revoked", "revoked_for": event.reason})
    raise ValueError(f"no device can have {event.TYPE}")


class Row(BaseModel):
    """A row that was taken: which record it makes, under which card number, by the fingerprint of its `content`, and at
    which place of which upload. It holds its card before anybody is registered under it, so that of two rows that race
    for one only one gets it, and lets go of it again where the row is refused."""

    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    device: str
    row_key: str
    patient: str
    card: str | None = None
    status: Literal["reserved", "released", "taken"] = "taken"
    content: str = ""
    released: int = 0
    upload: str = ""
    index: int = -1


class CardReserved(Event):
    """In older journals: the row's card is kept for it while its person is registered."""

    facility: FacilityCode
    device: str
    row_key: str
    patient: str
    card: str
    content: str


class CardReleased(Event):
    """The row was refused: its card is free for another."""


class RowTaken(Event):
    facility: FacilityCode
    device: str
    row_key: str
    patient: str
    card: str | None = None
    content: str = ""
    upload: str = ""
    index: int = -1


def evolve_row(state: Row | None, event: Event) -> Row:
    match event:
        case RowTaken():
            return Row.model_validate(event.model_dump() | {"released": state.released if state else 0})
        case CardReserved():
            kept = state.released if state else 0
            return Row.model_validate(event.model_dump() | {"status": "reserved", "released": kept})
        case CardReleased() if state:
            return state.model_copy(update={"status": "released", "card": None, "released": state.released + 1})
    raise ValueError(f"no row can have {event.TYPE}")


def release(state: Row | None, content: str) -> Sequence[Event]:
    """Nothing where the row holds its card for another content by now."""
    held = state is not None and state.status != "released" and state.content == content
    return [CardReleased()] if held else []


def take(state: Row | None, taken: RowTaken) -> Sequence[Event]:
    """Nothing where the row was taken before: then its content is held against what it was."""
    return [] if state is not None and state.status == "taken" else [taken]


class Upload(BaseModel):
    """`offset` bytes of `length` have come; then `done` rows are answered, by steps (`next_at`, machine's clock). Until
    all have come, `next_at` is when nobody is waited for any longer; after the end, when late bytes are forgotten."""

    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    device: str
    format: Format
    length: int
    subject: str
    sent_at: Instant
    offset: int = 0
    status: Literal["receiving", "processing", "done", "refused"] = "receiving"
    done: int = 0
    accepted: int = 0
    refused: int = 0
    reason: str | None = None
    next_at: Instant | None = None


class UploadBegun(Event):
    facility: FacilityCode
    device: str
    format: Format
    length: int
    subject: str
    sent_at: Instant
    at: Instant | None = None


class ChunkReceived(Event):
    offset: int
    size: int
    at: Instant


class RowsAnswered(Event):
    done: int
    accepted: int
    refused: int
    at: Instant
    last: bool


class UploadRefused(Event):
    """Nothing in it could be read."""

    reason: str
    at: Instant | None = None


class BytesForgotten(Event):
    """Also those that came into the store after the upload had ended."""


def receive(state: Upload | None, offset: int, size: int, at: dt.datetime) -> Sequence[Event]:
    """Raises Refused `offset-mismatch` where the bytes are not the next ones."""
    if state is None:
        return []
    if state.status != "receiving" or offset != state.offset or offset + size > state.length:
        raise Refused("offset-mismatch", f"the next byte is {state.offset} of {state.length}")
    return [ChunkReceived(offset=offset, size=size, at=at)] if size else []


def evolve_upload(state: Upload | None, event: Event) -> Upload:
    match event:
        case UploadBegun():
            waits = event.at + ABANDONED if event.at else None
            return Upload.model_validate(event.model_dump(exclude={"at"}) | {"next_at": waits})
        case ChunkReceived() if state:
            offset = event.offset + event.size
            whole = offset == state.length
            new = {"offset": offset, "status": "processing" if whole else "receiving"}
            return state.model_copy(update=new | {"next_at": event.at if whole else event.at + ABANDONED})
        case RowsAnswered() if state:
            return state.model_copy(
                update={
                    "done": event.done,
                    "accepted": state.accepted + event.accepted,
                    "refused": state.refused + event.refused,
                    "status": "done" if event.last else "processing",
                    "next_at": event.at + LATEST_BYTES if event.last else event.at,
                }
            )
        case UploadRefused() if state:
            late = event.at + LATEST_BYTES if event.at else None
            return state.model_copy(update={"status": "refused", "reason": event.reason, "next_at": late})
        case BytesForgotten() if state:
            return state.model_copy(update={"next_at": None})
    raise ValueError(f"no upload can have {event.TYPE}")
