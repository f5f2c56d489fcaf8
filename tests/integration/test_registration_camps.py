"""A camp's upload over a link that drops, answered row by row; card numbers; and what a device may take along."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from registration_desk import ELSEWHERE, HERE, Desk, serving_desk, until

from deploy.local.testing import TestStack
from services.registration import camp
from services.registration.camp_store import CampStore
from services.registration.domain.identifiers import luhn_holds

CHUNK = "application/offset+octet-stream"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


def bearer(desk: Desk, facility: str = HERE) -> dict[str, str]:
    return {"Authorization": f"Bearer {desk.stack.issuer.token(role='desk', facility=facility)}"}


async def device(desk: Desk, quota: int = 20) -> tuple[str, list[str]]:
    name = f"tab-{secrets.token_hex(3)}"
    set_up = await desk.post("/camp-devices", {"device": name, "quota": quota, "districts": [9]})
    assert set_up.status_code == 200, set_up.text
    block = await desk.post(f"/camp-devices/{name}/blocks", {"size": 5})
    assert block.status_code == 201, block.text
    return name, block.json()["numbers"]


async def begin(desk: Desk, name: str, content: bytes, format: str = "csv", **headers: str) -> httpx.Response:
    said = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in (("device", name), ("format", format)))
    how = {"Idempotency-Key": secrets.token_hex(8), "Upload-Length": str(len(content)), "Upload-Metadata": said}
    return await desk.served.client.post("/camp-uploads", headers=bearer(desk) | how | headers)


async def send(desk: Desk, place: str, offset: int, part: bytes, **headers: str) -> httpx.Response:
    how = {"Upload-Offset": str(offset), "Content-Type": CHUNK}
    return await desk.served.client.patch(place, content=part, headers=bearer(desk) | how | headers)


async def finished(desk: Desk, place: str) -> dict[str, Any]:
    async def done() -> dict[str, Any] | None:
        state: dict[str, Any] = (await desk.get(place)).json()
        return state if state["status"] in ("done", "refused") else None

    found: dict[str, Any] = await until(done, 60)
    return found


async def answers(desk: Desk, place: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: int | None = -1
    while cursor is not None:
        said = (await desk.get(f"{place}/answers?cursor={cursor}&limit=3")).json()
        found += said["answers"]
        cursor = said["cursor"]
    return found


def rows(*lines: str) -> bytes:
    header = "row_key,occurred_at,name,sex,age_years,phone,village,district_lgd,card"
    return "\n".join([header, *lines, ""]).encode()


async def test_each_row_is_answered_once_though_the_link_drops_and_the_file_comes_again(desk: Desk) -> None:
    name, numbers = await device(desk)
    at = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).isoformat(timespec="seconds")
    content = rows(
        f"r1,{at},Deskit Angmo,female,44,,Hanle,9,{numbers[0]}",
        f"r2,{at},Tashi Wangdus,male,old,,Hanle,9,{numbers[1]}",
        f"r3,{at},Tashi Wangdus,male,50,,Hanle,9,{numbers[0]}",
        f"r4,{at},Rinchen Dolma,female,50,,Hanle,9,C00000000000",
        f"r5,{at},Konchok,male,7,,Hanle,99999,",
        f"r1,{at},Deskit Angmo,female,44,,Hanle,9,{numbers[0]}",
        f"r1,{at},Somebody Else,female,44,,Hanle,9,",
    )
    begun = await begin(desk, name, content)
    assert begun.status_code == 201, begun.text
    place = begun.headers["location"]
    assert (await send(desk, place, 0, content[:40])).status_code == 204
    early = await send(desk, place, 60, content[60:])
    assert (early.status_code, early.headers["upload-offset"]) == (409, "40")
    head = await desk.served.client.head(place, headers=bearer(desk))
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("40", str(len(content)))
    assert head.headers["tus-resumable"] == "1.0.0"
    # The answer to the last bytes was lost, and they are sent again.
    both = await asyncio.gather(*(send(desk, place, 40, content[40:]) for _ in range(2)))
    assert {answer.status_code for answer in both} <= {204, 409}
    state = await finished(desk, place)
    assert (state["accepted"], state["refused"]) == (2, 5)
    told = await answers(desk, place)
    assert [(one["line"], one["row_key"], one["status"]) for one in told] == [
        (2, "r1", "accepted"), (3, "r2", "refused"), (4, "r3", "refused"), (5, "r4", "refused"),
        (6, "r5", "refused"), (7, "r1", "accepted"), (8, "r1", "refused"),
    ]  # fmt: skip
    fields = [[error["field"] for error in one["errors"]] for one in told]
    assert fields == [[], ["age_years"], ["card"], ["card"], ["district_lgd"], [], ["row_key"]]
    assert told[0]["patient"] == told[5]["patient"]
    assert told[0]["card"] == numbers[0]
    person = await desk.database["patients"].find_one({"_id": told[0]["patient"]})
    assert person["journal"][0]["occurred_at"] == dt.datetime.fromisoformat(at)
    assert await desk.database["patients"].count_documents({"state.card.name": "Tashi Wangdus"}) == 0
    # The same file under another upload makes nobody anew.
    again = (await begin(desk, name, content)).headers["location"]
    await send(desk, again, 0, content)
    await finished(desk, again)
    assert [one.get("patient") for one in await answers(desk, again)] == [one.get("patient") for one in told]
    shown = (await desk.get(f"/camp-devices/{name}")).json()
    assert (shown["given"], shown["used"], shown["left"]) == (5, 1, 16)


async def test_the_command_takes_up_a_broken_upload_and_prints_what_was_refused(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _ = await device(desk)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    file = tmp_path / "camp.jsonl"
    people = [
        {"row_key": f"p{index}", "occurred_at": at, "name": f"Yangchan {chr(65 + index % 26)}", "sex": "female",
         "age_years": 20 + index % 60 if index != 7 else "many", "district_lgd": 9}
        for index in range(60)
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(one) for one in people), encoding="utf-8")
    monkeypatch.setenv("CAMP_TOKEN", desk.stack.issuer.token(role="desk", facility=HERE))
    monkeypatch.setattr(camp, "CHUNK_BYTES", 2000)
    sent = 0
    ask = camp.Line.ask

    def dropping(self: camp.Line, method: str, path: str, **how: Any) -> httpx.Response:
        nonlocal sent
        sent += method == "PATCH"
        if method == "PATCH" and sent == 2:
            raise camp.Trouble("the link dropped")
        return ask(self, method, path, **how)

    monkeypatch.setattr(camp.Line, "ask", dropping)
    call = ["--url", desk.served.url, "--device", name, "upload", str(file)]
    assert await asyncio.to_thread(camp.main, call) == 2
    assert await asyncio.to_thread(camp.main, call) == 1
    said = capsys.readouterr()
    [refused] = [json.loads(line) for line in said.out.splitlines()]
    assert (refused["row_key"], refused["errors"][0]["field"]) == ("p7", "age_years")
    assert "59 accepted, 1 refused" in said.err
    assert "[##" in said.err

    async def forgotten() -> bool:
        return await desk.database["camp_chunks"].count_documents({}) == 0

    await until(forgotten)


async def test_an_enrolled_device_takes_along_its_districts_people_page_by_page_and_no_others(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _ = await device(desk)
    mine = [(await desk.register(name=f"Sonam {chr(65 + index)}", district_lgd=9))["id"] for index in range(5)]
    other = (await desk.register(name="Of Another District", district_lgd=6))["id"]
    theirs = await desk.post("/patients", {"name": "Elsewhere", "sex": "male", "age_years": 3, "district_lgd": 9},
                             facility=ELSEWHERE)  # fmt: skip
    path = f"/camp-devices/{name}/people"
    unenrolled = await desk.get(f"{path}?district=9")
    assert (unenrolled.status_code, "enrol" in unenrolled.json()["detail"]) == (403, True)
    monkeypatch.setenv("CAMP_TOKEN", desk.stack.issuer.token(role="desk", facility=HERE))
    calling = ["--url", desk.served.url, "--device", name]
    assert await asyncio.to_thread(camp.main, [*calling, "enrol"]) == 0
    own = {"X-Device-Key": capsys.readouterr().out.strip()}
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = await desk.get(f"{path}?district=9&limit=2&cursor={cursor}", headers=own)
        assert answer.headers["content-encoding"] == "gzip"
        *lines, last = [json.loads(line) for line in answer.text.splitlines()]
        seen += [one["id"] for one in lines]
        cursor = last["cursor"]
    assert set(mine) <= set(seen)
    assert len(seen) == len(set(seen))
    assert not {other, theirs.json()["id"]} & set(seen)
    assert await desk.database["reads"].count_documents({"patient": mine[0]}) == 1
    plain = await desk.served.client.get(
        f"{path}?district=9&limit=2", headers=bearer(desk) | own | {"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers
    astray = await desk.get(f"{path}?district=9&cursor=zz", headers=own)
    assert (astray.status_code, astray.json()["errors"][0]["field"]) == (422, "cursor")
    refused = await desk.get(f"{path}?district=6", headers=own)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "district")
    assert (await desk.get(f"{path}?district=9", headers=own, facility=ELSEWHERE)).status_code == 422
    monkeypatch.setenv("CAMP_DEVICE_KEY", own["X-Device-Key"])
    file = tmp_path / "people.jsonl"
    # An earlier run broke off between two pages, and had written more than it had kept a cursor for.
    first = (await desk.get(f"{path}?district=9&limit=2", headers=own)).text.splitlines()
    kept = "".join(f"{line}\n" for line in first[:2])
    file.write_text(kept + '{"id": "cut of')
    following = json.loads(first[-1])["cursor"]
    file.with_name("people.jsonl.cursor").write_text(json.dumps([following, len(kept.encode()), 2]))
    assert await asyncio.to_thread(camp.main, [*calling, "people", str(file), "--district", "9"]) == 0
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == seen
    assert not file.with_name("people.jsonl.cursor").exists()


async def test_a_desk_gives_its_own_district_and_only_an_officer_another(desk: Desk) -> None:
    name = f"tab-{secrets.token_hex(3)}"
    said = {"device": name, "quota": 5, "districts": [9, 6]}
    for facility, districts in ((HERE, [9, 6]), (HERE, [19]), (ELSEWHERE, [9]), ("LA-NOT-LISTED", [9])):
        refused = await desk.post("/camp-devices", said | {"districts": districts}, facility=facility)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "districts"), refused.text
    assert (await desk.get(f"/camp-devices/{name}")).status_code == 404
    given = await desk.post("/camp-devices", said, role="officer")
    assert (given.status_code, given.json()["districts"]) == (200, [9, 6])
    kept = await desk.post("/camp-devices", said | {"quota": 9})
    assert (kept.status_code, kept.json()["districts"], kept.json()["quota"]) == (200, [9, 6], 9)
    assert (await desk.post("/camp-devices", said | {"districts": [19]})).status_code == 422
    assert (await desk.post("/camp-devices", said | {"districts": [9]})).status_code == 200
    assert (await desk.post("/camp-devices", said)).status_code == 422, "what a desk took away it cannot give back"


async def test_a_check_digit_that_does_not_fit_is_a_warning_and_an_aadhaar_number_is_refused_unsaid(desk: Desk) -> None:
    name, _ = await device(desk)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    said = {"occurred_at": at, "name": "Kunzes Dolma", "sex": "female", "age_years": 9, "district_lgd": 9}
    abha = f"00{secrets.randbelow(10**11):011d}"
    wrong = next(f"{abha}{digit}" for digit in "01" if not luhn_holds(f"{abha}{digit}"))
    lines = [
        {"row_key": "w1", "abha_number": wrong},
        {"row_key": "999941057058"},
        {"row_key": "w3", "identifiers": [{"type": "domicile", "value": "9999 4105 7058"}]},
        {"row_key": "w4", "occurred_at": 1763790000},
        {"row_key": "w5", "999941057058": "x"},
    ]
    content = "\n".join(json.dumps(said | line) for line in lines).encode()
    place = (await begin(desk, name, content, "jsonl")).headers["location"]
    await send(desk, place, 0, content)
    await finished(desk, place)
    told = await answers(desk, place)
    assert [one["status"] for one in told] == ["accepted", "refused", "refused", "refused", "refused"]
    assert [one["field"] for one in told[0]["warnings"]] == ["abha_number"]
    fields = [one["errors"][0]["field"] for one in told[1:]]
    assert fields == ["row_key", "identifiers", "occurred_at", "(unknown)"]
    assert "999941057058" not in str(told)


async def test_an_enrolled_device_is_told_by_its_own_key_and_a_revoked_one_brings_nothing(desk: Desk) -> None:
    name, numbers = await device(desk)
    path, key = f"/camp-devices/{name}", secrets.token_hex(8)
    first, again = [await desk.post(f"{path}/enrol", {}, key=key) for _ in range(2)]
    assert first.status_code == 201, first.text
    assert first.json() == again.json()
    for wrong in ({}, {"X-Device-Key": "nonsense"}):
        assert (await desk.post(f"{path}/enrol", {}, headers=wrong)).status_code == 403
    newer = (await desk.post(f"{path}/enrol", {}, headers={"X-Device-Key": first.json()["key"]})).json()["key"]
    assert (await desk.post(f"{path}/enrol", {}, role="officer", facility=ELSEWHERE)).status_code == 404
    lost = (await desk.post(f"{path}/enrol", {}, role="officer")).json()["key"]
    assert len({first.json()["key"], newer, lost}) == 3
    shown = (await desk.get(path)).json()
    assert (shown["enrolled"], shown["id"], "key" in shown) == (True, first.json()["id"], False)
    content = rows(f"r1,{dt.datetime.now(dt.UTC).isoformat()},Deskit Angmo,female,44,,Hanle,9,{numbers[0]}")
    for wrong in ({}, {"X-Device-Key": first.json()["key"]}, {"X-Device-Key": newer}):
        assert (await begin(desk, name, content, **wrong)).status_code == 403
        assert (await desk.post(f"{path}/blocks", {"size": 1}, headers=wrong)).status_code == 403
        people = await desk.served.client.get(f"{path}/people?district=9", headers=bearer(desk) | wrong)
        assert people.status_code == 403
    own = {"X-Device-Key": lost}
    place = (await begin(desk, name, content, **own)).headers["location"]
    assert (await send(desk, place, 0, content[:10])).status_code == 403
    assert (await send(desk, place, 0, content[:10], **own)).status_code == 204
    assert (await desk.post(f"{path}/revoke", {"reason": "lost it"}, headers=own)).status_code == 422
    revoked = await desk.post(f"{path}/revoke", {"reason": "stolen"})
    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    for late in (
        await send(desk, place, 10, content[10:], **own),
        await begin(desk, name, content, **own),
        await desk.post(f"{path}/blocks", {"size": 1}, headers=own),
        await desk.post(f"{path}/enrol", {}),
        await desk.post("/camp-devices", {"device": name, "quota": 9}),
    ):
        assert (late.status_code, late.json()["errors"][0]["field"]) == (422, "device"), late.text
    listed = (await desk.get("/camp-devices?limit=200")).json()["devices"]
    assert [one["revoked_for"] for one in listed if one["device"] == name] == ["stolen"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/camp-devices", {"device": "x y", "quota": 5}, "device"),
        ("/camp-devices", {"device": "tab-9", "quota": 0}, "quota"),
        ("/camp-devices", {"device": "tab-9", "quota": 5, "districts": [99999]}, "districts"),
        ("/camp-devices/{device}/blocks", {"size": 0}, "size"),
        ("/camp-devices/{device}/blocks", {"size": 500}, "size"),
    ],
)
async def test_a_bad_field_is_named_and_changes_nothing(desk: Desk, path: str, body: Any, field: str) -> None:
    name, _ = await device(desk)
    before = await desk.database["camp_devices"].find({}, {"version": 1}).to_list(None)
    answer = await desk.post(path.format(device=name), body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    assert await desk.database["camp_devices"].find({}, {"version": 1}).to_list(None) == before


async def test_an_upload_of_another_kind_is_refused_at_its_door(desk: Desk) -> None:
    name, _ = await device(desk)
    for how, field in (
        ({"Upload-Length": "0"}, "Upload-Length"),
        ({"Upload-Metadata": "device !!"}, "Upload-Metadata"),
        ({"Upload-Metadata": "format eGxz"}, "Upload-Metadata"),
    ):
        answer = await begin(desk, name, b"x", **how)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text
    unknown = await begin(desk, "no-such-device", b"x")
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "device")
    other = await begin(desk, name, b"x", **{"Tus-Resumable": "0.2.2"})
    assert (other.status_code, other.headers["tus-version"]) == (412, "1.0.0")
    understood = await desk.served.client.options("/camp-uploads")
    assert (understood.status_code, understood.headers["tus-extension"]) == (204, "creation")
    place = (await begin(desk, name, b"shoe_size\n43\n")).headers["location"]
    assert (await send(desk, place, 0, b"x", **{"Tus-Resumable": "2.0.0"})).status_code == 412
    assert (await send(desk, place, 0, b"x", **{"Content-Type": "text/csv"})).status_code == 415
    assert (await desk.get(place, facility=ELSEWHERE)).status_code == 403
    await send(desk, place, 0, b"shoe_size\n43\n")
    state = await finished(desk, place)
    assert state["status"] == "refused"
    assert "header" in state["reason"]


async def test_two_uploads_that_race_for_one_card_give_it_once_and_register_nobody_for_the_other(desk: Desk) -> None:
    name, numbers = await device(desk)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    people = [(f"race-{secrets.token_hex(3)}", f"Racing {sign * 4}") for sign in "AB"]

    async def upload(key: str, who: str) -> list[dict[str, Any]]:
        content = rows(f"{key},{at},{who},female,44,,Hanle,9,{numbers[0]}")
        place = (await begin(desk, name, content)).headers["location"]
        await send(desk, place, 0, content)
        await finished(desk, place)
        return await answers(desk, place)

    told = [one for part in await asyncio.gather(*(upload(*who) for who in people)) for one in part]
    assert sorted(one["status"] for one in told) == ["accepted", "refused"]
    [refused] = [one for one in told if one["status"] == "refused"]
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("card", "card-taken")]
    names = [who for _, who in people]
    assert await desk.database["patients"].count_documents({"state.card.name": {"$in": names}}) == 1


async def test_who_comes_twice_in_one_file_is_noticed_as_at_any_door(desk: Desk) -> None:
    name, _ = await device(desk)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    content = rows(
        f"t1,{at},Chhimet Tsomo,female,52,5550180001,Hanle,9,",
        f"t2,{at},Sajid Hussain,male,30,5550180002,Hanle,9,",
        f"t3,{at},Chimet Tsomo,female,52,5550180001,Hanle,9,",
    )
    place = (await begin(desk, name, content)).headers["location"]
    await send(desk, place, 0, content)
    await finished(desk, place)
    first, _, again = await answers(desk, place)
    assert (first["status"], again["status"]) == ("accepted", "accepted")
    found = {one["patient"]: one for one in (await desk.get("/reviews?limit=200")).json()["reviews"]}
    assert [one["patient"] for one in found[again["patient"]]["candidates"]] == [first["patient"]]
    assert first["patient"] not in found


async def test_an_answer_that_stood_there_before_a_crash_is_said_anew(desk: Desk) -> None:
    store = CampStore(desk.database)
    await store.keep_answers("u", [{"index": 0, "status": "refused"}])
    await store.keep_answers("u", [{"index": n, "status": "accepted"} for n in range(3)])
    found = await store.answers("u", -1, 10)
    assert [(one["index"], one["status"]) for one in found] == [(n, "accepted") for n in range(3)]


async def test_a_refused_row_lets_go_of_its_card(desk: Desk) -> None:
    name, numbers = await device(desk)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    key = f"again-{secrets.token_hex(3)}"

    async def upload(*lines: str) -> list[str]:
        content = rows(*lines)
        place = (await begin(desk, name, content)).headers["location"]
        await send(desk, place, 0, content)
        await finished(desk, place)
        return [one["status"] for one in await answers(desk, place)]

    wrong = f"{key},{at},Skarma Dolkar,female,44,,Hanle,99999,{numbers[1]}"
    assert await upload(wrong) == ["refused"]
    assert await upload(wrong) == ["refused"]
    assert await upload(f"other-{key},{at},Skarma Angmo,female,4,,Hanle,9,{numbers[1]}") == ["accepted"]
    assert await upload(wrong.replace("99999", "9")) == ["refused"], "another has it now"
    assert await upload(wrong.replace("99999", "9").replace(numbers[1], numbers[2])) == ["accepted"]


async def test_people_who_move_with_the_seasons_are_taken_along_where_they_are(desk: Desk) -> None:
    name, _ = await device(desk)
    own = {"X-Device-Key": (await desk.post(f"/camp-devices/{name}/enrol", {})).json()["key"]}
    winter = {"months": [11, 12, 1, 2], "village": "Zangla", "district_lgd": 6, "state_lgd": 37}
    home_here = (await desk.register(name="Goes Away", district_lgd=9, second_place=winter))["id"]
    summer = {"months": [6, 7, 8], "village": "Hanle", "district_lgd": 9, "state_lgd": 37}
    comes_here = (await desk.register(name="Comes Here", district_lgd=6, second_place=summer))["id"]

    async def taken(on: str, limit: int = 200) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        cursor: str | None = ""
        while cursor is not None:
            where = f"district=9&on={on}&limit={limit}&cursor={cursor}"
            answer = await desk.get(f"/camp-devices/{name}/people?{where}", headers=own)
            *lines, last = [json.loads(line) for line in answer.text.splitlines()]
            assert not found.keys() & {line["id"] for line in lines}, "nobody twice"
            found |= {line["id"]: line for line in lines}
            cursor = last["cursor"]
        return found

    july, december = await taken("2026-07-10"), await taken("2026-12-10")
    assert {home_here, comes_here} <= july.keys()
    assert july[comes_here]["there"] == {"village": "Hanle", "district_lgd": 9, "state_lgd": 37}
    assert july[home_here]["there"] is None
    assert not {home_here, comes_here} & december.keys()
    assert (await taken("2026-07-10", 1)).keys() == july.keys(), "page by page the same"
    wrong = await desk.get(f"/camp-devices/{name}/people?district=9&on=tomorrow")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "on")
