"""Open311 GeoReport v2 where it is pure: what is shown, places, and XML."""

from __future__ import annotations

import dataclasses
import datetime as dt
from xml.etree import ElementTree

import pytest
from grievance_case import FILE, FIXED, START, run
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.referral import FacilityCard
from services.grievance.domain import open311
from services.grievance.domain.category import Category
from services.grievance.domain.commands import Confirm, Interim

LONG_WAIT = Category(code="long-wait", name="Waited too long")


def card(code: str, latitude: float, longitude: float) -> FacilityCard:
    return FacilityCard(
        code=code,
        hip_id="IN9900000001",
        name=f"PHC {code}",
        level="PHC",
        state_lgd=37,
        district_lgd=9,
        latitude=latitude,
        longitude=longitude,
        altitude_m=3000,
        beds=4,
    )


PLACES = [card("A-A", 34.15, 77.57), card("B-B", 34.55, 76.13)]


@pytest.mark.parametrize(
    ("path", "status"), [([], "open"), ([(FIXED, 1)], "open"), ([(FIXED, 1), (Confirm(4), 1)], "closed")]
)
def test_resolved_is_not_closed(path: list[object], status: str) -> None:
    state, _ = run(path)  # type: ignore[arg-type]
    shown = open311.request("id-1", state, LONG_WAIT, PLACES[0])
    assert shown["status"] == status
    assert (shown["service_code"], shown["service_name"], shown["address"]) == (
        "long-wait",
        "Waited too long",
        "PHC A-A",
    )
    assert shown["description"] is None
    assert FILE.text not in str(shown)


def test_the_expected_date_is_the_promise_or_what_was_said_since() -> None:
    state, _ = run([])
    assert open311.request("x", state, LONG_WAIT, None)["expected_datetime"] == "2026-11-20T10:00:00+00:00"
    later = START + dt.timedelta(days=9)
    state, _ = run([(Interim(later, "the part comes by air"), 5)])
    assert open311.request("x", state, LONG_WAIT, None)["expected_datetime"] == open311.written(later)


def test_a_place_is_about_the_nearest_facility_or_about_none() -> None:
    assert open311.nearest(34.2, 77.6, PLACES) == "A-A"
    assert open311.nearest(34.5, 76.2, PLACES) == "B-B"
    assert open311.nearest(28.6, 77.2, PLACES) is None
    assert open311.nearest(34.2, 77.6, []) is None


@given(st.text())
def test_whatever_a_name_holds_the_xml_can_be_read(text: str) -> None:
    category = Category(code="long-wait", name=text[:200] or "-")
    text = text.encode("utf-8", "ignore").decode()
    read = ElementTree.fromstring(
        open311.xml("services", [open311.service(category.model_copy(update={"name": text}))])
    )
    (one,) = read.findall("service")
    assert one.findtext("service_code") == "long-wait"
    assert one.findtext("metadata") == "true"


def test_lists_have_the_element_names_of_the_specification() -> None:
    state, _ = run([], first=dataclasses.replace(FILE))
    request = ElementTree.fromstring(open311.xml("service_requests", [open311.request("x", state, None, None)]))
    assert request.find("request/service_request_id") is not None
    definition = ElementTree.fromstring(open311.xml("service_definition", open311.definition(LONG_WAIT, PLACES)))
    assert definition.findtext("attributes/attribute/values/value/key") == "A-A"
    fault = ElementTree.fromstring(open311.xml("errors", [{"code": 403, "description": "no key"}]))
    assert fault.findtext("error/code") == "403"
    found = ElementTree.fromstring(open311.xml("discovery", open311.discovery("/open311/v2")))
    assert [one.text for one in found.findall("endpoints/endpoint/formats/format")] == ["text/xml", "application/json"]
