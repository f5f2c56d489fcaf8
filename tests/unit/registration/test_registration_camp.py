"""Camps: numbers that never meet, files read row by row, bytes that come in order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.access import Access, Caller, Forbidden
from libs.common.cause import Cause
from libs.common.journal import Outcome
from libs.common.refusal import Refused
from services.registration.camp import Line, upload
from services.registration.camp_desk import AT_ONCE, abreast, enrol, marked, step, takes_along
from services.registration.camp_desk import receive as take_in
from services.registration.camp_rows import Read, Unreadable, read_rows
from services.registration.camp_store import CampStore
from services.registration.domain.camp import (
    ABANDONED,
    LATEST_BYTES,
    Device,
    DeviceCommand,
    DeviceEnrolled,
    DeviceRevoked,
    DeviceSetUp,
    EnrolDevice,
    GiveBlock,
    RevokeDevice,
    RowsAnswered,
    SetUpDevice,
    Upload,
    UploadBegun,
    UploadRefused,
    UseNumbers,
    card_number,
    decide_device,
    device_id,
    evolve_device,
    evolve_upload,
    prefix_of,
    receive,
    serial_of,
)
from services.registration.home import Keeper
from services.registration.places import read_places

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HEADER = "row_key,occurred_at,name,sex,age_years,phone,village,district_lgd,card"
GOOD = "r1,2026-11-18T09:00:00+05:30,Padma Lhamo,female,61,5550123456,Hanle,9,"


def device(*commands: DeviceCommand) -> Device:
    state: Device | None = None
    for command in (SetUpDevice("LA-X", "tab-1", 10, (9,), None), *commands):
        for event in decide_device(state, command):
            state = evolve_device(state, type(event).model_validate(event.model_dump(mode="json")))
    assert state
    return state


def test_blocks_go_on_from_each_other_and_a_quota_is_what_may_be_out() -> None:
    state = device(GiveBlock(6), GiveBlock(4))
    assert state.given == 10
    with pytest.raises(Refused) as refused:
        decide_device(state, GiveBlock(1))
    assert refused.value.field == "size"
    back = device(GiveBlock(10), UseNumbers((1,)), UseNumbers((2, 5)))
    [block] = decide_device(back, GiveBlock(3))
    assert block.model_dump() == {"first": 11, "last": 13}
    kept = device(GiveBlock(6), SetUpDevice("LA-X", "tab-1", 50, (), None))
    assert (kept.given, kept.quota, kept.districts) == (6, 50, ())


def test_a_device_that_was_revoked_gets_nothing_new_and_what_it_had_out_still_counts() -> None:
    state = device(GiveBlock(6), EnrolDevice(), EnrolDevice(), RevokeDevice("stolen"))
    assert (state.keys, state.status, state.revoked_for) == (2, "revoked", "stolen")
    for command in (GiveBlock(1), EnrolDevice(), RevokeDevice("lost"), SetUpDevice("LA-X", "tab-1", 10, (9,), None)):
        with pytest.raises(Refused) as refused:
            decide_device(state, command)
        assert (refused.value.code, refused.value.field) == ("device-revoked", "device")
    assert [event.model_dump() for event in decide_device(state, UseNumbers((3,)))] == [{"serials": (3,)}]
    assert device(EnrolDevice(), SetUpDevice("LA-X", "tab-1", 50, (), None)).keys == 1, "set up anew, it keeps its key"


@given(st.integers(1, 99_999), st.integers(0, 11), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_number_is_known_by_its_device_and_a_slip_of_the_pen_is_seen(serial: int, place: int, sign: str) -> None:
    mine, theirs = prefix_of("one"), prefix_of("two")
    number = card_number(mine, serial)
    assert serial_of(number, mine) == serial
    assert serial_of(number, theirs) is None
    wrong = number[:place] + sign + number[place + 1 :]
    assert wrong == number or serial_of(wrong, mine) in (None, serial_of(wrong, mine))


def read(text: str, format: str = "csv") -> list[Read]:
    return list(read_rows(text.encode(), format))  # type: ignore[arg-type]


def test_a_good_row_is_read_and_an_empty_cell_is_nothing() -> None:
    [one] = read(f"{HEADER}\n{GOOD}\n\n")
    assert one.row is not None
    assert (one.line, one.row.age_years, one.row.district_lgd, one.row.phone) == (2, 61, 9, "+915550123456")
    assert (one.row.card, one.row.occurred_at) == (None, dt.datetime(2026, 11, 18, 3, 30, tzinfo=dt.UTC))
    [same] = read(json.dumps({"row_key": "r1", "occurred_at": "2026-11-18T09:00:00+05:30", "name": "Padma Lhamo",
                              "sex": "female", "age_years": 61, "phone": None}) + "\n", "jsonl")  # fmt: skip
    assert same.row is not None
    assert same.row.name == one.row.name


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("r1,yesterday,Padma,female,61,,,,", "occurred_at"),
        ("r1,2026-11-18T09:00:00,Padma,female,61,,,,", "occurred_at"),
        ("r 1,2026-11-18T09:00:00Z,Padma,female,61,,,,", "row_key"),
        (",2026-11-18T09:00:00Z,Padma,female,61,,,,", "row_key"),
        ("r1,2026-11-18T09:00:00Z,,female,61,,,,", "name"),
        ("r1,2026-11-18T09:00:00Z,Padma,woman,61,,,,", "sex"),
        ("r1,2026-11-18T09:00:00Z,Padma,female,old,,,,", "age_years"),
        ("r1,2026-11-18T09:00:00Z,Padma,female,61,12,,,", "phone"),
        ("r1,2026-11-18T09:00:00Z,Padma 999941057058,female,61,,,,", "name"),
        ("r1,2026-11-18T09:00:00Z,Padma,female,61,,,,X1", "card"),
        ("r1,2026-11-18T09:00:00Z,Padma", "row"),
    ],
)
def test_a_bad_row_is_answered_by_field_and_the_next_goes_on(row: str, field: str) -> None:
    first, second = read(f"{HEADER}\n{row}\n{GOOD.replace('r1', 'r2', 1)}\n")
    assert first.row is None
    assert first.errors[0][0] == field
    assert "999941057058" not in str(first.errors)
    assert second.row is not None


@pytest.mark.parametrize(
    ("bad", "lines"),
    [
        ('r1,2026-11-18T09:00:00Z,"Tser"ing,female,61,,,,', 1),
        ('r1,2026-11-18T09:00:00Z,"Tsering,female,61,,,,', 1),
        (f"r1,2026-11-18T09:00:00Z,{'T' * 200_000},female,61,,,,", 1),
        ('r1,2026-11-18T09:00:00Z,Padma,female,61,,"Hanle\nnear the\r\nschool",9,', 3),
    ],
)
def test_a_line_that_is_no_csv_takes_no_other_row_along(bad: str, lines: int) -> None:
    found = read(f"\n\n{HEADER}\n{bad}\n{GOOD}\n{GOOD.replace('r1', 'r2', 1)}\n")
    assert [(one.line, one.row_key) for one in found[-2:]] == [(4 + lines, "r1"), (5 + lines, "r2")]
    assert len(found) == 3
    assert (found[0].row is not None) == (lines == 3)
    assert found[0].row is not None or found[0].errors[0][0] == "row"


def test_numbers_of_places_may_be_written_as_text_and_what_has_fields_needs_json() -> None:
    header = "row_key,occurred_at,name,sex,age_years,block_lgd,sub_district_lgd"
    [one] = read(f"{header}\nr1,2026-11-18T09:00:00Z,Padma,female,61,94,7158\n")
    assert one.row is not None
    assert (one.row.block_lgd, one.row.sub_district_lgd) == (94, 7158)
    with pytest.raises(Unreadable, match="only these"):
        read(f"{HEADER},identifiers\n")


@pytest.mark.parametrize("line", ["{", "[]", "null", "[" * 3000, '{"row_key": 1}', '{"nonsense": 1, "row_key": "r1"}'])
def test_a_bad_line_of_json_is_one_bad_row(line: str) -> None:
    found = read(f"{line}\n{line}\n", "jsonl")
    assert [(one.line, one.row) for one in found] == [(1, None), (2, None)]
    assert "nonsense" not in str(found[0].errors)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"name,sex\n", HEADER.encode() + b",shoe_size\n", HEADER.encode() + b",name\n"],
)
def test_a_file_of_another_kind_is_refused_whole(content: bytes) -> None:
    with pytest.raises(Unreadable):
        list(read_rows(content, "csv"))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=20))
def test_bytes_come_in_order_each_once_and_then_it_is_whole(offsets: list[int]) -> None:
    begun = UploadBegun(facility="LA-X", device="tab-1", format="csv", length=6, subject="s", sent_at=NOW)
    state: Upload = evolve_upload(None, begun)
    for offset in offsets:
        if state.status == "receiving" and offset == state.offset and offset + 2 <= 6:
            [event] = receive(state, offset, 2, NOW)
            state = evolve_upload(state, event)
        else:
            with pytest.raises(Refused):
                receive(state, offset, 2, NOW)
    assert (state.status == "processing") == (state.offset == 6) == (state.next_at == NOW)
    assert state.next_at in (None, NOW, NOW + ABANDONED)


def test_of_two_rows_with_one_key_one_card_or_one_person_the_later_waits() -> None:
    house: Any = SimpleNamespace(places=read_places())

    def turns(*lines: str) -> list[list[int]]:
        rows = read("\n".join([HEADER, *lines]))
        return [
            [one.index for one in group]
            for group in abreast([marked(house, index, one, "LA-X") for index, one in enumerate(rows)])
        ]

    def row(key: str, name: str, phone: str = "", card: str = "") -> str:
        return f"{key},2026-11-18T09:00:00+05:30,{name},female,61,{phone},Hanle,9,{card}"

    card = "C" + "0" * 11
    assert turns(row("a", "Padma Lhamo"), row("b", "Zainab Bano"), row("a", "Sonam Dolma")) == [[0, 1], [2]]
    assert turns(row("a", "Padma Lhamo", card=card), row("b", "Zainab Bano", card=card), "broken") == [[0, 2], [1]]
    # Spelt otherwise, or of one family by its phone.
    assert turns(row("a", "Tsering Dolma"), row("b", "Zainab Bano"), row("c", "Chhering Dolma")) == [[0, 1], [2]]
    phones = ["5550100001", "5550100001", "5550100002", "5550100001"]
    names = ["Padma Lhamo", "Zainab Bano", "Sunita Kumari", "Rigzin Wangmo"]
    assert turns(*(row(str(n), *who) for n, who in enumerate(zip(names, phones, strict=True)))) == [[0, 2], [1], [3]]
    many = [
        f"r{n},2026-11-18T09:00:00+05:30,{'QWRTPSDFGHJKLZXCVBNM'[n % 20]}a{'bdgkmnprst'[n // 20]}o,male,old,,,,"
        for n in range(40)
    ]
    assert [
        len(group)
        for group in abreast([marked(house, n, one, "LA-X") for n, one in enumerate(read("\n".join([HEADER, *many])))])
    ] == [AT_ONCE, AT_ONCE, 8]
    assert turns() == []


class OneRecord:
    """A journal of a single aggregate, and the chunks that were forgotten beside it."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.forgotten: list[str] = []

    async def append(self, kind: Any, id: str, decide: Any, cause: Any, access: Any) -> Outcome[Any]:
        events = tuple(decide(self.state))
        for event in events:
            self.state = kind.evolve(self.state, event)
        return Outcome(id, self.state, events, 1, False)

    async def read(self, kind: Any, id: str, access: Any) -> Any:
        return self.state

    async def forget_chunks(self, id: str) -> None:
        self.forgotten.append(id)

    async def keep_chunk(self, id: str, offset: int, data: bytes) -> None:
        """While it is on its way, the upload is given up."""
        self.state = evolve_upload(self.state, UploadRefused(reason="too late", at=NOW))

    async def keeper(self) -> Keeper:
        return Keeper(b"pepper")

    def desk(self) -> Any:
        return SimpleNamespace(journal=self, store=self, keys=self, house=SimpleNamespace(opds=self), parsed={})

    async def history(self, kind: Any, id: str) -> list[Any]:
        return []

    async def content(self, id: str, chunks: Any) -> bytes:
        raise LookupError

    async def facility(self, code: str) -> dict[str, Any]:
        return {"district_lgd": 6}


@pytest.mark.parametrize(("went_on", "status"), [(False, "refused"), (True, "processing")])
def test_bytes_that_come_while_an_upload_is_given_up_are_kept(went_on: bool, status: str) -> None:
    begun = UploadBegun(facility="LA-X", device="tab-1", format="csv", length=10, subject="desk", sent_at=NOW)
    read = evolve_upload(None, begun)
    record = OneRecord(read)
    if went_on:
        [came] = receive(read, 0, 10, NOW)
        record.state = evolve_upload(read, came)
    asyncio.run(step(record.desk(), "u1", {"state": read.model_dump(mode="json")}))
    assert record.state.status == status
    assert record.forgotten == ([] if went_on else ["u1"])


def test_bytes_on_their_way_when_an_upload_is_given_up_do_not_stay() -> None:
    begun = UploadBegun(facility="LA-X", device="tab-1", format="csv", length=10, subject="desk", sent_at=NOW, at=NOW)
    record = OneRecord(evolve_upload(None, begun))
    assert record.state.next_at == NOW + ABANDONED
    with pytest.raises(Refused):
        asyncio.run(take_in(record.desk(), "u1", 0, b"0123456789", Access(Caller("d1", "desk", "LA-X"))))
    assert (record.state.status, record.forgotten) == ("refused", ["u1"])


@pytest.mark.parametrize(
    "ending", [UploadRefused(reason="x", at=NOW), RowsAnswered(done=1, accepted=1, refused=0, at=NOW, last=True)]
)
def test_of_what_ended_the_bytes_are_forgotten_once_more_for_those_that_came_late(ending: Any) -> None:
    begun = UploadBegun(facility="LA-X", device="tab-1", format="csv", length=10, subject="desk", sent_at=NOW, at=NOW)
    record = OneRecord(evolve_upload(evolve_upload(None, begun), ending))
    assert record.state.next_at == NOW + LATEST_BYTES
    for _ in range(2):
        asyncio.run(step(record.desk(), "u1", {"state": record.state.model_dump(mode="json")}))
        assert (record.state.status in ("done", "refused"), record.state.next_at) == (True, None)
    assert record.forgotten[0] == "u1"


class Chunks:
    """A store that holds these chunks, by offset, as older ones did: one to an offset, whatever was sent last."""

    def __init__(self, kept: list[tuple[int, bytes]]) -> None:
        self.kept = kept

    def __getitem__(self, name: str) -> Chunks:
        return self

    async def find(self, wanted: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for offset, data in self.kept:
            yield {"upload": wanted["upload"], "offset": offset, "data": data}


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([(0, b"01234"), (5, b"56789")], b"0123456789"),
        ([(0, b"0123456"), (5, b"56789")], b"0123456789"),
        ([(0, b"0123456"), (0, b"01234"), (5, b"56789"), (5, b"567")], b"0123456789"),
        ([(0, b"012"), (5, b"56789")], None),
        ([(5, b"56789")], None),
    ],
)
def test_a_longer_part_than_the_journal_says_is_cut_and_none_is_made_up(
    kept: list[tuple[int, bytes]], said: bytes | None
) -> None:
    store = CampStore(Chunks(kept))  # type: ignore[arg-type]
    if said is not None:
        assert asyncio.run(store.content("u1", [(0, 5), (5, 5)])) == said
        return
    with pytest.raises(LookupError):
        asyncio.run(store.content("u1", [(0, 5), (5, 5)]))


def test_an_upload_of_which_a_part_is_gone_is_refused_and_says_so() -> None:
    begun = UploadBegun(facility="LA-X", device="tab-1", format="csv", length=10, subject="desk", sent_at=NOW, at=NOW)
    record = OneRecord(evolve_upload(None, begun))
    record.state = evolve_upload(record.state, receive(record.state, 0, 10, NOW)[0])
    asyncio.run(step(record.desk(), "u1", {"state": record.state.model_dump(mode="json")}))
    assert (record.state.status, record.forgotten) == ("refused", ["u1"])
    assert "send it once more" in record.state.reason


class Server:
    """Takes uploads, and refuses the first `gone` of them once half of it has come."""

    def __init__(self, gone: int) -> None:
        self.keys: list[str] = []
        self.came: dict[int, int] = {}
        self.gone = gone

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            self.keys += [key] * (key not in self.keys)
            at = self.keys.index(key)
            self.came.setdefault(at, 0)
            return httpx.Response(201, headers={"location": f"/camp-uploads/{at}"}, json={"status": "receiving"})
        at = int(request.url.path.rpartition("/")[2])
        refused = at < self.gone and self.came[at] >= 4
        if request.method == "HEAD":
            return httpx.Response(200, headers={"upload-offset": str(self.came[at])})
        if request.method == "GET":
            status = "refused" if refused else "done" if self.came[at] == 8 else "receiving"
            return httpx.Response(200, json={"id": str(at), "status": status, "done": 1})
        self.came[at] += 0 if refused else len(request.content)
        return httpx.Response(409 if refused else 204)


def test_a_file_whose_upload_was_refused_is_sent_once_more_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "camp.csv"
    file.write_bytes(b"01234567")
    server = Server(gone=1)
    line = Line("", "", client=httpx.Client(transport=httpx.MockTransport(server), base_url="http://camp"))
    told = [upload(line, file, "tab-1", 4)["status"] for _ in range(3)]
    assert told == ["refused", "done", "done"]
    assert (len(server.keys), server.came) == (2, {0: 4, 1: 8})


def test_a_desk_gives_its_facilitys_districts_and_keeps_what_an_officer_gave() -> None:
    of_an_officer = device()
    for districts, own in (((9, 6), {6}), ((6,), {6}), ((9,), set[int]()), ((), set[int]())):
        [event] = decide_device(of_an_officer, SetUpDevice("LA-X", "tab-1", 10, districts, frozenset(own)))
        assert event.model_dump()["districts"] == districts
    for state, districts in ((None, (9,)), (of_an_officer, (9, 19))):
        with pytest.raises(Refused) as refused:
            decide_device(state, SetUpDevice("LA-X", "tab-1", 10, districts, frozenset({6})))
        assert (refused.value.code, refused.value.field) == ("not-your-districts", "districts")


def test_of_a_device_set_up_before_it_was_written_down_who_gave_a_district_only_the_facilitys_own_count() -> None:
    old = DeviceSetUp.model_validate(
        {"facility": "LA-X", "device": "tab-1", "prefix": "ABCDE", "quota": 10, "districts": [9, 6]}
    )
    state = evolve_device(evolve_device(None, old), DeviceEnrolled(key=1))
    record = OneRecord(state)
    key = Keeper(b"pepper").device_key(device_id("LA-X", "tab-1"), 1)

    def may(district: int) -> bool:
        access = Access(Caller("d1", "desk", "LA-X"))
        with contextlib.suppress(Refused):
            return asyncio.run(takes_along(record.desk(), "tab-1", key, district, access)).device == "tab-1"
        return False

    assert (may(6), may(9), may(19)) == (True, False, False)
    with pytest.raises(Refused) as refused:
        decide_device(state, SetUpDevice("LA-X", "tab-1", 10, (9, 6), frozenset({6})))
    assert refused.value.field == "districts"
    for may_give, districts, by_officer in (
        (frozenset({6}), (6,), []),
        (None, (9, 6), [9, 6]),
        (frozenset({6}), (9, 6), [9, 6]),
    ):
        [event] = decide_device(record.state, SetUpDevice("LA-X", "tab-1", 10, districts, may_give))
        assert event.model_dump(mode="json")["by_officer"] == by_officer
        record.state = evolve_device(record.state, event)
    assert (may(6), may(9)) == (True, True)


def test_a_device_that_has_a_key_gets_the_next_with_it_or_from_an_officer_and_not_for_a_token_alone() -> None:
    record = OneRecord(device())
    cause = Cause("c1", "desk@LA-X", NOW)
    key = ""

    def ask(said: str, role: str = "desk") -> str:
        return asyncio.run(enrol(record.desk(), "tab-1", said, cause, Access(Caller("d1", role, "LA-X"))))[1]

    for number in (1, 2):
        older, key = key, ask(key)
        assert (record.state.keys, key != older) == (number, True)
    for wrong in ("", older, "nonsense"):
        with pytest.raises(Forbidden):
            ask(wrong)
    assert record.state.keys == 2
    assert ask("", "officer") != key
    record.state = evolve_device(record.state, DeviceRevoked(reason="stolen"))
    for role in ("desk", "officer"):
        with pytest.raises(Refused) as refused:
            ask(key, role)
        assert refused.value.code == "device-revoked"
