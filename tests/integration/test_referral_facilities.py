"""The directory: listed once at the first start, changed when its file says so, shown by code."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from referral_desk import HERE, THERE, Desk, data, header, person, read

from deploy.local.testing import TestStack
from libs.contracts.referral import FACILITY
from services.referral.directory import BadRow
from services.referral.main import create_app

OWN = Path("data/facilities.csv").read_text(encoding="utf-8")
LISTED = 35 + 4
"""The facilities, and the offices above them."""


async def types_told(desk: Desk) -> Counter[str]:
    return Counter(header(record, "ce_type").split(".")[1] for record in await desk.told(FACILITY))


async def test_a_start_lists_every_facility_once_and_a_changed_row_is_told(
    serve: Any, stack: TestStack, tmp_path: Path
) -> None:
    before = Counter(header(record, "ce_type").split(".")[1] for record in await read(stack.kafka_bootstrap, FACILITY))

    async def new() -> dict[str, int]:
        return dict(await types_told(desk) - before)

    async with serve("referral") as served:
        desk = Desk(stack, served)
        assert await new() == {"FacilityListed": LISTED}
    async with serve("referral") as served:
        desk = Desk(stack, served)
        assert await new() == {"FacilityListed": LISTED}

    changed = tmp_path / "facilities.csv"
    assert ",CHC Pooh,CHC,2,19,31.76,78.59,2837,30," in OWN
    changed.write_text(OWN.replace("78.59,2837,30,", "78.59,2837,34,"), encoding="utf-8")
    async with serve("referral", FACILITIES=str(changed)) as served:
        desk = Desk(stack, served)
        assert await new() == {"FacilityListed": LISTED, "FacilityChanged": 1}
        assert (await desk.get("desk", THERE, f"/facilities/{HERE}")).json()["beds"] == 34
    async with serve("referral") as served:
        desk = Desk(stack, served)
        assert await new() == {"FacilityListed": LISTED, "FacilityChanged": 2}
        of_pooh = (await desk.told(FACILITY, HERE))[-3:]
        assert [data(record)["card"]["beds"] for record in of_pooh] == [30, 34, 30]
        assert [header(record, "ce_sequence") for record in of_pooh] == ["1", "2", "3"]
        assert "source" not in data(of_pooh[0])


async def test_the_directory_is_read_by_state_level_and_service(serve: Any, stack: TestStack) -> None:
    async with serve("referral") as served:
        desk = Desk(stack, served)

        async def codes(**query: Any) -> list[str]:
            answer = await desk.get("desk", THERE, "/facilities", **query)
            assert answer.status_code == 200, answer.text
            return [item["code"] for item in answer.json()["items"]]

        assert await codes(state=2, level="MC", service="cardiology") == ["HP-SML-MC-IGMC"]
        everything = await codes(limit=100)
        assert len(everything) == 35
        assert everything == sorted(everything)
        assert all(code.startswith("LA-") for code in await codes(state=37))
        assert await codes(service="heart-transplant") == []

        first = (await desk.get("doctor", HERE, "/facilities", limit=20)).json()
        second = (await desk.get("doctor", HERE, "/facilities", limit=20, cursor=first["next"])).json()
        assert [item["code"] for item in first["items"] + second["items"]] == everything
        assert second["next"] is None

        assert (await desk.get("desk", THERE, f"/facilities/{THERE}")).json()["officer_email"] == (
            "officer.hp-knr-rh-peo@hospital.example"
        )
        assert (await desk.get("desk", THERE, "/facilities/NO-SUCH")).status_code == 404
        assert (await desk.get("citizen", "", "/facilities")).status_code == 403
        assert (await served.client.get("/facilities")).status_code == 401


async def test_destinations_are_ranked_by_the_roads_of_the_day(serve: Any, stack: TestStack) -> None:
    async with serve("referral") as served:
        desk = Desk(stack, served)
        body = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "routine", "reason": "x"}

        async def where(day: str) -> dict[str, Any]:
            """As asked from Gurez. Any write tells the day's clock which day it is."""
            sent = format_datetime(dt.datetime.fromisoformat(f"{day}T06:00:00+00:00"), usegmt=True)
            headers = desk.headers("doctor", "JK-BPR-CHC-GUREZ")
            written = await served.client.post("/referrals", json=body, headers=headers | {"Date": sent})
            assert written.status_code == 201, written.text
            answer = await served.client.post("/destinations", json={"service": "surgery"}, headers=headers)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        autumn, winter = await where("2026-11-20"), await where("2026-12-20")
        best = autumn["ranked"][0]
        assert (best["facility"], best["hours"], best["by_air"]) == ("JK-BPR-DH-BANDIPORA", 5.0, False)
        assert winter["ranked"] == []
        reasons = {each["facility"]: each["reasons"] for each in winter["left_out"]}
        assert reasons["JK-BPR-DH-BANDIPORA"] == ["the road is closed for the winter"]
        assert reasons["LA-LEH-PHC-TURTUK"] == ["does not offer surgery"]
        assert (await desk.post("citizen", "", "/destinations", {"service": "surgery"})).status_code == 403
        refused = await desk.post("doctor", HERE, "/destinations", {"service": "Heart & Lungs"})
        assert refused.json()["errors"][0]["field"] == "service"

        async def warned_of(**more: Any) -> list[str]:
            asked = await desk.request(to="HP-SML-MC-IGMC", **more)
            return [warning["code"] for warning in asked["warnings"]]

        assert "passed-by" in await warned_of()
        assert "passed-by" not in await warned_of(past_reason="specialist-away")
        refused = await desk.post("doctor", HERE, "/referrals", body | {"past_reason": "because"})
        assert refused.json()["errors"][0]["field"] == "past_reason"


def test_a_bad_row_stops_the_start_with_its_line_and_field(stack: TestStack, tmp_path: Path) -> None:
    bad = tmp_path / "facilities.csv"
    bad.write_text(OWN.replace("78.26,2680,30,", "78.26,2680,plenty,"), encoding="utf-8")
    with pytest.raises(BadRow, match=r"line 3, beds"):
        create_app(stack.settings("referral", FACILITIES=str(bad)))
