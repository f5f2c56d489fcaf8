"""Camps' verbs: devices and their numbers, uploads that go on where they broke off, rows taken one by one."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common.access import SYSTEM, Access, Caller, Forbidden
from libs.common.cause import Cause, request_cause, timer_cause
from libs.common.clock import machine_now
from libs.common.journal import ClaimTaken, Journal, KeyReused, NotFound, Outcome
from libs.common.mongo import Document
from libs.common.refusal import Refused
from libs.common.web import AHEAD, fingerprint_of
from libs.contracts.event import Event
from services.registration import usecases
from services.registration.aggregates import CAMP_DEVICE, CAMP_ROW, CAMP_UPLOAD, PATIENT
from services.registration.camp_rows import MOST_ROWS, CampRow, Read, Unreadable, read_rows
from services.registration.camp_store import CampStore
from services.registration.domain import camp
from services.registration.domain.camp import Device, Format, Upload, card_number, device_id
from services.registration.domain.patient import Details, new_card, warnings
from services.registration.domain.queue import desk_day
from services.registration.domain.who import index_keys, lookup_keys, to_person
from services.registration.home import HomeStore, Keeper
from services.registration.usecases import House, own_facility

ROWS_A_STEP = 48
"""Few, because other timers wait for a step: a citizen's screen waits half a minute for its token."""

AT_ONCE = 16
REMEMBERED = 4
"""Uploads whose rows are kept in memory between steps."""
LARGEST_UPLOAD = 20 * 1024 * 1024


@dataclass(frozen=True)
class Camp:
    house: House
    store: CampStore
    keys: HomeStore
    parsed: dict[str, list[Read]] = field(default_factory=dict)

    @property
    def journal(self) -> Journal:
        return self.house.journal


async def set_up(
    desk: Camp, device: str, quota: int, districts: tuple[int, ...], cause: Cause, access: Access
) -> Outcome[Device]:
    """Raises Refused naming `districts`."""
    facility = own_facility(access)
    for district in districts:
        try:
            desk.house.places.resolve(None, district)
        except Refused as refused:
            raise Refused(refused.code, refused.detail, field="districts") from None
    may_give = None if access.caller.role == "officer" else await _own_districts(desk, facility)
    command = camp.SetUpDevice(facility, device, quota, districts, may_give)
    return await _device(desk, facility, device, command, cause, access)


async def _own_districts(desk: Camp, facility: str) -> frozenset[int]:
    card = await desk.house.opds.facility(facility)
    return frozenset({card["district_lgd"]} if card else ())


async def enrol(desk: Camp, device: str, key: str, cause: Cause, access: Access) -> tuple[Device, str]:
    """The device and its new key, which a retry is told again. One that has a key already needs it, or an officer.
    Raises NotFound, Forbidden, and Refused once it was revoked."""
    keeper = await desk.keys.keeper()

    def decide(state: Device | None) -> Sequence[Event]:
        # Here and not before: a retry of what gave the newest key cannot have it.
        if state is not None and access.caller.role != "officer":
            _opened(keeper, state, key)
        return camp.decide_device(state, camp.EnrolDevice())

    outcome = await desk.journal.append(CAMP_DEVICE, device_id(own_facility(access), device), decide, cause, access)
    [event] = outcome.events
    assert isinstance(event, camp.DeviceEnrolled)
    return outcome.state, keeper.device_key(outcome.id, event.key)


async def revoke(desk: Camp, device: str, reason: camp.RevokedFor, cause: Cause, access: Access) -> Outcome[Device]:
    """Lost, stolen or worn out: it gets and brings nothing any more. Raises NotFound, and Refused the second time."""
    return await _device(desk, own_facility(access), device, camp.RevokeDevice(reason), cause, access)


async def speaks_for(desk: Camp, state: Device, key: str) -> None:
    """Raises Refused naming `device` where it was revoked, and Forbidden where its own key is needed."""
    _opened(await desk.keys.keeper(), state, key)


async def takes_along(desk: Camp, device: str, key: str, district: int, access: Access) -> Device:
    """The device, if it may take along this district's people: enrolled, and opened by its key. Raises Refused naming
    `device` or `district`, and Forbidden."""
    known = await device_of(desk, device, key, access)
    if known.keys == 0:
        raise Forbidden("this device has no key: enrol it before it takes people along")
    if district not in known.held(await _own_districts(desk, known.facility)):
        detail = "is no district that this device may take along"
        if district in known.districts:
            detail = "was given before it was written down by whom: an officer sets the device up again"
        raise Refused("not-this-devices", detail, field="district")
    return known


def _opened(keeper: Keeper, state: Device, key: str) -> None:
    camp.in_use(state)
    if state.keys == 0:
        return
    own = keeper.device_key(device_id(state.facility, state.device), state.keys)
    if not hmac.compare_digest(own.encode(), key.encode("utf-8", "replace")):
        raise Forbidden("this device is enrolled: its own key is needed in X-Device-Key")


async def give_block(
    desk: Camp, device: str, size: int, key: str, cause: Cause, access: Access
) -> tuple[Device, list[str]]:
    """The next numbers of the device. Raises NotFound, Forbidden, and Refused beyond its quota."""
    known = await desk.journal.read(CAMP_DEVICE, device_id(own_facility(access), device), access)
    await speaks_for(desk, known, key)
    outcome = await _device(desk, own_facility(access), device, camp.GiveBlock(size), cause, access)
    [event] = outcome.events
    assert isinstance(event, camp.BlockGiven)
    numbers = [card_number(outcome.state.prefix, serial) for serial in range(event.first, event.last + 1)]
    return outcome.state, numbers


async def _device(
    desk: Camp, facility: str, device: str, command: camp.DeviceCommand, cause: Cause, access: Access
) -> Outcome[Device]:
    return await desk.journal.append(
        CAMP_DEVICE, device_id(facility, device), lambda state: camp.decide_device(state, command), cause, access
    )


async def device_of(desk: Camp, device: str, key: str, access: Access) -> Device:
    """A device of the caller's facility, which `key` opens. Raises Refused naming `device`, and Forbidden."""
    try:
        known = await desk.journal.read(CAMP_DEVICE, device_id(own_facility(access), device), SYSTEM)
    except NotFound:
        raise Refused("unknown-device", "is not set up at this facility", field="device") from None
    await speaks_for(desk, known, key)
    return known


async def begin(
    desk: Camp, device: str, key: str, format: Format, length: int, sent: dt.datetime, cause: Cause, access: Access
) -> Outcome[Upload]:
    """Raises Refused naming `device`, and Forbidden."""
    known = await device_of(desk, device, key, access)
    begun = camp.UploadBegun(
        facility=known.facility,
        device=device,
        format=format,
        length=length,
        subject=access.caller.subject,
        sent_at=sent,
        at=machine_now(),
    )
    return await desk.journal.create(
        CAMP_UPLOAD, cause.new_id("camp-upload"), lambda state: [] if state else [begun], cause, access
    )


async def receive(desk: Camp, id: str, offset: int, data: bytes, access: Access) -> Upload:
    """The next bytes; none are kept of what ended meanwhile. Raises NotFound, Forbidden, Refused `offset-mismatch`."""
    state = await desk.journal.read(CAMP_UPLOAD, id, access)
    camp.receive(state, offset, len(data), machine_now())
    if not data:
        return state
    await desk.store.keep_chunk(id, offset, data)
    # Which bytes they are is what makes them once: this protocol has an id of its own.
    cause = Cause(f"{id}:{offset}:{len(data)}", access.caller.actor, machine_now())
    try:
        outcome = await desk.journal.append(
            CAMP_UPLOAD, id, lambda now: camp.receive(now, offset, len(data), cause.occurred_at), cause, access
        )
    except Refused:
        if (await desk.journal.read(CAMP_UPLOAD, id, access)).status in ("done", "refused"):
            await desk.store.forget_chunks(id)
        raise
    return outcome.state


async def step(desk: Camp, id: str, document: Document) -> None:
    """Timer of an upload: the next rows, each answered, and the answer written before the count that covers it. What
    nobody went on with is refused; of what ended, the bytes are forgotten a second time."""
    state = Upload.model_validate(document["state"])
    now = machine_now()
    cause = timer_cause("rows", state.done, 0, aggregate=id, service="registration", now=now)
    if state.status in ("done", "refused"):
        await _forget_late(desk, id)
        return
    if state.status == "receiving":
        abandoned = f"was not finished within {camp.ABANDONED.days} days of its last bytes"
        await _refuse(desk, id, state, abandoned, cause.derive("abandoned", str(state.offset)))
        return
    try:
        rows = await _rows(desk, id, state.format)
    except Unreadable as unreadable:
        await _refuse(desk, id, state, str(unreadable), cause)
        return
    part = rows[state.done : state.done + ROWS_A_STEP]
    device = await desk.journal.read(CAMP_DEVICE, device_id(state.facility, state.device), SYSTEM)
    answers: list[Document] = []
    used: list[int] = []
    for group in abreast([marked(desk.house, state.done + n, read, state.facility) for n, read in enumerate(part)]):
        for answer, row in await asyncio.gather(*(take_row(desk, device, id, state, one) for one in group)):
            answers.append(answer)
            if row is not None and row.card and (row.upload, row.index) == (id, answer["index"]):
                used.append(camp.serial_of(row.card, device.prefix) or 0)
    if used:
        numbers = camp.UseNumbers(tuple(sorted(used)))
        await _device(desk, state.facility, state.device, numbers, cause.derive("numbers"), SYSTEM)
    await desk.store.keep_answers(id, answers)
    done = state.done + len(part)
    accepted = sum(answer["status"] == "accepted" for answer in answers)
    counted = camp.RowsAnswered(
        done=done, accepted=accepted, refused=len(answers) - accepted, at=now, last=done >= len(rows)
    )
    await desk.journal.append(
        CAMP_UPLOAD,
        id,
        lambda now: [counted] if now and now.status == "processing" and now.done == state.done else [],
        cause,
        SYSTEM,
    )
    if counted.last:
        desk.parsed.pop(id, None)
        await desk.store.forget_chunks(id)


async def _refuse(desk: Camp, id: str, seen: Upload, reason: str, cause: Cause) -> None:
    """Its bytes, which hold names, are forgotten; not where the device went on with it meanwhile."""
    refusal = camp.UploadRefused(reason=reason, at=machine_now())
    outcome = await desk.journal.append(
        CAMP_UPLOAD,
        id,
        lambda now: [refusal] if now and (now.status, now.offset) == (seen.status, seen.offset) else [],
        cause,
        SYSTEM,
    )
    if outcome.state.status == "refused":
        await desk.store.forget_chunks(id)


async def _forget_late(desk: Camp, id: str) -> None:
    """Bytes that were on their way when it ended, and those that a crash kept: once more, then never again."""
    await desk.store.forget_chunks(id)
    cause = timer_cause("late-bytes", 0, 0, aggregate=id, service="registration", now=machine_now())
    await desk.journal.append(
        CAMP_UPLOAD, id, lambda now: [camp.BytesForgotten()] if now and now.next_at else [], cause, SYSTEM
    )


def abreast(rows: Sequence[Marked]) -> Iterator[list[Marked]]:
    """Rows that may be taken side by side, in turns: of two with one key, one card, or of people who could be the same
    person, the later comes in a later turn, and so finds the earlier."""
    turns: list[list[Marked]] = []
    last: dict[str, int] = {}
    for row in rows:
        turn = 1 + max((last[mark] for mark in row.asks if mark in last), default=-1)
        for mark in row.answers:
            last[mark] = max(turn, last.get(mark, turn))
        turns += [[]] * (turn == len(turns))
        turns[turn] = [*turns[turn], row]
    for found in turns:
        for start in range(0, len(found), AT_ONCE):
            yield found[start : start + AT_ONCE]


@dataclass(frozen=True)
class Marked:
    """The row at `index` of its upload, what others are found by that could be the same, and what it is found by."""

    index: int
    read: Read
    asks: frozenset[str]
    answers: frozenset[str]


def marked(house: House, index: int, read: Read, facility: str) -> Marked:
    if read.row is None:
        return Marked(index, read, frozenset(), frozenset())
    own = {f"row:{read.row.row_key}", f"card:{read.row.card or read.row.row_key}"}
    try:
        details = Details.model_validate({name: getattr(read.row, name) for name in Details.model_fields})
        card = new_card("row", details, facility, desk_day(read.row.occurred_at), house.places)
    except Refused:
        return Marked(index, read, frozenset(own), frozenset(own))
    asks = lookup_keys(to_person(card.id, card.model_dump(mode="json")))
    return Marked(index, read, frozenset({*own, *asks}), frozenset({*own, *index_keys(card)}))


async def _rows(desk: Camp, id: str, format: Format) -> list[Read]:
    """Every row of a whole upload. Raises Unreadable."""
    if (kept := desk.parsed.get(id)) is not None:
        return kept
    history = [CAMP_UPLOAD.read(entry) for entry in await desk.journal.history(CAMP_UPLOAD, id)]
    chunks = [(event.offset, event.size) for event in history if isinstance(event, camp.ChunkReceived)]
    try:
        content = await desk.store.content(id, chunks)
    except LookupError:
        raise Unreadable("a part of it is there no more: send it once more, as a new upload") from None
    rows = await asyncio.to_thread(lambda: list(read_rows(content, format)))
    if len(rows) > MOST_ROWS:
        raise Unreadable(f"may hold at most {MOST_ROWS} rows")
    if not rows:
        raise Unreadable("holds no row")
    while len(desk.parsed) >= REMEMBERED:
        desk.parsed.pop(next(iter(desk.parsed)))
    desk.parsed[id] = rows
    return rows


async def take_row(
    desk: Camp, device: Device, id: str, upload: Upload, one: Marked
) -> tuple[Document, camp.Row | None]:
    """What became of a row: `accepted` with its record, or `refused` with fields and reasons. Raises no refusal."""
    read = one.read
    answer: dict[str, Any] = {"index": one.index, "line": read.line, "row_key": read.row_key}
    if read.row is None:
        return answer | {"status": "refused", "errors": _errors(read.errors)}, None
    try:
        taken = await _taken(desk, device, id, upload, one.index, read.row)
    except Refused as refused:
        [error] = _errors([(refused.field or "row", refused.detail)])
        return answer | {"status": "refused", "errors": [error | {"code": refused.code}]}, None
    except Forbidden as forbidden:
        return answer | {"status": "refused", "errors": _errors([("row", forbidden.detail)])}, None
    except KeyReused:
        detail = "was uploaded before with another content"
        return answer | {"status": "refused", "errors": _errors([("row_key", detail)])}, None
    except ClaimTaken as claim:
        field = claim.kind.replace("-", "_")
        return answer | {"status": "refused", "errors": _errors([(field, "belongs to another record")])}, None
    told = {"warnings": found} if (found := warnings(read.row)) else {}
    said: dict[str, Any] = {"status": "accepted", "patient": taken.patient, "card": taken.card, "errors": []}
    return answer | told | said, taken


def _errors(found: Any) -> list[dict[str, str]]:
    return [{"field": field, "detail": detail} for field, detail in found]


async def _taken(desk: Camp, device: Device, upload_id: str, upload: Upload, index: int, row: CampRow) -> camp.Row:
    """The record and the row, both under the row's own key, so that the same row again is the same record. A row with a
    card comes first, and so has the card before anybody is registered under it."""
    if row.occurred_at > upload.sent_at + AHEAD:
        raise Refused("occurred-after-sending", "must not be after the upload was sent", field="occurred_at")
    if row.card is not None:
        serial = camp.serial_of(row.card, device.prefix)
        if serial is None or serial > device.given:
            raise Refused("not-this-devices", "is no number that was handed to this device", field="card")
    said = row.model_dump(mode="json")
    caller = Caller(upload.subject, "desk", device.facility)
    cause = request_cause(
        f"camp:{device.facility}:{device.device}",
        "POST camp row",
        row.row_key,
        fingerprint=fingerprint_of("POST", "camp row", said),
        actor=caller.actor,
        occurred_at=row.occurred_at,
    )
    id = cause.new_id("camp-row")
    own = dataclasses.replace(cause, id=cause.derive("row").id)
    details = Details.model_validate({name: getattr(row, name) for name in Details.model_fields})
    taken = camp.RowTaken(
        facility=device.facility,
        device=device.device,
        row_key=row.row_key,
        patient=cause.new_id("patient"),
        card=row.card,
        content=own.fingerprint or "",
        upload=upload_id,
        index=index,
    )
    if row.card is None:
        await usecases.register(desk.house, details, cause, Access(caller))
        outcome = await desk.journal.create(CAMP_ROW, id, lambda state: camp.take(state, taken), own, SYSTEM)
        return outcome.state
    held = await _hold(desk, id, taken, own)
    try:
        await usecases.register(desk.house, details, cause, Access(caller))
    except (Refused, Forbidden, KeyReused, ClaimTaken):
        await _let_go(desk, id, taken, own)
        raise
    return held


def _step(own: Cause, what: str, taken: camp.RowTaken, again: int) -> Cause:
    return Cause(own.derive(what, taken.content, str(again)).id, own.actor, own.occurred_at)


async def _hold(desk: Camp, id: str, taken: camp.RowTaken, own: Cause) -> camp.Row:
    """Most rows are new: written without a look first. Raises Refused naming `card`."""

    def decide(state: camp.Row | None) -> Sequence[Event]:
        return camp.take(state, taken)

    try:
        outcome = await desk.journal.create(CAMP_ROW, id, decide, _step(own, "take", taken, 0), SYSTEM)
        if not outcome.repeated:
            return outcome.state
        now = await desk.journal.read(CAMP_ROW, id, SYSTEM)
        if now.status != "released":
            return now
        again = _step(own, "take", taken, now.released)
        return (await desk.journal.append(CAMP_ROW, id, decide, again, SYSTEM)).state
    except ClaimTaken:
        raise Refused("card-taken", "stands on another row already", field="card") from None


async def _let_go(desk: Camp, id: str, taken: camp.RowTaken, own: Cause) -> None:
    """Of the card of a row that was refused; not where its person is registered, from an earlier time."""
    if await desk.journal.load(PATIENT, taken.patient) is not None:
        return
    now = await desk.journal.read(CAMP_ROW, id, SYSTEM)
    cause = _step(own, "release", taken, now.released)
    await desk.journal.append(CAMP_ROW, id, lambda state: camp.release(state, taken.content), cause, SYSTEM)
